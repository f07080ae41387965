"""Which geofences a location fix is in, near to or on the edge of.

An index of all active fences in memory. It agrees with PostGIS: inside an outline is
``ST_Covers`` on geometry(4326), inside a circle is a geodesic distance of at most its radius.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import TypeVar

from services.geo_api.presence.fences import (
    LIKELY_OVERLAP,
    SEARCH_ACCURACY_CAP_M,
    SURE_OVERLAP,
    UNCERTAIN_BAND_M,
    Fence,
    FenceMatch,
    Fix,
)
from services.geo_api.presence.layer import Layer

__all__ = [
    "LIKELY_OVERLAP",
    "SEARCH_ACCURACY_CAP_M",
    "SURE_OVERLAP",
    "UNCERTAIN_BAND_M",
    "Containment",
    "Fence",
    "FenceIndex",
    "FenceMatch",
    "Fix",
    "absence_means_outside",
    "arrival_overlap",
    "locate",
]

WORST_ARRIVAL_ACCURACY_M = 200.0
SURE_ARRIVAL_OVERLAP, LIKELY_ARRIVAL_OVERLAP = 0.85, 0.75
LARGE_INRADIUS_M = 150.0

_MOST_RECENT = 2_000
"""With more fences than this changed a new index is made as a whole."""

Asked = TypeVar("Asked")
Answers = list[tuple[FenceMatch, ...]]


class Containment(StrEnum):
    INSIDE = "inside"
    UNCERTAIN = "uncertain"
    OUTSIDE = "outside"


def locate(distance_m: float, accuracy_m: float) -> Containment:
    """The first rule of arrival: where a fix stands, told by its signed distance to the edge.

    Inside at or within the edge, unless the accuracy is worse than 200 m; outside only when
    clear of the edge by more than the accuracy and 20 m. On UNCERTAIN the state stays, even at
    an accuracy of 0, so that a fix near the edge does not flap.
    """
    if distance_m <= 0 and accuracy_m <= WORST_ARRIVAL_ACCURACY_M:
        return Containment.INSIDE
    if distance_m > accuracy_m + UNCERTAIN_BAND_M:
        return Containment.OUTSIDE
    return Containment.UNCERTAIN


def absence_means_outside(accuracy_m: float) -> bool:
    """Whether a fence that is no match is surely left, or was perhaps only too far to look for."""
    return accuracy_m <= SEARCH_ACCURACY_CAP_M


def arrival_overlap(fence: Fence) -> float:
    """The overlap that lets a single fix arrive: 0.75, for a large fence 0.85.

    Large is a fence with a circle of more than 150 m within.
    Source: Google Play services, "Create and monitor geofences", as of version 3.2.
    """
    large = fence.shape.inradius_m > LARGE_INRADIUS_M
    return SURE_ARRIVAL_OVERLAP if large else LIKELY_ARRIVAL_OVERLAP


@dataclass(frozen=True, slots=True)
class FenceIndex:
    """All active fences of one version, ready to be asked; make one with ``build``.

    Most are in ``_whole``. Those that changed lately are in ``_recent`` and count instead of
    what ``_whole`` has of the fences in ``_changed``, so that a change among a hundred thousand
    fences is in force at once; ``settled`` then makes it whole again.
    """

    version: int
    _whole: Layer
    _recent: Layer | None = None
    _changed: frozenset[str] = frozenset()

    @classmethod
    def build(cls, fences: Collection[Fence], version: int) -> "FenceIndex":
        """An index of the fences; shapes met in an earlier version keep what they worked out."""
        return cls(version, Layer.build(fences))

    def changed(
        self, fences: Collection[Fence], gone: Collection[str], version: int
    ) -> "FenceIndex":
        """The next version: with ``fences`` new or anew, without those whose ids are ``gone``."""
        held = {} if self._recent is None else {f.geofence_id: f for f in self._recent.fences}
        for geofence_id in gone:
            held.pop(geofence_id, None)
        held.update((fence.geofence_id, fence) for fence in fences)
        changed = self._changed.union(held, filter(self._whole.holds, gone))
        if len(changed) > _MOST_RECENT:
            left = (f for f in self._whole.fences if f.geofence_id not in changed)
            return self.build([*left, *held.values()], version)
        return FenceIndex(version, self._whole, Layer.build(held.values()), changed)

    @property
    def is_settled(self) -> bool:
        return self._recent is None

    def settled(self) -> "FenceIndex":
        """The same fences in a single layer, which is a little quicker to ask."""
        return self if self.is_settled else self.build(self.fences, self.version)

    @property
    def fences(self) -> tuple[Fence, ...]:
        """By geofence_id."""
        if self._recent is None:
            return self._whole.fences
        kept = [f for f in self._whole.fences if f.geofence_id not in self._changed]
        return tuple(sorted([*kept, *self._recent.fences], key=_by_id))

    def __len__(self) -> int:
        if self._recent is None:
            return len(self._whole.fences)
        replaced = sum(map(self._whole.holds, self._changed))
        return len(self._whole.fences) - replaced + len(self._recent.fences)

    def match(self, fixes: Sequence[Fix]) -> Answers:
        """For each fix the fences it is in, shares ground with or is not clear of.

        Not clear of means within its accuracy and 20 m of the edge, as far as ``locate`` calls
        it uncertain; that is looked for up to 2,020 m. Ordered by distance, then geofence_id.
        """
        return self._ask(Layer.match, fixes)

    def measure(self, store_id: str, fix: Fix) -> tuple[FenceMatch, ...]:
        """What the fix has to do with each fence of a store, however far; ordered as in ``match``."""
        return self.measure_all([(store_id, fix)])[0]

    def measure_all(self, asked: Sequence[tuple[str, Fix]]) -> Answers:
        """``measure`` for many pairs of store and fix at once."""
        return self._ask(Layer.measure_all, asked)

    def crossed(self, start: Fix, end: Fix) -> tuple[Fence, ...]:
        """The fences that the way between two fixes leads through, both being outside of them.

        The way is straight in longitude and latitude, the short way round; an edge that it only
        touches counts. By geofence_id. Accuracies play no part, and the limits of pause and
        speed that make a way worth asking about are the caller's: each 90 m cost some 3 µs.
        """
        found = self._whole.crossed(start, end)
        if self._recent is None:
            return tuple(found)
        kept = [fence for fence in found if fence.geofence_id not in self._changed]
        return tuple(sorted([*kept, *self._recent.crossed(start, end)], key=_by_id))

    def of_store(self, store_id: str) -> list[Fence]:
        """The fences of a store, in no certain order."""
        found = self._whole.of_store(store_id)
        if self._recent is None:
            return found
        kept = [fence for fence in found if fence.geofence_id not in self._changed]
        return kept + self._recent.of_store(store_id)

    def _ask(
        self, question: Callable[[Layer, Sequence[Asked]], Answers], asked: Sequence[Asked]
    ) -> Answers:
        found = question(self._whole, asked)
        if self._recent is None:
            return found
        return [
            self._joined(*both) for both in zip(found, question(self._recent, asked), strict=True)
        ]

    def _joined(
        self, whole: tuple[FenceMatch, ...], recent: tuple[FenceMatch, ...]
    ) -> tuple[FenceMatch, ...]:
        kept = [match for match in whole if match.fence.geofence_id not in self._changed]
        return tuple(sorted([*kept, *recent], key=_by_distance))


_by_id = attrgetter("geofence_id")


def _by_distance(match: FenceMatch) -> tuple[float, str]:
    return match.distance_m, match.fence.geofence_id
