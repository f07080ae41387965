"""Which geofences a location fix is in, near to or on the edge of.

An index of all active fences in memory, built anew for each version while the shapes are shared.
It agrees with PostGIS: inside an outline is ``ST_Covers`` on geometry(4326), inside a circle is a
geodesic distance of at most its radius.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import chain, islice
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from services.geo_api.places.schedules import Schedule
from services.geo_api.presence import alone, together
from services.geo_api.presence.alone import Measure
from services.geo_api.presence.earth import points_of
from services.geo_api.presence.table import FenceTable
from services.geo_api.presence.together import Fixes, Measures, Pairs
from shared.geo import Shape

UNCERTAIN_BAND_M = 20.0
"""A fix is outside only when clear of the edge by its accuracy and this much.

Source: Customer.io's mobile SDKs, 2026: departure at more than accuracy + 20 m."""

WORST_ARRIVAL_ACCURACY_M = 200.0
SEARCH_ACCURACY_CAP_M = 2_000.0
"""A fence is looked for no further than this and the band, however vague the fix."""

SURE_OVERLAP, LIKELY_OVERLAP = 0.85, 0.5
SURE_ARRIVAL_OVERLAP, LIKELY_ARRIVAL_OVERLAP = 0.85, 0.75
LARGE_INRADIUS_M = 150.0

_LEAST_OUTSIDE_M = 0.001
_MILLIMETRE_BITS = 36
"""Room for a distance on the earth, negative ones too."""
_FEW = 32
"""So many fixes are asked one by one, more as arrays."""


class Containment(StrEnum):
    INSIDE = "inside"
    UNCERTAIN = "uncertain"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Fence:
    """An active geofence of a store in one of its versions.

    ``schedule`` says when it is in force, ``dwell_s`` after how many seconds a stay is a dwell.
    """

    geofence_id: str
    store_id: str
    version: int
    shape: Shape
    schedule: Schedule | None = None
    dwell_s: tuple[int, ...] = ()


class Fix(NamedTuple):
    """A location in WGS 84 degrees with the radius of its error circle in metres.

    A tuple, since hundreds of thousands are made in a second.
    """

    lon: float
    lat: float
    accuracy_m: float


