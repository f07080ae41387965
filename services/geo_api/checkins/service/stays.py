"""Advancing the visits of all subjects of a group, fix by fix."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.checkins import repository
from services.geo_api.checkins.domain import CheckIn, as_fix
from services.geo_api.checkins.service.outcome import FencesInForce, Outcome, Tools
from services.geo_api.offers.domain import Presence
from services.geo_api.presence import repository as presence
from services.geo_api.presence.domain import Change, Stays, Track, Transition, Visit, transitions
from services.geo_api.presence.matching import FenceMatch
from services.geo_api.presence.matching import Fix as Position
from services.geo_api.subjects.domain import SubjectState

Tracks = dict[UUID, Track]


async def advance(
    connection: AsyncConnection,
    tools: Tools,
    outcomes: Sequence[Outcome],
    states: Mapping[UUID, SubjectState],
) -> Tracks:
    """Let each fix change its subject's visits; ``outcomes`` are ordered by occurrence."""
    tracks = await _load(connection, outcomes, states)
    fences = tools.fences.current
    for outcome in outcomes:
        track = tracks[outcome.check_in.subject_id]
        outcome.changes = track.take(as_fix(outcome.check_in, outcome.verdict), tools.new_id)
        outcome.transitions = transitions(outcome.changes)
        outcome.matches = [*_matches(outcome)]
        outcome.presences = tuple(_presences(outcome, track, fences))
    _add_fences_left(outcomes, fences)
    return tracks


async def _load(
    connection: AsyncConnection, outcomes: Sequence[Outcome], states: Mapping[UUID, SubjectState]
) -> Tracks:
    firsts: dict[UUID, datetime] = {}
    for outcome in outcomes:
        firsts.setdefault(outcome.check_in.subject_id, outcome.check_in.occurred_at)
    tracks = {
        subject: Track(Stays(subject, {}, states[subject].last_occurred_at), [], {}, {})
        for subject in firsts
    }
    for visit in await presence.going_on(connection, list(firsts)):
        tracks[visit.subject_id].stays.going_on[visit.store_id] = visit
        tracks[visit.subject_id].visits[visit.visit_id] = visit
    late = {s: first for s, first in firsts.items() if _is_late(first, states[s])}
    if late:
        await _load_late(connection, late, tracks)
    return tracks


def _is_late(first: datetime, state: SubjectState) -> bool:
    """Equal times count as late: which comes first is then a matter of the check-in ids."""
    return state.last_occurred_at is not None and first <= state.last_occurred_at


async def _load_late(
    connection: AsyncConnection, late: Mapping[UUID, datetime], tracks: Tracks
) -> None:
    fixes = await repository.fixes_since(connection, late)
    starts = {
        subject: min([first, *(fix.occurred_at for fix in fixes[subject][:1])])
        for subject, first in late.items()
    }
    for subject in late:
        tracks[subject].fixes = fixes[subject]
    for visit in await presence.since(connection, starts):
        tracks[visit.subject_id].visits[visit.visit_id] = visit


def _matches(outcome: Outcome) -> Iterator[tuple[FenceMatch, Transition | None]]:
    for match in outcome.verdict.matches:
        yield match, outcome.transitions.get(match.fence.store_id)


def _add_fences_left(outcomes: Sequence[Outcome], fences: FencesInForce) -> None:
    """Add to each outcome the fences of stores that its fix left and is too far from to match."""
    left = [(outcome, store_id) for outcome in outcomes for store_id in _left_unmatched(outcome)]
    asked = [(store_id, _position(outcome.check_in)) for outcome, store_id in left]
    for (outcome, _), found in zip(left, fences.index.measure_all(asked), strict=True):
        outcome.matches = [*outcome.matches, *((match, Transition.EXIT) for match in found)]


def _left_unmatched(outcome: Outcome) -> list[str]:
    matched = {match.fence.store_id for match in outcome.verdict.matches}
    left = [s for s, what in outcome.transitions.items() if what is Transition.EXIT]
    return [store_id for store_id in left if store_id not in matched]


def _position(check_in: CheckIn) -> Position:
    return Position(check_in.position.lon, check_in.position.lat, check_in.accuracy_m)


def _presences(outcome: Outcome, track: Track, fences: FencesInForce) -> Iterator[Presence]:
    entered = {
        change.after.visit_id
        for change in outcome.changes
        if change.before is None and change.after is not None
    }
    best: dict[str, FenceMatch] = {}
    for match in outcome.verdict.matches:
        if match.inside:
            best.setdefault(match.fence.store_id, match)
    for store_id in sorted(outcome.verdict.inside):
        visit = _visit_at(store_id, outcome, track)
        store = fences.stores.get(store_id)
        yield Presence(
            store_id=store_id,
            tags=store.tags if store else frozenset(),
            visit_id=visit.visit_id if visit else None,
            entered=visit is not None
            and visit.visit_id in entered
            and visit.entered_at == outcome.check_in.occurred_at,
            geofence_id=best[store_id].fence.geofence_id,
            geofence_version=best[store_id].fence.version,
            confidence=best[store_id].confidence,
            since=visit.entered_at if visit else None,
            until=visit.last_inside_at if visit else None,
        )


def _visit_at(store_id: str, outcome: Outcome, track: Track) -> Visit | None:
    moment = outcome.check_in.occurred_at
    here = (v for v in track.visits.values() if v.store_id == store_id)
    return next((v for v in here if v.entered_at <= moment <= v.last_inside_at), None)


def settled(outcomes: Iterable[Outcome]) -> tuple[list[Visit], list[Visit]]:
    """The visits to write and to remove after all changes of a group, each once."""
    final: dict[UUID, Visit | None] = {}
    known: dict[UUID, Visit] = {}
    for change in (change for outcome in outcomes for change in outcome.changes):
        _note(change, final, known)
    kept = [visit for visit in final.values() if visit is not None]
    gone = [known[visit_id] for visit_id, visit in final.items() if visit is None]
    return kept, [visit for visit in gone if visit.visit_id in known]


def _note(change: Change, final: dict[UUID, Visit | None], known: dict[UUID, Visit]) -> None:
    if change.before is not None:
        known.setdefault(change.before.visit_id, change.before)
    if change.after is not None:
        final[change.after.visit_id] = change.after
    elif change.before is not None:
        final[change.before.visit_id] = None
