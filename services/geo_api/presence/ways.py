"""Which fences the straight way between two fixes leads through.

The way is straight in longitude and latitude, as the edges of outlines are, the short way round
the earth. It is cut into stretches, each of which is as good as its chord to ``_SLACK_M``; that
settles most fences. Those that the way grazes are measured along parts of 90 m.

Of many ways those of a single stretch are settled as arrays, at less than half the cost.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import shapely

from services.geo_api.presence import alone
from services.geo_api.presence.alone import Spot
from services.geo_api.presence.cells import NEAR_M
from services.geo_api.presence.earth import Point, Points, geodesic_m, point_of, points_of
from services.geo_api.presence.table import CIRCLE, FenceTable
from services.geo_api.presence.together import Bools, Fixes, Pairs, near
from shared.boundary import Boundary, Facing, Floats, Ints
from shared.lonlat import ANTIMERIDIAN_DEG

_STRETCH_M, _PART_M = 450.0, 90.0
_MOST_M_PER_DEG = 111_700.0
_SLACK_M = 1.0
"""More than a part bends away from its chord, 1 km from a pole as much as 0.9 m, and than a
stretch does up to ``_NORTHERNMOST_DEG``, which is 0.05 m."""
_BAND_M, _BAND_SHARE = 0.01, 1e-6
_NORTHERNMOST_DEG = 85.0
_TURN_DEG = 2 * ANTIMERIDIAN_DEG
_NO_LENGTH = 1e-12

Ends = tuple[Spot, Spot]
"""Where a way begins and where it ends; the accuracies play no part."""
_Way = tuple[float, float, float, float]
"""Degrees of longitude and latitude of its beginning, and the step in each to its end."""
_Chord = tuple[Point, Point]
"""Where a way begins and ends in space."""


def crossed(table: FenceTable, start: Spot, end: Spot) -> list[int]:
    """The fences that the way meets and neither of its ends is in, in no certain order."""
    ends = point_of(start[0], start[1]), point_of(end[0], end[1])
    way = _way(start, end)
    settled: set[int] = set()
    met = []
    stretches = [*_cut(way, _stretch_m(way))]
    for stretch in stretches:
        chord = ends if len(stretches) == 1 else _chord(stretch)
        for number, surely in _near(table, stretch, chord, ends, settled):
            through = surely or _meets(table, number, stretch, (start, end))
            if through or table.outline[number] != CIRCLE:
                settled.add(number)
            if through:
                met.append(number)
    return [
        number
        for number in met
        if not any(_holds(table, number, *each) for each in zip((start, end), ends, strict=True))
    ]


def all_crossed(table: FenceTable, ways: Sequence[Ends]) -> list[list[int]]:
    """``crossed`` for many ways."""
    columns = np.array([(*start[:2], *end[:2]) for start, end in ways]).T
    short = _are_short(columns)
    found = [[] if one else crossed(table, *way) for way, one in zip(ways, short, strict=True)]
    for n, number, surely in _all_near(table, columns, np.flatnonzero(short)):
        if surely or _meets(table, number, _way(*ways[n]), ways[n]):
            found[n].append(number)
    return found


def _are_short(ways: Floats) -> Bools:
    """Which are a single stretch; columns of longitude and latitude of both ends."""
    lon, lat, to_lon, to_lat = ways
    metres = np.hypot(_turned(to_lon - lon), to_lat - lat) * _MOST_M_PER_DEG
    farthest = np.maximum(abs(lat), abs(to_lat))
    short: Bools = (metres <= _STRETCH_M) & (farthest < _NORTHERNMOST_DEG)
    return short


def _all_near(table: FenceTable, ways: Floats, those: Ints) -> Iterator[tuple[int, int, bool]]:
    """``_near`` for those ways that are a single stretch: whose, and what ``_near`` says.

    But here what holds an end is left out, however close to its edge.
    """
    lon, lat, to_lon, to_lat = ways[:, those]
    begin, end = points_of(lon, lat), points_of(to_lon, to_lat)
    middle = _turned(lon + _turned(to_lon - lon) / 2), (lat + to_lat) / 2
    pairs = Pairs(*table.cells.pairs(*middle, _all_far(begin, end) / 2 + _SLACK_M))
    columns = (table.x, table.y, table.z, table.reach, table.core)
    x, y, z, ground, core = (np.frombuffer(column)[pairs.fence] for column in columns)
    ends = _those(begin, pairs.fix), _those(end, pairs.fix)
    metres = _all_beside(*ends, (x, y, z))
    may_meet = metres <= ground + _SLACK_M
    for each in ends:
        may_meet &= _all_far((x, y, z), each) >= core
    left = np.flatnonzero(may_meet)
    pairs, surely = pairs.those(left), metres[left] + _SLACK_M < core[left]
    no_radius = np.zeros(len(those))
    held = np.zeros(len(left), dtype=np.bool_)
    for fixes in (Fixes((lon, lat, no_radius), begin), Fixes((to_lon, to_lat, no_radius), end)):
        held |= near(table, fixes, pairs)[1].inside
    free = np.flatnonzero(~held)
    whose, fence = pairs.those(free)
    yield from zip(those[whose].tolist(), fence.tolist(), surely[free].tolist(), strict=True)


def _turned(degrees: Floats) -> Floats:
    """Within ±180."""
    turns: Floats = np.rint(degrees / _TURN_DEG)
    return degrees - _TURN_DEG * turns


def _those(points: Points, wanted: Ints) -> Points:
    x, y, z = points
    return x[wanted], y[wanted], z[wanted]


def _all_far(one: Points, other: Points) -> Floats:
    dx, dy, dz = one[0] - other[0], one[1] - other[1], one[2] - other[2]
    metres: Floats = np.sqrt(dx * dx + dy * dy + dz * dz)
    return metres


def _all_beside(begin: Points, end: Points, place: Points) -> Floats:
    """``_beside`` for many."""
    way, step = np.subtract(end, begin), np.subtract(place, begin)
    length = np.maximum((way * way).sum(axis=0), _NO_LENGTH)
    along = np.clip((way * step).sum(axis=0) / length, 0, 1)
    metres: Floats = np.sqrt(((step - along * way) ** 2).sum(axis=0))
    return metres


def _way(start: Spot, end: Spot) -> _Way:
    east = end[0] - start[0]
    return start[0], start[1], east - _TURN_DEG * round(east / _TURN_DEG), end[1] - start[1]


def _stretch_m(way: _Way) -> float:
    farthest = max(abs(way[1]), abs(way[1] + way[3]))
    return _STRETCH_M if farthest < _NORTHERNMOST_DEG else _PART_M


def _cut(way: _Way, longest_m: float) -> Iterator[_Way]:
    lon, lat, east, north = way
    across_m = east * _most_across(lat, lat + north) * _MOST_M_PER_DEG
    count = math.ceil(math.hypot(across_m, north * _MOST_M_PER_DEG) / longest_m)
    if count <= 1:
        yield way
        return
    for n in range(count):
        yield lon + east * n / count, lat + north * n / count, east / count, north / count


def _chord(way: _Way) -> _Chord:
    lon, lat, east, north = way
    return point_of(lon, lat), point_of(lon + east, lat + north)


def _most_across(south: float, north: float) -> float:
    """How long a degree of longitude is at most between two latitudes, as a share of one's most."""
    return math.cos(math.radians(min(abs(south), abs(north)))) if south * north > 0 else 1.0


