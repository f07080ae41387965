import csv
import gzip
import json
import math
import time
from collections import Counter

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.presence.matching import Fence, FenceIndex, Fix
from services.geo_api.presence.rule import DEFAULT_RULE, Standing
from shared.geo import Circle, LonLat, Shape, distance_m
from tests.geo_api.presence.shapes import away, index_of, match_one, outline, random_outline, star
from tests.shared_data import shared_data

metres = st.floats(0, 5_000)
lons = st.floats(-180, 180)
lats = st.floats(-80, 80)


@given(
    lon=lons,
    lat=lats,
    radius=st.floats(1, 2_000),
    azimuth=st.floats(0, 360),
    share=st.floats(0, 1.5),
)
def test_a_circle_holds_what_is_within_its_radius_on_the_ellipsoid(
    lon: float, lat: float, radius: float, azimuth: float, share: float
) -> None:
    fix = Fix(*away(lon, lat, azimuth, radius * share), 1_000.0)
    from_edge = distance_m(LonLat(lon, lat), LonLat(fix.lon, fix.lat)) - radius
    found = match_one(Circle(LonLat(lon, lat), radius), fix)
    assert found is not None
    assert found.inside is (from_edge <= 0)
    assert found.inside is (found.distance_m <= 0)
    assert found.distance_m == pytest.approx(from_edge, abs=1.001e-3)


@given(
    center=st.tuples(lons, lats),
    radius=st.floats(1, 100_000),
    azimuth=st.floats(0, 360),
    accuracy=st.floats(0, 3_000),
    share=st.floats(0, 0.999),
)
def test_no_fence_within_reach_is_missed(
    center: tuple[float, float], radius: float, azimuth: float, accuracy: float, share: float
) -> None:
    reach = radius + (min(accuracy, 2_000) + 20) * share
    fix = Fix(*away(*center, azimuth, reach), accuracy)
    assert match_one(Circle(LonLat(*center), radius), fix) is not None


@pytest.mark.parametrize("lat", [-89.5, 0.0, 66.0, 89.9, 89.999])
@pytest.mark.parametrize("lon", [-180.0, -179.9999, 0.0, 179.9999, 180.0])
def test_circles_near_180_and_near_poles_are_found_from_all_sides(lon: float, lat: float) -> None:
    index = index_of(Circle(LonLat(lon, lat), 500.0))
    fixes = [Fix(*away(lon, lat, azimuth, 499.9), 0.0) for azimuth in range(0, 360, 30)]
    assert [[match.inside for match in matches] for matches in index.match(fixes)] == [[True]] * 12
    beyond = [Fix(*away(lon, lat, azimuth, 500.1), 0.0) for azimuth in range(0, 360, 30)]
    assert [[match.inside for match in matches] for matches in index.match(beyond)] == [
        [False]
    ] * 12


@given(radius=st.floats(1, 5_000), accuracy=st.floats(0.1, 5_000), distance=st.floats(0, 11_000))
def test_the_overlap_of_circles_is_their_common_area_over_the_smaller(
    radius: float, accuracy: float, distance: float
) -> None:
    found = index_of(Circle(LonLat(10.0, 0.0), radius)).measure(
        "s0", Fix(*away(10.0, 0.0, 90.0, distance), accuracy)
    )
    one = shapely.Point(0, 0).buffer(radius, quad_segs=512)
    other = shapely.Point(distance, 0).buffer(accuracy, quad_segs=512)
    expected = one.intersection(other).area / min(one.area, other.area)
    assert found[0].overlap == pytest.approx(expected, abs=2e-3)
    likely = found[0].overlap >= 0.5 and found[0].share >= 0.25
    assert found[0].confidence == 1 + likely + (found[0].share >= 0.85)


def test_the_overlap_of_an_outline_is_the_common_area_over_the_smaller() -> None:
    random = np.random.default_rng(7)
    compared = 0
    for _ in range(60):
        area = random_outline(random, 10 ** random.uniform(-3.5, -1.5))
        west, south, east, north = area.geometry.bounds
        lon, lat = random.uniform((west, south), (east, north))
        scale = np.array([math.cos(math.radians(lat)), 1.0]) * 111_195
        accuracy = float((north - south) * 111_195 * 10 ** random.uniform(-1, 0.5))
        plane = shapely.transform(area.geometry, lambda xy, o=(lon, lat), k=scale: (xy - o) * k)
        disc = shapely.Point(0, 0).buffer(accuracy, quad_segs=256)
        expected = plane.intersection(disc).area / min(plane.area, disc.area)
        (found,) = index_of(area).measure("s0", Fix(lon, lat, accuracy))
        assert found.overlap == pytest.approx(expected, abs=1e-2)
        compared += 0.01 < expected < 0.99
    assert compared > 20


