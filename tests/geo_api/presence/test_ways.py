"""The way between two fixes and the fences that it leads through."""

import numpy as np
import pytest
import shapely

from services.geo_api.presence.matching import Fence, FenceIndex, Fix
from shared.boundary import Floats
from shared.geo import Circle, LonLat, Shape, distances_m
from tests.geo_api.presence.conftest import PostGIS
from tests.geo_api.presence.shapes import away, index_of, outline, random_outline

LON, LAT = 121.47, 31.23

MEETS = """
SELECT ST_Intersects(ST_GeomFromWKB($1, 4326), ST_GeomFromWKB(way, 4326))
FROM unnest($2::bytea[]) WITH ORDINALITY AS asked (way, n) ORDER BY n
"""


def beside(east: float, north: float, lon: float = LON, lat: float = LAT) -> Fix:
    """So many metres from a place, with an accuracy that must not matter."""
    return Fix(*away(*away(lon, lat, 90, east), 0, north), 500.0)


def ids(index: FenceIndex, start: Fix, end: Fix) -> list[str]:
    there, back = index.crossed([(start, end), (end, start)])
    assert there == back
    return [fence.geofence_id for fence in there]


def test_a_way_crosses_what_lies_on_it_but_not_what_an_end_of_it_is_in() -> None:
    half = 50 / 111_195
    corners = [(-half, -half), (half, -half), (half, half), (-half, half), (-half, -half)]
    square = outline([(LON + x, LAT + y) for x, y in corners])
    index = index_of(Circle(LonLat(LON, LAT), 50), square)
    assert ids(index, beside(-200, 0), beside(200, 0)) == ["f000000", "f000001"]
    assert ids(index, beside(-52, 0), beside(52, 0)) == ["f000000", "f000001"]
    assert ids(index, beside(-200, 0), beside(-100, 0)) == []
    assert ids(index, beside(-200, 0), beside(0, 0)) == []
    assert ids(index, beside(-200, 51), beside(200, 51)) == []
    assert ids(index, beside(-9_000, 20), beside(12_000, 20)) == ["f000000", "f000001"]
    assert ids(index, beside(-200, 0), beside(-200, 0)) == []


def test_of_fences_that_changed_those_of_now_are_crossed() -> None:
    here, away_from_here = Circle(LonLat(LON, LAT), 50), Circle(LonLat(LON, LAT + 1), 50)
    fences = [Fence("a", "s", 1, here), Fence("b", "s", 1, here), Fence("d", "s", 1, here)]
    moved = [Fence("a", "s", 2, away_from_here), Fence("c", "s", 1, here)]
    index = FenceIndex.build(fences, 1).changed(moved, ["b"], 2)
    assert ids(index, beside(-90, 0), beside(90, 0)) == ["c", "d"]


@pytest.mark.parametrize("lat", [0.0, 31.0, -65.0, 84.0, 89.5])
@pytest.mark.parametrize("lon", [10.0, 180.0])
def test_a_circle_is_crossed_where_the_nearest_of_many_points_is_within(
    lat: float, lon: float
) -> None:
    random = np.random.default_rng(31)
    decided = 0
    for _ in range(40):
        radius = float(10 ** random.uniform(0.5, 3.5))
        index = index_of(Circle(LonLat(lon, lat), radius))
        angle, long_m = random.uniform(0, 360), min(random.uniform(0.1, 3) * radius, 3_000)
        offset = radius * random.choice([0.2, 0.999, 0.99999, 1.00001, 1.001, 1.5])
        foot = away(lon, lat, angle + 90, offset)
        start, end = away(*foot, angle, long_m), away(*foot, angle + 180, long_m / 2)
        lons, lats = _points(start, end)
        metres = distances_m(lons, lats, *np.full((2, len(lons)), [[lon], [lat]]))
        spacing = 1.5 * long_m / len(lons)
        if abs(metres.min() - radius) <= spacing**2 / radius + 1e-7 * radius:
            continue
        expected = metres.min() < radius < min(metres[0], metres[-1])
        assert (ids(index, Fix(*start, 0), Fix(*end, 0)) == ["f000000"]) is bool(expected)
        decided += 1
    assert decided > 25


