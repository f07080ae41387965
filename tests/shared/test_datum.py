import csv
import gzip
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import datum
from shared.datum import (
    Datum,
    alternatives,
    convert,
    from_wgs84,
    in_gcj_zone,
    to_wgs84,
    to_wgs84_as_at,
    to_wgs84_columns,
)
from shared.datum.formulas import Floats
from shared.lonlat import LonLat, distance_m, distances_m
from shared.timezones import zone_of
from tests.shared_data import shared_data

INLAND = st.tuples(st.floats(103, 117), st.floats(27, 38))
"""Degrees, longitude first, further from the edge of the zone than any shift."""


@pytest.fixture(scope="module", autouse=True)
def opened_zone() -> None:
    """Before any test, since that takes a second."""
    assert in_gcj_zone(121.4737, 31.2304)


def vectors(group: str) -> list[dict[str, Any]]:
    rows = json.loads(shared_data("wechat_vectors.json").read_text())["geo"][group]
    assert rows
    return list(rows)


def lon_lat(pair: list[float]) -> tuple[float, float]:
    return pair[1], pair[0]


def test_published_pairs_of_wgs84_and_gcj02_are_met() -> None:
    for row in vectors("wgs84_to_gcj02"):
        expected = pytest.approx(lon_lat(row["out"]), abs=row["tol_deg"], rel=0)
        assert datum.wgs84_to_gcj02(*lon_lat(row["in"])) == expected, row["id"]
        found = from_wgs84(*lon_lat(row["in"]), Datum.GCJ02)
        assert (found.lon, found.lat) == expected, row["id"]


def test_published_inverses_of_gcj02_are_met() -> None:
    for row in vectors("gcj02_to_wgs84"):
        found = to_wgs84(*lon_lat(row["in"]), Datum.GCJ02)
        expected = pytest.approx(lon_lat(row["out"]), abs=row["tol_deg"], rel=0)
        assert (found.lon, found.lat) == expected, row["id"]


def test_published_pairs_of_gcj02_and_bd09_are_met() -> None:
    for row in vectors("gcj02_to_bd09"):
        expected = pytest.approx(lon_lat(row["out"]), abs=row["tol_deg"], rel=0)
        assert datum.gcj02_to_bd09(*lon_lat(row["in"])) == expected, row["id"]


def test_the_closed_form_of_bd09_is_the_published_one_and_the_inverse_is_near_it() -> None:
    for row in vectors("bd09_to_gcj02"):
        expected = lon_lat(row["out"])
        closed = datum.bd09_to_gcj02_closed_form(*lon_lat(row["in"]))
        assert closed == pytest.approx(expected, abs=row["tol_deg"], rel=0)
        exact = datum.bd09_to_gcj02(*lon_lat(row["in"]))
        assert exact == pytest.approx(expected, abs=2e-6, rel=0)
        assert datum.gcj02_to_bd09(*exact) == pytest.approx(lon_lat(row["in"]), abs=1e-9, rel=0)


def test_the_known_error_with_pi_is_not_repeated() -> None:
    for row in vectors("known_bad"):
        found = to_wgs84(*lon_lat(row["in"]), Datum.BD09)
        assert distance_m(found, LonLat(*lon_lat(row["correct"]))) < 0.5
        assert distance_m(found, LonLat(*lon_lat(row["published"]))) > 5


@pytest.mark.parametrize("shifted", [Datum.GCJ02, Datum.BD09])
def test_out_of_the_zone_nothing_changes(shifted: Datum) -> None:
    for row in vectors("identity"):
        lon, lat = lon_lat(row["in"])
        assert to_wgs84(lon, lat, shifted) == LonLat(*lon_lat(row["out"]))
        assert from_wgs84(lon, lat, shifted) == LonLat(*lon_lat(row["out"]))


def test_the_zone_is_where_tencent_answers_gcj02() -> None:
    for row in vectors("zone"):
        lon, lat = lon_lat(row["at"])
        in_zone = row["tencent_returns"] == "gcj02"
        assert in_gcj_zone(lon, lat) is in_zone, row["place"]
        shift_m = distance_m(LonLat(lon, lat), from_wgs84(lon, lat, Datum.GCJ02))
        expected_m = row["shift_if_converted_m"] if in_zone else 0
        assert shift_m == pytest.approx(expected_m, rel=0.01), row["place"]