def test_an_exact_fix_overlaps_wholly_or_not_at_all() -> None:
    area = outline([(1, 1), (1.001, 1), (1.001, 1.001), (1, 1.001), (1, 1)])
    inside, outside = Fix(1.0005, 1.0005, 0.0), Fix(1.0005, 1.0011, 0.0)
    for shape in (area, Circle(LonLat(1.0005, 1.0005), 55.0)):
        assert [m.overlap for m in (match_one(shape, inside), match_one(shape, outside)) if m] == [
            1.0,
            0.0,
        ]
        sure = match_one(shape, inside)
        assert sure is not None
        assert sure.confidence == 3


def test_a_tiny_fence_within_a_vague_fix_is_fully_overlapped() -> None:
    kiosk = outline([(1, 1), (1.00002, 1), (1.00002, 1.00002), (1, 1.00002), (1, 1)])
    found = match_one(kiosk, Fix(1.0001, 1.0001, 100.0))
    assert found is not None
    assert found.overlap == pytest.approx(1)
    assert not found.inside


def test_nothing_is_matched_beyond_accuracy_and_band_and_everything_within() -> None:
    shape = Circle(LonLat(10, 50), 100)
    for accuracy in (0.0, 30.0, 2_000.0):
        near = Fix(*away(10, 50, 33, 100 + accuracy + 19.9), accuracy)
        far = Fix(*away(10, 50, 33, 100 + accuracy + 20.1), accuracy)
        assert match_one(shape, near) is not None
        assert match_one(shape, far) is None
        [missed] = index_of(shape).measure("s0", far)
        assert DEFAULT_RULE.stand(missed, accuracy)[0] is Standing.OUTSIDE


def test_a_very_vague_fix_is_searched_for_two_kilometres_only_and_says_so() -> None:
    shape = Circle(LonLat(10, 50), 100)
    assert match_one(shape, Fix(*away(10, 50, 33, 2_100), 50_000.0)) is not None
    assert match_one(shape, Fix(*away(10, 50, 33, 5_000), 50_000.0)) is None
    assert DEFAULT_RULE.says_outside(2_000)
    assert not DEFAULT_RULE.says_outside(2_000.1)


def test_matches_come_by_distance_and_then_by_id() -> None:
    here = LonLat(10, 50)
    shapes = [Circle(here, 50), Circle(here, 80), Circle(here, 50), Circle(here, 20)]
    (matches,) = index_of(*shapes).match([Fix(10, 50, 5)])
    assert [match.fence.geofence_id for match in matches] == [f"f{n:06}" for n in (1, 0, 2, 3)]


def test_a_fix_a_hair_outside_is_never_told_a_distance_of_zero() -> None:
    shape = Circle(LonLat(10, 50), 100)
    found = match_one(shape, Fix(*away(10, 50, 90, 100.0002), 0.0))
    assert found is not None
    assert (found.inside, found.distance_m) == (False, 0.001)


def test_many_fixes_at_once_get_the_answers_they_get_alone() -> None:
    random = np.random.default_rng(3)
    shapes: list[Shape] = [
        Circle(LonLat(*random.normal((121.5, 31.2), 0.02)), float(random.uniform(5, 800)))
        for _ in range(150)
    ]
    shapes += [
        random_outline(random, 0.004, lon=lon, lat=lat)
        for lon, lat in random.normal((121.5, 31.2), 0.02, (150, 2))
    ]
    index = index_of(*shapes)
    fixes = [
        Fix(lon, lat, float(random.choice([0, 10, 65, 300, 3000])))
        for lon, lat in random.normal((121.5, 31.2), 0.02, (300, 2))
    ]
    together = index.match(fixes)
    assert sum(map(len, together)) > 1_000
    assert together == [index.match([fix])[0] for fix in fixes]


def test_many_fixes_are_answered_when_the_first_fence_has_just_been_added() -> None:
    fence = Fence("f", "s", 1, Circle(LonLat(121.47, 31.23), 100))
    index = FenceIndex.build([], 1).changed([fence], [], 2)
    found = index.match([Fix(121.47, 31.23, 10)] * 50)
    assert [match.fence for (match,) in found] == [fence] * 50


def test_an_index_without_fences_and_a_question_without_fixes_are_answered() -> None:
    assert FenceIndex.build([], 4).match([Fix(1, 1, 1)]) == [()]
    assert FenceIndex.build([], 4).version == 4
    index = index_of(Circle(LonLat(1, 1), 5))
    assert len(index) == 1
    assert index.match([]) == []
    assert index.measure("nobody's", Fix(1, 1, 1)) == ()
    assert index.measure_all([]) == []


