"""All fences as columns of numbers, which ``alone`` and ``together`` measure.

Fences are numbers here, in an order that the caller chooses.
"""

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import shapely

from services.geo_api.presence.cells import NEAR_M, Cells
from services.geo_api.presence.drawing import Drawn, draw
from services.geo_api.presence.earth import points_on
from services.geo_api.presence.geometry import covers, envelopes, widened
from services.geo_api.presence.outlines import RINGS, Outlines
from shared.boundary import Floats, Ints, metres_per_degree
from shared.geo import Area, Circle, Shape

CIRCLE, WIDE = -1, -2

EDGE_M = 1e-3
"""Nearer to an edge than this the exact geodesic, or PostGIS's own arithmetic, decides."""
GRAZE_M = 1e-6
"""An accuracy circle that reaches no further over the edge has nothing beyond it."""
_CORE_LESS_M, _CHORD_SHARE = 1.0, 1 - 2e-5
"""Up to 100 km a chord is shorter than the geodesic by less than this, see ``earth.geodesic_m``."""


@dataclass(frozen=True, slots=True)
class FenceTable:
    """Columns of fences: the middle as a point in space, how far its ground reaches from there.

    Nearer to the middle than ``core``, also by the chord, all is surely ground of the fence.
    ``outline`` is the fence's place among ``outlines``, ``CIRCLE``, or ``WIDE`` for an outline
    that does not fit into a plane. ``held`` are the geometries that tell the side of a place
    where edges alone do not.
    """

    shapes: Sequence[Shape]
    x: "array[float]"
    y: "array[float]"
    z: "array[float]"
    reach: "array[float]"
    core: "array[float]"
    outline: "array[int]"
    outlines: Outlines
    held: Mapping[int, shapely.Geometry]
    cells: Cells

    @classmethod
    def build(cls, given: Sequence[Shape], order: Ints) -> "FenceTable":
        """``order`` says which of the shapes given stands first, and so on."""
        centers = _centers(given)[order]
        shapes = [given[number] for number in order.tolist()]
        is_round = np.isfinite(centers[:, 0])
        round_ones, others = np.flatnonzero(is_round), np.flatnonzero(~is_round)
        centers = centers[round_ones]
        drawn = draw([shape.wkb for shape in shapes if isinstance(shape, Area)])
        columns = np.empty((5, len(shapes)))
        radius = centers[:, 2]
        core = np.maximum(radius * _CHORD_SHARE - _CORE_LESS_M, 0)
        columns[:, round_ones] = (*points_on(*centers[:, :2].T), radius, core)
        core = np.maximum(drawn.core_m - _CORE_LESS_M, 0)
        columns[:, others] = (*points_on(drawn.lon, drawn.lat), drawn.reach_m, core)
        outline = np.full(len(shapes), CIRCLE, dtype=np.int32)
        outline[others] = np.where(drawn.outline < 0, WIDE, drawn.outline)
        x, y, z, reach, cores = (array("d", column.tobytes()) for column in columns)
        kind = array("i", outline.tobytes())
        numbers = np.concatenate((round_ones, others[drawn.box_owner]))
        cells = _cells(centers, drawn.boxes, numbers)
        held = _held(drawn, shapes, others)
        return cls(shapes, x, y, z, reach, cores, kind, drawn.outlines, held, cells)

    def covers(self, number: int, lon: float, lat: float, metres: float) -> bool:
        """Whether an outline covers a place, ``metres`` from its edge."""
        return covers(self.geometry(number), lon, lat, close=metres < EDGE_M)

    def geometry(self, number: int) -> shapely.Geometry:
        """Of an outline."""
        geometry = self.held.get(number)
        return self.area(number).geometry if geometry is None else geometry

    def area(self, number: int) -> Area:
        shape = self.shapes[number]
        assert isinstance(shape, Area)  # noqa: S101 - outline says so
        return shape

    def center(self, number: int) -> tuple[float, float]:
        shape = self.shapes[number]
        assert isinstance(shape, Circle)  # noqa: S101 - outline says so
        return shape.center.lon, shape.center.lat


def _centers(shapes: Sequence[Shape]) -> Floats:
    """Rows of longitude, latitude and radius of circles, and of NaN for outlines."""
    nothing = math.nan, math.nan, math.nan
    each = (
        (shape.center.lon, shape.center.lat, shape.radius_m)
        if isinstance(shape, Circle)
        else nothing
        for shape in shapes
    )
    return np.fromiter(chain.from_iterable(each), np.float64, 3 * len(shapes)).reshape(-1, 3)


def _held(drawn: Drawn, shapes: Sequence[Shape], areas: Ints) -> dict[int, shapely.Geometry]:
    """Prepared geometries of outlines that do not fit into a plane or have several rings."""
    kind = np.append(np.frombuffer(drawn.outlines.kind, np.int8), RINGS)
    asked = areas[kind[drawn.outline] == RINGS].tolist()
    held = {n: shape.geometry for n in asked if isinstance(shape := shapes[n], Area)}
    shapely.prepare(np.array([*held.values(), None], dtype=np.object_))
    return dict(held)


def _cells(centers: Floats, boxes: Floats, numbers: Ints) -> Cells:
    """Of circles, then of the boxes of outlines' parts; ``numbers`` are the fences of both."""
    near = np.full(len(boxes), NEAR_M)
    lon, lat, radius = centers.T
    around = np.concatenate((envelopes(lon, lat, radius + NEAR_M), widened(boxes, near)))
    west, south, east, north = boxes.T
    parallel, meridian = metres_per_degree(np.minimum(abs(south), abs(north)))
    half = np.maximum((east - west) * parallel, (north - south) * meridian) / 2
    return Cells.build(around, numbers, 2 * (np.concatenate((radius, half)) + NEAR_M))
