"""Person-visits as unions of intervals, and spend."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.member_api.timeline.domain import (
    Purchase,
    Stay,
    count_dwells,
    count_visits,
    first_purchase,
    spend_minor,
)

START = datetime(2026, 11, 20, tzinfo=UTC)


def stay(entered: int, left: int | None, store: str = "s1") -> Stay:
    ended = None if left is None else START + timedelta(minutes=left)
    return Stay(store, START + timedelta(minutes=entered), ended)


spans = st.tuples(st.integers(0, 40), st.integers(0, 6), st.sampled_from("ab")).map(
    lambda parts: stay(parts[0], parts[0] + parts[1], parts[2])
)
stays_lists = st.lists(spans, max_size=12)


def pieces_by_minute(stays: list[Stay], store: str) -> int:
    """The same by half minutes: runs of instants at which somebody is in the store."""
    covered = {
        half
        for one in stays
        if one.store_id == store and one.left_at is not None
        for half in range(
            int((one.entered_at - START).total_seconds() // 30),
            int((one.left_at - START).total_seconds() // 30) + 1,
        )
    }
    return sum(half - 1 not in covered for half in covered)


@given(stays_lists)
def test_person_visits_are_the_pieces_of_the_union(stays: list[Stay]) -> None:
    counted = count_visits(stays)

    assert counted == {
        store: pieces_by_minute(stays, store) for store in sorted({one.store_id for one in stays})
    }


@given(stays_lists, st.randoms())
def test_whose_stays_come_first_does_not_matter(stays: list[Stay], chance: Random) -> None:
    shuffled = list(stays)
    chance.shuffle(shuffled)

    assert count_visits(shuffled) == count_visits(stays)


@given(stays_lists)
def test_the_same_stay_seen_by_two_subjects_is_one_visit(stays: list[Stay]) -> None:
    assert count_visits(stays + stays) == count_visits(stays)


def test_overlapping_stays_are_one_visit_and_apart_ones_two() -> None:
    assert count_visits([stay(0, 10), stay(5, 15), stay(20, 25)]) == {"s1": 2}


def test_a_stay_that_goes_on_reaches_into_what_follows() -> None:
    assert count_visits([stay(0, None), stay(5, 15), stay(20, 25)]) == {"s1": 1}
    assert count_visits([stay(0, 3), stay(5, None), stay(20, 25)]) == {"s1": 2}


def purchase(minute: int, amount_minor: int | None, currency: str | None = "CNY") -> Purchase:
    at = START + timedelta(minutes=minute)
    return Purchase(UUID(int=minute), at, "s1", amount_minor, currency)


def test_spend_is_kept_by_currency() -> None:
    bought = [purchase(0, 100), purchase(1, 250), purchase(2, 7, "USD"), purchase(3, None, None)]

    assert spend_minor(bought) == {"CNY": 350, "USD": 7}


def test_the_first_purchase_is_the_earliest() -> None:
    assert first_purchase([purchase(5, 1), purchase(2, 1), purchase(9, 1)]) == purchase(2, 1)
    assert first_purchase([]) is None


def test_of_a_person_visit_one_stay_that_dwelled_is_enough() -> None:
    brief, long = stay(0, 10), replace(stay(5, 40), dwelled=True)
    assert count_dwells([brief, long, stay(50, 55)]) == {"s1": 1}
    assert count_dwells([brief, stay(50, 55)]) == {}
    assert count_dwells([long, replace(stay(50, 90), dwelled=True)]) == {"s1": 2}
