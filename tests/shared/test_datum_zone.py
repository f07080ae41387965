"""Where maps shift positions: the zone's outline, its edge, and the cells that remember both."""

import math
import threading

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from shapely import MultiPolygon, Point, Polygon

from shared.datum import Datum, ShiftZone, from_wgs84, in_gcj_zone, zone, zone_of_shift
from shared.datum.outline import Outline
from shared.lonlat import distances_m
from shared.timezones import outlines_of, zone_of

SHIFTED_ZONES = {"Asia/Shanghai", "Asia/Urumqi", "Asia/Hong_Kong", "Asia/Macau"}
ANYWHERE = st.tuples(st.floats(-180, 180), st.floats(-90, 90))
IN_THE_BOX = st.tuples(st.floats(72, 137), st.floats(2, 55))


@pytest.fixture(scope="module")
def outlines() -> list[Polygon]:
    found = [outline for name in sorted(SHIFTED_ZONES) for outline in outlines_of(name)]
    shapely.prepare(found)
    return found


@pytest.fixture(scope="module", autouse=True)
def area() -> Polygon | MultiPolygon:
    """Opened before any test, since that takes a second."""
    return zone._outline()._area


@pytest.mark.parametrize(
    ("place", "lat", "lon"),
    [
        ("Beijing", 39.9042, 116.4074),
        ("Xiamen", 24.4798, 118.0894),
        ("Sanya", 18.2528, 109.5119),
        ("Lhasa", 29.6469, 91.1172),
        ("Urumqi", 43.8256, 87.6168),
        ("Kashgar", 39.4704, 75.9898),
        ("Mohe", 52.9721, 122.5386),
        ("Hunchun", 42.8625, 130.3660),
        ("Ruili", 24.0128, 97.8518),
        ("Hong Kong", 22.2819, 114.1588),
        ("Macau", 22.1987, 113.5439),
        ("Lo Wu, where Shenzhen meets Hong Kong", 22.5280, 114.1130),
        ("Gongbei, where Zhuhai meets Macau", 22.2160, 113.5500),
        ("the bridge from Hong Kong to Macau", 22.2800, 113.8000),
    ],
)
def test_inside_are_the_mainland_hong_kong_and_macau_without_seams(
    place: str, lat: float, lon: float
) -> None:
    assert in_gcj_zone(lon, lat), place
    assert zone_of_shift(lon, lat) is ShiftZone.INSIDE, place


@pytest.mark.parametrize(
    ("place", "lat", "lon"),
    [
        ("Taipei", 25.0340, 121.5645),
        ("Kinmen", 24.4321, 118.3186),
        ("Matsu", 26.1605, 119.9517),
        ("Seoul", 37.5665, 126.9780),
        ("Pyongyang", 39.0392, 125.7625),
        ("Hanoi", 21.0278, 105.8342),
        ("Ulaanbaatar", 47.9184, 106.9177),
        ("Vladivostok", 43.1155, 131.8855),
        ("Blagoveshchensk, over the river from Heihe", 50.2907, 127.5272),
        ("Zamyn-Uud", 43.7285, 111.9057),
        ("Kathmandu", 27.7172, 85.3240),
        ("Tokyo", 35.6762, 139.6503),
        ("Singapore", 1.3521, 103.8198),
        ("New York", 40.7419, -73.9893),
    ],
)
def test_outside_is_everybody_else(place: str, lat: float, lon: float) -> None:
    assert not in_gcj_zone(lon, lat), place
    assert zone_of_shift(lon, lat) is ShiftZone.OUTSIDE, place


@pytest.mark.parametrize(
    ("place", "lat", "lon", "inside"),
    [("Dandong", 40.1290, 124.3947, True), ("Mong Cai", 21.5380, 107.9720, False)],
)
def test_near_the_edge_it_is_ambiguous_and_yet_decided(
    place: str, lat: float, lon: float, inside: bool
) -> None:
    assert zone_of_shift(lon, lat) is ShiftZone.AMBIGUOUS, place
    assert zone.edge_distance_m(lon, lat) < 1000
    assert in_gcj_zone(lon, lat) is inside