def _box(stretch: _Way) -> tuple[float, float, float, float]:
    """Degrees, so much less all around as a fence's own box in the cells is larger."""
    lon, lat, east, north = stretch
    spare = NEAR_M / _MOST_M_PER_DEG
    middle = lon + east / 2
    middle -= _TURN_DEG * round(middle / _TURN_DEG)
    across = max(abs(east) / 2 - spare / _most_across(lat, lat + north), 0.0)
    upright = max(abs(north) / 2 - spare, 0.0)
    return middle - across, lat + north / 2 - upright, middle + across, lat + north / 2 + upright


def _near(
    table: FenceTable, stretch: _Way, chord: _Chord, ends: _Chord, settled: set[int]
) -> Iterator[tuple[int, bool]]:
    """Fences that a stretch may meet, and whether it surely does; not what holds an end surely."""
    numbers = table.cells.over(*_box(stretch)).difference(settled)
    if not numbers:
        return
    x, y, z = ((begin + end) / 2 for begin, end in zip(*chord, strict=True))
    half = _far(chord[0], chord[1]) / 2 + _SLACK_M
    xs, ys, zs, grounds, cores = table.x, table.y, table.z, table.reach, table.core
    for number in numbers:
        place, far = (xs[number], ys[number], zs[number]), grounds[number] + half
        dx, dy, dz = x - place[0], y - place[1], z - place[2]
        if dx * dx + dy * dy + dz * dz > far * far:
            continue
        core = cores[number]
        if _far(place, ends[0]) < core or _far(place, ends[1]) < core:
            settled.add(number)
            continue
        metres = _beside(chord, place)
        if metres <= grounds[number] + _SLACK_M:
            yield number, metres + _SLACK_M < core


