"""Advancing the visits of all subjects of a group, fix by fix."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.checkins.domain import as_fix
from services.geo_api.checkins.repository import Key
from services.geo_api.checkins.service.last_fix import placed
from services.geo_api.checkins.service.likelihood import likeliest
from services.geo_api.checkins.service.outcome import FencesInForce, Outcome, Tools
from services.geo_api.checkins.service.tracks import Known, Tracks, load, minding
from services.geo_api.evidence.domain import GREATEST_CONFIDENCE, OF_GRADE, Evidence
from services.geo_api.offers.domain import Presence
from services.geo_api.places.schedules import in_force
from services.geo_api.presence.crossing import Placed, Way, crossed, may_cross
from services.geo_api.presence.domain import Change, Transition, Visit, transitions
from services.geo_api.presence.matching import Fence, FenceMatch
from services.geo_api.presence.rule import DEFAULT_RULE, ArrivalRule
from services.geo_api.presence.track import Track
from services.geo_api.subjects import repository as subjects
from services.geo_api.subjects.domain import SubjectState

_CORROBORATED_CONFIDENCE = 2
"""What two fixes inside deserve, however small the overlap of either."""


async def advance(
    connection: AsyncConnection,
    tools: Tools,
    outcomes: Sequence[Outcome],
    states: Mapping[UUID, SubjectState],
    known: Known,
    lasts: Mapping[UUID, Placed],
) -> Tracks:
    """Let each fix change its subject's visits; ``outcomes`` are ordered by occurrence.

    ``lasts`` is where each subject was last seen.
    """
    fences = tools.fences.current
    tracks = await load(connection, tools, outcomes, states, known)
    last = {outcome.check_in.subject_id: outcome for outcome in outcomes}
    for outcome in outcomes:
        track = tracks[outcome.check_in.subject_id]
        outcome.verdict = minding(track.closings, outcome, fences)
        outcome.ranking = likeliest(outcome, fences, track.stays.going_on.keys())
        changes = track.take(as_fix(outcome.check_in, outcome.verdict), tools.new_id)
        if outcome is last[outcome.check_in.subject_id]:
            changes = _combined(changes, track.finish())
        outcome.changes = changes
        outcome.counts = outcome.check_in.check_in_id not in track.beyond
        if outcome.changes:
            outcome.transitions = transitions(outcome.changes)
        outcome.matches = [*_matches(outcome)]
        if outcome.verdict.arrives or outcome.verdict.tentative:
            outcome.presences = tuple(_presences(outcome, track, tools))
    await _note_ends(connection, states, tracks)
    _add_fences_left(outcomes, fences)
    _add_fences_crossed(tools.rule, outcomes, _Before(states, tracks, lasts), fences)
    return tracks


def _combined(changes: Sequence[Change], ends: Sequence[Change]) -> list[Change]:
    """A visit that a fix began or prolonged and its place then ended changed once."""
    ended = {change.before.visit_id: change for change in ends if change.before}
    combined = []
    for change in changes:
        end = ended.pop(change.after.visit_id, None) if change.after else None
        combined.append(change if end is None else Change(change.before, end.after))
    return [*combined, *ended.values()]


async def _note_ends(
    connection: AsyncConnection, states: Mapping[UUID, SubjectState], tracks: Tracks
) -> None:
    """A fix from before a closing that ended a visit is a late one from now on."""
    ends = {subject: track.stays.ended_until for subject, track in tracks.items()}
    told = {s: at for s, at in ends.items() if at is not None and at != states[s].ended_at}
    await subjects.note_ends(connection, told)


def _matches(outcome: Outcome) -> Iterator[tuple[FenceMatch, Transition | None]]:
    for match in outcome.verdict.matches:
        yield match, outcome.transitions.get(match.fence.store_id)


def _add_fences_left(outcomes: Sequence[Outcome], fences: FencesInForce) -> None:
    """Add to each outcome the fences of stores that its fix left and is too far from to match."""
    left = [
        (outcome, store_id, outcome.check_in.fix)
        for outcome in outcomes
        if outcome.check_in.fix is not None
        for store_id in _left_unmatched(outcome)
    ]
    asked = [(store_id, fix) for _, store_id, fix in left]
    for (outcome, _, _), found in zip(left, fences.index.measure_all(asked), strict=True):
        outcome.matches = [*outcome.matches, *((match, Transition.EXIT) for match in found)]


def _left_unmatched(outcome: Outcome) -> list[str]:
    matched = {match.fence.store_id for match in outcome.verdict.matches}
    left = [s for s, what in outcome.transitions.items() if what is Transition.EXIT]
    return [store_id for store_id in left if store_id not in matched]


@dataclass(frozen=True, slots=True)
class _Before:
    """Where each subject was right before a fix, within the group and before it."""

    states: Mapping[UUID, SubjectState]
    tracks: Tracks
    lasts: Mapping[UUID, Placed]
    _here: dict[Key, Placed | None] = field(default_factory=dict)

    def note(self, key: Key, here: Placed | None) -> None:
        self._here[key] = here

    def of(self, key: Key, at: datetime) -> Placed | None:
        """None where a check-in without a place lies between."""
        subject, check_in_id = key
        before = self.tracks[subject].before(check_in_id, at)
        if before is not None and (subject, before) in self._here:
            return self._here[subject, before]
        state, last = self.states[subject], self.lasts.get(subject)
        if last is None or state.last is None or last.at != state.last_occurred_at:
            return None
        return last if last.at < at and before in (None, state.last.check_in_id) else None


def _add_fences_crossed(
    rule: ArrivalRule, outcomes: Sequence[Outcome], before: _Before, fences: FencesInForce
) -> None:
    """Add to each outcome the fences that its subject passed through since the fix before."""
    came = [*_ways(rule, outcomes, before)]
    for (outcome, _), found in zip(
        came, crossed(fences.index, [way for _, way in came], rule), strict=True
    ):
        at = outcome.check_in.occurred_at
        passed = [match for match in found if _in_force(match.fence, fences, at)]
        if passed:
            outcome.matches = [*outcome.matches, *((m, Transition.CROSS) for m in passed)]


def _ways(
    rule: ArrivalRule, outcomes: Sequence[Outcome], before: _Before
) -> Iterator[tuple[Outcome, Way]]:
    places = [placed(outcome.check_in) for outcome in outcomes]
    for outcome, here in zip(outcomes, places, strict=True):
        before.note(outcome.check_in.key, here)
    for outcome, now in zip(outcomes, places, strict=True):
        if now is None or not outcome.counts:
            continue
        last = before.of(outcome.check_in.key, now.at)
        if last is not None and may_cross(last, now, rule):
            verdict = outcome.verdict
            seen = verdict.arrives | verdict.tentative | verdict.uncertain
            yield outcome, Way(last.spot, now.spot, seen)


def _in_force(fence: Fence, fences: FencesInForce, at: datetime) -> bool:
    if fence.schedule is None:
        return True
    store = fences.stores.get(fence.store_id)
    return in_force(fence.schedule, store.timezone if store else "UTC", at)


def _presences(outcome: Outcome, track: Track, tools: Tools) -> Iterator[Presence]:
    """The stores that the fix is in: where it arrives, and where a visit holds a tentative one."""
    fences = tools.fences.current
    began = {c.after.visit_id for c in outcome.changes if c.before is None and c.after is not None}
    best: dict[str, FenceMatch] = {}
    for match in outcome.verdict.matches:
        if match.inside:
            best.setdefault(match.fence.store_id, match)
    for store_id in sorted(outcome.verdict.arrives | outcome.verdict.tentative):
        visit = _visit_at(store_id, outcome, track)
        if visit is None and store_id not in outcome.verdict.arrives:
            continue
        store, found = fences.stores.get(store_id), best.get(store_id)
        yield Presence(
            store_id=store_id,
            tags=store.tags if store else frozenset(),
            visit_id=visit.visit_id if visit else None,
            entered=visit is not None and visit.visit_id in began,
            geofence_id=found.fence.geofence_id if found else None,
            geofence_version=found.fence.version if found else None,
            confidence=_confidence(store_id, found, outcome, visit),
            evidence=_evidence(store_id, outcome),
            is_open=_is_open(store_id, outcome.check_in.occurred_at, tools),
            since=visit.entered_at if visit else None,
            until=visit.last_inside_at if visit else None,
        )


def _confidence(
    store_id: str, match: FenceMatch | None, outcome: Outcome, visit: Visit | None
) -> int:
    """That of the fix or of the proof, if greater; at least 2 where an earlier fix bears it out.

    What was chosen on a map bears out nothing, and stays below that however often it is chosen.
    """
    check_in, verdict = outcome.check_in, outcome.verdict
    believed = match.confidence if match else 0
    if visit is not None and visit.sensed_at is not None and match is not None:
        seen_for = check_in.occurred_at - visit.sensed_at
        if seen_for >= DEFAULT_RULE.corroborated_after:
            believed = max(believed, _CORROBORATED_CONFIDENCE)
    limit = GREATEST_CONFIDENCE[OF_GRADE[check_in.grade]]
    return max(min(believed, limit), verdict.proven.get(store_id, 0))


def _evidence(store_id: str, outcome: Outcome) -> Evidence:
    """The proof at the store that it names, the coordinates at every other."""
    proven = store_id in outcome.verdict.proven
    return outcome.check_in.evidence if proven else OF_GRADE[outcome.check_in.grade]


def _is_open(store_id: str, at: datetime, tools: Tools) -> bool:
    """By its hours, which take a while to read and so are asked only where there is an offer."""
    store = tools.fences.current.stores.get(store_id)
    if store is None or not tools.offers.current.at(store_id, store.tags):
        return True
    return store.is_open(at)


def _visit_at(store_id: str, outcome: Outcome, track: Track) -> Visit | None:
    moment = outcome.check_in.occurred_at
    here = (v for v in track.visits.values() if v.store_id == store_id)
    return next((v for v in here if v.entered_at <= moment <= v.last_inside_at), None)


class Settled(NamedTuple):
    """What becomes of the rows of visits: those to make, to change and to remove."""

    begun: list[Visit]
    changed: list[Visit]
    gone: list[Visit]


def settled(changes: Iterable[Change]) -> Settled:
    """The visits after all changes, each once."""
    stored: dict[UUID, Visit | None] = {}
    final: dict[UUID, Visit | None] = {}
    for before, after in changes:
        visit = after or before
        if visit is not None:
            stored.setdefault(visit.visit_id, before)
            final[visit.visit_id] = after
    settled = Settled([], [], [])
    for visit_id, after in final.items():
        before = stored[visit_id]
        if after is not None:
            (settled.begun if before is None else settled.changed).append(after)
        elif before is not None:
            settled.gone.append(before)
    return settled