def test_baidu_s_pairs_are_ambiguous_farther_from_the_edge_and_wgs84_nowhere() -> None:
    sinuiju = 124.3981, 40.1006
    assert 1000 < zone.edge_distance_m(*sinuiju) < 2000
    assert zone_of_shift(*sinuiju, Datum.GCJ02) is ShiftZone.OUTSIDE
    assert zone_of_shift(*sinuiju, Datum.BD09) is ShiftZone.AMBIGUOUS
    assert zone_of_shift(124.3947, 40.1290, Datum.WGS84) is ShiftZone.INSIDE


def test_no_shift_carries_a_pair_across_the_ambiguous_band() -> None:
    rng = np.random.default_rng(20)
    lons, lats = rng.uniform(73, 135.5, 20_000), rng.uniform(3, 54, 20_000)
    inside = zone.are_in_gcj_zone(lons, lats)
    lons, lats = lons[inside], lats[inside]
    assert len(lons) > 4_000
    for datum in (Datum.GCJ02, Datum.BD09):
        moved = [from_wgs84(*pair, datum) for pair in zip(lons, lats, strict=True)]
        moved_lons, moved_lats = [at.lon for at in moved], [at.lat for at in moved]
        assert distances_m(lons, lats, moved_lons, moved_lats).max() < zone.AMBIGUOUS_M[datum]


def by_an_edge(area: Polygon | MultiPolygon) -> st.SearchStrategy[tuple[float, float]]:
    """Points on an edge, at a vertex or a step of up to 4 km from there."""
    vertices = shapely.get_coordinates(area)
    step = st.one_of(st.just(0.0), st.floats(-0.04, 0.04), st.floats(-1e-6, 1e-6))

    def point(vertex: int, share: float, east: float, north: float) -> tuple[float, float]:
        start, end = vertices[vertex], vertices[vertex + 1]
        lon, lat = start + share * (end - start)
        return float(lon) + east, float(lat) + north

    last = len(vertices) - 2
    return st.builds(point, st.integers(0, last), st.sampled_from([0.0, 0.3]), step, step)


@pytest.mark.slow
@given(data=st.data())
def test_the_zone_is_that_of_four_time_zones(
    outlines: list[Polygon], area: Polygon | MultiPolygon, data: st.DataObject
) -> None:
    """By the four outlines as they are delivered, each asked by itself, without cells."""
    point = data.draw(st.one_of(ANYWHERE, IN_THE_BOX, by_an_edge(area)))
    assert in_gcj_zone(*point) is bool(shapely.intersects_xy(outlines, *point).any())


@given(data=st.data())
def test_who_has_a_time_zone_of_the_zone_lies_in_it(
    area: Polygon | MultiPolygon, data: st.DataObject
) -> None:
    """The reverse fails in the few disputed valleys that Bhutan's outline holds too.

    On the edge itself, to the centimetre, the package rounds as it likes.
    """
    point = data.draw(st.one_of(ANYWHERE, IN_THE_BOX, by_an_edge(area)))
    assume(zone.edge_distance_m(*point) > 0.1)
    found = zone_of(*point)
    if found in SHIFTED_ZONES:
        assert in_gcj_zone(*point)
    elif found != "Asia/Thimphu":
        assert not in_gcj_zone(*point)


@given(points=st.lists(IN_THE_BOX, max_size=20))
def test_columns_are_told_apart_as_single_pairs_are(points: list[tuple[float, float]]) -> None:
    lons, lats = np.array(points, dtype=float).reshape(-1, 2).T
    single = [in_gcj_zone(*point) for point in points]
    assert zone.are_in_gcj_zone(lons, lats).tolist() == single


