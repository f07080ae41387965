"""The rule of arrival: what one fix says of one geofence, with the source of every number.

Arriving needs certainty, leaving does too, and between the two the state stays: so a fix that
jitters about an edge never flaps. ``docs/presence.md`` tells the rule as a whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from services.geo_api.presence.fences import (
    SEARCH_ACCURACY_CAP_M,
    UNCERTAIN_BAND_M,
    Fence,
    FenceMatch,
)

GAP = timedelta(minutes=30)
"""A longer pause between two fixes of a subject ends its visits (``expired``, not ``exited``).

Source: the convention of GPS visit studies; Traccar splits trips at 60 minutes."""


class Standing(StrEnum):
    """Where a fix places the subject with regard to a geofence, from the strongest on."""

    ARRIVES = "arrives"
    TENTATIVE = "tentative"
    UNCERTAIN = "uncertain"
    OUTSIDE = "outside"


class Reason(StrEnum):
    """Why a fix has the standing it has."""

    OVERLAP = "overlap"
    MANUAL = "manual"
    INSIDE = "inside"
    OVERLAP_TOO_SMALL = "overlap_too_small"
    TOO_INACCURATE = "too_inaccurate"
    NOT_CLEAR = "not_clear"
    CLEAR = "clear"
    FENCE_NOT_IN_FORCE = "fence_not_in_force"
    FUZZY = "fuzzy"


Stand = tuple[Standing, Reason]

_OVERLAP: Stand = (Standing.ARRIVES, Reason.OVERLAP)
_MANUAL: Stand = (Standing.ARRIVES, Reason.MANUAL)
_INSIDE: Stand = (Standing.ARRIVES, Reason.INSIDE)
_TENTATIVE: Stand = (Standing.TENTATIVE, Reason.OVERLAP_TOO_SMALL)
_TOO_INACCURATE: Stand = (Standing.UNCERTAIN, Reason.TOO_INACCURATE)
_NOT_CLEAR: Stand = (Standing.UNCERTAIN, Reason.NOT_CLEAR)
_CLEAR: Stand = (Standing.OUTSIDE, Reason.CLEAR)
NOT_IN_FORCE: Stand = (Standing.OUTSIDE, Reason.FENCE_NOT_IN_FORCE)
BLURRED: Stand = (Standing.UNCERTAIN, Reason.FUZZY)


@dataclass(frozen=True, slots=True)
class ArrivalRule:
    """The numbers of the rule; ``name`` tells its version and is kept with every check-in.

    ``enter_overlap`` lets a single fix on the fence's side of the edge arrive;
    ``enter_overlap_large`` is asked of fences with an inradius over ``large_inradius_m``. The
    overlap is divided by the smaller of the two areas, since a shop smaller than the accuracy
    circle could never fill it. That a fix must also lie on the fence's side of the edge follows
    from the source, whose share of the accuracy circle cannot reach 75 % elsewhere: without it
    every kiosk within a vague circle would be entered at once.
    Source: Google Play services, location training, since version 3.2 (85 % for large fences,
    75 % for small ones); its advice of a radius of at least 100 to 150 m sets what is large.

    A fix worse than ``worst_arrival_accuracy_m`` enters nowhere, and a fix leaves only when clear
    of the edge by more than its accuracy and ``clear_margin_m``. One on the fence's side of the
    edge with too small an overlap is corroborated by a second one, ``corroborated_after`` to
    ``corroborated_within`` later.
    Source: Customer.io's mobile SDKs, 2026 (arrival by the side of the edge, corroborated;
    departure clear of it by the accuracy and 20 m; a ceiling that gates arrivals only). The
    ceiling of 200 m is that of NavInfo's ``denoise``, the least and greatest time are ours: two
    fixes of one burst are one observation, and after two minutes a walker is elsewhere.

    Clear of the edge by the accuracy a and 20 m is 4.5 standard deviations at a = 10 m, but 2.1 at
    50 m and 1.7 at 200 m, so that one fix in 20 of somebody who sits at the edge would be outside.
    A fix worse than ``vague_over_m`` therefore leaves only if a second one outside bears it out,
    ``corroborated_after`` or more later and with none inside between the two. Source: ours; 50 m is
    the accuracy over which Customer.io's SDKs let no fix arrive. Leaving stays the easier of the
    two: any fix may say it, however bad, and the visit ends at its last fix inside anyway.

    ``clear_margin_m`` is at most that with which matching looks for fences (ValueError).

    ``weighs_accuracy`` off: inside the fence or not is all that counts, for every fix.
    """

    name: str
    enter_overlap: float = 0.75
    enter_overlap_large: float = 0.85
    large_inradius_m: float = 150.0
    worst_arrival_accuracy_m: float = 200.0
    clear_margin_m: float = UNCERTAIN_BAND_M
    vague_over_m: float = 50.0
    corroborated_after: timedelta = timedelta(seconds=5)
    corroborated_within: timedelta = timedelta(seconds=120)
    gap: timedelta = GAP
    weighs_accuracy: bool = True

    def __post_init__(self) -> None:
        if self.clear_margin_m > UNCERTAIN_BAND_M:
            raise ValueError(f"clear_margin_m is at most {UNCERTAIN_BAND_M:g}")

    def stand(self, match: FenceMatch, accuracy_m: float, *, manual: bool = False) -> Stand:
        """Where a fix stands. ``accuracy_m`` is its 68 % radius; ``manual``: somebody pressed."""
        if match.distance_m > 0:
            return _CLEAR if match.distance_m > self.clear_at_m(accuracy_m) else _NOT_CLEAR
        if not self.weighs_accuracy:
            return _INSIDE
        if accuracy_m > self.worst_arrival_accuracy_m:
            return _TOO_INACCURATE
        if manual:
            return _MANUAL
        overlap = match.overlap
        if overlap >= self.enter_overlap_large or overlap >= self.least_overlap(match.fence):
            return _OVERLAP
        return _TENTATIVE

    def least_overlap(self, fence: Fence) -> float:
        """What a single fix needs to arrive at a fence."""
        if not self.weighs_accuracy:
            return 0.0
        large = fence.shape.inradius_m > self.large_inradius_m
        return self.enter_overlap_large if large else self.enter_overlap

    def clear_at_m(self, accuracy_m: float) -> float:
        """A fix further than this from the edge is surely outside."""
        return accuracy_m + self.clear_margin_m if self.weighs_accuracy else 0.0

    def is_vague(self, accuracy_m: float) -> bool:
        """Whether another fix must bear out that somebody left."""
        return accuracy_m > self.vague_over_m and self.weighs_accuracy

    def says_outside(self, accuracy_m: float) -> bool:
        """Whether a fence that is no match is surely left, or was perhaps too far to look for."""
        return accuracy_m <= SEARCH_ACCURACY_CAP_M or not self.weighs_accuracy


DEFAULT_RULE = ArrivalRule("arrival/3")

PLAIN_RULE = ArrivalRule("plain/1", weighs_accuracy=False)
"""Hysteresis and accuracy switched off: d <= 0 is inside, all else outside."""

RULES: Mapping[str, ArrivalRule] = MappingProxyType({"default": DEFAULT_RULE, "plain": PLAIN_RULE})
"""By the value of ``SOLOMO_ARRIVAL_RULE``."""
