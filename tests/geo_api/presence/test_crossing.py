"""Passing through a geofence between two fixes, within the limits of pause, speed and accuracy."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.geo_api.presence.crossing import Placed, Way, crossed, may_cross
from services.geo_api.presence.matching import Fence, FenceIndex, Fix
from services.geo_api.presence.rule import DEFAULT_RULE, PLAIN_RULE
from shared.geo import Circle, LonLat, Shape
from tests.geo_api.presence.shapes import away, index_of, outline, random_outline

LON, LAT = 116.3265, 39.9995
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def place(east: float, north: float, accuracy_m: float = 10, lon: float = LON) -> Fix:
    """So many metres from the middle."""
    lon, lat = away(*away(lon, LAT, 90, east), 0, north)
    return Fix(lon, lat, accuracy_m)


def square(side_m: float, lon: float = LON) -> Shape:
    half = side_m / 2
    corners = [(-half, -half), (half, -half), (half, half), (-half, half), (-half, -half)]
    return outline([place(east, north, lon=lon)[:2] for east, north in corners])


def ids(index: FenceIndex, last: Fix, now: Fix) -> list[str]:
    [found] = crossed(index, [Way(last, now)], DEFAULT_RULE)
    return [match.fence.geofence_id for match in found]


@pytest.mark.parametrize("shape", [Circle(LonLat(LON, LAT), 50), square(100)])
def test_the_way_between_two_fixes_crosses_what_lies_on_it(shape: Shape) -> None:
    index = index_of(shape)
    assert ids(index, place(-200, 0), place(200, 0)) == ["f000000"]
    assert ids(index, place(-200, 45), place(200, 45)) == ["f000000"]
    assert ids(index, place(-200, 55), place(200, 55)) == []
    assert ids(index, place(-200, 0), place(-100, 0)) == []


@pytest.mark.parametrize("shape", [Circle(LonLat(180, LAT), 50), square(100, lon=180)])
def test_a_way_across_the_antimeridian_is_the_short_one(shape: Shape) -> None:
    index = index_of(shape)
    west, east = place(-200, 0, lon=180), place(200, 0, lon=180)
    assert west.lon > 0 > east.lon
    assert ids(index, west, east) == ids(index, east, west) == ["f000000"]
    assert ids(index, place(-200, 90, lon=180), place(200, 90, lon=180)) == []


def test_both_ends_must_be_clear_of_the_fence() -> None:
    index = index_of(Circle(LonLat(LON, LAT), 50))
    assert ids(index, place(-81, 0), place(81, 0)) == ["f000000"]
    assert ids(index, place(-79, 0), place(81, 0)) == []
    assert ids(index, place(-81, 0), place(0, 0)) == []
    assert crossed(index, [Way(place(-51, 0), place(51, 0))], PLAIN_RULE)[0]


def test_a_store_of_which_a_fence_was_not_left_is_not_crossed() -> None:
    annex = Fence("annex", "s", 1, Circle(LonLat(*place(200, 0)[:2]), 50))
    index = FenceIndex.build([Fence("main", "s", 1, Circle(LonLat(LON, LAT), 50)), annex], 1)
    assert ids(index, place(-200, 0), place(200, 0)) == []


def test_fences_that_changed_lately_are_crossed_as_they_are_now() -> None:
    far, here = Circle(LonLat(LON, LAT + 1), 50), Circle(LonLat(LON, LAT), 50)
    index = FenceIndex.build([Fence("a", "a", 1, here), Fence("b", "b", 1, here)], 1)
    changed = index.changed([Fence("a", "a", 2, far), Fence("c", "c", 1, here)], ["b"], 2)
    assert ids(changed, place(-200, 0), place(200, 0)) == ["c"]


@pytest.mark.parametrize(
    ("metres", "seconds", "accuracy_m", "may"),
    [
        (400, 300, 10, True),
        (400, 301, 10, False),
        (400, 0, 10, False),
        (435, 60, 200, False),  # not clear of anything on both sides
        (445, 60, 200, True),
        (445, 60, 201, False),
        (59, 60, 10, False),
        (61, 60, 10, True),
        (7_000, 100, 10, True),
        (7_200, 100, 10, False),
        (7_200, 100, 110, True),  # the accuracies may account for the rest
    ],
)
def test_pause_speed_and_accuracy_have_their_limits(
    metres: float, seconds: float, accuracy_m: float, may: bool
) -> None:
    last = Placed(place(0, 0, accuracy_m), NOW)
    now = Placed(place(metres, 0, accuracy_m), NOW + timedelta(seconds=seconds))
    assert may_cross(last, now, DEFAULT_RULE) is may


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_fence_is_crossed_where_points_of_the_way_lie_inside(seed: int) -> None:
    """Points every metre against the answer; only a way that merely grazes may be missed by them."""
    random = np.random.default_rng(seed)
    shape = random_outline(random, 0.002, lon=LON, lat=LAT)
    angle, offset = random.uniform(0, 360), random.uniform(-300, 300)
    start = away(*away(LON, LAT, angle, 800), angle + 90, offset)
    end = away(*away(LON, LAT, angle + 180, 800), angle + 90, offset)
    index = index_of(shape)
    steps = np.linspace(0, 1, 1_601)
    way = [
        Fix(start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1]), 0)
        for t in steps
    ]
    measured = [found for (found,) in index.measure_all([("s0", spot) for spot in way])]
    if min(abs(m.distance_m) for m in measured) > 1 or any(m.inside for m in measured):
        assert bool(ids(index, way[0], way[-1])) is any(m.inside for m in measured)