def _far(one: Point, other: Point) -> float:
    dx, dy, dz = one[0] - other[0], one[1] - other[1], one[2] - other[2]
    return math.sqrt(dx * dx + dy * dy + dz * dz)


def _beside(chord: _Chord, place: Point) -> float:
    """Metres from a place to a chord."""
    begin, end = chord
    ux, uy, uz = end[0] - begin[0], end[1] - begin[1], end[2] - begin[2]
    vx, vy, vz = place[0] - begin[0], place[1] - begin[1], place[2] - begin[2]
    length = ux * ux + uy * uy + uz * uz
    along = (ux * vx + uy * vy + uz * vz) / length if length > 0 else 0.0
    along = min(max(along, 0.0), 1.0)
    vx, vy, vz = vx - along * ux, vy - along * uy, vz - along * uz
    return math.sqrt(vx * vx + vy * vy + vz * vz)


def _meets(table: FenceTable, number: int, stretch: _Way, ends: Ends) -> bool:
    """Exactly, whether a stretch meets a circle, or the whole way an outline."""
    if table.outline[number] == CIRCLE:
        return any(_enters(table, number, part) for part in _cut(stretch, _PART_M))
    return _intersects(table.geometry(number), *ends)


def _enters(table: FenceTable, number: int, part: _Way) -> bool:
    """Whether a part meets a circle; near its edge the geodesic decides, to 5e-8 of its length.

    The geodesic of up to 100 km is within the band of the chord.
    """
    place = table.x[number], table.y[number], table.z[number]
    metres = _beside(_chord(part), place)
    if metres > table.reach[number] + _SLACK_M:
        return False
    beyond = geodesic_m(metres, metres * metres) - table.reach[number]
    if abs(beyond) > _BAND_M + _BAND_SHARE * metres and abs(part[1]) < _NORTHERNMOST_DEG:
        return beyond < 0
    center_lon, center_lat = table.center(number)
    center = np.array([center_lon]), np.array([center_lat])
    facing = Facing.of(*center, [Boundary(np.array([part]))])
    return float(facing.distances_m()[0]) <= table.reach[number]


def _intersects(outline: shapely.Geometry, start: Spot, end: Spot) -> bool:
    """In degrees, where both are straight; a way past ±180 is looked at from either side."""
    here, there = sorted((start[:2], end[:2]))
    ways = [(here, there)]
    if there[0] - here[0] > ANTIMERIDIAN_DEG:
        turned = (here[0] + _TURN_DEG, here[1]), (there[0] - _TURN_DEG, there[1])
        ways = [(turned[0], there), (here, turned[1])]
    return bool(shapely.intersects(outline, shapely.linestrings(np.array(ways))).any())


def _holds(table: FenceTable, number: int, spot: Spot, point: Point) -> bool:
    place = table.x[number], table.y[number], table.z[number]
    if _far(place, point) > table.reach[number] + _SLACK_M:
        return False
    exact = spot[0], spot[1], 0.0
    return any(inside for _, (_, inside, _, _) in alone.near(table, exact, (number,)))