def test_beijing_tracks_convert_as_two_public_packages_do() -> None:
    facts = json.loads(shared_data("data/expected.json").read_text())["datums"]
    rows = facts["geolife_beijing_wgs_to_gcj"]["rows"]
    assert len(rows) == 150
    for lat, lon, gcj_lat, gcj_lon, shift_m in rows:
        found = from_wgs84(lon, lat, Datum.GCJ02)
        assert distance_m(found, LonLat(gcj_lon, gcj_lat)) < 0.02
        assert distance_m(found, LonLat(lon, lat)) == pytest.approx(shift_m, rel=0.01)
        assert distance_m(to_wgs84(gcj_lon, gcj_lat, Datum.GCJ02), LonLat(lon, lat)) < 0.02


@given(point=INLAND, shifted=st.sampled_from([Datum.GCJ02, Datum.BD09]))
def test_there_and_back_is_exact_to_a_billionth_of_a_degree(
    point: tuple[float, float], shifted: Datum
) -> None:
    away = from_wgs84(*point, shifted)
    assert distance_m(away, LonLat(*point)) > 50
    back = to_wgs84(away.lon, away.lat, shifted)
    assert (back.lon, back.lat) == pytest.approx(point, abs=1e-9, rel=0)


@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90))
def test_wgs84_is_never_touched(lon: float, lat: float) -> None:
    assert to_wgs84(lon, lat, Datum.WGS84) == from_wgs84(lon, lat, Datum.WGS84) == LonLat(lon, lat)


@given(point=INLAND, step=st.tuples(st.floats(-1e-4, 1e-4), st.floats(-1e-4, 1e-4)))
@pytest.mark.parametrize("shifted", [Datum.GCJ02, Datum.BD09])
def test_neighbours_stay_neighbours(
    point: tuple[float, float], step: tuple[float, float], shifted: Datum
) -> None:
    """The shift changes by less than 4 % of the way, but for its kink at 105° E."""
    here = to_wgs84(*point, shifted)
    there = to_wgs84(point[0] + step[0], point[1] + step[1], shifted)
    way = math.hypot(*step)
    moved = math.hypot(there.lon - here.lon - step[0], there.lat - here.lat - step[1])
    assert moved <= 0.04 * way + 2e-8


@given(points=st.lists(st.tuples(st.floats(70, 138), st.floats(0, 56)), max_size=30))
@pytest.mark.parametrize("shifted", Datum)
def test_columns_convert_as_single_pairs_do(
    points: list[tuple[float, float]], shifted: Datum
) -> None:
    given_lons, given_lats = [lon for lon, _ in points], [lat for _, lat in points]
    lons, lats = to_wgs84_columns(given_lons, given_lats, shifted)
    single = [to_wgs84(*point, shifted) for point in points]
    assert lons == pytest.approx([point.lon for point in single], abs=1e-9, rel=0)
    assert lats == pytest.approx([point.lat for point in single], abs=1e-9, rel=0)


def test_columns_that_are_given_are_not_changed() -> None:
    given_lons, given_lats = np.array([121.4737]), np.array([31.2304])
    to_wgs84_columns(given_lons, given_lats, Datum.BD09)
    assert (given_lons[0], given_lats[0]) == (121.4737, 31.2304)


def shops() -> tuple[list[str], Floats, Floats]:
    with gzip.open(shared_data("data/stores_china_heytea.csv.gz"), "rt") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 484
    cities = [row["city_en"].strip() for row in rows]
    lons, lats = (np.array([float(row[axis]) for row in rows]) for axis in ("lon", "lat"))
    return cities, lons, lats


def test_shops_of_a_real_chain_move_but_those_in_singapore() -> None:
    cities, lons, lats = shops()
    moved_m = distances_m(lons, lats, *to_wgs84_columns(lons, lats, Datum.GCJ02))
    at_home = np.array([city == "Singapore" for city in cities])
    assert at_home.sum() == 3
    assert (moved_m[at_home] == 0).all()
    assert ((moved_m[~at_home] > 100) & (moved_m[~at_home] < 700)).all()


