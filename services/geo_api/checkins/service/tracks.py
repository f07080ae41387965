"""The presence of subjects as it stands before the fixes of a group: visits, fixes, closings."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.checkins import repository
from services.geo_api.checkins.domain import CheckIn
from services.geo_api.checkins.service.outcome import FencesInForce, Outcome, Tools
from services.geo_api.presence import closing_rows
from services.geo_api.presence import repository as presence
from services.geo_api.presence.domain import Closing, Visit
from services.geo_api.presence.dwelling import Thresholds
from services.geo_api.presence.folding import Stays
from services.geo_api.presence.matching import FenceMatch
from services.geo_api.presence.rule import GAP
from services.geo_api.presence.track import Track
from services.geo_api.presence.verdict import Verdict
from services.geo_api.subjects.domain import SubjectState
from shared.direct import RowsOf, Statement, read_together

Tracks = dict[UUID, Track]


class Known(NamedTuple):
    """What a next fix may meet: the visits that it may prolong, and closings of stores, in order.

    Both may be of others, too.
    """

    going_on: Sequence[Visit] = ()
    closings: Sequence[Closing] = ()


def asking_known(
    check_ins: Sequence[CheckIn], verdicts: Iterable[Verdict]
) -> tuple[Statement, Statement]:
    """Queries for what ``known`` makes of their rows."""
    whose = list({check_in.subject_id for check_in in check_ins})
    stores = {store for verdict in verdicts for store in verdict.arrives | verdict.tentative}
    since = min(check_in.occurred_at for check_in in check_ins) - GAP
    return (
        presence.asking_going_on(whose),
        closing_rows.asking(list(stores), since, whose),
    )


def known(visits: RowsOf, closings: RowsOf) -> Known:
    return Known(presence.visits(visits), closing_rows.read(closings))


async def load(
    connection: AsyncConnection,
    tools: Tools,
    outcomes: Sequence[Outcome],
    states: Mapping[UUID, SubjectState],
    known: Known,
) -> Tracks:
    """The tracks of the subjects of ``outcomes``, which are ordered by occurrence."""
    firsts: dict[UUID, datetime] = {}
    for outcome in outcomes:
        firsts.setdefault(outcome.check_in.subject_id, outcome.check_in.occurred_at)
    tracks = made(tools, [states[subject] for subject in firsts], known)
    late = {s: first for s, first in firsts.items() if _is_late(first, states[s])}
    if late:
        verdicts = [outcome.verdict for outcome in outcomes if outcome.check_in.subject_id in late]
        await load_past(connection, late, tracks, verdicts)
    return tracks


def made(tools: Tools, states: Iterable[SubjectState], known: Known) -> Tracks:
    """Tracks that know nothing but what may go on."""
    fences = tools.fences.current
    dwelled = Thresholds(fences.index, fences.stores).reached
    tracks = {}
    for state in states:
        maybe = {store: [*moments] for store, moments in state.maybe.items()} if state.maybe else {}
        stays = Stays(
            state.subject_id,
            {},
            state.last_occurred_at,
            maybe,
            rule=tools.rule,
            dwelled=dwelled,
            closings=[*known.closings],
            ended_until=state.ended_at,
        )
        tracks[state.subject_id] = Track(stays, closings=[*known.closings])
    for visit in known.going_on:
        track = tracks.get(visit.subject_id)
        if track is not None:
            track.stays.going_on[visit.store_id] = visit
            track.visits[visit.visit_id] = visit
    return tracks


def _is_late(first: datetime, state: SubjectState) -> bool:
    """Equal times count as late: which comes first is then a matter of the check-in ids.

    So does a fix from before a place ended a visit, which may have gone on until then.
    """
    if state.ended_at is not None and first <= state.ended_at:
        return True
    return state.last_occurred_at is not None and first <= state.last_occurred_at


async def load_past(
    connection: AsyncConnection,
    late: Mapping[UUID, datetime],
    tracks: Tracks,
    verdicts: Iterable[Verdict] = (),
) -> None:
    """Add to tracks the fixes, visits and closings from the episodes of ``late`` moments on.

    ``verdicts`` are those of fixes that come now.
    """
    fixes = await repository.fixes_since(connection, late, GAP)
    starts = {
        subject: min([first, *(fix.occurred_at for fix in fixes[subject][:1])])
        for subject, first in late.items()
    }
    stores = {store for verdict in verdicts for store in verdict.arrives | verdict.tentative}
    for of_subject in fixes.values():
        stores.update(store for fix in of_subject for store in fix.arrives | fix.tentative)
    found, closings = await read_together(
        connection,
        [
            presence.asking_since(starts),
            closing_rows.asking(list(stores), min(starts.values()) - GAP, list(late)),
        ],
    )
    past = closing_rows.read(closings)
    for subject in late:
        tracks[subject].fixes = fixes[subject]
        tracks[subject].closings = past
        tracks[subject].stays.closings = [*past]
    for visit in presence.visits(found):
        tracks[visit.subject_id].visits[visit.visit_id] = visit


def minding(closings: Sequence[Closing], outcome: Outcome, fences: FencesInForce) -> Verdict:
    """What a fix says where stores were closed around it.

    One from before its store closed finds no geofence there any more: that proves nothing. Nor
    does one from after it that was judged by the geofences of before.
    """
    verdict, at = outcome.verdict, outcome.check_in.occurred_at
    if not closings:
        return verdict
    gone = {c.store_id for c in closings if c.at >= at and not fences.index.of_store(c.store_id)}
    inside = (verdict.arrives | verdict.tentative) - verdict.proven.keys()
    passed = {
        c.store_id
        for c in closings
        if c.at < at and c.store_id in inside and not _knows(fences, c, verdict.matches)
    }
    if gone:
        verdict = verdict.in_doubt_of(frozenset(gone))
    return verdict.without(frozenset(passed)) if passed else verdict


def _knows(fences: FencesInForce, closing: Closing, matches: Iterable[FenceMatch]) -> bool:
    """Whether a geofence of the store that was matched stands after its closing."""
    if closing.index_version is None:
        return True
    if closing.index_version > fences.version:
        return False
    drawn = fences.index.of_store(closing.store_id)
    return any(match.fence is fence for match in matches for fence in drawn)
