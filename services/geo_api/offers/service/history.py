"""Reading what eligibility needs to know of the persons of a group, under their lock."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.offers.domain import Candidate, Presence, Situation, Trigger
from services.geo_api.offers.eligibility import Grants, Past, Stay
from services.geo_api.offers.repository import grants as repository
from services.geo_api.presence import repository as presence
from services.geo_api.presence.domain import Visit, VisitState
from services.geo_api.presence.rule import GAP

SIBLINGS_LOOK_BACK = timedelta(days=7)
"""A visit that another subject of the person ended longer ago joins no visit of now.

Inside this horizon late fixes may still change visits (retention of exact fixes).
"""


Visits = Mapping[UUID, Sequence[Visit]]
"""By subject."""


async def read(
    connection: AsyncConnection,
    hopeful: Sequence[Candidate],
    situations: Iterable[Situation],
    known: Visits,
) -> Past:
    """At most four statements: visits going on, the siblings' latest, visits before, coupons.

    ``situations`` are those of the whole group: what its visits are by now is not yet stored.
    The visits of subjects in ``known`` are taken from there.
    """
    persons = _persons(hopeful)
    present = [situation for situation in situations if situation.subject_id in persons]
    visits = await _visits(connection, hopeful, known)
    stays = _stays(visits, hopeful, present)
    ours = [stay for found in stays.values() for stay in found]
    rows = await repository.held(
        connection,
        persons,
        {candidate.offer.offer_id for candidate in hopeful},
        {stay.visit_id for stay in ours},
        min(stay.since for stay in ours),
    )
    visited = await _visited(connection, hopeful, {stay.visit_id for stay in ours})
    return Past(_grants(rows, persons), stays, visited)


async def _visits(
    connection: AsyncConnection, hopeful: Sequence[Candidate], known: Visits
) -> dict[UUID, Visit]:
    """The visits, by id, that may join with those of now."""
    persons = _persons(hopeful)
    visits = {visit.visit_id: visit for s in persons for visit in known.get(s, ())}
    unknown = [subject for subject in persons if subject not in known]
    if unknown:
        going_on = await presence.going_on(connection, unknown)
        visits |= {visit.visit_id: visit for visit in going_on}
    starts = {
        subject: candidate.situation.received_at - SIBLINGS_LOOK_BACK
        for candidate in hopeful
        for subject in candidate.situation.kin
        if len(candidate.situation.kin) > 1
    }
    if starts:
        latest = await presence.since(connection, starts)
        visits = {visit.visit_id: visit for visit in latest} | visits
    return visits


def _stays(
    visits: Mapping[UUID, Visit], hopeful: Sequence[Candidate], present: Sequence[Situation]
) -> dict[tuple[UUID, str], list[Stay]]:
    """Stays by (person, store): those stored, and those that the group has brought about."""
    persons = _persons(hopeful)
    here = {situation.subject_id for situation in present}
    stays = {
        visit.visit_id: (visit.store_id, _stored(visit, may_last=visit.subject_id not in here))
        for visit in visits.values()
        if visit.subject_id in persons
    }
    for situation in present:
        for place in situation.presences:
            if place.visit_id is not None:
                _, stored = stays.get(place.visit_id, (None, None))
                stays[place.visit_id] = (
                    place.store_id,
                    _reach(situation, place, place.visit_id, stored),
                )
    places: dict[tuple[UUID, str], list[Stay]] = {}
    for store_id, stay in stays.values():
        places.setdefault((persons[stay.subject_id], store_id), []).append(stay)
    return places


def _stored(visit: Visit, *, may_last: bool) -> Stay:
    """A visit as it is stored. An open one may last until the gap, if nobody knows better.

    Of a subject in the group it is known whether it goes on, by what ``_reach`` adds.
    """
    lasts = may_last and visit.state is VisitState.OPEN
    until = visit.last_inside_at + GAP if lasts else visit.last_inside_at
    return Stay(visit.subject_id, visit.visit_id, visit.entered_at, until)


def _reach(situation: Situation, place: Presence, visit_id: UUID, stay: Stay | None) -> Stay:
    """The stay of a visit, reaching as far as the visit does with one more check-in."""
    moment = situation.occurred_at
    since, until = place.since or moment, place.until or moment
    if stay is None:
        return Stay(situation.subject_id, visit_id, since, until)
    return stay._replace(since=min(stay.since, since), until=max(stay.until, until))


async def _visited(
    connection: AsyncConnection, hopeful: Sequence[Candidate], known: Iterable[UUID]
) -> frozenset[tuple[UUID, str]]:
    """(person, store) with an earlier visit, asked only where an offer is for the first one."""
    firsts = [c for c in hopeful if c.offer.trigger is Trigger.FIRST_VISIT]
    if not firsts:
        return frozenset()
    persons = _persons(firsts)
    stores = {candidate.presence.store_id for candidate in firsts}
    pairs = await presence.stores_visited_before(
        connection, list(persons), list(stores), list(known)
    )
    return frozenset((persons[subject_id], store_id) for subject_id, store_id in pairs)


def _grants(
    rows: Iterable[Row[Any]], persons: Mapping[UUID, UUID]
) -> dict[tuple[UUID, str], Grants]:
    held: dict[tuple[UUID, str], Grants] = {}
    for row in rows:
        key = persons[row.subject_id], row.offer_id
        before = held.get(key, Grants())
        won_at = {**before.won_at}
        won_at[row.store_id] = [*won_at.get(row.store_id, ()), *(row.won_at or ())]
        visits = before.visits | frozenset(row.visits or ())
        held[key] = Grants(before.total + row.total, won_at, visits)
    return held


def _persons(hopeful: Iterable[Candidate]) -> dict[UUID, UUID]:
    """From each subject to its person."""
    return {subject: c.situation.person for c in hopeful for subject in c.situation.kin}
