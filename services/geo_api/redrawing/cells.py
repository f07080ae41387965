"""The coarse cells (H3) that an outline lies in, with those next to them."""

import math
from itertools import chain

import h3
import shapely

from shared.geo import Area, Circle, Shape
from shared.lonlat import WGS84

RESOLUTION = 7
"""That of the cell that a check-in is kept with."""

_LEAST_RING_M = 1_500.0
"""A ring of cells is at least so wide: the shortest edge is about 1 km (h3geo.org, tables)."""


def cells_around(shape: Shape) -> frozenset[int]:
    """Every cell that the shape touches and their neighbours, so at least 1 km around it."""
    if isinstance(shape, Circle):
        middle = h3.latlng_to_cell(shape.center.lat, shape.center.lon, RESOLUTION)
        rings = math.ceil(shape.radius_m / _LEAST_RING_M) + 1
        return frozenset(map(h3.str_to_int, h3.grid_disk(middle, rings)))
    touched = chain.from_iterable(_touched(part) for part in shapely.get_parts(shape.geometry))
    around = chain.from_iterable(h3.grid_disk(cell, 1) for cell in set(touched))
    return frozenset(map(h3.str_to_int, around))


def area_m2(shape: Shape) -> float:
    """Square metres, roughly; holes are not taken off."""
    if isinstance(shape, Area):
        parts = shapely.get_parts(shape.geometry)
        return sum(abs(WGS84.geometry_area_perimeter(part.convex_hull)[0]) for part in parts)
    return math.pi * shape.radius_m**2


def _touched(part: shapely.Polygon) -> list[str]:
    """Cells that a part, its holes filled, has in common with; an edge may end within one only."""
    ring = [(lat, lon) for lon, lat in shapely.get_coordinates(part.exterior)]
    whole = h3.LatLngPoly(ring)
    return [*h3.h3shape_to_cells_experimental(whole, RESOLUTION, contain="overlap")]
