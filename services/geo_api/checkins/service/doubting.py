"""Gathering what speaks against the check-ins of a group, and weighing it.

Everything is at hand but one thing: whether somebody else reported the same coordinates. That is
asked with what else is read under the lock, of check-ins at a store that could be such a copy.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from services.geo_api.checkins.domain import CheckIn
from services.geo_api.checkins.repository import Key
from services.geo_api.checkins.service.outcome import FencesInForce, Outcome, Tools
from services.geo_api.evidence.domain import BY_LOCATION, CheckInKind, LocationGrade
from services.geo_api.presence.crossing import Placed
from services.geo_api.presence.fences import Fix
from services.geo_api.presence.verdict import Verdict
from services.geo_api.subjects.domain import SubjectState
from services.geo_api.trust.domain import (
    Doubt,
    Place,
    Signal,
    by_accuracy,
    by_evidence,
    by_sharing,
    by_siblings,
    by_speed,
    by_time,
    is_exact,
    told_by_app,
    trust,
)
from services.geo_api.trust.repository import pair_hash, sightings
from shared.datum import Datum, alternatives
from shared.direct import RowsOf
from shared.lonlat import LonLat

JUMPS_WITHIN = timedelta(hours=19)
"""After so long an airliner reaches any place on earth: an older fix is not asked."""

_SAME_DEG = 1e-7
"""A centimetre: closer than this to a store's own location is that location."""

States = Mapping[UUID, SubjectState]


@dataclass(frozen=True, slots=True)
class Copies:
    """Check-ins that may copy another's coordinates: what stands for theirs, and who was seen there.

    ``seen`` are rows of (hash, subject).
    """

    hashes: Mapping[Key, bytes]
    seen: RowsOf = ()


def possible_copies(
    tools: Tools, check_ins: Iterable[CheckIn], verdicts: Mapping[Key, Verdict]
) -> dict[Key, bytes]:
    """What stands for the coordinates of those that could be copies."""
    fences, identity = tools.fences.current, tools.keys.identity
    return {
        check_in.key: pair_hash(identity, check_in.received_at.toordinal(), *check_in.received)
        for check_in in check_ins
        if check_in.received is not None
        and _may_be_a_copy(check_in, verdicts[check_in.key].arrives, fences)
    }


def weigh(
    tools: Tools,
    outcomes: Sequence[Outcome],
    states: States,
    lasts: Mapping[UUID, Placed],
    copies: Copies,
) -> None:
    """Set the trust of each outcome; they are ordered by occurrence, their visits are decided.

    ``lasts`` is where each subject, siblings included, was last seen.
    """
    fences = tools.fences.current
    journey = _Journey(
        states, {subject: Place(*last.spot, last.at) for subject, last in lasts.items()}
    )
    doubts = [[*_plain(o.check_in, fences), *journey.doubts(o.check_in)] for o in outcomes]
    _add_datum_mistakes(outcomes, fences, doubts)
    _add_sharing(outcomes, states, copies, doubts)
    for outcome, found in zip(outcomes, doubts, strict=True):
        if found:
            outcome.trust = trust(found)


def _plain(check_in: CheckIn, fences: FencesInForce) -> list[Doubt]:
    """What shows by the check-in alone."""
    fix, proof = check_in.fix, check_in.proof
    found = told_by_app(check_in.signals)
    in_time = by_time(check_in.occurred_at, check_in.received_at)
    if in_time is not None:
        found.append(in_time)
    if fix is None:
        return found
    vague = by_accuracy(fix.accuracy_m)
    if vague is not None:
        found.append(vague)
    if proof is not None:
        measured = fences.index.measure(proof.store_id, fix)
        far = by_evidence(measured[0].distance_m, fix.accuracy_m) if measured else None
        found += [] if far is None else [far]
    return found