def _points(start: tuple[float, float], end: tuple[float, float]) -> tuple[Floats, Floats]:
    share = np.linspace(0, 1, 8_001)
    east = end[0] - start[0]
    east -= 360 * round(east / 360)
    return start[0] + share * east, start[1] + share * (end[1] - start[1])


@pytest.mark.slow
@pytest.mark.parametrize("lon", [10.0, 180.0])
def test_an_outline_is_crossed_where_postgis_finds_that_the_way_meets_it(
    postgis: PostGIS, lon: float
) -> None:
    random = np.random.default_rng(37)
    met = asked = 0
    for number in range(30):
        size = float(10 ** random.uniform(-4, -1))
        area = random_outline(random, size, lon=lon, lat=float(random.uniform(-55, 75)))
        corners = shapely.get_coordinates(area.geometry)
        corners[:, 0] += 360 * (corners[:, 0] < lon - 180)
        middle, spread = corners.mean(axis=0), min(size, 0.02)
        ends = middle + random.normal(0, spread, (40, 2, 2))
        if number % 2 and lon < 100:  # along an edge or through a vertex; past 180 digits get lost
            ends[:10] = corners[:2] + (random.normal(0, 1, (10, 1, 1)) * (corners[1] - corners[0]))
            ends[10:20, 1] = 2 * corners[0] - ends[10:20, 0]
        joined = shapely.transform(
            area.geometry, lambda xy: xy + [360, 0] * (xy[:, :1] < lon - 180)
        )
        ways = shapely.to_wkb(shapely.linestrings(ends)).tolist()
        theirs = postgis.ask(MEETS, shapely.to_wkb(joined), ways)
        index = index_of(area)
        asked_at_once = []
        for way, meets in zip(ends, theirs, strict=True):
            turned = way - [360, 0] * (way[:, :1] > 180)
            fixes = [Fix(x, y, 0) for x, y in turned.tolist()]
            (first,), (last,) = index.measure_all([("s0", fix) for fix in fixes])
            expected = meets and not first.inside and not last.inside
            assert (ids(index, fixes[0], fixes[1]) == ["f000000"]) is expected
            met, asked = met + expected, asked + 1
            asked_at_once.append((fixes[0], fixes[1]))
        one_by_one = [found for way in asked_at_once for found in index.crossed([way])]
        assert index.crossed(asked_at_once) == one_by_one
    assert 0.1 < met / asked < 0.9


@pytest.mark.parametrize("lon", [LON, 180.0])
def test_among_many_fences_those_are_crossed_that_are_crossed_when_they_stand_alone(
    lon: float,
) -> None:
    random = np.random.default_rng(41)
    shapes: list[Shape] = [
        Circle(LonLat(*beside(east, north, lon)[:2]), float(random.uniform(20, 400)))
        for east, north in random.normal(0, 900, (40, 2)).tolist()
    ]
    for east, north in random.normal(0, 900, (40, 2)).tolist():
        at = beside(east, north, lon)
        shapes.append(random_outline(random, 0.003, lon=at.lon, lat=at.lat))
    together, apart = index_of(*shapes), [index_of(shape) for shape in shapes]
    crossed: list[list[str]] = []
    ways = []
    for spread in (60, 400, 3_000):
        for ends in random.normal(0, spread, (25, 2, 2)).tolist():
            start, end = (beside(east, north, lon) for east, north in ends)
            found = ids(together, start, end)
            assert found == [f"f{n:06}" for n, one in enumerate(apart) if ids(one, start, end)]
            crossed.append(found)
            ways.append((start, end))
    assert sum(map(len, crossed)) > 100
    at_once = together.crossed(ways)
    assert [[fence.geofence_id for fence in found] for found in at_once] == crossed
