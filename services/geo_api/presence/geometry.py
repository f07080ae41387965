"""Plane geometry around one point each: how much of an accuracy circle lies in a fence.

Everything is in metres around the fix. What is there for one pair of a fix and a fence is there
for many, and gives the same bits: see ``earth``.
"""

import math

import numpy as np
import shapely

from shared.boundary import Facing, Floats

_NARROWEST_M = 6_335_000.0
"""Less than any radius of curvature of WGS 84, so that a box made with it is rather too large."""
_BOX_MARGIN = 1.001
_POSTGIS_LEAST_SQUARE = 1e-12 * 1e-12
"""Squared degrees; PostGIS leaves out shorter edges."""


def lens(distance: float, radius: float, accuracy: float) -> float:
    """The share of two circles that they have in common, of the smaller one, 0 to 1.

    ``distance`` lies between their centres; all in metres. A circle of radius 0 counts as the
    point that it is.
    Source: E. W. Weisstein, "Circle-Circle Intersection", MathWorld, equation 14.
    """
    r, s = (radius, accuracy) if radius > accuracy else (accuracy, radius)
    if distance <= r - s:
        return 1.0
    if distance >= r + s or s <= 0:
        return 0.0
    d = distance
    kite = (-d + s + r) * (d + s - r) * (d - s + r) * (d + s + r)
    height = math.sqrt(kite if kite > 0 else 0.0)
    near_s = math.atan2(height, (d - r) * (d + r) + s * s)
    near_r = math.atan2(height, (d - s) * (d + s) + r * r)
    share = (s * s * near_s + r * r * near_r - height / 2) / (math.pi * (s * s))
    return min(max(share, 0.0), 1.0)


def lenses(distance: Floats, radius: Floats, accuracy: Floats) -> Floats:
    """``lens`` of many; only circles that cut each other cost something."""
    small, large = np.minimum(radius, accuracy), np.maximum(radius, accuracy)
    share = np.where(distance <= large - small, 1.0, 0.0)
    cut = np.flatnonzero((distance > large - small) & (distance < large + small) & (small > 0))
    columns = distance[cut].tolist(), radius[cut].tolist(), accuracy[cut].tolist()
    share[cut] = list(map(lens, *columns))
    return share


def crossing(
    from_x: float, from_y: float, to_x: float, to_y: float, square: float
) -> tuple[float, float]:
    """What an edge adds to the ground that its outline and a circle around the origin share.

    Returned are twice the triangle of the origin and the part of the edge within the circle,
    and the direction where the edge enters the circle minus the one where it leaves it. Over an
    outline, counter-clockwise, both sums make the common area, see ``shares``. ``square``
    is that of the radius. An end is in or out by itself, so that each entry has its exit.
    Source: Green's theorem; the arcs within the outline run from each exit to the next entry.
    """
    starts_in = from_x * from_x + from_y * from_y < square
    ends_in = to_x * to_x + to_y * to_y < square
    if starts_in and ends_in:
        return from_x * to_y - from_y * to_x, 0.0
    dx, dy = to_x - from_x, to_y - from_y
    length, half = dx * dx + dy * dy, from_x * dx + from_y * dy
    root = half * half - length * (from_x * from_x + from_y * from_y - square)
    root = math.sqrt(root) if root > 0 else 0.0
    first, last = (-half - root) / length, (-half + root) / length
    if not (starts_in or ends_in) and not 0 < first < last < 1:
        return 0.0, 0.0
    turn = 0.0
    if not ends_in:
        to_x, to_y = from_x + last * dx, from_y + last * dy
        turn = -math.atan2(to_y, to_x)
    if not starts_in:
        from_x, from_y = from_x + first * dx, from_y + first * dy
        turn += math.atan2(from_y, from_x)
    return from_x * to_y - from_y * to_x, turn


def crossings(
    starts: tuple[Floats, Floats], ends: tuple[Floats, Floats], square: Floats
) -> tuple[Floats, Floats]:
    """``crossing`` of many edges, and nothing for those that are NaN."""
    (px, py), (qx, qy) = starts, ends
    starts_in, ends_in = px * px + py * py < square, qx * qx + qy * qy < square
    cross, turn = np.zeros(len(px)), np.zeros(len(px))
    within = np.flatnonzero(starts_in & ends_in)
    cross[within] = px[within] * qy[within] - py[within] * qx[within]
    dx, dy = qx - px, qy - py
    length, half = dx * dx + dy * dy, px * dx + py * dy
    root = half * half - length * (px * px + py * py - square)
    meet = np.flatnonzero(((root > 0) | starts_in | ends_in) & ~(starts_in & ends_in) & (dx == dx))  # noqa: PLR0124
    columns = (column[meet].tolist() for column in (px, py, qx, qy, square))
    rows = [*map(crossing, *columns)]
    if rows:
        cross[meet], turn[meet] = np.array(rows).T
    return cross, turn


