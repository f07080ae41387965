"""Which geofences a location fix is in, near to or on the edge of.

An index of all active fences in memory, built anew for each version while the shapes are
shared, asks for many fixes at once. It agrees with PostGIS: inside an outline is ``ST_Covers``
on geometry(4326), inside a circle is a geodesic distance of at most its radius.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree

from services.geo_api.places.schedules import Schedule
from services.geo_api.presence.geometry import (
    envelopes,
    lens_overlap,
    outline_overlap,
    postgis_covers,
    within_world,
)
from shared.boundary import Facing, Floats, Ints
from shared.geo import Area, Circle, Shape, distances_m

UNCERTAIN_BAND_M = 20.0
"""A fix is outside only when clear of the edge by its accuracy and this much.

Source: Customer.io's mobile SDKs, 2026: departure at more than accuracy + 20 m."""

WORST_ARRIVAL_ACCURACY_M = 200.0
SEARCH_ACCURACY_CAP_M = 2_000.0
"""A fence is looked for no further than this and the band, however vague the fix."""

SURE_OVERLAP, LIKELY_OVERLAP = 0.85, 0.5
_LEAST_OUTSIDE_M = 0.001
_ON_EDGE_M = 1e-6
_CHUNK_PIECES = 500_000

Bools = NDArray[np.bool_]


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
    the accuracy circle and the fence share, divided by the smaller of the two. ``confidence``
    is 3 from an overlap of 0.85, 2 from 0.5, else 1.
    """

    fence: Fence
    inside: bool
    distance_m: float
    overlap: float
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


class _Pairs(NamedTuple):
    """Positions in the lists of fixes and fences that belong together, ordered by both."""

    fix: Ints
    fence: Ints

    def those(self, wanted: Bools) -> "_Pairs":
        return _Pairs(self.fix[wanted], self.fence[wanted])


class _Measures(NamedTuple):
    """Of each pair: metres to the edge (negative inside), inside, and the overlap."""

    distance: Floats
    inside: Bools
    overlap: Floats

    def those(self, wanted: Bools) -> "_Measures":
        return _Measures(self.distance[wanted], self.inside[wanted], self.overlap[wanted])


@dataclass(frozen=True, slots=True)
class FenceIndex:
    """All active fences of one version, ready to be asked; make one with ``build``.

    Ask from one thread at a time: GEOS prepares a shape at the first question to it.
    """

    version: int
    fences: tuple[Fence, ...]
    _tree: STRtree
    _box_fence: Ints
    _is_circle: Bools
    _center: Floats
    _radius: Floats
    _geometries: NDArray[np.object_]
    _of_store: Mapping[str, Sequence[int]]

    @classmethod
    def build(cls, fences: Sequence[Fence], version: int) -> "FenceIndex":
        """An index of the fences; shapes met in an earlier version keep what they worked out."""
        ordered = tuple(sorted(fences, key=attrgetter("geofence_id")))
        shapes = [fence.shape for fence in ordered]
        circles = [shape for shape in shapes if isinstance(shape, Circle)]
        is_circle = np.array([isinstance(shape, Circle) for shape in shapes], dtype=np.bool_)
        center, radius = np.zeros((len(shapes), 2)), np.zeros(len(shapes))
        rows = [(circle.center.lon, circle.center.lat) for circle in circles]
        center[is_circle] = np.array(rows, dtype=np.float64).reshape(-1, 2)
        radius[is_circle] = [circle.radius_m for circle in circles]
        geometries = np.full(len(shapes), None, dtype=np.object_)
        areas = [shape.geometry for shape in shapes if isinstance(shape, Area)]
        geometries[~is_circle] = np.array([*areas, None], dtype=np.object_)[:-1]
        shapely.prepare(geometries)
        of_store: defaultdict[str, list[int]] = defaultdict(list)
        for index, fence in enumerate(ordered):
            of_store[fence.store_id].append(index)
        boxes, box_fence = _boxes(is_circle, center, radius, geometries)
        tree = STRtree(boxes)
        tree.query(shapely.box(0, 0, 0, 0))
        columns = box_fence, is_circle, center, radius, geometries
        return cls(version, ordered, tree, *columns, of_store)

    def __len__(self) -> int:
        return len(self.fences)

    def match(self, fixes: Sequence[Fix]) -> list[tuple[FenceMatch, ...]]:
        """For each fix the fences it is in, shares ground with or is not clear of.

        Not clear of means within its accuracy and 20 m of the edge, as far as ``locate`` calls
        it uncertain; that is looked for up to 2,020 m. Ordered by distance, then geofence_id.
        """
        if not fixes or not self.fences:
            return [() for _ in fixes]
        positions = np.array(fixes, dtype=np.float64).reshape(-1, 3)
        pairs = self._candidates(positions)
        measures = self._measure(positions, pairs)
        reach = np.minimum(positions[:, 2], SEARCH_ACCURACY_CAP_M) + UNCERTAIN_BAND_M
        near = measures.distance <= reach[pairs.fix]
        near |= measures.inside | (measures.overlap > 0)
        return self._answers(len(fixes), pairs.those(near), measures.those(near))

    def measure(self, store_id: str, fix: Fix) -> tuple[FenceMatch, ...]:
        """What the fix has to do with each fence of a store, however far; ordered as in ``match``."""
        return self.measure_all([(store_id, fix)])[0]

    def measure_all(self, asked: Sequence[tuple[str, Fix]]) -> list[tuple[FenceMatch, ...]]:
        """``measure`` for many pairs of store and fix at once."""
        if not asked:
            return []
        fences = [self._of_store.get(store_id, ()) for store_id, _ in asked]
        counts = [len(of_store) for of_store in fences]
        pairs = _Pairs(
            np.repeat(np.arange(len(asked)), counts),
            np.array([fence for of_store in fences for fence in of_store], dtype=np.intp),
        )
        positions = np.array([fix for _, fix in asked], dtype=np.float64).reshape(-1, 3)
        return self._answers(len(asked), pairs, self._measure(positions, pairs))

    def _candidates(self, positions: Floats) -> _Pairs:
        """Pairs whose boxes meet, each once."""
        lon, lat, accuracy = positions.T
        reach = np.minimum(accuracy, SEARCH_ACCURACY_CAP_M) + UNCERTAIN_BAND_M
        boxes, box_fix = within_world(envelopes(lon, lat, reach))
        found_box, found_fence = self._tree.query(boxes)
        key = box_fix[found_box] * len(self.fences) + self._box_fence[found_fence]
        key = np.unique(key)
        return _Pairs(*np.divmod(key, len(self.fences)))

    def _measure(self, positions: Floats, pairs: _Pairs) -> _Measures:
        count = len(pairs.fix)
        measures = _Measures(np.empty(count), np.empty(count, dtype=np.bool_), np.empty(count))
        circular = self._is_circle[pairs.fence]
        self._measure_circles(positions, pairs, np.flatnonzero(circular), measures)
        outlines = np.flatnonzero(~circular)
        if len(outlines):
            for chunk in self._chunks(outlines, pairs.fence):
                self._measure_outlines(positions, pairs, chunk, measures)
        return measures

    def _measure_circles(
        self, positions: Floats, pairs: _Pairs, chosen: Ints, measures: _Measures
    ) -> None:
        lon, lat, accuracy = positions[pairs.fix[chosen]].T
        fence = pairs.fence[chosen]
        radius = self._radius[fence]
        from_center = distances_m(lon, lat, self._center[fence, 0], self._center[fence, 1])
        measures.distance[chosen] = from_center - radius
        measures.inside[chosen] = from_center <= radius
        measures.overlap[chosen] = lens_overlap(from_center, radius, accuracy)

    def _chunks(self, outlines: Ints, fence: Ints) -> Iterator[Ints]:
        """The pairs with outlines in portions that fit into memory."""
        pieces = np.cumsum([len(self._area(index).boundary.pieces) for index in fence[outlines]])
        cuts = np.flatnonzero(np.diff(pieces // _CHUNK_PIECES)) + 1
        yield from np.split(outlines, cuts)

    def _measure_outlines(
        self, positions: Floats, pairs: _Pairs, chosen: Ints, measures: _Measures
    ) -> None:
        lon, lat, accuracy = positions[pairs.fix[chosen]].T
        areas = [self._area(index) for index in pairs.fence[chosen]]
        facing = Facing.of(lon, lat, [area.boundary for area in areas])
        distance = facing.distances_m()
        inside = shapely.intersects_xy(self._geometries[pairs.fence[chosen]], lon, lat)
        for edge in np.flatnonzero(distance < _ON_EDGE_M):
            inside[edge] = postgis_covers(areas[edge], lon[edge], lat[edge])
        measures.distance[chosen] = np.where(inside, -distance, distance)
        measures.inside[chosen] = inside
        overlap = np.where(inside, 1.0, 0.0)
        crossed = np.flatnonzero((distance < accuracy) & (accuracy > 0))
        if len(crossed):
            met = Facing.of(
                lon[crossed], lat[crossed], [areas[index].boundary for index in crossed]
            )
            overlap[crossed] = outline_overlap(met, accuracy[crossed])
        measures.overlap[chosen] = overlap

    def _area(self, index: int) -> Area:
        shape = self.fences[index].shape
        assert isinstance(shape, Area)  # noqa: S101 - _is_circle says so
        return shape

    def _answers(
        self, count: int, pairs: _Pairs, measures: _Measures
    ) -> list[tuple[FenceMatch, ...]]:
        distance = np.round(measures.distance, 3) + 0.0
        distance = np.where(measures.inside, distance, np.maximum(distance, _LEAST_OUTSIDE_M))
        order = np.lexsort((pairs.fence, distance, pairs.fix))
        overlap = measures.overlap[order]
        confidence = 1 + (overlap >= LIKELY_OVERLAP) + (overlap >= SURE_OVERLAP)
        fences = [self.fences[index] for index in pairs.fence[order].tolist()]
        columns = (measures.inside[order], distance[order], overlap, confidence)
        rows = zip(fences, *(column.tolist() for column in columns), strict=True)
        matches = [FenceMatch(*row) for row in rows]
        ends = np.searchsorted(pairs.fix[order], np.arange(count + 1)).tolist()
        return [tuple(matches[begin:end]) for begin, end in pairwise(ends)]


def _boxes(
    is_circle: Bools, center: Floats, radius: Floats, geometries: NDArray[np.object_]
) -> tuple[NDArray[np.object_], Ints]:
    """Boxes within ±180 that hold the fences, one per part, and the fence of each."""
    circles = np.flatnonzero(is_circle)
    lon, lat = center[circles].T
    circle_boxes, box_circle = within_world(envelopes(lon, lat, radius[circles]))
    parts, part_fence = shapely.get_parts(geometries, return_index=True)
    part_boxes = np.asarray(shapely.box(*shapely.bounds(parts).T), dtype=np.object_)
    return np.concatenate((circle_boxes, part_boxes)), np.concatenate(
        (circles[box_circle], part_fence)
    )
