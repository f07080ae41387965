"""Circles around outlines, and the nearest of many: exact, and safe until the next question."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.geo_api.monitoring.circles import (
    FARTHEST_M,
    LEAST_MOVE_M,
    LEAST_RADIUS_M,
    Regions,
    circle_around,
)
from services.geo_api.places.schedules import Schedule
from services.geo_api.presence.matching import Fence
from shared.datum import Datum
from shared.geo import WGS84, Area, Circle, LonLat, distance_m, parse_geometry

NOW = datetime(2026, 11, 23, tzinfo=UTC).timestamp()


def fence(name: str, lon: float, lat: float, radius_m: float = 100, **more: object) -> Fence:
    return Fence(name, f"s-{name}", 1, Circle(LonLat(lon, lat), radius_m), **more)  # type: ignore[arg-type]


def area(*ring: list[float]) -> Area:
    shape = parse_geometry({"type": "Polygon", "coordinates": [list(ring)]}, datum=Datum.WGS84)
    assert isinstance(shape, Area)
    return shape


def test_a_small_circle_is_widened_to_what_a_phone_notices() -> None:
    assert circle_around(Circle(LonLat(1, 2), 30)) == (LonLat(1, 2), LEAST_RADIUS_M)
    assert circle_around(Circle(LonLat(1, 2), 300)) == (LonLat(1, 2), 300)


@pytest.mark.parametrize("west", [-74.0, 179.99, -180.0])
def test_a_circle_holds_its_whole_outline_and_little_more(west: float) -> None:
    east = math.remainder(west + 0.02, 360)
    shape = area([west, 40.0], [east, 40.0], [east, 40.01], [west, 40.01], [west, 40.0])

    center, radius_m = circle_around(shape)

    corners = [LonLat(lon, lat) for lon in (west, east) for lat in (40.0, 40.01)]
    reach = max(distance_m(center, corner) for corner in corners)
    assert reach <= radius_m <= reach + 1
    assert radius_m == pytest.approx(math.hypot(1_708, 1_110) / 2, rel=0.01)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), most=st.integers(1, 30), spread=st.sampled_from([0.05, 1, 90]))
def test_the_nearest_are_those_that_measuring_all_gives(
    seed: int, most: int, spread: float
) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 200))
    fences = [
        fence(
            f"f{number:03}",
            math.remainder(179.9 + random.uniform(-spread, spread), 360),
            random.uniform(-min(spread, 60), min(spread, 60)),
            float(random.choice([50, 200, 100_000])),
        )
        for number in range(count)
    ]
    here = LonLat(179.9, 0.0)

    found = Regions.build(fences).nearest(here, most, NOW)

    edges = sorted(
        (distance_m(here, f.shape.center) - max(f.shape.radius_m, LEAST_RADIUS_M), f.geofence_id)
        for f in fences
        if isinstance(f.shape, Circle)
    )
    assert {r.geofence_id for r in found.regions} == {name for _, name in edges[:most]}
    beyond = edges[most][0] / 2 if len(edges) > most else FARTHEST_M
    expected = min(max(beyond, LEAST_MOVE_M), FARTHEST_M)
    assert found.refresh_after_m == pytest.approx(expected, abs=1)


def test_within_the_distance_to_move_no_other_geofence_can_be_entered() -> None:
    fences = [fence(f"f{number}", -74 + number / 50, 40.7) for number in range(10)]
    here = LonLat(-74.0, 40.7)

    found = Regions.build(fences).nearest(here, 3, NOW)

    lon, lat, _ = WGS84.fwd(here.lon, here.lat, 90, found.refresh_after_m)
    listed = {region.geofence_id for region in found.regions}
    assert listed == {"f0", "f1", "f2"}
    for other in fences[3:]:
        assert isinstance(other.shape, Circle)
        assert distance_m(LonLat(lon, lat), other.shape.center) > other.shape.radius_m


def test_a_geofence_whose_schedule_has_ended_for_good_is_not_watched() -> None:
    end = datetime.fromtimestamp(NOW, UTC)
    fences = [fence("over", 0, 1, schedule=Schedule(valid_until=end)), fence("on", 0, 2)]
    regions = Regions.build(fences)

    assert [r.geofence_id for r in regions.nearest(LonLat(0, 1), 5, NOW).regions] == ["on"]
    earlier = regions.nearest(LonLat(0, 1), 5, NOW - 1).regions
    assert [r.geofence_id for r in earlier] == ["on", "over"]


def test_without_any_geofence_there_is_nothing_to_watch() -> None:
    found = Regions.build([]).nearest(LonLat(0, 1), 20, NOW)

    assert (found.regions, found.refresh_after_m) == ((), FARTHEST_M)


def test_circles_that_were_worked_out_before_are_kept() -> None:
    before = Regions.build([fence("a", 0, 1), fence("b", 0, 2)])

    after = Regions.build([fence("b", 0, 2), fence("c", 0, 3)], before)

    assert after.regions[0] is before.regions[1]
    assert [region.geofence_id for region in after.regions] == ["b", "c"]