def shares(sums: tuple[float, float], fence: float, accuracy: float) -> tuple[float, float]:
    """Overlap and share of areas: what is common, of the smaller area and of the accuracy circle.

    ``sums`` are those of ``crossing``: what lies within by chords, and by arcs. Where no edge
    meets the circle but holes lie within it, all of its arc is in the outline. ``fence`` is in
    square metres, ``accuracy`` in metres.
    """
    cross, turn = sums
    around_holes = turn == 0 and cross < 0
    square = accuracy * accuracy
    arc = math.tau if around_holes else turn % math.tau
    common, circle = (cross + square * arc) / 2, math.pi * square
    overlap, share = common / min(fence, circle), common / circle
    return min(max(overlap, 0.0), 1.0), min(max(share, 0.0), 1.0)


def all_shares(
    sums: tuple[Floats, Floats], fence: Floats, accuracy: Floats
) -> tuple[Floats, Floats]:
    """``shares`` of many."""
    pairs = zip(*(column.tolist() for column in sums), strict=True)
    overlap, share = np.array([*map(shares, pairs, fence.tolist(), accuracy.tolist())]).T
    return overlap, share


def wide_sums(facing: Facing, accuracy: Floats) -> tuple[tuple[Floats, Floats], Floats]:
    """For outlines of any width the sums of ``crossing``, and their square metres.

    In a plane around each fix. ``accuracy`` is in metres.
    """
    plane = facing.plane(midway=False)
    x, y = plane.x, plane.y
    square = (accuracy * accuracy)[facing.owner]
    found = crossings((x, y), (x + plane.dx, y + plane.dy), square)
    cross = x * plane.dy - y * plane.dx
    sums = np.array([np.bincount(facing.owner, each) for each in (*found, cross)])
    return (sums[0], sums[1]), sums[2] / 2


def envelope(lon: float, lat: float, reach_m: float) -> tuple[float, float, float, float]:
    """``widened`` for a single place."""
    reach = min(reach_m * _BOX_MARGIN / _NARROWEST_M, math.pi)
    north = math.degrees(reach)
    phi = math.radians(abs(lat))
    if phi + reach >= math.pi / 2:
        return lon - 360.0, lat - north, lon + 360.0, lat + north
    east = math.degrees(math.asin(min(math.sin(reach) / math.cos(phi), 1.0)))
    return lon - east, lat - north, lon + east, lat + north


def envelopes(lon: Floats, lat: Floats, reach_m: Floats) -> Floats:
    """``widened`` for places instead of boxes."""
    return widened(np.column_stack((lon, lat, lon, lat)), reach_m)


def widened(boxes: Floats, reach_m: Floats) -> Floats:
    """Boxes that hold every point within ``reach_m`` of a box: rows of west, south, east, north.

    Degrees; west and east go on past ±180 where the box does, and a box that reaches a pole
    holds all longitudes.
    Source: J. P. Matuschek, "Finding points within a distance of a latitude/longitude", with a
    radius of the earth small enough to be safe on the ellipsoid.
    """
    west, south, east, north = boxes.T
    reach = np.minimum(reach_m * _BOX_MARGIN / _NARROWEST_M, np.pi)
    north_deg = np.degrees(reach)
    phi = np.radians(np.minimum(np.maximum(np.abs(south), np.abs(north)), 90.0))
    around_pole = phi + reach >= np.pi / 2
    ratio = np.where(around_pole, 0.0, np.sin(reach) / np.maximum(np.cos(phi), 1e-12))
    east_deg = np.where(around_pole, 360.0, np.degrees(np.arcsin(np.minimum(ratio, 1.0))))
    return np.column_stack((west - east_deg, south - north_deg, east + east_deg, north + north_deg))


def covers(geometry: shapely.Geometry, lon: float, lat: float, *, close: bool) -> bool:
    """Whether a geometry has a place inside or on its edge, as PostGIS's ``ST_Covers`` says.

    ``close`` is for a place on the edge or all but on it. GEOS decides with exact arithmetic,
    PostGIS with rounded one; they differ by less than a nanometre, but an answer must not
    depend on who was asked.
    Source: PostGIS 3.3, ``point_in_ring_rtree`` and ``point_in_multipolygon_rtree`` in
    postgis/lwgeom_functions_analytic.c.
    """
    if not close:
        return bool(shapely.intersects_xy(geometry, lon, lat))
    for part in shapely.get_parts(geometry):
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