class FenceMatch(NamedTuple):
    """What a fix has to do with a fence near to it; a tuple for the same reason as ``Fix``.

    ``distance_m`` is geodesic to the fence's edge, negative inside, rounded to 1 mm in such a
    way that ``inside`` is always the same as ``distance_m <= 0``. ``overlap`` is the area that
    the accuracy circle and the fence have in common, divided by the smaller of the two, and
    ``share`` the same divided by the accuracy circle: for an exact fix 1 inside and 0 outside.
    ``confidence`` is 3 from an overlap of 0.85, 2 from 0.5, else 1.
    """

    fence: Fence
    inside: bool
    distance_m: float
    overlap: float
    share: float
    confidence: int


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
    """All active fences of one version, ready to be asked; make one with ``build``."""

    version: int
    fences: tuple[Fence, ...]
    _table: FenceTable
    _of_store: Mapping[str, Sequence[int]]

    @classmethod
    def build(cls, fences: Sequence[Fence], version: int) -> "FenceIndex":
        """An index of the fences; shapes met in an earlier version keep what they worked out."""
        ordered = tuple(sorted(fences, key=attrgetter("geofence_id")))
        of_store: defaultdict[str, list[int]] = defaultdict(list)
        for number, fence in enumerate(ordered):
            of_store[fence.store_id].append(number)
        return cls(version, ordered, FenceTable.build([f.shape for f in ordered]), of_store)

    def __len__(self) -> int:
        return len(self.fences)

    def match(self, fixes: Sequence[Fix]) -> list[tuple[FenceMatch, ...]]:
        """For each fix the fences it is in, shares ground with or is not clear of.

        Not clear of means within its accuracy and 20 m of the edge, as far as ``locate`` calls
        it uncertain; that is looked for up to 2,020 m. Ordered by distance, then geofence_id.
        """
        if len(fixes) <= _FEW:
            return [self._match_one(fix) for fix in fixes]
        located = _located(fixes)
        lon, lat, accuracy = located.spots
        reach = np.minimum(accuracy, SEARCH_ACCURACY_CAP_M) + UNCERTAIN_BAND_M
        pairs = Pairs(*self._table.cells.pairs(lon, lat, reach))
        pairs, measures = together.near(self._table, located, pairs, reach)
        measures = _rounded(measures)
        near = np.flatnonzero(measures.metres <= reach[pairs.fix])
        return self._answers(len(fixes), pairs.those(near), measures.those(near))

    def _match_one(self, fix: Fix) -> tuple[FenceMatch, ...]:
        lon, lat, accuracy = fix
        reach = min(accuracy, SEARCH_ACCURACY_CAP_M) + UNCERTAIN_BAND_M
        around = self._table.cells.around(lon, lat, reach)
        return self._answer(alone.near(self._table, fix, around, reach), reach)

    def measure(self, store_id: str, fix: Fix) -> tuple[FenceMatch, ...]:
        """What the fix has to do with each fence of a store, however far; ordered as in ``match``."""
        return self.measure_all([(store_id, fix)])[0]

    def measure_all(self, asked: Sequence[tuple[str, Fix]]) -> list[tuple[FenceMatch, ...]]:
        """``measure`` for many pairs of store and fix at once."""
        if len(asked) <= _FEW:
            return [self._measure_one(store_id, fix) for store_id, fix in asked]
        fences = [self._of_store.get(store_id, ()) for store_id, _ in asked]
        counts = [len(of_store) for of_store in fences]
        pairs = Pairs(
            np.repeat(np.arange(len(asked)), counts),
            np.array([fence for of_store in fences for fence in of_store], dtype=np.intp),
        )
        pairs, measures = together.near(self._table, _located([fix for _, fix in asked]), pairs)
        return self._answers(len(asked), pairs, _rounded(measures))

    def _measure_one(self, store_id: str, fix: Fix) -> tuple[FenceMatch, ...]:
        return self._answer(
            alone.near(self._table, fix, self._of_store.get(store_id, ())), math.inf
        )

    def _answer(
        self, measured: Iterable[tuple[int, Measure]], reach: float
    ) -> tuple[FenceMatch, ...]:
        """Those within reach, by distance, then by number, which goes by geofence_id."""
        found = []
        for number, (metres, inside, overlap, share) in measured:
            distance = round(metres * 1000) / 1000
            if not inside and distance < _LEAST_OUTSIDE_M:
                distance = _LEAST_OUTSIDE_M
            if distance <= reach:
                confidence = 1 + (overlap >= LIKELY_OVERLAP) + (overlap >= SURE_OVERLAP)
                row = self.fences[number], inside, distance, overlap, share, confidence
                found.append((distance, number, _as_match(row)))
        found.sort()
        return tuple([match for _, _, match in found])

    def _answers(
        self, count: int, pairs: Pairs, measures: Measures
    ) -> list[tuple[FenceMatch, ...]]:
        """By fix, then as ``_answer``; pairs come by fix and number."""
        millimetres = np.rint(measures.metres * 1000).astype(np.int64)
        order = np.argsort((pairs.fix << _MILLIMETRE_BITS) + millimetres, kind="stable")
        metres, inside, overlap, share = (column[order] for column in measures)
        confidence = 1 + (overlap >= LIKELY_OVERLAP) + (overlap >= SURE_OVERLAP)
        fences = map(self.fences.__getitem__, pairs.fence[order].tolist())
        columns = (inside, metres, overlap, share, confidence)
        rows = zip(fences, *(column.tolist() for column in columns), strict=True)
        matches = map(_as_match, rows)
        return [
            tuple(islice(matches, of_fix))
            for of_fix in np.bincount(pairs.fix, minlength=count).tolist()
        ]


_as_match = partial(tuple.__new__, FenceMatch)
"""A match from its columns, in half the time that the constructor takes."""


def _located(fixes: Sequence[Fix]) -> Fixes:
    flat = np.fromiter(chain.from_iterable(fixes), np.float64, 3 * len(fixes))
    lon, lat, accuracy = np.ascontiguousarray(flat.reshape(-1, 3).T)
    return Fixes((lon, lat, accuracy), points_of(lon, lat))


def _rounded(measures: Measures) -> Measures:
    """With distances to 1 mm, such that outside is always more than 0."""
    metres = np.rint(measures.metres * 1000) / 1000 + 0.0
    metres = np.where(measures.inside, metres, np.maximum(metres, _LEAST_OUTSIDE_M))
    return measures._replace(metres=metres)