def test_the_box_before_the_outline_holds_all_that_is_inside_or_ambiguous(
    area: Polygon | MultiPolygon,
) -> None:
    west, south, east, north = area.bounds
    two_km_deg = 2.0 / 110.574 / math.cos(math.radians(54))
    assert west - zone.WEST > two_km_deg
    assert zone.EAST - east > two_km_deg
    assert south - zone.SOUTH > two_km_deg
    assert zone.NORTH - north > two_km_deg


@pytest.mark.parametrize("pair", [(math.nan, 31.0), (121.0, math.nan), (math.inf, 31.0)])
def test_what_is_no_number_lies_outside(pair: tuple[float, float]) -> None:
    assert not in_gcj_zone(*pair)
    assert zone_of_shift(*pair) is ShiftZone.OUTSIDE


def test_far_from_the_box_the_outline_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened() -> Outline:
        raise AssertionError("opened")

    monkeypatch.setattr(zone, "_outline", opened)
    assert not in_gcj_zone(-73.9893, 40.7419)
    assert zone_of_shift(2.3522, 48.8566) is ShiftZone.OUTSIDE
    assert not zone.are_in_gcj_zone(np.array([-73.9893]), np.array([40.7419])).any()


def test_the_outline_is_opened_once_though_many_ask_at_the_same_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Polygon] = []

    def small_zone() -> Polygon:
        opened.append(shapely.box(120, 30, 122, 32))
        return opened[-1]

    monkeypatch.setattr(zone, "_opened", [])
    monkeypatch.setattr(zone, "_gcj_zone", small_zone)
    together = threading.Barrier(8)
    answers: list[bool] = []

    def ask() -> None:
        together.wait()
        answers.append(in_gcj_zone(121.4737, 31.2304))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 8
    assert len(opened) == 1


DISC = Point(20, 40).buffer(1.3, quad_segs=3)
CENTER = Point(23.1, 41.2)
RING = Polygon(CENTER.buffer(0.9).exterior, [CENTER.buffer(0.4, quad_segs=2).exterior])
AREA = MultiPolygon([DISC, RING, CENTER.buffer(0.05)])
"""A coarse disc, and an island in the hole of a ring."""
REACH_M = 2000.0
NEAR = st.tuples(st.floats(18, 25), st.floats(38, 43))


@pytest.fixture(scope="module")
def outline() -> Outline:
    return Outline(AREA, REACH_M)


@given(point=st.one_of(NEAR, by_an_edge(AREA)))
def test_what_the_cells_remember_is_what_the_polygons_say(
    outline: Outline, point: tuple[float, float]
) -> None:
    assert outline.covers(*point) is bool(shapely.intersects_xy(AREA, *point))


@given(point=st.one_of(NEAR, by_an_edge(AREA)))
def test_the_distance_to_the_edge_is_the_geodesic_one(
    outline: Outline, point: tuple[float, float]
) -> None:
    """The reference: the least geodesic distance to the edge, split into steps of 5 m."""
    found = outline.edge_m(*point)
    around = Point(point).buffer(0.06)
    near = shapely.get_coordinates(
        shapely.segmentize(shapely.boundary(AREA).intersection(around), 5e-5)
    )
    ends = near if len(near) else np.array([[0.0, 0.0]])
    here = np.full(len(ends), point[0]), np.full(len(ends), point[1])
    expected = float(distances_m(*here, ends[:, 0], ends[:, 1]).min())
    if expected > REACH_M * 1.002:
        assert found == math.inf
    elif expected < REACH_M * 0.998:
        assert found == pytest.approx(expected, rel=2e-3, abs=3)


def test_a_cell_is_surveyed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    surveyed: list[tuple[float, float]] = []
    survey = Outline._survey

    def counted(self: Outline, west: float, south: float) -> object:
        surveyed.append((west, south))
        return survey(self, west, south)

    monkeypatch.setattr(Outline, "_survey", counted)
    outline = Outline(AREA, REACH_M)
    for lon in np.linspace(20.01, 20.24, 50):
        assert outline.covers(float(lon), 40.1)
    assert surveyed == [(20.0, 40.0)]
