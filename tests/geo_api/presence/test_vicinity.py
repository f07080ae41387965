"""Fences near to each other are near in memory, and answers do not depend on it."""

import numpy as np
import pytest
import shapely

from services.geo_api.presence.matching import Fence, FenceIndex, Fix
from services.geo_api.presence.vicinity import by_vicinity
from shared.geo import Area, Circle, LonLat, Shape
from tests.geo_api.presence.shapes import outline


def test_two_cities_that_come_by_turns_stand_one_after_the_other() -> None:
    random = np.random.default_rng(1)
    cities = (121.47, 31.23), (116.4, 39.9)
    places = [random.normal(cities[n % 2], 0.05) for n in range(200)]
    order = by_vicinity([_shape(n, lon, lat) for n, (lon, lat) in enumerate(places)])
    assert sorted(order.tolist()) == list(range(200))
    assert np.count_nonzero(np.diff(order % 2)) == 1


def _shape(number: int, lon: float, lat: float) -> Shape:
    corners = [(lon, lat), (lon + 1e-4, lat), (lon, lat + 1e-4), (lon, lat)]
    if number % 4 < 2:
        return Circle(LonLat(lon, lat), 50)
    return outline(corners)


@pytest.mark.parametrize("byte_order", [0, 1])
def test_an_outline_stands_where_its_first_vertex_is_however_it_is_stored(byte_order: int) -> None:
    far, near = Circle(LonLat(-100, -40), 9), Circle(LonLat(100, 40), 9)
    one = shapely.box(100, 40, 100.1, 40.1)
    for geometry in (one, shapely.MultiPolygon([one, shapely.box(101, 41, 102, 42)])):
        stored = Area.of_wkb(shapely.to_wkb(geometry, byte_order=byte_order))
        assert by_vicinity([stored, far, near]).tolist() == [1, 2, 0]


def test_equal_fences_are_answered_by_id_wherever_they_stand() -> None:
    here, there = Circle(LonLat(10, 50), 100), Circle(LonLat(10.003, 50), 100)
    fences = [Fence(f"f{n}", f"s{n % 2}", 1, there if n % 3 else here) for n in (5, 3, 8, 1, 0, 4)]
    index = FenceIndex.build(fences, 1)
    assert [fence.geofence_id for fence in index.fences] == ["f0", "f1", "f3", "f4", "f5", "f8"]
    fix = Fix(10.0015, 50, 100)
    for answers in ([index.match([fix])[0]], index.match([fix] * 50), [index.measure("s0", fix)]):
        for answer in answers:
            keys = [(match.distance_m, match.fence.geofence_id) for match in answer]
            assert keys == sorted(keys)
    assert [match.fence.geofence_id for match in index.measure("s0", Fix(10, 50, 5))] == [
        "f0",
        "f4",
        "f8",
    ]
