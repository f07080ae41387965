"""Where one fix stands at one geofence, and what it says of a store with several."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.places.schedules import Schedule
from services.geo_api.presence.fences import Fence, FenceMatch
from services.geo_api.presence.matching import FenceIndex, Fix
from services.geo_api.presence.rule import DEFAULT_RULE, PLAIN_RULE, Reason, Standing
from services.geo_api.presence.verdict import ANY_STORE, NOWHERE, VAGUE, Sighting, judge
from shared.geo import Circle, LonLat
from tests.geo_api.presence.shapes import away

HERE = LonLat(116.3265, 39.9995)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Zone(NamedTuple):
    timezone: str = "Asia/Shanghai"


def circle(radius_m: float = 100, fence_id: str = "f", store_id: str = "s") -> Fence:
    return Fence(fence_id, store_id, 1, Circle(HERE, radius_m))


def north(metres: float) -> float:
    """The latitude so far north of the fences' centre."""
    return away(HERE.lon, HERE.lat, 0, metres)[1]


def match(
    distance_m: float, overlap: float = 1.0, fence: Fence | None = None, share: float = 1.0
) -> FenceMatch:
    inside = distance_m <= 0
    return FenceMatch(fence or circle(), inside, distance_m, overlap, share, 1)


def sighting(accuracy_m: float = 10, *, manual: bool = False) -> Sighting:
    return Sighting(accuracy_m, NOW, manual)


@pytest.mark.parametrize(
    ("distance_m", "overlap", "accuracy_m", "expected"),
    [
        (-50, 1.0, 10, (Standing.ARRIVES, Reason.OVERLAP)),
        (-5, 0.75, 10, (Standing.ARRIVES, Reason.OVERLAP)),
        (-5, 0.749, 10, (Standing.TENTATIVE, Reason.OVERLAP_TOO_SMALL)),
        (0, 1.0, 0, (Standing.ARRIVES, Reason.OVERLAP)),
        (0.001, 1.0, 50, (Standing.UNCERTAIN, Reason.NOT_CLEAR)),
        (30, 0.0, 10, (Standing.UNCERTAIN, Reason.NOT_CLEAR)),
        (30.001, 0.0, 10, (Standing.OUTSIDE, Reason.CLEAR)),
        (-50, 1.0, 200, (Standing.ARRIVES, Reason.OVERLAP)),
        (-50, 1.0, 200.1, (Standing.UNCERTAIN, Reason.TOO_INACCURATE)),
        (221, 0.0, 200.1, (Standing.OUTSIDE, Reason.CLEAR)),
    ],
)
def test_a_fix_stands_where_overlap_side_and_accuracy_put_it(
    distance_m: float, overlap: float, accuracy_m: float, expected: tuple[Standing, Reason]
) -> None:
    assert DEFAULT_RULE.stand(match(distance_m, overlap), accuracy_m) == expected


@pytest.mark.parametrize(("radius_m", "needed"), [(100, 0.75), (150, 0.75), (150.1, 0.85)])
def test_a_large_fence_asks_for_more_overlap(radius_m: float, needed: float) -> None:
    fence = circle(radius_m)
    assert DEFAULT_RULE.least_overlap(fence) == needed
    for overlap, standing in ((needed, Standing.ARRIVES), (needed - 0.01, Standing.TENTATIVE)):
        assert DEFAULT_RULE.stand(match(-5, overlap, fence), 50)[0] is standing


def test_who_presses_the_button_inside_arrives_unless_the_fix_is_too_vague() -> None:
    vague = match(-1, 0.2)
    assert DEFAULT_RULE.stand(vague, 80, manual=True) == (Standing.ARRIVES, Reason.MANUAL)
    assert DEFAULT_RULE.stand(vague, 201, manual=True)[0] is Standing.UNCERTAIN
    assert DEFAULT_RULE.stand(match(1, 0.2), 80, manual=True)[0] is Standing.UNCERTAIN


@given(distance_m=st.floats(-500, 500), overlap=st.floats(0, 1), accuracy_m=st.floats(0, 5_000))
def test_a_worse_fix_never_reverses_what_it_says(
    distance_m: float, overlap: float, accuracy_m: float
) -> None:
    def side(accuracy_m: float) -> Standing | None:
        standing, _ = DEFAULT_RULE.stand(match(distance_m, overlap), accuracy_m)
        return None if standing is Standing.UNCERTAIN else standing

    sharp, vague = side(accuracy_m), side(accuracy_m * 2 + 1)
    assert vague in (None, sharp)


@given(distance_m=st.floats(-500, 500), overlap=st.floats(0, 1), accuracy_m=st.floats(0, 5_000))
def test_the_plain_rule_knows_the_side_of_the_edge_only(
    distance_m: float, overlap: float, accuracy_m: float
) -> None:
    standing, _ = PLAIN_RULE.stand(match(distance_m, overlap), accuracy_m)
    assert standing is (Standing.ARRIVES if distance_m <= 0 else Standing.OUTSIDE)


@given(metres=st.floats(-300, 300), radius_m=st.floats(5, 400))
def test_an_exact_fix_arrives_where_it_is_inside(metres: float, radius_m: float) -> None:
    """With accuracy 0 the rule of arrival is d <= 0, whatever the size of the fence."""
    index = FenceIndex.build([circle(radius_m)], 1)
    fix = Fix(HERE.lon, north(metres), 0)
    [matches] = index.match([fix])
    verdict = judge(matches, sighting(0), {})
    inside = index.measure("s", fix)[0].inside
    assert (verdict.arrives == {"s"}) is inside