@dataclass(slots=True)
class _Journey:
    """Where each subject was ``last``, before the group and then within it."""

    states: States
    last: dict[UUID, Place]

    def doubts(self, check_in: CheckIn) -> list[Doubt]:
        """Jumps of the device itself, and away from the person's other devices."""
        fix, subject = check_in.fix, check_in.subject_id
        if fix is None or check_in.grade is not LocationGrade.PRECISE:
            return []
        here = Place(*fix, check_in.occurred_at)
        before = self._before(subject, here)
        self.last[subject] = here
        alone = by_speed(here, before, Signal.JUMPED_SINGLE_DEVICE)
        found = [] if alone is None else [alone]
        siblings = self.states[subject].siblings
        if len(siblings) > 1:
            others = (self._before(sibling, here) for sibling in siblings if sibling != subject)
            apart = by_siblings(here, filter(None, others))
            found += [] if apart is None else [apart]
        return found

    def _before(self, subject: UUID, here: Place) -> Place | None:
        last = self.last.get(subject)
        return None if last is None or here.at - last.at > JUMPS_WITHIN else last


def _add_datum_mistakes(
    outcomes: Sequence[Outcome], fences: FencesInForce, doubts: Sequence[list[Doubt]]
) -> None:
    """Ask, of people who say that they are somewhere, whether another datum would make it true.

    Only where nothing is near as declared: among many stores any shifted point hits one.
    """
    readings = [
        (found, datum, Fix(position.lon, position.lat, fix.accuracy_m))
        for outcome, found in zip(outcomes, doubts, strict=True)
        if (fix := _lost(outcome)) is not None and outcome.check_in.received is not None
        for datum, position in _alternatives(outcome.check_in)
    ]
    matches = fences.index.match([fix for _, _, fix in readings])
    for (found, datum, _), near in zip(readings, matches, strict=True):
        if near and near[0].inside:
            found.append(Doubt(Signal.DATUM_MISTAKE, {"read_as": datum.value}))


def _lost(outcome: Outcome) -> Fix | None:
    check_in = outcome.check_in
    wanders = check_in.kind is CheckInKind.MANUAL and check_in.grade is LocationGrade.PRECISE
    return check_in.fix if wanders and not outcome.verdict.considered else None


def _alternatives(check_in: CheckIn) -> list[tuple[Datum, LonLat]]:
    assert check_in.received is not None  # noqa: S101 - the caller has asked
    latitude, longitude = check_in.received
    return alternatives(longitude, latitude, Datum(check_in.datum))


def _add_sharing(
    outcomes: Sequence[Outcome], states: States, copies: Copies, doubts: Sequence[list[Doubt]]
) -> None:
    """Whoever turned out to be at no store of theirs is not asked, and not remembered."""
    for outcome in outcomes:
        if outcome.verdict.arrives:
            outcome.sighted_as = copies.hashes.get(outcome.check_in.key)
    here = [(o.sighted_as, o.check_in.subject_id) for o in outcomes if o.sighted_as is not None]
    seen = sightings(copies.seen, here)
    for outcome, found in zip(outcomes, doubts, strict=True):
        others = () if outcome.sighted_as is None else seen[outcome.sighted_as]
        if len(others) > 1:
            subject = outcome.check_in.subject_id
            shared = by_sharing(frozenset((subject, *states[subject].siblings)), others)
            found.extend([] if shared is None else [shared])


def _may_be_a_copy(check_in: CheckIn, stores: Iterable[str], fences: FencesInForce) -> bool:
    """A precise pair at a store, unrounded, and not the store's own from a list of stores."""
    fix, received = check_in.fix, check_in.received
    if not stores or fix is None or received is None or not is_exact(*received):
        return False
    if check_in.grade is not LocationGrade.PRECISE or check_in.kind not in BY_LOCATION:
        return False
    return not any(_is_at(fix, fences, store_id) for store_id in stores)


def _is_at(fix: Fix, fences: FencesInForce, store_id: str) -> bool:
    store = fences.stores.get(store_id)
    if store is None:
        return False
    lon, lat = store.position
    return abs(lon - fix.lon) < _SAME_DEG and abs(lat - fix.lat) < _SAME_DEG
