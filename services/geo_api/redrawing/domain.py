"""What past check-ins would have been under another outline of a geofence: counts, no places."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from services.geo_api.presence.matching import Containment
from services.geo_api.presence.rule import GAP

LOOK_BACK = timedelta(days=7)
"""As long as exact coordinates live."""


class Sighting(NamedTuple):
    """A fix, and where it stands under the outline in force and under the proposed one.

    A tuple, since there may be hundreds of thousands.
    """

    subject_id: UUID
    occurred_at: datetime
    check_in_id: UUID
    before: Containment
    after: Containment


@dataclass(frozen=True, slots=True)
class Tally:
    """How many are inside ``before`` and ``after``; ``gained`` only after, ``lost`` only before."""

    before: int
    after: int
    gained: int
    lost: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """``seen`` is how many fixes were looked at, near to either outline."""

    seen: int
    fixes: Tally
    subjects: Tally
    visits: Tally


class _Stay(NamedTuple):
    """From the first fix inside to the last one."""

    entered_at: datetime
    left_at: datetime

    def meets(self, others: Iterable["_Stay"]) -> bool:
        return any(s.entered_at <= self.left_at and self.entered_at <= s.left_at for s in others)


def compare(sightings: Iterable[Sighting]) -> Comparison:
    """Count fixes, subjects and visits; a visit lasts as long as no fix is outside.

    Only this geofence counts, and only the plain rule of arrival: a visit begins with a fix
    inside, a fix in doubt changes nothing, a pause of more than 30 minutes ends it. A visit
    that overlaps one under the other outline is neither gained nor lost.
    """
    in_order = sorted(sightings)
    before = {s[:3] for s in in_order if s.before is Containment.INSIDE}
    after = {s[:3] for s in in_order if s.after is Containment.INSIDE}
    visits = Tally(0, 0, 0, 0)
    for _, own in groupby(in_order, key=lambda sighting: sighting.subject_id):
        visits = _sum(visits, _compare_visits([*own]))
    return Comparison(
        seen=len(in_order),
        fixes=_tally(before, after),
        subjects=_tally({key[0] for key in before}, {key[0] for key in after}),
        visits=visits,
    )


def _tally(before: AbstractSet[object], after: AbstractSet[object]) -> Tally:
    return Tally(len(before), len(after), len(after - before), len(before - after))


def _compare_visits(own: Sequence[Sighting]) -> Tally:
    before = _stays((s.occurred_at, s.before) for s in own)
    after = _stays((s.occurred_at, s.after) for s in own)
    gained = sum(not stay.meets(before) for stay in after)
    lost = sum(not stay.meets(after) for stay in before)
    return Tally(len(before), len(after), gained, lost)


def _stays(fixes: Iterable[tuple[datetime, Containment]]) -> list[_Stay]:
    """The stays of one subject, its fixes in order."""
    stays: list[_Stay] = []
    is_inside = False
    last: datetime | None = None
    for at, containment in fixes:
        if last is not None and at - last > GAP:
            is_inside = False
        last = at
        if containment is Containment.INSIDE:
            entered_at = stays.pop().entered_at if is_inside else at
            stays.append(_Stay(entered_at, at))
            is_inside = True
        elif containment is Containment.OUTSIDE:
            is_inside = False
    return stays


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(
        one.before + other.before,
        one.after + other.after,
        one.gained + other.gained,
        one.lost + other.lost,
    )
