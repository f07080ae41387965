"""What speaks against a check-in, without a database."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.trust.domain import (
    AIR_MPS,
    GROUND_MPS,
    WEIGHTS,
    Doubt,
    Place,
    Signal,
    by_accuracy,
    by_evidence,
    by_sharing,
    by_siblings,
    by_speed,
    by_time,
    is_exact,
    told_by_app,
    trust,
)
from shared.lonlat import LonLat, distance_m

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOME = LonLat(121.4737, 31.2304)

lons = st.floats(-180, 180)
lats = st.floats(-89, 89)
accuracies = st.floats(0, 5_000)
doubts = st.lists(st.sampled_from(Signal).map(lambda signal: Doubt(signal, {})))


def place(*, north_m: float = 0, accuracy_m: float = 10, after_s: float = 0) -> Place:
    lat = HOME.lat + north_m / 110_870
    return Place(HOME.lon, lat, accuracy_m, NOW + timedelta(seconds=after_s))


def jump(here: Place, there: Place) -> Doubt | None:
    return by_speed(here, there, Signal.JUMPED_SINGLE_DEVICE)


def test_every_signal_has_a_weight_and_a_reason() -> None:
    assert set(WEIGHTS) == set(Signal)
    assert all(0 < weight <= 100 and reason for weight, reason in WEIGHTS.values())


@given(found=doubts)
def test_the_score_falls_with_each_signal_and_counts_it_once(found: list[Doubt]) -> None:
    whole = trust(found)
    assert 0 <= whole.score <= 100
    assert len(whole.flags) == len(set(whole.flags)) == len({d.signal for d in found})
    assert trust([*found, *found]) == whole
    assert trust(found[:-1]).score >= whole.score
    assert (whole.score == 100) is (not found)


def test_what_the_app_says_is_taken_only_if_it_says_yes() -> None:
    said = told_by_app({"mocked": True, "proxy": False, "compromised": True, "speed_mps": 3})
    assert [doubt.signal for doubt in said] == ["mocked", "compromised"]


@pytest.mark.parametrize(
    ("age_s", "signal"),
    [(-61, "future"), (-60, None), (0, None), (600, None), (601, "stale"), (86_400, "stale")],
)
def test_a_fix_is_stale_or_of_the_future_beyond_its_limits(age_s: float, signal: str) -> None:
    doubt = by_time(NOW - timedelta(seconds=age_s), NOW)
    assert (doubt and doubt.signal) == signal
    assert doubt is None or doubt.numbers["age_s"] == age_s


def test_a_wide_circle_is_inaccurate() -> None:
    assert by_accuracy(200) is None
    assert by_accuracy(200.5) == Doubt(Signal.INACCURATE, {"accuracy_m": 200.5})


@pytest.mark.parametrize(
    ("north_m", "after_s", "jumped"),
    [
        (400, 1, False),  # a stray fix between high buildings
        (3_000, 25, False),  # 120 m/s: a maglev
        (3_000, 20, True),
        (1_000_000, 4_000, False),  # 250 m/s: an airliner
        (1_000_000, 3_000, True),
        (140_000, 700, True),  # 200 m/s, too short for a flight
        (-3_000, -20, True),  # a late fix, compared with a later one
        (5_000, 0, True),
    ],
)
def test_only_what_no_vehicle_does_is_a_jump(
    north_m: float, after_s: float, *, jumped: bool
) -> None:
    doubt = jump(place(north_m=north_m, after_s=after_s), place())
    assert (doubt is not None) is jumped


def test_a_jump_tells_its_numbers() -> None:
    doubt = jump(place(north_m=10_000, accuracy_m=40, after_s=10), place(accuracy_m=60))
    assert doubt is not None
    assert doubt.numbers == {
        "distance_m": pytest.approx(10_000, rel=0.001),
        "accuracies_m": 100,
        "apart_s": 10,
        "speed_mps": pytest.approx(990, rel=0.001),
        "limit_mps": GROUND_MPS,
    }
    assert "weight" in doubt.as_record()


def test_both_accuracies_are_taken_off_the_distance() -> None:
    there = place(accuracy_m=2_000)
    assert jump(place(north_m=4_000, accuracy_m=1_900, after_s=1), there) is None
    assert jump(place(north_m=4_000, accuracy_m=100, after_s=1), there) is not None


@given(
    a=st.tuples(lons, lats, accuracies), b=st.tuples(lons, lats, accuracies), s=st.floats(0, 1e6)
)
def test_the_quick_word_never_hides_a_jump(
    a: tuple[float, float, float], b: tuple[float, float, float], s: float
) -> None:
    here, there = Place(*a, NOW), Place(*b, NOW + timedelta(seconds=s))
    distance = distance_m(LonLat(*a[:2]), LonLat(*b[:2]))
    beyond = distance - a[2] - b[2]
    limit = AIR_MPS if distance >= 150_000 else GROUND_MPS
    apart_s = max(1.0, (there.at - here.at).total_seconds())
    assert (jump(here, there) is not None) is (beyond >= 500 and beyond > limit * apart_s)


@given(lat=lats, lon=lons, north=st.floats(-0.02, 0.02), east=st.floats(-0.02, 0.02))
def test_the_quick_word_agrees_with_the_ellipsoid_near_by(
    lat: float, lon: float, north: float, east: float
) -> None:
    here, there = Place(lon, lat, 0, NOW), Place(lon + east, lat + north, 0, NOW)
    far = distance_m(LonLat(lon, lat), LonLat(lon + east, lat + north)) >= 500
    assert (jump(here, there) is not None) is far


def test_a_device_far_away_speaks_only_while_it_was_heard_of_lately() -> None:
    here = place()
    assert by_siblings(here, [place(north_m=50_000, after_s=-3_600)]) is None
    doubt = by_siblings(here, [place(), place(north_m=500_000, after_s=-60)])
    assert doubt is not None
    assert doubt.signal is Signal.JUMPED_MULTIPLE_DEVICES


def test_the_same_person_shares_with_nobody() -> None:
    mine, yours = frozenset({uuid4(), uuid4()}), UUID(int=1)
    assert by_sharing(mine, mine) is None
    assert by_sharing(mine, [*mine, yours]) == Doubt(Signal.SHARING, {"others": 1})


def test_a_position_far_from_the_proven_store_speaks_against_it() -> None:
    assert by_evidence(-20, 10) is None
    assert by_evidence(450, 200) is None
    assert by_evidence(900, 30) == Doubt(Signal.FAR_FROM_EVIDENCE, {"distance_m": 900})


def test_a_rounded_pair_is_not_exact() -> None:
    assert not is_exact(31.2304, 121.4737)
    assert is_exact(31.23041, 121.4737)
