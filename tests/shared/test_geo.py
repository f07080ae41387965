import json
import math
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from shared.datum import Datum, from_wgs84
from shared.errors import Malformed
from shared.geo import (
    MAX_RINGS,
    MAX_VERTICES,
    Area,
    Circle,
    LonLat,
    Shape,
    check_position,
    distance_m,
    distances_m,
    parse_geometry,
    shape_from_wkb,
    to_ewkb,
    to_geojson,
)

WGS84 = Datum.WGS84
degrees = st.floats(-60, 60)


def box(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def polygon(*rings: list[list[Any]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def multipolygon(*polygons: list[list[list[float]]]) -> dict[str, Any]:
    return {"type": "MultiPolygon", "coordinates": list(polygons)}


def circle(lon: Any, lat: Any, radius_m: Any = 100) -> dict[str, Any]:
    return {"type": "Circle", "coordinates": [lon, lat], "radius_m": radius_m}


def area_of(geojson: dict[str, Any], datum: Datum = WGS84) -> Area:
    shape = parse_geometry(geojson, datum=datum)
    assert isinstance(shape, Area)
    return shape


def fault_of(geojson: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(Malformed) as caught:
        parse_geometry(geojson, datum=WGS84)
    (fault,) = caught.value.faults
    return fault.pointer, fault.detail


def position_fault(latitude: float, longitude: float) -> tuple[str, str]:
    with pytest.raises(Malformed) as caught:
        check_position(latitude, longitude, at="/here")
    (fault,) = caught.value.faults
    return fault.pointer, fault.detail


def test_distance_is_geodesic_on_the_ellipsoid() -> None:
    # Vincenty's and Karney's standard line from Flinders Peak to Buninyong, Geoscience Australia.
    flinders_peak = LonLat(144.42486788888888, -37.95103341666667)
    buninyong = LonLat(143.92649552777777, -37.65282113888889)
    assert distance_m(flinders_peak, buninyong) == pytest.approx(54972.271, abs=5e-3)


def test_distances_of_arrays_are_those_of_their_pairs() -> None:
    lons, lats = [0.0, 10.0, 179.9], [0.0, 50.0, -20.0]
    others = [1.0, 11.0, -179.9], [1.0, 50.5, -20.0]
    expected = [
        distance_m(LonLat(*a), LonLat(*b))
        for a, b in zip(zip(lons, lats, strict=True), zip(*others, strict=True), strict=True)
    ]
    assert distances_m(lons, lats, *others).tolist() == expected


def test_a_position_keeps_its_degrees() -> None:
    assert check_position(40.7419, -73.9893) == LonLat(-73.9893, 40.7419)


@pytest.mark.parametrize("latitude", [math.nan, math.inf, -math.inf, 90.0001, -91, 10**400])
def test_a_latitude_out_of_range_is_refused(latitude: float) -> None:
    assert position_fault(latitude, 0.5)[0] == "/here/latitude"


@pytest.mark.parametrize("longitude", [math.nan, math.inf, -math.inf, 180.0001, -181])
def test_a_longitude_out_of_range_is_refused(longitude: float) -> None:
    assert position_fault(10.0, longitude)[0] == "/here/longitude"


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [(121.4737, 31.2304), (-118.2437, 34.0522), (-73.9893, 40.7419), (87.6168, 43.8256)],
)
def test_a_likely_swap_is_said(latitude: float, longitude: float) -> None:
    pointer, detail = position_fault(latitude, longitude)
    assert pointer == "/here/latitude"
    assert "probably swapped" in detail


def test_only_exactly_null_island_is_refused_and_explained() -> None:
    assert "knows no position" in position_fault(0.0, -0.0)[1]
    assert check_position(0.0, 1e-7) == LonLat(1e-7, 0.0)


@given(longitude=st.floats(-180, 180), latitude=st.floats(-60, 84))
def test_every_inhabited_position_is_taken(longitude: float, latitude: float) -> None:
    if (longitude, latitude) != (0, 0):
        assert check_position(latitude, longitude) == LonLat(longitude, latitude)


def test_a_circle_is_read_and_written() -> None:
    geojson = circle(-74.0, 40.7, 100)
    shape = parse_geometry(geojson, datum=WGS84)
    assert shape == Circle(LonLat(-74.0, 40.7), 100.0)
    assert to_geojson(shape) == geojson


def test_an_outline_is_read_without_altitude_and_turned_counter_clockwise() -> None:
    clockwise = [[x, y, 7.0] for x, y in reversed(box(10, 50, 11, 51))]
    shape = area_of(polygon(clockwise))
    assert to_geojson(shape)["type"] == "Polygon"
    assert shapely.is_ccw(shapely.get_exterior_ring(shape.geometry))
    assert shape.geometry.equals(shapely.box(10, 50, 11, 51))


@given(west=degrees, south=degrees, width=st.floats(0.001, 20), height=st.floats(0.001, 20))
def test_an_outline_comes_back_from_the_wire_and_from_the_database_unchanged(
    west: float, south: float, width: float, height: float
) -> None:
    third_w, third_h = width / 3, height / 3
    hole = box(west + third_w, south + third_h, west + 2 * third_w, south + 2 * third_h)
    shape = area_of(polygon(box(west, south, west + width, south + height), hole))
    assert area_of(json.loads(json.dumps(to_geojson(shape)))) == shape
    assert shape_from_wkb(to_ewkb(shape)) == shape
    assert shapely.get_srid(shapely.from_wkb(to_ewkb(shape))) == 4326


def test_a_circle_comes_back_from_its_centre_and_radius() -> None:
    shape = Circle(LonLat(121.4737, 31.2304), 80.0)
    assert shape_from_wkb(to_ewkb(shape).hex(), 80.0) == shape
    with pytest.raises(ValueError, match="no shape of a geofence"):
        shape_from_wkb(to_ewkb(shape))


RING_ON = [[179.0, -18.0], [-179.0, -18.0], [-179.0, -16.0], [179.0, -16.0], [179.0, -18.0]]


def test_a_ring_that_goes_on_past_180_is_cut_there() -> None:
    shape = area_of(polygon(RING_ON))
    assert isinstance(shape.geometry, shapely.MultiPolygon)
    assert shape.geometry.is_valid
    expected = [shapely.box(179, -18, 180, -16), shapely.box(-180, -18, -179, -16)]
    assert shape.geometry.equals(shapely.MultiPolygon(expected))


def test_an_outline_cut_by_its_sender_is_the_same_as_one_that_goes_on() -> None:
    cut = multipolygon([box(179, -18, 180, -16)], [box(-180, -18, -179, -16)])
    assert area_of(cut).geometry.equals(area_of(polygon(RING_ON)).geometry)


def test_a_hole_across_180_stays_a_hole() -> None:
    hole = [[179.5, -17.5], [-179.5, -17.5], [-179.5, -16.5], [179.5, -16.5], [179.5, -17.5]]
    shape = area_of(polygon(RING_ON, hole))
    assert shape.geometry.area == pytest.approx(4 - 1)
    assert not shape.geometry.covers(shapely.Point(180, -17))


def test_a_ring_written_from_the_other_side_is_brought_home() -> None:
    shape = area_of(
        polygon([[-180.0, 1.0], [170.0, 1.0], [170.0, 2.0], [-180.0, 2.0], [-180.0, 1.0]])
    )
    assert shape.geometry.equals(shapely.box(170, 1, 180, 2))


def test_the_cut_at_180_is_no_edge() -> None:
    pieces = area_of(polygon(RING_ON)).boundary.pieces
    assert not (abs(pieces[:, 0]) == 180).any() or (pieces[abs(pieces[:, 0]) == 180, 2] != 0).all()
    one_sided = area_of(polygon(box(179, -18, 180, -16))).boundary.pieces
    assert ((one_sided[:, 0] == 180) & (one_sided[:, 2] == 0)).any()


def test_where_only_a_stretch_of_180_is_shared_the_rest_is_edge() -> None:
    uneven = multipolygon([box(179, -18, 180, -14)], [box(-180, -16, -179, -12)])
    pieces = area_of(uneven).boundary.pieces
    upright = pieces[(abs(pieces[:, 0]) == 180) & (pieces[:, 2] == 0)]
    assert abs(upright[:, 3]).sum() == pytest.approx(4)
    assert (upright[upright[:, 0] > 0, 3] > 0).all()
    assert (upright[upright[:, 0] < 0, 3] < 0).all()


def test_each_vertex_is_converted_from_its_datum() -> None:
    ring = [[121.4, 31.2], [121.5, 31.2], [121.5, 31.3], [121.4, 31.3], [121.4, 31.2]]
    sent = [[*_pair(from_wgs84(lon, lat, Datum.GCJ02))] for lon, lat in ring]
    shape = area_of(polygon(sent), Datum.GCJ02)
    assert shapely.equals_exact(shape.geometry, shapely.Polygon(ring), tolerance=1e-9)
    center = from_wgs84(121.4, 31.2, Datum.BD09)
    found = parse_geometry(circle(center.lon, center.lat), datum=Datum.BD09)
    assert isinstance(found, Circle)
    assert distance_m(found.center, LonLat(121.4, 31.2)) < 1e-3


def _pair(position: LonLat) -> tuple[float, float]:
    return position.lon, position.lat


BOWTIE = [[116.0, 39.0], [117.0, 40.0], [117.0, 39.0], [116.0, 40.0], [116.0, 39.0]]
LINE = [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [1.0, 1.0]]
AROUND_A_POLE = [[-120.0, 80.0], [0.0, 80.0], [120.0, 80.0], [-120.0, 80.0]]


@pytest.mark.parametrize(
    ("geojson", "pointer", "words"),
    [
        ({}, "/geometry/type", "must be Circle"),
        ({"type": "Point", "coordinates": [1, 2]}, "/geometry/type", "must be Circle"),
        ({"type": "Circle"}, "/geometry/coordinates", "position"),
        ({"type": "Circle", "coordinates": [1, 2]}, "/geometry/radius_m", "number"),
        (circle("1", 2), "/geometry/coordinates/0", "number"),
        (circle(1, True), "/geometry/coordinates/1", "number"),
        (circle(1, math.nan), "/geometry/coordinates/1", "finite"),
        (circle(10**400, 1), "/geometry/coordinates/0", "finite"),
        (circle(31.2, 121.5), "/geometry/coordinates/1", "probably swapped"),
        (circle(0, 0), "/geometry/coordinates/1", "knows no position"),
        (circle(1, 2, 0.5), "/geometry/radius_m", "from 1 to 100000"),
        (circle(1, 2, math.nan), "/geometry/radius_m", "from 1 to 100000"),
        (circle(1, 2, 100_001), "/geometry/radius_m", "from 1 to 100000"),
        (circle(100, 89.5, 60_000), "/geometry/coordinates/1", "of a pole"),
        ({"type": "Polygon"}, "/geometry/coordinates", "list"),
        (polygon(), "/geometry/coordinates", "not empty"),
        (polygon(box(1, 1, 2, 2)[:-1]), "/geometry/coordinates/0", "not closed"),
        (polygon([[1, 1], [2, 2], [1, 1]]), "/geometry/coordinates/0", "at least 4"),
        (polygon([[1, 1], [2], [3, 3], [1, 1]]), "/geometry/coordinates/0/1", "position"),
        (polygon([[1, 1], ["2", 1], [3, 3], [1, 1]]), "/geometry/coordinates/0/1/0", "number"),
        (polygon(box(1, 1, 2, math.inf)), "/geometry/coordinates/0/2/1", "finite"),
        (polygon(box(1, 1, 2, 90)), "/geometry/coordinates/0/2/1", "of a pole"),
        (
            polygon(
                [[0, 1], [100, 1], [170, 1], [-170, 1], [-170, 2], [170, 2], [100, 2], [0, 2], [0, 1]]
            ),
            "/geometry/coordinates/0",
            "over 180° of longitude wide",
        ),
        (polygon(box(1, 1, 181, 2)), "/geometry/coordinates/0/1/0", "from -180 to 180"),
        (polygon(AROUND_A_POLE), "/geometry/coordinates/0", "round a pole"),
        (polygon(LINE), "/geometry/coordinates", "no area"),
        (polygon(box(1, 1, 2, 2), LINE), "/geometry/coordinates", "no area"),
        (polygon(BOWTIE), "/geometry/coordinates", "longitude 116.5, latitude 39.5"),
        (polygon(box(1, 1, 2, 2), box(3, 3, 4, 4)), "/geometry/coordinates", "Hole lies outside"),
        (polygon(box(40, -75, 41, -74)), "/geometry/coordinates", "probably swapped"),
        (
            multipolygon([box(1, 1, 3, 3)], [box(2, 2, 4, 4)]),
            "/geometry/coordinates",
            "overlap",
        ),
        (multipolygon([box(1, 1, 3, 3)], []), "/geometry/coordinates/1", "not empty"),
    ],
)  # fmt: skip
def test_what_is_no_outline_is_explained_where_it_goes_wrong(
    geojson: dict[str, Any], pointer: str, words: str
) -> None:
    found, detail = fault_of(geojson)
    assert found == pointer
    assert words in detail


def test_a_self_intersection_across_180_is_named_in_ordinary_longitudes() -> None:
    bowtie = [[179.0, 1.0], [-178.0, 2.0], [-178.0, 1.0], [179.0, 2.0], [179.0, 1.0]]
    assert "longitude -179.5, latitude 1.5" in fault_of(polygon(bowtie))[1]


def test_too_many_vertices_are_refused_and_the_most_are_taken() -> None:
    def wheel(count: int) -> dict[str, Any]:
        turns = [2 * math.pi * k / count for k in range(count)]
        ring = [[10 + math.cos(turn), 50 + math.sin(turn)] for turn in turns]
        return polygon([*ring, ring[0]])

    assert area_of(wheel(MAX_VERTICES - 1))
    assert "vertices" in fault_of(wheel(MAX_VERTICES))[1]


def test_too_many_rings_are_refused_and_the_most_are_taken() -> None:
    def row(count: int) -> dict[str, Any]:
        return multipolygon(*[[box(k / 10, 1, k / 10 + 0.05, 2)] for k in range(count)])

    assert area_of(row(MAX_RINGS))
    assert "rings" in fault_of(row(MAX_RINGS + 1))[1]


def test_shapes_of_both_kinds_are_shapes() -> None:
    shapes: list[Shape] = [Circle(LonLat(1, 1), 5), Area(shapely.box(1, 1, 2, 2))]
    assert [to_geojson(shape)["type"] for shape in shapes] == ["Circle", "Polygon"]


def test_an_outline_across_the_edge_of_the_shifted_zone_is_moved_as_a_whole() -> None:
    """Hong Kong's side of the border is not shifted; its neighbour Shenzhen is."""
    ring = [(114.10, 22.50), (114.10, 22.60), (114.20, 22.60), (114.20, 22.50), (114.10, 22.50)]
    shape = parse_geometry(polygon([list(vertex) for vertex in ring]), datum=Datum.GCJ02)
    assert isinstance(shape, Area)
    moved = np.array(shape.geometry.bounds) - np.array(shapely.Polygon(ring).bounds)
    assert np.all(np.abs(moved) > 0.002)
    assert np.abs(moved[:2] - moved[2:]).max() < 0.0005
