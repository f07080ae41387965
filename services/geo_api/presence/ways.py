"""Which fences the straight way between two fixes leads through.

The way is straight in longitude and latitude, as the edges of outlines are, the short way round
the earth. It is cut into parts so short that each lies in a cell and is as good as its chord.
"""

import math
from collections.abc import Iterator

import numpy as np
import shapely

from services.geo_api.presence import alone
from services.geo_api.presence.alone import Spot
from services.geo_api.presence.earth import Point, geodesic_m, point_of
from services.geo_api.presence.table import CIRCLE, FenceTable
from shared.boundary import Boundary, Facing
from shared.lonlat import ANTIMERIDIAN_DEG

_PART_M = 90.0
_MOST_M_PER_DEG = 111_700.0
_SLACK_M = 1.0
"""More than a part bends away from its chord, 1 km from a pole as much as 0.9 m."""
_BAND_M, _BAND_SHARE = 0.01, 1e-6
_NORTHERNMOST_DEG = 85.0
_TURN_DEG = 2 * ANTIMERIDIAN_DEG

_Way = tuple[float, float, float, float]
"""Degrees of longitude and latitude of its beginning, and the step in each to its end."""


def crossed(table: FenceTable, start: Spot, end: Spot) -> list[int]:
    """The fences that the way meets and neither of its ends is in; some 3 µs for each 90 m."""
    way = _way(start, end)
    met: set[int] = set()
    for part in _parts(way):
        met.update(_near(table, part, met))
    return [
        number
        for number in met
        if (table.outline[number] == CIRCLE or _meets(table.area(number).geometry, start, end))
        and not _holds(table, number, start)
        and not _holds(table, number, end)
    ]


def _way(start: Spot, end: Spot) -> _Way:
    east = end[0] - start[0]
    return start[0], start[1], east - _TURN_DEG * round(east / _TURN_DEG), end[1] - start[1]


def _parts(way: _Way) -> Iterator[_Way]:
    lon, lat, east, north = way
    nearest_equator = min(abs(lat), abs(lat + north)) if lat * (lat + north) > 0 else 0.0
    across_m = east * math.cos(math.radians(nearest_equator)) * _MOST_M_PER_DEG
    count = math.ceil(math.hypot(across_m, north * _MOST_M_PER_DEG) / _PART_M)
    if count <= 1:
        yield way
        return
    for n in range(count):
        yield lon + east * n / count, lat + north * n / count, east / count, north / count


def _near(table: FenceTable, part: _Way, known: set[int]) -> Iterator[int]:
    """Circles that a part meets, and outlines whose ground it may meet."""
    lon, lat, east, north = part
    middle = lon + east / 2
    middle -= _TURN_DEG * round(middle / _TURN_DEG)
    numbers = table.cells.around(middle, lat + north / 2, _PART_M / 2)
    if not numbers:
        return
    begin, finish = point_of(lon, lat), point_of(lon + east, lat + north)
    for number in numbers:
        if number in known:
            continue
        square = _square(begin, finish, (table.x[number], table.y[number], table.z[number]))
        far = table.reach[number] + _SLACK_M
        if square <= far * far and (
            table.outline[number] != CIRCLE or _enters(table, number, part, square)
        ):
            yield number


def _square(begin: Point, finish: Point, place: Point) -> float:
    """Of the metres from a place to a chord."""
    ux, uy, uz = finish[0] - begin[0], finish[1] - begin[1], finish[2] - begin[2]
    vx, vy, vz = place[0] - begin[0], place[1] - begin[1], place[2] - begin[2]
    length = ux * ux + uy * uy + uz * uz
    along = (ux * vx + uy * vy + uz * vz) / length if length > 0 else 0.0
    along = min(max(along, 0.0), 1.0)
    vx, vy, vz = vx - along * ux, vy - along * uy, vz - along * uz
    return vx * vx + vy * vy + vz * vz


def _enters(table: FenceTable, number: int, part: _Way, square: float) -> bool:
    """Whether a part meets a circle; near its edge the geodesic decides, to 5e-8 of its length.

    ``square`` is that of the chord. The geodesic of up to 100 km is within the band of it.
    """
    chord = math.sqrt(square)
    beyond = geodesic_m(chord, square) - table.reach[number]
    if abs(beyond) > _BAND_M + _BAND_SHARE * chord and abs(part[1]) < _NORTHERNMOST_DEG:
        return beyond < 0
    lon, lat = table.center(number)
    facing = Facing.of(np.array([lon]), np.array([lat]), [Boundary(np.array([part]))])
    return float(facing.distances_m()[0]) <= table.reach[number]


def _meets(outline: shapely.Geometry, start: Spot, end: Spot) -> bool:
    """In degrees, where both are straight; a way past ±180 is looked at from either side."""
    here, there = sorted((start[:2], end[:2]))
    ways = [(here, there)]
    if there[0] - here[0] > ANTIMERIDIAN_DEG:
        turned = (here[0] + _TURN_DEG, here[1]), (there[0] - _TURN_DEG, there[1])
        ways = [(turned[0], there), (here, turned[1])]
    return bool(shapely.intersects(outline, shapely.linestrings(np.array(ways))).any())


def _holds(table: FenceTable, number: int, spot: Spot) -> bool:
    exact = spot[0], spot[1], 0.0
    return any(inside for _, (_, inside, _, _) in alone.near(table, exact, (number,)))
