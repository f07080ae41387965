import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.simulation.deciding import fence_index
from cli.simulation.paths import PathMaker
from cli.simulation.plane import HARBOUR, Box, Disc, Shop
from services.geo_api.presence.matching import Fix

GROUNDS = [Disc(-30, 20, 25), Disc(300, 250, 200), Box(10, -40, 80, 24)]
metres = st.floats(-400, 400)


@pytest.mark.parametrize("ground", GROUNDS)
@settings(max_examples=60, deadline=None)
@given(east_m=metres, north_m=metres)
def test_the_plane_and_the_engine_measure_the_same_to_the_edge(
    ground: Disc | Box, east_m: float, north_m: float
) -> None:
    index = fence_index([Shop("shop", ground)])
    place = HARBOUR.lonlat(east_m, north_m)
    (match,) = index.measure("shop", Fix(place.lon, place.lat, 10))
    flat_m = float(ground.distance_m(np.array([east_m]), np.array([north_m]))[0])
    assert match.distance_m == pytest.approx(flat_m, abs=0.06)


@pytest.mark.parametrize("turn", [0, 0.3, 0.9])
def test_points_within_a_disc_are_within_it(turn: float) -> None:
    disc = Disc(5, 5, 50)
    for depth in (0, 0.5, 1):
        east_m, north_m = disc.within(turn, depth)
        assert math.hypot(east_m - 5, north_m - 5) == pytest.approx(50 * math.sqrt(depth))


def test_a_way_knows_where_it_was_and_when_it_was_inside() -> None:
    way = PathMaker.beginning(-100, 0).go(0, 0, 2).wait(60).go(-100, 0, 2).path()
    assert way.until_s == 160
    east_m, north_m = way.at(np.array([0.0, 25.0, 80.0, 135.0]))
    assert east_m.tolist() == [-100, -50, 0, -50]
    assert north_m.tolist() == [0, 0, 0, 0]
    ((entered_s, left_s),) = way.stays(Shop("shop", Disc(0, 0, 20)))
    assert (entered_s, left_s) == (40, 120)


def test_a_way_that_ends_inside_has_a_stay_that_lasts_to_its_end() -> None:
    way = PathMaker.beginning(-100, 0).go(0, 0, 2).wait(60).path()
    assert way.stays(Shop("shop", Disc(0, 0, 20))) == [(40, 110)]
    assert way.stays(Shop("other", Disc(0, 90, 20))) == []