def test_a_fence_across_180_is_found_from_both_sides_and_has_no_edge_there() -> None:
    ring = [(179.9, -17.0), (-179.9, -17.0), (-179.9, -16.8), (179.9, -16.8), (179.9, -17.0)]
    area = outline(ring)
    whole = outline([(lon - 100 if lon > 0 else lon + 260, lat) for lon, lat in ring])
    index, plain = index_of(area), index_of(whole)
    for lon in (179.9001, 179.99999, 180.0, -180.0, -179.9999, -179.95):
        fix = Fix(lon, -16.9, 50.0)
        same = Fix(lon - 100 if lon > 0 else lon + 260, -16.9, 50.0)
        (found,), (expected,) = index.match([fix])[0], plain.match([same])[0]
        assert found.inside
        assert found.distance_m == pytest.approx(expected.distance_m, abs=2e-3)
        assert found.overlap == pytest.approx(expected.overlap, abs=1e-6)
    (beside,) = index.match([Fix(179.8999, -16.9, 50.0)])[0]
    assert 0 < beside.distance_m < 11


def test_a_fence_that_ends_at_180_is_near_to_a_fix_beyond() -> None:
    area = outline([(179.9, 1), (180, 1), (180, 1.1), (179.9, 1.1), (179.9, 1)])
    found = match_one(area, Fix(-179.9999, 1.05, 15.0))
    assert found is not None
    assert not found.inside
    assert found.distance_m == pytest.approx(
        distance_m(LonLat(180, 1.05), LonLat(-179.9999, 1.05)), abs=2e-3
    )


def test_real_check_ins_fall_into_the_circles_of_real_stores_as_computed_independently() -> None:
    facts = json.loads(shared_data("data/expected.json").read_text())["foursquare_nyc"]
    expected = facts["around_nyc_dunkin_100m_second_precision_rows"]
    fences = [
        Fence(row["store_id"], row["store_id"], 1, Circle(_place(row), 100.0))
        for row in _rows("data/stores_nyc_alltheplaces.csv.gz")
        if row["brand_key"] == "dunkin"
    ]
    places = [
        _place(row)
        for row in _rows("data/foursquare_nyc_checkins.csv.gz")
        if row["precision"] == "s"
    ]
    fixes = [Fix(place.lon, place.lat, 0.0) for place in places]
    assert (len(fences), len(fixes)) == (967, 113_344)
    index = FenceIndex.build(fences, 1)
    begin = time.perf_counter()
    answers = index.match(fixes)
    print(f"{len(fixes) / (time.perf_counter() - begin):,.0f} fixes/s")  # noqa: T201
    found = Counter(
        match.fence.store_id for matches in answers for match in matches if match.inside
    )
    edge = Counter(
        match.fence.store_id
        for matches in answers
        for match in matches
        if abs(match.distance_m) <= 0.1
    )
    assert sum(edge.values()) == 72
    for store_id, count in expected["per_store"].items():
        assert abs(found[store_id] - count) <= edge[store_id], store_id
    assert abs(found.total() - expected["sum_within"]) <= 72


def _rows(path: str) -> list[dict[str, str]]:
    with gzip.open(shared_data(path), "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _place(row: dict[str, str]) -> LonLat:
    return LonLat(float(row["lon"]), float(row["lat"]))


@pytest.mark.slow
def test_100000_circles_are_ready_in_less_than_five_seconds() -> None:
    random = np.random.default_rng(23)
    places = random.normal((121.47, 31.23), 0.5, (100_000, 2)).tolist()
    fences = [
        Fence(f"f{n}", f"s{n}", 1, Circle(LonLat(lon, lat), 200.0))
        for n, (lon, lat) in enumerate(places)
    ]
    begin = time.perf_counter()
    index = FenceIndex.build(fences, 2)
    assert time.perf_counter() - begin < 5
    assert len(index) == 100_000


def test_a_new_version_shares_the_shapes_of_the_old() -> None:
    area = outline(star(np.random.default_rng(29), 10, 50, 0.01))
    fences = [Fence("a", "s", 1, area)]
    before, after = FenceIndex.build(fences, 1), FenceIndex.build(fences, 2)
    before.match([Fix(10, 50, 5)])
    assert after.fences[0].shape is before.fences[0].shape
    assert area.boundary is area.boundary


def test_measuring_many_is_measuring_each() -> None:
    index = FenceIndex.build(
        [
            Fence(f"f{n}", f"s{n % 3}", 1, Circle(LonLat(10 + n / 1000, 50.0), 100.0))
            for n in range(7)
        ],
        1,
    )
    asked = [(f"s{n % 4}", Fix(10 + n / 500, 50.001, 10.0 * n)) for n in range(9)]
    assert index.measure_all(asked) == [index.measure(*each) for each in asked]
