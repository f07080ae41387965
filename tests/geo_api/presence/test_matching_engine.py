"""The parts of the engine: distances by chords, planes, cells, shares, and indexes that change."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.presence.earth import FAR_M, geodesic_m, point_of, points_of, points_on
from services.geo_api.presence.matching import Fence, FenceIndex, Fix
from services.geo_api.presence.rule import DEFAULT_RULE
from shared.boundary import Floats
from shared.geo import WGS84, Area, Circle, LonLat, Shape, distances_m
from tests.geo_api.presence.shapes import away, index_of, match_one, outline, random_outline

METRES_PER_DEG = 111_195


def _many_shapes(random: np.random.Generator, count: int, lon: float, lat: float) -> list[Shape]:
    places = random.normal((lon, lat), 0.02, (count, 2)).tolist()
    circles: list[Shape] = [
        Circle(LonLat(x, y), float(10 ** random.uniform(0, 3.5))) for x, y in places[::2]
    ]
    sizes = 10 ** random.uniform(-4, -1.5, count)
    outlines = [
        random_outline(random, float(size), lon=x, lat=y)
        for (x, y), size in zip(places[1::2], sizes, strict=False)
    ]
    return [*circles, *outlines]


def test_the_chord_made_longer_is_the_geodesic_at_all_latitudes() -> None:
    random = np.random.default_rng(1)
    for limit_m, within_m in ((2_300.0, 1e-6), (FAR_M, 2e-5)):
        lon, azimuth = random.uniform(-180, 180, 20_000), random.uniform(0, 360, 20_000)
        lat, metres = random.uniform(-89.9, 89.9, 20_000), random.uniform(0, limit_m, 20_000)
        to_lon, to_lat, _ = WGS84.fwd(lon, lat, azimuth, metres)
        steps = zip(points_on(lon, lat), points_of(to_lon, to_lat), strict=True)
        square = np.sum([(a - b) ** 2 for a, b in steps], axis=0)
        found = geodesic_m(np.sqrt(square), square)
        exact = WGS84.inv(lon, lat, to_lon, to_lat)[2]
        assert np.abs(found - exact).max() < within_m


@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90))
def test_one_place_and_many_are_the_same_points_in_space(lon: float, lat: float) -> None:
    many = points_of(np.array([lon, 3.0, lon]), np.array([lat, 4.0, lat]))
    assert [column.tolist()[::2] for column in many] == [[part] * 2 for part in point_of(lon, lat)]


def test_distances_in_the_plane_of_an_outline_are_those_on_the_ellipsoid() -> None:
    random = np.random.default_rng(2)
    for lat in (-55.0, -30.0, 0.5, 31.0, 55.0, 80.0):
        for _ in range(3):
            area = random_outline(random, float(10 ** random.uniform(-4, -2.2)), lon=20.0, lat=lat)
            middle = area.geometry.centroid
            for metres in (0.0, 30.0, 500.0, 2_000.0):
                place = away(middle.x, middle.y, float(random.uniform(0, 360)), metres)
                (found,) = index_of(area).measure("s0", Fix(*place, 0.0))
                exact = _densely(area, *place)
                assert abs(abs(found.distance_m) - exact) < 7e-4


def _densely(area: Area, lon: float, lat: float) -> float:
    """Metres to the nearest of the points a golden section finds on each edge."""
    pieces = area.boundary.pieces
    low, high = np.zeros(len(pieces)), np.ones(len(pieces))
    here = np.full(len(pieces), lon), np.full(len(pieces), lat)

    def metres(along: Floats) -> Floats:
        feet = pieces[:, :2] + along[:, None] * pieces[:, 2:]
        return distances_m(feet[:, 0], feet[:, 1], *here)

    for _ in range(24):
        third = (high - low) / 3
        nearer_low = metres(low + third) < metres(high - third)
        high, low = np.where(nearer_low, high - third, high), np.where(nearer_low, low, low + third)
    ends = np.zeros(len(pieces)), np.ones(len(pieces))
    return float(min(metres(along).min() for along in (*ends, (low + high) / 2)))


@pytest.mark.parametrize(
    ("lon", "lat"), [(121.47, 31.23), (179.99, -17.0), (15.0, 78.0), (0.0, 0.0)]
)
def test_alone_and_among_others_a_fix_gets_equal_answers_bit_by_bit(lon: float, lat: float) -> None:
    random = np.random.default_rng(3)
    index = index_of(*_many_shapes(random, 160, lon, lat))
    spots = random.normal((lon, lat), 0.02, (200, 2))
    spots[:, 0] -= 360 * np.rint(spots[:, 0] / 360)
    fixes = [Fix(x, y, float(random.choice([0, 5, 24, 65, 400, 3000]))) for x, y in spots.tolist()]
    assert index.match(fixes) == [index.match([fix])[0] for fix in fixes]
    asked = [(f"s{n % 160}", fix) for n, fix in enumerate(fixes)]
    assert index.measure_all(asked) == [index.measure(*each) for each in asked]


def test_the_cells_miss_no_fence_that_measuring_every_fence_finds() -> None:
    random = np.random.default_rng(4)
    for lon, lat in ((121.47, 31.23), (180.0, 65.0), (-179.999, -17.0)):
        shapes = _many_shapes(random, 60, lon, lat)
        index = index_of(*shapes)
        for x, y in random.normal((lon, lat), 0.03, (8, 2)).tolist():
            for accuracy in (0.0, 40.0, 900.0):
                fix = Fix(x - 360 * round(x / 360), y, accuracy)
                near = {m.fence.geofence_id for m in index.match([fix])[0]}
                each = [index.measure(f"s{n}", fix)[0] for n in range(len(shapes))]
                within = {m.fence.geofence_id for m in each if m.distance_m <= accuracy + 20}
                assert near == within


@given(radius=st.floats(1, 3_000), accuracy=st.floats(0.1, 2_000), distance=st.floats(0, 5_000))
def test_the_share_is_of_the_accuracy_circle(
    radius: float, accuracy: float, distance: float
) -> None:
    fix = Fix(*away(10, 0, 90, distance), accuracy)
    (found,) = index_of(Circle(LonLat(10, 0), radius)).measure("s0", fix)
    smaller = min(radius, accuracy)
    assert found.share * accuracy**2 == pytest.approx(found.overlap * smaller**2)
    assert 0 <= found.share <= found.overlap <= 1


def test_the_share_of_an_outline_is_of_the_accuracy_circle() -> None:
    side_m = 100.0
    half = side_m / 2 / METRES_PER_DEG
    square = outline([(-half, -half), (half, -half), (half, half), (-half, half), (-half, -half)])
    for accuracy in (10.0, 60.0, 500.0):
        found = match_one(square, Fix(0.0, 1e-9, accuracy))
        assert found is not None
        expected = min(side_m**2 / (math.pi * accuracy**2), 1)
        if accuracy != 60.0:
            assert found.share == pytest.approx(expected, rel=0.01)
            assert found.overlap == pytest.approx(1)
        else:
            assert found.share < found.overlap < 1
    exact = match_one(square, Fix(0.0, 1e-9, 0.0))
    assert exact is not None
    assert (exact.share, exact.overlap) == (1.0, 1.0)


def test_a_large_fence_asks_for_more_overlap_and_large_is_by_its_inner_circle() -> None:
    def strip(width_m: float, height_m: float, lon: float = 10.0) -> Area:
        x, y = (
            width_m / METRES_PER_DEG / math.cos(math.radians(50)) / 2,
            height_m / METRES_PER_DEG / 2,
        )
        ring = [(lon - x, 50 - y), (lon + x, 50 - y), (lon + x, 50 + y), (lon - x, 50 + y)]
        turned = [(at - 360 * round(at / 360), lat) for at, lat in [*ring, ring[0]]]
        return outline(turned)

    assert strip(800, 290).inradius_m == pytest.approx(145, rel=0.02)
    assert strip(800, 290, lon=180.0).inradius_m == pytest.approx(145, rel=0.02)
    cases: list[tuple[Shape, float]] = [
        (Circle(LonLat(10, 50), 150.0), 0.75),
        (Circle(LonLat(10, 50), 150.1), 0.85),
        (strip(5_000, 290), 0.75),
        (strip(400, 400), 0.85),
    ]
    for shape, expected in cases:
        assert DEFAULT_RULE.least_overlap(Fence("f", "s", 1, shape)) == expected


def test_an_index_that_changed_answers_as_one_made_anew() -> None:
    random = np.random.default_rng(5)
    shapes = _many_shapes(random, 120, 10.0, 50.0)
    fences = [Fence(f"f{n:03}", f"s{n % 9}", 1, shape) for n, shape in enumerate(shapes)]
    index, held = FenceIndex.build(fences, 1), {fence.geofence_id: fence for fence in fences}
    fixes = [Fix(x, y, 30.0) for x, y in random.normal((10, 50), 0.03, (80, 2)).tolist()]
    for version in range(2, 12):
        moved = [
            Fence(f"f{n:03}", f"s{n % 9}", version, shapes[int(random.integers(len(shapes)))])
            for n in random.integers(0, 150, 4).tolist()
        ]
        gone = [f"f{n:03}" for n in random.integers(150, size=3)]
        held.update((fence.geofence_id, fence) for fence in moved)
        taken = {fence.geofence_id for fence in moved}
        gone = [name for name in gone if name not in taken]
        for name in gone:
            held.pop(name, None)
        index = index.changed(moved, gone, version)
        anew = FenceIndex.build(list(held.values()), version)
        assert (index.version, len(index), index.fences) == (version, len(anew), anew.fences)
        for one in (index, index.settled()):
            assert one.match(fixes) == anew.match(fixes)
            assert one.match(fixes[:3]) == anew.match(fixes[:3])
            assert one.measure("s3", fixes[0]) == anew.measure("s3", fixes[0])
    assert not index.is_settled
    assert index.settled().is_settled
