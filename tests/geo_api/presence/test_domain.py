"""Visits are a pure function of the fixes, however they come."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.presence.domain import (
    ANY_STORE,
    GAP,
    Change,
    ClosedBy,
    Fix,
    NewId,
    Stays,
    Track,
    Transition,
    Visit,
    VisitState,
    closed,
    fold,
    transitions,
)

SUBJECT = UUID(int=7)
START = datetime(2026, 11, 23, 9, tzinfo=UTC)
STORES = ("a", "b", "c")


class Ids:
    """Ids in rising order, as UUIDv7 are."""

    def __init__(self) -> None:
        self.last = 0

    def __call__(self) -> UUID:
        self.last += 1
        return UUID(int=self.last)


def fix(minute: float, *inside: str, uncertain: Iterable[str] = (), number: int = 0) -> Fix:
    moment = START + timedelta(minutes=minute)
    return Fix(
        UUID(int=number or int(minute * 60)),
        moment,
        moment,
        frozenset(inside),
        frozenset(uncertain),
    )


def taken(fixes: Iterable[Fix]) -> Track:
    """The fixes, taken one by one in the order given, late ones included."""
    track = Track(Stays(SUBJECT, {}, None), [], {}, {})
    ids = Ids()
    for each in fixes:
        track.take(each, ids)
    return track


def facts(visits: Iterable[Visit]) -> set[tuple[object, ...]]:
    """What must be equal for any order of arrival."""
    return {
        (v.store_id, v.state, v.entered_at, v.last_inside_at, v.left_at, v.closed_by)
        for v in visits
    }


@st.composite
def days(draw: st.DrawFn) -> list[Fix]:
    minutes = draw(st.lists(st.integers(0, 400), min_size=1, max_size=25))
    stores = st.frozensets(st.sampled_from(STORES), max_size=2)
    return [
        Fix(
            UUID(int=position + 1),
            START + timedelta(minutes=minute),
            START,
            inside := draw(stores),
            draw(stores) - inside,
        )
        for position, minute in enumerate(minutes)
    ]


def test_a_visit_is_kept_while_inside_and_ends_when_clearly_outside() -> None:
    [visit] = fold(SUBJECT, [fix(0, "a"), fix(5, "a"), fix(9)], Ids())
    assert (visit.state, visit.closed_by) == (VisitState.EXITED, ClosedBy.LEFT)
    assert visit.entered_at == START
    assert visit.left_at == START + timedelta(minutes=5)


def test_an_uncertain_fix_keeps_the_state_it_finds() -> None:
    [visit] = fold(SUBJECT, [fix(0, "a"), fix(5, uncertain=["a"]), fix(9, "a")], Ids())
    assert visit.state is VisitState.OPEN
    assert fold(SUBJECT, [fix(0, uncertain=["a"])], Ids()) == []


def test_a_fix_too_coarse_to_say_outside_ends_no_visit() -> None:
    [visit] = fold(SUBJECT, [fix(0, "a"), fix(5, uncertain=[ANY_STORE])], Ids())
    assert visit.state is VisitState.OPEN


def test_a_pause_longer_than_the_gap_expires_a_visit_at_its_last_fix_inside() -> None:
    pause = GAP.total_seconds() / 60
    same, _ = fold(SUBJECT, [fix(0, "a"), fix(pause, "a"), fix(2 * pause + 1, "a")], Ids())
    assert (same.state, same.closed_by) == (VisitState.EXPIRED, ClosedBy.GAP)
    assert same.left_at == START + GAP


def test_the_next_store_is_entered_by_the_fix_that_leaves_the_last() -> None:
    stays = Stays(SUBJECT, {}, None)
    ids = Ids()
    stays.advance(fix(0, "a"), ids)
    changes = stays.advance(fix(3, "b"), ids)
    assert [*transitions(changes).items()] == [("a", Transition.EXIT), ("b", Transition.ENTER)]


def test_a_provisional_end_is_undone_by_a_fix_within_the_gap() -> None:
    ids = Ids()
    stays = Stays(SUBJECT, {}, None)
    [entered] = stays.advance(fix(0, "a"), ids)
    assert entered.after is not None
    silent = closed(entered.after, ClosedBy.SILENCE)
    stays.going_on["a"] = silent
    [change] = stays.advance(fix(20, "a"), ids)
    assert change.after is not None
    assert (change.after.state, change.after.provisional) == (VisitState.OPEN, False)
    assert change.after.revision == silent.revision + 1


def test_a_late_fix_joins_two_visits_under_the_lower_id() -> None:
    first, second = fix(0, "a"), fix(40, "a")
    apart = taken([first, second])
    assert len(apart.visits) == 2
    joined = taken([first, second, fix(20, "a")])
    [visit] = joined.visits.values()
    assert visit.visit_id == min(apart.visits)
    assert joined.aliases == {max(apart.visits): min(apart.visits)}


def test_a_late_fix_outside_splits_a_visit_and_the_earlier_part_keeps_its_id() -> None:
    whole = taken([fix(0, "a"), fix(20, "a")])
    [before] = whole.visits.values()
    split = taken([fix(0, "a"), fix(20, "a"), fix(10)])
    earlier, later = sorted(split.visits.values(), key=lambda visit: visit.entered_at)
    assert earlier.visit_id == before.visit_id
    assert earlier.closed_by is ClosedBy.LEFT
    assert later.visit_id not in whole.visits


def test_an_earlier_fix_inside_moves_the_entry_and_raises_the_revision() -> None:
    track = taken([fix(10, "a"), fix(5, "a")])
    [visit] = track.visits.values()
    assert visit.entered_at == START + timedelta(minutes=5)
    assert visit.revision == 2


@given(day=days(), order=st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_visits(day: list[Fix], order: Random) -> None:
    shuffled = [*day]
    order.shuffle(shuffled)
    assert facts(taken(shuffled).visits.values()) == facts(fold(SUBJECT, day, Ids()))


@given(day=days())
def test_one_fix_at_a_time_gives_what_all_at_once_give(day: list[Fix]) -> None:
    in_order = sorted(day, key=lambda each: each.order)
    assert facts(taken(in_order).visits.values()) == facts(fold(SUBJECT, day, Ids()))


@given(day=days())
def test_visits_of_one_store_never_overlap(day: list[Fix]) -> None:
    for one, other in _neighbours(fold(SUBJECT, day, Ids())):
        assert one.last_inside_at <= other.entered_at


def _neighbours(visits: list[Visit]) -> Iterator[tuple[Visit, Visit]]:
    for store in STORES:
        of_store = sorted((v for v in visits if v.store_id == store), key=lambda v: v.entered_at)
        yield from pairwise(of_store)


def test_a_late_fix_folds_its_own_episode_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """History told backwards must not cost the square of its length."""
    later = [fix(hour * 60, "s1", number=hour) for hour in range(1, 200)]
    track = taken(later)
    folded: list[Fix] = []
    advance = Stays.advance

    def count(stays: Stays, fix: Fix, new_id: NewId) -> list[Change]:
        folded.append(fix)
        return advance(stays, fix, new_id)

    monkeypatch.setattr(Stays, "advance", count)
    [change] = track.take(fix(0, "s1", number=999), uuid4)
    assert change.before is None
    assert len(folded) == 2  # itself, and the one after, which ends its visit
    assert len(track.visits) == 200
