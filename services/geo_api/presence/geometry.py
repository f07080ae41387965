"""Plane geometry around one point each: how much of an accuracy circle lies in a fence.

Everything is in metres around the fix and vectorised over many pairs of a fix and a fence.
"""

import numpy as np
import shapely
from numpy.typing import NDArray

from shared.boundary import Facing, Floats, Ints, Plane
from shared.geo import Area
from shared.lonlat import ANTIMERIDIAN_DEG

_NARROWEST_M = 6_335_000.0
"""Less than any radius of curvature of WGS 84, so that a box made with it is rather too large."""
_BOX_MARGIN = 1.001
_POSTGIS_LEAST_SQUARE = 1e-12 * 1e-12
"""Squared degrees; PostGIS leaves out shorter edges."""


def lens_overlap(distance: Floats, radius: Floats, accuracy: Floats) -> Floats:
    """The share of two circles that they have in common, of the smaller one, 0 to 1.

    ``distance`` lies between their centres; all in metres. A circle of radius 0 counts as the
    point that it is.
    Source: E. W. Weisstein, "Circle-Circle Intersection", MathWorld, equation 14.
    """
    small, large = np.minimum(radius, accuracy), np.maximum(radius, accuracy)
    share = np.where(distance <= large - small, 1.0, 0.0)
    cut = (distance > large - small) & (distance < large + small) & (small > 0)
    d, r, s = distance[cut], large[cut], small[cut]
    kite = (-d + s + r) * (d + s - r) * (d - s + r) * (d + s + r)
    height = np.sqrt(np.maximum(kite, 0))
    near_s = np.arctan2(height, (d - r) * (d + r) + s**2)
    near_r = np.arctan2(height, (d - s) * (d + s) + r**2)
    lens = s**2 * near_s + r**2 * near_r - height / 2
    share[cut] = lens / (np.pi * s**2)
    return np.clip(share, 0.0, 1.0)


def outline_overlap(facing: Facing, accuracy: Floats) -> Floats:
    """The share of accuracy circles and outlines in common, of the smaller area, 0 to 1.

    Exact in the plane: each piece of the outline adds the area between itself, the circle and
    the fix, with its sign. ``accuracy`` is in metres and greater than 0.
    """
    plane = facing.plane(midway=False)
    common = np.add.reduceat(_sectors(plane, accuracy[facing.owner]), facing.starts)
    cross = plane.x * plane.dy - plane.y * plane.dx
    outline = np.add.reduceat(cross, facing.starts) / 2
    share: Floats = common / np.minimum(outline, np.pi * accuracy**2)
    return np.clip(share, 0.0, 1.0)


def _sectors(plane: Plane, radius: Floats) -> Floats:
    """Signed area of a circle around the origin within the triangle of origin and edge."""
    length = plane.dx**2 + plane.dy**2
    half = plane.x * plane.dx + plane.y * plane.dy
    root = np.maximum(half**2 - length * (plane.x**2 + plane.y**2 - radius**2), 0)
    first = np.clip((-half - np.sqrt(root)) / length, 0, 1)
    last = np.clip((-half + np.sqrt(root)) / length, 0, 1)
    begin = plane.x + first * plane.dx, plane.y + first * plane.dy
    end = plane.x + last * plane.dx, plane.y + last * plane.dy
    before = _angle((plane.x, plane.y), begin)
    after = _angle(end, (plane.x + plane.dx, plane.y + plane.dy))
    chord = begin[0] * end[1] - begin[1] * end[0]
    area: Floats = (radius**2 * (before + after) + chord) / 2
    return area


def _angle(a: tuple[Floats, Floats], b: tuple[Floats, Floats]) -> Floats:
    return np.arctan2(a[0] * b[1] - a[1] * b[0], a[0] * b[0] + a[1] * b[1])


def envelopes(lon: Floats, lat: Floats, reach_m: Floats) -> Floats:
    """Boxes that hold every point within ``reach_m``: rows of west, south, east, north.

    Degrees; west and east go on past ±180 where the box does, and a box that reaches a pole
    holds all longitudes.
    Source: J. P. Matuschek, "Finding points within a distance of a latitude/longitude", with a
    radius of the earth small enough to be safe on the ellipsoid.
    """
    reach = np.minimum(reach_m * _BOX_MARGIN / _NARROWEST_M, np.pi)
    north_deg = np.degrees(reach)
    phi = np.radians(np.minimum(np.abs(lat), 90.0))
    around_pole = phi + reach >= np.pi / 2
    ratio = np.where(around_pole, 0.0, np.sin(reach) / np.maximum(np.cos(phi), 1e-12))
    east_deg = np.where(around_pole, 360.0, np.degrees(np.arcsin(np.minimum(ratio, 1.0))))
    return np.column_stack((lon - east_deg, lat - north_deg, lon + east_deg, lat + north_deg))


def within_world(bounds: Floats) -> tuple[NDArray[np.object_], Ints]:
    """Boxes for rows of west, south, east, north, and the row that each is of.

    One that goes on past ±180 comes again on the other side; parts beyond ±180 do no harm.
    """
    west, _, east, _ = bounds.T
    past_west = np.flatnonzero(west < -ANTIMERIDIAN_DEG)
    past_east = np.flatnonzero(east > ANTIMERIDIAN_DEG)
    turn = np.array([2.0, 0.0, 2.0, 0.0]) * ANTIMERIDIAN_DEG
    whole = np.concatenate((bounds, bounds[past_west] + turn, bounds[past_east] - turn))
    rows = np.concatenate((np.arange(len(bounds)), past_west, past_east))
    return np.asarray(shapely.box(*whole.T), dtype=np.object_), rows


def postgis_covers(area: Area, lon: float, lat: float) -> bool:
    """Whether ``ST_Covers`` says so, bit by bit, for a point on the edge or all but on it.

    GEOS decides with exact arithmetic, PostGIS with rounded one; they differ by less than a
    nanometre, but an answer must not depend on who was asked.
    Source: PostGIS 3.3, ``point_in_ring_rtree`` and ``point_in_multipolygon_rtree`` in
    postgis/lwgeom_functions_analytic.c.
    """
    for part in shapely.get_parts(area.geometry):
        sides = [_side_of_ring(ring, lon, lat) for ring in (part.exterior, *part.interiors)]
        if sides[0] < 0:
            continue
        if 0 in sides:
            return True
        if all(side < 0 for side in sides[1:]):
            return True
    return False


def _side_of_ring(ring: shapely.LinearRing, lon: float, lat: float) -> int:
    """1 inside, 0 on the ring, -1 outside."""
    x, y = shapely.get_coordinates(ring).T
    x1, x2, y1, y2 = x[:-1], x[1:], y[:-1], y[1:]
    side = (x2 - x1) * (lat - y1) - (lon - x1) * (y2 - y1)
    long_enough = (x2 - x1) ** 2 + (y2 - y1) ** 2 >= _POSTGIS_LEAST_SQUARE
    in_box = (np.minimum(x1, x2) <= lon) & (lon <= np.maximum(x1, x2))
    in_box &= (np.minimum(y1, y2) <= lat) & (lat <= np.maximum(y1, y2))
    if np.any(long_enough & in_box & (side == 0)):
        return 0
    rising = long_enough & (y1 <= lat) & (lat < y2) & (side > 0)
    falling = long_enough & (y2 <= lat) & (lat < y1) & (side < 0)
    return 1 if np.count_nonzero(rising) != np.count_nonzero(falling) else -1
