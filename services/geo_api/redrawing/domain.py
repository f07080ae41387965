"""What past check-ins would have been under another outline of a geofence: counts, no places."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from uuid import UUID

from services.geo_api.presence.domain import Fix, Visit
from services.geo_api.presence.folding import Stays, fold
from services.geo_api.presence.rule import ArrivalRule

BEFORE, AFTER = "before", "after"
"""The outline in force and the proposed one, as if each were a store of its own."""

LOOK_BACK = timedelta(days=7)
"""As long as exact coordinates live."""


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


def compare(fixes_of: Mapping[UUID, Sequence[Fix]], rule: ArrivalRule) -> Comparison:
    """Count fixes, subjects and visits, by the rule that judges check-ins.

    ``fixes_of`` are those of each subject, in any order, judged at the stores ``BEFORE`` and
    ``AFTER``. A visit that overlaps one under the other outline is neither gained nor lost.
    """
    fixes = subjects = visits = Tally(0, 0, 0, 0)
    for subject, own in fixes_of.items():
        inside = {name: {f.check_in_id for f in own if f.is_inside(name)} for name in _BOTH}
        before, after = inside[BEFORE], inside[AFTER]
        was, is_now = bool(before), bool(after)
        fixes = _sum(
            fixes, Tally(len(before), len(after), len(after - before), len(before - after))
        )
        subjects = _sum(subjects, Tally(was, is_now, is_now and not was, was and not is_now))
        visits = _sum(visits, _compare_visits(subject, own, rule))
    seen = sum(map(len, fixes_of.values()))
    return Comparison(seen=seen, fixes=fixes, subjects=subjects, visits=visits)


_BOTH = (BEFORE, AFTER)


def _compare_visits(subject: UUID, own: Sequence[Fix], rule: ArrivalRule) -> Tally:
    numbers = count(1)
    stays = Stays(subject, {}, None, rule=rule)
    visits = fold(own, stays, lambda: UUID(int=next(numbers)))
    before, after = ([v for v in visits if v.store_id == name] for name in _BOTH)
    gained = sum(not _meets(visit, before) for visit in after)
    lost = sum(not _meets(visit, after) for visit in before)
    return Tally(len(before), len(after), gained, lost)


def _meets(visit: Visit, others: Iterable[Visit]) -> bool:
    """Whether it overlaps one of them, each from its beginning to the last fix inside."""
    return any(
        other.entered_at <= visit.last_inside_at and visit.entered_at <= other.last_inside_at
        for other in others
    )


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(
        one.before + other.before,
        one.after + other.after,
        one.gained + other.gained,
        one.lost + other.lost,
    )
