"""Stores side by side and within each other: who wins, and when nobody does."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.presence.ranking import Near, Verdict, rank


def shop(
    store_id: str, distance_m: float, share: float, inradius_m: float = 10, fence: str | None = None
) -> Near:
    return Near(store_id, fence or f"{store_id}-fence", distance_m, share, inradius_m)


def test_no_match_has_no_winner_and_a_single_one_wins() -> None:
    assert rank([], 10).verdict is Verdict.NONE
    only = rank([shop("a", 5, 0.2)], 10)
    assert (only.winner, only.verdict, only.candidates[0].probability) == ("a", Verdict.ONLY, 1.0)


def test_the_shop_around_the_fix_beats_its_neighbour() -> None:
    found = rank([shop("next", 4, 0.25), shop("here", -4, 0.7)], 10)

    assert (found.winner, found.verdict) == ("here", Verdict.CLEAR)
    assert [candidate.store_id for candidate in found.candidates] == ["here", "next"]


def test_on_the_wall_between_two_shops_nobody_wins() -> None:
    found = rank([shop("left", 0.3, 0.49), shop("right", -0.3, 0.51)], 10)

    assert (found.winner, found.verdict) == (None, Verdict.AMBIGUOUS)
    assert found.candidates[0].store_id == "right"


def test_an_exact_fix_in_a_kiosk_is_in_the_kiosk_and_a_vague_one_in_the_mall() -> None:
    exact = rank([shop("mall", -90, 1.0, 150), shop("kiosk", -3, 0.9, 5)], 4)
    vague = rank([shop("mall", -90, 1.0, 150), shop("kiosk", 20, 0.005, 5)], 60)

    assert exact.winner == "kiosk"
    assert vague.candidates[0].probability < exact.candidates[0].probability
    assert rank([shop("mall", -90, 1.0, 150), shop("kiosk", 60, 0.0, 5)], 20).winner == "mall"


def test_a_closed_shop_loses_to_an_open_neighbour_that_explains_the_fix_less() -> None:
    candidates = [shop("closed", -2, 0.6), shop("open", 2, 0.4)]

    assert rank(candidates, 10).candidates[0].store_id == "closed"
    assert rank(candidates, 10, closed={"closed"}).winner == "open"


def test_who_was_in_a_shop_stays_in_it_at_the_wall() -> None:
    candidates = [shop("left", 0.3, 0.49), shop("right", -0.3, 0.51)]

    assert rank(candidates, 10, present={"left"}).winner == "left"


def test_a_store_speaks_by_its_best_geofence_and_not_twice() -> None:
    twice = [shop("a", -4, 0.7, fence="a1"), shop("a", 3, 0.3, fence="a2"), shop("b", 4, 0.25)]

    found = rank(twice, 10)

    assert [c.geofence_id for c in found.candidates] == ["a1", "b-fence"]
    assert found.candidates[0].probability == pytest.approx(
        rank([twice[0], twice[2]], 10).candidates[0].probability
    )


def test_equal_shops_come_by_distance_then_by_id() -> None:
    same = [shop(name, 2, 0.4) for name in "cab"]

    found = rank(same, 10)

    assert [candidate.store_id for candidate in found.candidates] == ["a", "b", "c"]
    assert found.verdict is Verdict.AMBIGUOUS


def test_an_exact_fix_outside_of_all_leaves_all_equal() -> None:
    found = rank([shop("a", 10, 0), shop("b", 12, 0)], 0)

    assert [candidate.probability for candidate in found.candidates] == [0.5, 0.5]
    assert found.winner is None


shops = st.lists(
    st.builds(
        shop,
        st.sampled_from("abcdef"),
        st.floats(-500, 2_000),
        st.floats(0, 1),
        st.floats(0.1, 1_000),
        st.sampled_from("uvwxyz"),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda match: match.geofence_id,
)
accuracies = st.floats(0, 2_000)


@given(near=shops, accuracy_m=accuracies, shuffled=st.randoms(use_true_random=False))
def test_probabilities_sum_to_one_in_any_order_of_the_matches(
    near: list[Near], accuracy_m: float, shuffled: Random
) -> None:
    found = rank(near, accuracy_m)
    other = [*near]
    shuffled.shuffle(other)

    assert math.fsum(c.probability for c in found.candidates) == pytest.approx(1)
    assert all(0 <= candidate.probability <= 1 for candidate in found.candidates)
    assert {c.store_id for c in found.candidates} == {match.store_id for match in near}
    again = rank(other, accuracy_m)
    assert [c.store_id for c in again.candidates] == [c.store_id for c in found.candidates]
    assert again.winner == found.winner


@given(near=shops, accuracy_m=st.floats(1, 2_000), better=st.floats(0, 1))
def test_a_larger_share_never_makes_a_store_less_likely(
    near: list[Near], accuracy_m: float, better: float
) -> None:
    first = near[0]
    raised = first._replace(share=max(first.share, better))

    def probability(matches: list[Near]) -> float:
        found = rank(matches, accuracy_m).candidates
        return next(c.probability for c in found if c.store_id == first.store_id)

    assert probability([raised, *near[1:]]) >= probability(near) - 1e-12
