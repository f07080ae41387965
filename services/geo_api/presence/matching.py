"""Which geofences a location fix is in, near to or on the edge of.

An index of all active fences in memory. It agrees with PostGIS: inside an outline is
``ST_Covers`` on geometry(4326), inside a circle is a geodesic distance of at most its radius.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar

from services.geo_api.presence.fences import Fence, FenceMatch, Fix
from services.geo_api.presence.layer import Layer

__all__ = ["Fence", "FenceIndex", "FenceMatch", "Fix"]

_MOST_RECENT = 2_000
"""With more fences than this changed a new index is made as a whole."""

Asked = TypeVar("Asked")
Answers = list[tuple[FenceMatch, ...]]


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
        return cls(version, Layer.build(fences, anew=True))

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
            return FenceIndex(version, Layer.build([*left, *held.values()]))
        return FenceIndex(version, self._whole, Layer.build(held.values()), changed)

    @property
    def is_settled(self) -> bool:
        return self._recent is None

    def settled(self) -> "FenceIndex":
        """The same fences in a single layer, which is a little quicker to ask."""
        return self if self.is_settled else FenceIndex(self.version, Layer.build(self.fences))

    @property
    def fences(self) -> tuple[Fence, ...]:
        """By geofence_id."""
        if self._recent is None:
            return self._whole.fences
        kept = self._unchanged(self._whole.fences)
        return tuple(sorted([*kept, *self._recent.fences], key=_by_id))

    def __len__(self) -> int:
        if self._recent is None:
            return len(self._whole)
        replaced = sum(map(self._whole.holds, self._changed))
        return len(self._whole) - replaced + len(self._recent)

    def match(self, fixes: Sequence[Fix]) -> Answers:
        """For each fix the fences it is in, shares ground with or is not clear of.

        Not clear of means within its accuracy and 20 m of the edge, where the rule of arrival
        is in doubt; that is looked for up to 2,020 m. Ordered by distance, then geofence_id.
        """
        return self._ask(Layer.match, fixes)

    def measure(self, store_id: str, fix: Fix) -> tuple[FenceMatch, ...]:
        """What the fix has to do with each fence of a store, however far; ordered as in ``match``."""
        return self.measure_all([(store_id, fix)])[0]

    def measure_all(self, asked: Sequence[tuple[str, Fix]]) -> Answers:
        """``measure`` for many pairs of store and fix at once."""
        return self._ask(Layer.measure_all, asked)

    def crossed(self, ways: Sequence[tuple[Fix, Fix]]) -> list[list[Fence]]:
        """For each way between two fixes the fences it leads through, both being outside of them.

        The way is straight in longitude and latitude, the short way round; an edge that it only
        touches counts. By geofence_id. Accuracies play no part, and the limits of pause and
        speed that make a way worth asking about are the caller's: each 450 m cost 10 to 40 µs,
        less than half of it among many ways.
        """
        found = self._whole.crossed(ways)
        if self._recent is None:
            return found
        return [
            sorted([*self._unchanged(whole), *recent], key=_by_id)
            for whole, recent in zip(found, self._recent.crossed(ways), strict=True)
        ]

    def of_store(self, store_id: str) -> list[Fence]:
        """The fences of a store, in no certain order."""
        found = self._whole.of_store(store_id)
        if self._recent is None:
            return found
        return self._unchanged(found) + self._recent.of_store(store_id)

    def _unchanged(self, fences: Iterable[Fence]) -> list[Fence]:
        return [fence for fence in fences if fence.geofence_id not in self._changed]

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