def test_a_shop_smaller_than_the_circle_is_entered_from_within_and_not_from_beside() -> None:
    kiosk = FenceIndex.build([circle(20)], 1)
    near = [Fix(HERE.lon, north(metres), 60) for metres in (10, 30)]
    within, beside = kiosk.match(near)
    assert [m.overlap for m in (*within, *beside)] == [1.0, 1.0]
    assert judge(within, sighting(60), {}).arrives == {"s"}
    assert judge(beside, sighting(60), {}).uncertain == {"s", VAGUE}
    assert [m.confidence for m in within] == [1]


def stands(store: str, matches: Iterable[FenceMatch], accuracy_m: float = 10) -> str:
    verdict = judge([*matches], sighting(accuracy_m), {})
    for name in ("arrives", "tentative", "uncertain"):
        if store in getattr(verdict, name):
            return name
    return "outside"


def test_of_several_fences_the_strongest_speaks_for_the_store() -> None:
    arrives, tentative = match(-50), match(-1, 0.4)
    uncertain, outside = match(20, 0), match(500, 0)
    assert stands("s", [tentative, uncertain, outside]) == "tentative"
    assert stands("s", [uncertain, outside]) == "uncertain"
    assert stands("s", [outside]) == "outside"
    assert stands("s", [arrives, tentative, outside]) == "arrives"


def test_near_misses_are_considered_and_not_answered() -> None:
    verdict = judge([match(-50), match(25, 0, circle(fence_id="g"))], sighting(), {})
    assert [m.fence.geofence_id for m in verdict.matches] == ["f"]
    assert [(c.match.fence.geofence_id, c.standing) for c in verdict.considered] == [
        ("f", Standing.ARRIVES),
        ("g", Standing.UNCERTAIN),
    ]


def test_a_fence_out_of_force_does_not_count_and_says_so() -> None:
    shut = Fence("f", "s", 1, Circle(HERE, 100), Schedule(valid_until=NOW))
    verdict = judge([match(-50, fence=shut)], sighting(), {"s": Zone()})
    assert not verdict.arrives
    assert not verdict.matches
    assert verdict.considered[0].reason is Reason.FENCE_NOT_IN_FORCE
    before = Sighting(10, NOW - timedelta(seconds=1))
    assert judge([match(-50, fence=shut)], before, {"s": Zone()}).arrives == {"s"}


def test_who_is_at_a_fence_out_of_force_is_not_seen_outside_unless_clear_of_it() -> None:
    shut = Fence("f", "s", 1, Circle(HERE, 100), Schedule(valid_until=NOW))
    for distance_m, at_it in ((-50, True), (30, True), (30.001, False)):
        verdict = judge([match(distance_m, fence=shut)], sighting(), {"s": Zone()})
        assert ("s" in verdict.tentative & verdict.uncertain) is at_it
    open_one = match(-50, fence=circle(fence_id="g"))
    assert judge([match(-50, fence=shut), open_one], sighting(), {"s": Zone()}).arrives == {"s"}


@pytest.mark.parametrize(
    ("radius_m", "accuracy_m", "confidence"),
    [(25, 10, 3), (25, 24, 3), (25, 49.9, 2), (25, 51, 1), (25, 190, 1), (100, 100, 3)],
)
def test_confidence_asks_how_much_of_the_accuracy_circle_is_inside(
    radius_m: float, accuracy_m: float, confidence: int
) -> None:
    """From the centre of a store: all of these arrive, whatever the confidence."""
    fix = Fix(HERE.lon, HERE.lat, accuracy_m)
    [[alone]] = FenceIndex.build([circle(radius_m)], 1).match([fix])
    many = FenceIndex.build([circle(radius_m)], 1).match([fix] * 64)
    assert {alone.confidence, *(m.confidence for [m] in many)} == {confidence}
    assert judge([alone], sighting(accuracy_m), {}).arrives == {"s"}


def test_a_margin_that_matching_does_not_look_for_is_refused() -> None:
    assert replace(DEFAULT_RULE, clear_margin_m=5).clear_at_m(10) == 15
    with pytest.raises(ValueError, match="at most 20"):
        replace(DEFAULT_RULE, clear_margin_m=21)


def test_a_fix_too_coarse_to_see_all_fences_doubts_every_store() -> None:
    assert judge([], sighting(50), {}) is NOWHERE
    assert judge([], sighting(50.1), {}).uncertain == {VAGUE}
    assert judge([], sighting(2_000), {}).uncertain == {VAGUE}
    assert judge([], sighting(2_000), {}, PLAIN_RULE) is NOWHERE
    assert judge([], sighting(2_001), {}).uncertain == {ANY_STORE}
    assert judge([], sighting(2_001), {}, PLAIN_RULE) is NOWHERE


def test_what_is_proven_at_a_store_arrives_without_any_place() -> None:
    proven = Sighting(5_000, NOW, proven={"s": 3})
    verdict = judge([match(4_000, 0.1)], proven, {})
    assert verdict.arrives == {"s"}
    assert verdict.deepest_store == "s"


def test_what_says_nothing_of_a_store_that_is_gone_doubts_it() -> None:
    verdict = judge([match(-50)], sighting(), {}).in_doubt_of(frozenset({"s", "gone"}))
    assert verdict.arrives == {"s"}
    assert verdict.uncertain == {"gone"}
