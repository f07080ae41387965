"""The cells around an outline hold every place within it and next to it."""

import math

import h3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.redrawing.cells import area_m2, cells_around
from shared.datum import Datum
from shared.geo import WGS84, Circle, LonLat, parse_geometry

lons, lats = st.floats(-180, 180), st.floats(-60, 75)


@given(
    lon=lons,
    lat=lats,
    radius_m=st.floats(1, 30_000),
    bearing=st.floats(0, 360),
    share=st.floats(0, 1),
)
def test_any_point_within_a_kilometre_of_a_circle_lies_in_its_cells(
    lon: float, lat: float, radius_m: float, bearing: float, share: float
) -> None:
    cells = cells_around(Circle(LonLat(lon, lat), radius_m))

    there = WGS84.fwd(lon, lat, bearing, share * (radius_m + 1_000))

    assert h3.str_to_int(h3.latlng_to_cell(there[1], there[0], 7)) in cells


@pytest.mark.parametrize("west", [-74.0, 179.9, 13.0])
def test_any_vertex_and_the_middle_of_an_outline_lie_in_its_cells(west: float) -> None:
    east = west + 0.2 if west + 0.2 <= 180 else west + 0.2 - 360
    ring = [[west, 40.0], [east, 40.0], [east, 40.2], [west, 40.2], [west, 40.0]]
    shape = parse_geometry({"type": "Polygon", "coordinates": [ring]}, datum=Datum.WGS84)

    cells = cells_around(shape)

    middle = math.remainder(west + 0.1, 360)
    for lon, lat in [*ring, [middle, 40.1], [west - 0.01, 40.1]]:
        assert h3.str_to_int(h3.latlng_to_cell(lat, lon, 7)) in cells
    assert area_m2(shape) == pytest.approx(17_000 * 22_200, rel=0.05)


def test_a_small_outline_has_few_cells_and_the_greatest_circle_not_too_many() -> None:
    small = cells_around(Circle(LonLat(-73.9893, 40.7419), 50))
    great = cells_around(Circle(LonLat(-73.9893, 40.7419), 100_000))

    assert len(small) <= 19
    assert len(great) < 15_000