def test_shops_of_a_real_chain_have_the_time_zone_of_their_city() -> None:
    cities, lons, lats = shops()
    named = {"Singapore": "Asia/Singapore"}
    named["Hong Kong Special Administrative Region"] = "Asia/Hong_Kong"
    for city, lon, lat in zip(cities, lons, lats, strict=True):
        position = to_wgs84(lon, lat, Datum.GCJ02)
        assert zone_of(position.lon, position.lat) == named.get(city, "Asia/Shanghai"), city


def test_the_other_readings_of_a_pair_are_named() -> None:
    shanghai = (121.4737, 31.2304)
    readings = {shifted: to_wgs84(*shanghai, shifted) for shifted in Datum}
    for declared in Datum:
        found = alternatives(*shanghai, declared)
        others = [other for other in Datum if other is not declared]
        assert found == [(other, readings[other]) for other in others]


@pytest.mark.parametrize("declared", Datum)
@pytest.mark.parametrize("at", [(121.5645, 25.034), (126.978, 37.5665), (-73.9893, 40.7419)])
def test_outside_the_zone_there_is_no_other_reading(
    at: tuple[float, float], declared: Datum
) -> None:
    assert alternatives(*at, declared) == []


DONGXING, DANDONG = (107.9720, 21.5380), (124.3947, 40.1290)
"""Some 200 m outside and 400 m inside of the edge of the zone."""


def test_on_the_near_side_of_the_edge_the_kept_pair_has_its_shifted_reading_too() -> None:
    assert to_wgs84(*DONGXING, Datum.GCJ02) == LonLat(*DONGXING)
    found = alternatives(*DONGXING, Datum.GCJ02)
    assert [name for name, _ in found] == [Datum.GCJ02, Datum.BD09]
    assert found[0][1] == LonLat(*datum.gcj02_to_wgs84(*DONGXING))


def test_the_readings_of_a_pair_agree_whatever_it_is_declared_to_be() -> None:
    for at in (DONGXING, DANDONG):
        every = [
            {to_wgs84(*at, declared), *(position for _, position in alternatives(*at, declared))}
            for declared in Datum
        ]
        assert len(every[0]) == 3
        assert every[0] == every[1] == every[2]


def test_a_conversion_says_what_it_did_and_how_sure_it_is() -> None:
    assert convert(121.4737, 31.2304, Datum.GCJ02).as_record() == {
        "datum": "gcj02",
        "zone": "inside",
        "converted": True,
        "moved_m": 482,
        "edge_m": None,
    }
    near = convert(*DONGXING, Datum.GCJ02).as_record()
    assert (near["zone"], near["converted"], near["moved_m"]) == ("ambiguous", False, 0)
    assert near["edge_m"] == pytest.approx(239, abs=5)
    assert convert(-73.9893, 40.7419, Datum.BD09).as_record() == {
        "datum": "bd09",
        "zone": "outside",
        "converted": False,
        "moved_m": 0,
        "edge_m": None,
    }


def test_of_wgs84_nothing_is_asked() -> None:
    found = convert(*DONGXING, Datum.WGS84)
    assert found.position == LonLat(*DONGXING)
    assert (found.zone, found.edge_m, found.converted) == (None, None, False)


@given(lon=st.floats(70, 138), lat=st.floats(0, 56), shifted=st.sampled_from(Datum))
def test_the_explained_conversion_is_the_one_that_is_made(
    lon: float, lat: float, shifted: Datum
) -> None:
    found = convert(lon, lat, shifted)
    assert found.position == to_wgs84(lon, lat, shifted)
    assert found.moved_m == distance_m(LonLat(lon, lat), found.position)


def test_an_outline_across_the_edge_is_moved_as_one() -> None:
    for anchor, moves in ((DANDONG, True), (DONGXING, False)):
        place = to_wgs84_as_at(*anchor, Datum.GCJ02)
        for step in (-0.02, 0.0, 0.02):
            vertex = anchor[0] + step, anchor[1] + step
            moved_m = distance_m(place(*vertex), LonLat(*vertex))
            assert (moved_m > 100) is moves
    assert to_wgs84_as_at(*DANDONG, Datum.WGS84)(1.0, 2.0) == LonLat(1.0, 2.0)
