import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import datum
from shared.datum import Datum, from_wgs84, in_gcj_zone, to_wgs84
from shared.lonlat import LonLat, distance_m
from tests.shared_data import shared_data

INLAND = st.tuples(st.floats(103, 117), st.floats(27, 38))
"""Degrees, longitude first, further from the edge of the zone than any shift."""


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


@pytest.mark.parametrize(
    ("place", "lon", "lat", "shifted"),
    [
        ("Xiamen", 118.0894, 24.4798, True),
        ("Kinmen", 118.3186, 24.4321, False),
        ("Matsu", 119.9517, 26.1605, False),
        ("Macau", 113.5439, 22.1987, True),
        ("Lhasa", 91.1172, 29.6469, True),
        ("Hanoi", 105.8342, 21.0278, False),
        ("Vladivostok", 131.8855, 43.1155, False),
        ("Singapore", 103.8198, 1.3521, False),
        ("Kathmandu", 85.3240, 27.7172, False),
    ],
)
def test_the_zone_is_no_box(place: str, lon: float, lat: float, shifted: bool) -> None:
    assert in_gcj_zone(lon, lat) is shifted, place


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


def test_each_thread_may_ask_for_the_zone() -> None:
    answers: list[bool] = []
    threads = [
        threading.Thread(target=lambda: answers.append(in_gcj_zone(121.4737, 31.2304)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 4
