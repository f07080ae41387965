"""What a rule of arrival makes of check-ins: the engine itself, without its database.

Fixes are matched, judged and folded by the code that serves real ones, in the order in which they
arrive, so that late ones amend what was decided before. Only where geo_api would load and store is
there a dictionary.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from cli.simulation.plane import HARBOUR, Plane, Shop
from cli.simulation.reports import Report
from services.geo_api.presence.crossing import Placed, Way, crossed, may_cross
from services.geo_api.presence.domain import ClosedBy, Fix, Visit, VisitState, closed
from services.geo_api.presence.folding import Stays
from services.geo_api.presence.matching import Fence, FenceIndex, FenceMatch
from services.geo_api.presence.matching import Fix as Position
from services.geo_api.presence.rule import DEFAULT_RULE, PLAIN_RULE, ArrivalRule
from services.geo_api.presence.track import Track
from services.geo_api.presence.verdict import Sighting, Verdict, judge

FIRST_RULE = ArrivalRule(
    "first/1", enter_overlap=0.0, enter_overlap_large=0.0, vague_over_m=math.inf
)
"""What SOLOMO began with: in at d <= 0 and an accuracy of at most 200 m, whatever the overlap; out
when clear of the edge by the accuracy and 20 m. Hysteresis only, no certainty asked to enter."""

RULES: Mapping[str, ArrivalRule] = MappingProxyType(
    {"default": DEFAULT_RULE, "first": FIRST_RULE, "plain": PLAIN_RULE}
)

Near = Sequence[tuple[FenceMatch, ...]]


class Found(NamedTuple):
    """A visit that a rule found; ``entered_told_at`` is the fix that opened it.

    A corroborated visit begins at an earlier fix than the one that opens it. ``exit_told_at`` is
    the fix that showed the person outside, None for a visit that no fix ended.
    """

    subject: str
    store_id: str
    entered_at: datetime
    left_at: datetime | None
    last_inside_at: datetime
    state: VisitState
    closed_by: ClosedBy | None
    entered_told_at: datetime
    exit_told_at: datetime | None

    @property
    def retold(self) -> tuple[object, ...]:
        """What must be equal for any order of arrival; not which fix brought it to light."""
        return self[:7]


def fence_index(shops: Iterable[Shop], plane: Plane = HARBOUR) -> FenceIndex:
    fences = [Fence(shop.store_id, shop.store_id, 1, shop.ground.shape(plane)) for shop in shops]
    return FenceIndex.build(fences, 1)


def look(index: FenceIndex, sent: Sequence[Report]) -> Near:
    """The geofences near each check-in; the same for every rule."""
    return index.match([position(report) for report in sent])


def position(report: Report) -> Position:
    return Position(report.lon, report.lat, report.accuracy_m)


def decide(
    sent: Sequence[Report], near: Near, rule: ArrivalRule, until: datetime | None = None
) -> list[Found]:
    """The visits after all check-ins, given in the order of their arrival.

    ``until``: when the simulation ends; whoever was last heard of more than the rule's gap before
    then has fallen silent.
    """
    minds: dict[str, _Mind] = {}
    for report, matches in zip(sent, near, strict=True):
        if report.subject not in minds:
            minds[report.subject] = _Mind(report.subject, rule)
        minds[report.subject].take(report, judged(report, matches, rule))
    return [found for mind in minds.values() for found in mind.visits(until)]


def judged(report: Report, matches: tuple[FenceMatch, ...], rule: ArrivalRule) -> Verdict:
    return judge(matches, Sighting(report.accuracy_m, report.occurred_at), {}, rule)


def crossings(index: FenceIndex, sent: Sequence[Report], rule: ArrivalRule) -> list[str]:
    """The stores that one subject passed through between two fixes, both outside."""
    ordered = sorted(sent, key=lambda report: (report.occurred_at, report.number))
    fixes = pairwise(Placed(position(report), report.occurred_at) for report in ordered)
    ways = [Way(last.spot, now.spot) for last, now in fixes if may_cross(last, now, rule)]
    return [match.fence.store_id for found in crossed(index, ways, rule) for match in found]


class _Mind:
    """One subject's presence as it becomes known. A check-in known by its number changes nothing."""

    def __init__(self, subject: str, rule: ArrivalRule) -> None:
        self._subject = subject
        self._gap = rule.gap
        self._track = Track(Stays(UUID(int=0), {}, None, rule=rule))
        self._known: set[int] = set()
        self._ids = 0
        self._entered_told: dict[UUID, datetime] = {}
        self._exit_told: dict[UUID, datetime] = {}

    def take(self, report: Report, verdict: Verdict) -> None:
        if report.number in self._known:
            return
        self._known.add(report.number)
        fix = Fix(
            UUID(int=report.number),
            report.occurred_at,
            report.received_at,
            verdict.arrives,
            verdict.tentative,
            verdict.uncertain,
        )
        for before, after in self._track.take(fix, self._new_id):
            if after is None:
                continue
            if before is None:
                self._entered_told[after.visit_id] = fix.occurred_at
            if after.closed_by is ClosedBy.LEFT:
                self._exit_told[after.visit_id] = fix.occurred_at

    def visits(self, until: datetime | None) -> list[Found]:
        last = self._track.fixes[-1].occurred_at
        silent = until is not None and until - last > self._gap
        visits = sorted(self._track.visits.values(), key=lambda v: (v.entered_at, v.store_id))
        return [
            self._found(closed(v, ClosedBy.SILENCE) if silent and v.may_go_on else v)
            for v in visits
        ]

    def _found(self, visit: Visit) -> Found:
        left = visit.closed_by is ClosedBy.LEFT
        return Found(
            self._subject,
            visit.store_id,
            visit.entered_at,
            visit.left_at,
            visit.last_inside_at,
            visit.state,
            visit.closed_by,
            self._entered_told[visit.visit_id],
            self._exit_told.get(visit.visit_id) if left else None,
        )

    def _new_id(self) -> UUID:
        self._ids += 1
        return UUID(int=self._ids)
