"""Visits are a pure function of the fixes, however they come."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from random import Random
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.geo_api.presence.domain import (
    Change,
    ClosedBy,
    Closing,
    Fix,
    NewId,
    Transition,
    Visit,
    VisitState,
    closed,
    never,
    transitions,
)
from services.geo_api.presence.folding import Stays
from services.geo_api.presence.folding import fold as fold_from
from services.geo_api.presence.rule import GAP
from services.geo_api.presence.track import Track
from services.geo_api.presence.verdict import ANY_STORE, CHOSEN_POINT, VAGUE

SUBJECT = UUID(int=7)
START = datetime(2026, 11, 23, 9, tzinfo=UTC)
STORES = ("a", "b", "c")
CLOSINGS = (ClosedBy.STORE_CLOSED, ClosedBy.FENCE_REMOVED, ClosedBy.FENCE_EXPIRED)
LONG_S = 600
"""The threshold of a dwell at every store of these tests."""


class Ids:
    """Ids in rising order, as UUIDv7 are."""

    def __init__(self, last: int = 0) -> None:
        self.last = last

    def __call__(self) -> UUID:
        self.last += 1
        return UUID(int=self.last)


def fix(
    minute: float,
    *arrives: str,
    tentative: Iterable[str] = (),
    uncertain: Iterable[str] = (),
    number: int = 0,
) -> Fix:
    moment = START + timedelta(minutes=minute)
    return Fix(
        UUID(int=number or round(minute * 60)),
        moment,
        moment,
        frozenset(arrives),
        frozenset(tentative),
        frozenset(uncertain),
    )


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def dwells(_store_id: str, entered_at: datetime, last_inside_at: datetime) -> Sequence[int]:
    return [LONG_S] if (last_inside_at - entered_at).total_seconds() >= LONG_S else []


def at_first(*closings: Closing) -> Stays:
    return Stays(SUBJECT, {}, None, dwelled=dwells, closings=sorted(closings))


def fold(fixes: Iterable[Fix], *closings: Closing) -> list[Visit]:
    return fold_from(fixes, at_first(*closings), Ids())


def taken(fixes: Iterable[Fix], *closings: Closing) -> Track:
    """The fixes, taken one by one in the order given, late ones included."""
    track = Track(at_first(*closings), closings=sorted(closings))
    ids = Ids()
    for each in fixes:
        track.take(each, ids)
    track.finish()
    return track


def facts(visits: Iterable[Visit]) -> set[Visit]:
    """What must be equal for any order of arrival."""
    return {
        v._replace(visit_id=SUBJECT, revision=0, last_received_at=START, provisional=False)
        for v in visits
    }


@st.composite
def days(draw: st.DrawFn) -> list[Fix]:
    """Pauses around every limit of the rule, moments that occur twice, all standings."""
    pauses = st.sampled_from((0, 1, 4, 5, 6, 60, 119, 120, 121, 600, 1_799, 1_800, 1_801, 4_000))
    seconds = accumulate(draw(st.lists(pauses, min_size=1, max_size=25)))
    standings = st.sampled_from(("arrives", "tentative", "uncertain", "shut", "outside", "outside"))
    marks = st.sampled_from((None, None, None, VAGUE, VAGUE, ANY_STORE, CHOSEN_POINT))
    fixes = []
    for position, second in enumerate(seconds):
        stands = {store: draw(standings) for store in STORES}
        arrives, tentative, uncertain, shut = (
            frozenset(store for store in STORES if stands[store] == standing)
            for standing in ("arrives", "tentative", "uncertain", "shut")
        )
        mark = draw(marks)
        doubts = uncertain | shut | ({mark} if mark else frozenset())
        if mark == CHOSEN_POINT:
            doubts |= {ANY_STORE}
        moment = START + timedelta(seconds=second)
        fix_id = UUID(int=position + 1)
        fixes.append(Fix(fix_id, moment, START, arrives, tentative | shut, doubts))
    return fixes


@st.composite
def endings(draw: st.DrawFn) -> list[Closing]:
    """Stores that close for a while, or for good, at moments around those of the fixes."""
    seconds = st.integers(0, 20_000) | st.sampled_from((0, 1, 5, 120, 600, 1_800, 3_600))
    found = []
    for store, second, why in draw(
        st.lists(st.tuples(st.sampled_from(STORES), seconds, st.sampled_from(CLOSINGS)), max_size=4)
    ):
        version = 5 if draw(st.booleans()) else None
        found.append(Closing(START + timedelta(seconds=second), store, why, version))
    return sorted({(c.at, c.store_id, c.closed_by): c for c in found}.values())


def test_a_visit_is_kept_while_inside_and_ends_when_clearly_outside() -> None:
    [visit] = fold([fix(0, "a"), fix(5, "a"), fix(9)])
    assert (visit.state, visit.closed_by) == (VisitState.EXITED, ClosedBy.LEFT)
    assert visit.entered_at == START
    assert visit.left_at == START + timedelta(minutes=5)


def test_an_uncertain_fix_keeps_the_state_it_finds() -> None:
    [visit] = fold([fix(0, "a"), fix(5, uncertain=["a"]), fix(9, "a")])
    assert visit.state is VisitState.OPEN
    assert fold([fix(0, uncertain=["a"])]) == []


def test_a_fix_too_coarse_to_say_outside_ends_no_visit() -> None:
    [visit] = fold([fix(0, "a"), fix(5, uncertain=[ANY_STORE])])
    assert visit.state is VisitState.OPEN


def test_a_pause_longer_than_the_gap_expires_a_visit_at_its_last_fix_inside() -> None:
    pause = GAP.total_seconds() / 60
    same, _ = fold([fix(0, "a"), fix(pause, "a"), fix(2 * pause + 1, "a")])
    assert (same.state, same.closed_by) == (VisitState.EXPIRED, ClosedBy.GAP)
    assert same.left_at == START + GAP


def test_the_next_store_is_entered_by_the_fix_that_leaves_the_last() -> None:
    stays = at_first()
    ids = Ids()
    stays.advance(fix(0, "a"), ids)
    changes = stays.advance(fix(3, "b"), ids)
    assert [*transitions(changes).items()] == [("a", Transition.EXIT), ("b", Transition.ENTER)]


def test_a_provisional_end_is_undone_by_a_fix_within_the_gap() -> None:
    ids = Ids()
    stays = at_first()
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


@settings(max_examples=5 * settings().max_examples)
@given(day=days(), closings=endings(), order=st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_visits(
    day: list[Fix], closings: list[Closing], order: Random
) -> None:
    shuffled = [*day]
    order.shuffle(shuffled)
    assert facts(taken(shuffled, *closings).visits.values()) == facts(fold(day, *closings))


@settings(max_examples=3 * settings().max_examples)
@given(day=days(), closings=endings(), order=st.randoms(use_true_random=False))
def test_a_closing_that_becomes_known_last_gives_the_same_visits(
    day: list[Fix], closings: list[Closing], order: Random
) -> None:
    shuffled = [*day]
    order.shuffle(shuffled)
    track = taken(shuffled)
    ids = Ids(10_000)
    for closing in closings:
        track.closings = sorted([*track.closings, closing])
        ahead = timedelta(days=1) if closing.is_for_good else timedelta(0)
        for moment in sorted({fix.occurred_at for fix in day} | {closing.at + ahead}):
            if moment >= closing.at:
                track.go_through(moment, ids)
        track.go_through(closing.at, ids)
    assert facts(track.visits.values()) == facts(fold(day, *closings))


@given(day=days(), closings=endings())
def test_one_fix_at_a_time_gives_what_all_at_once_give(
    day: list[Fix], closings: list[Closing]
) -> None:
    in_order = sorted(day, key=lambda each: each.order)
    assert facts(taken(in_order, *closings).visits.values()) == facts(fold(day, *closings))


@given(day=days())
def test_visits_of_one_store_never_overlap(day: list[Fix]) -> None:
    for one, other in _neighbours(fold(day)):
        assert one.last_inside_at <= other.entered_at
        assert one.may_go_on is False


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


def test_a_single_tentative_fix_enters_nowhere() -> None:
    assert fold([fix(0, tentative=["a"])]) == []


@pytest.mark.parametrize(
    ("pause_s", "enters"), [(0, False), (4.9, False), (5, True), (120, True), (120.1, False)]
)
def test_two_tentative_fixes_enter_5_to_120_seconds_apart(pause_s: float, enters: bool) -> None:
    visits = fold([fix(0, tentative=["a"], number=1), fix(pause_s / 60, tentative=["a"], number=2)])
    assert len(visits) == enters
    if enters:
        assert (visits[0].entered_at, visits[0].last_inside_at) == (START, at(pause_s / 60))


def test_a_burst_of_tentative_fixes_is_one_observation_until_it_lasts_5_seconds() -> None:
    burst = [fix(second / 60, tentative=["a"]) for second in range(5)]
    assert fold(burst) == []
    [visit] = fold([*burst, fix(5 / 60, tentative=["a"])])
    assert visit.entered_at == START


def test_the_first_of_the_tentative_fixes_within_120_seconds_is_the_entry() -> None:
    early = [fix(0, tentative=["a"]), fix(3 / 60, tentative=["a"])]
    [visit] = fold([*early, fix(122 / 60, tentative=["a"])])
    assert visit.entered_at == at(3 / 60)


def test_an_arrival_dates_back_to_the_tentative_fixes_before_it() -> None:
    [visit] = fold([fix(0, tentative=["a"]), fix(1, "a")])
    assert visit.entered_at == START
    [visit] = fold([fix(0, tentative=["a"]), fix(3, "a")])
    assert visit.entered_at == at(3)


def test_a_fix_outside_takes_back_what_was_tentative_and_a_doubtful_one_does_not() -> None:
    before, after = fix(0, tentative=["a"]), fix(1, tentative=["a"])
    assert fold([before, fix(0.5), after]) == []
    assert len(fold([before, fix(0.5, uncertain=["a"]), after])) == 1
    assert len(fold([before, fix(0.5, uncertain=[ANY_STORE]), after])) == 1


def test_tentative_fixes_prolong_a_visit_and_doubtful_ones_do_not() -> None:
    [visit] = fold([fix(0, "a"), fix(5, tentative=["a"]), fix(9, uncertain=["a"])])
    assert (visit.state, visit.last_inside_at) == (VisitState.OPEN, at(5))


def test_jitter_at_an_edge_makes_one_visit() -> None:
    """In and out of the fence by some metres, never clear of it."""
    jitter = [
        each
        for step in range(0, 40, 2)
        for each in (fix(step / 4, tentative=["a"]), fix((step + 1) / 4, uncertain=["a"]))
    ]
    [visit] = fold([*jitter, fix(11)])
    assert (visit.state, visit.closed_by) == (VisitState.EXITED, ClosedBy.LEFT)
    assert visit.entered_at == START


def test_driving_by_makes_no_visit() -> None:
    assert fold([fix(0), fix(0.1, tentative=["a"]), fix(0.2), fix(0.3)]) == []


def test_a_stay_dwells_once_its_last_fix_inside_is_late_enough() -> None:
    short, long = LONG_S / 60 - 0.1, LONG_S / 60
    assert fold([fix(0, "a"), fix(short, "a"), fix(long)])[0].dwelled == ()
    assert fold([fix(0, "a"), fix(long, "a")])[0].dwelled == (LONG_S,)


def test_reaching_a_threshold_raises_the_revision_once() -> None:
    stays, ids = at_first(), Ids()
    revisions = [
        change.after.revision
        for minute in (0, 5, 10, 15)
        for change in stays.advance(fix(minute, "a"), ids)
        if change.after is not None
    ]
    assert revisions == [1, 1, 2, 2]


def test_a_late_fix_that_shortens_a_stay_takes_its_dwell_back() -> None:
    whole = [fix(0, "a"), fix(9, "a"), fix(10, "a")]
    assert [v.dwelled for v in taken(whole).visits.values()] == [(LONG_S,)]
    split = taken([*whole, fix(5)])
    assert [v.dwelled for v in split.visits.values()] == [(), ()]


def test_a_threshold_taken_away_stays_reached_while_the_stay_is_long_enough() -> None:
    track = taken([fix(0, "a"), fix(10, "a"), fix(20, "a")])
    track.stays.dwelled = never
    [change] = track.take(fix(-1, "a", number=900), Ids())
    assert change.after is not None
    assert change.after.dwelled == (LONG_S,)


def test_what_was_tentative_is_known_after_a_late_fix_too() -> None:
    late_last = taken([fix(0), fix(2, tentative=["a"]), fix(1)])
    assert late_last.stays.maybe == {"a": [at(2)]}
    late_last.take(fix(2.5, tentative=["a"]), Ids())
    [visit] = late_last.visits.values()
    assert visit.entered_at == at(2)


def shut(minute: float, store: str = "a", *, for_good: bool = False) -> Closing:
    return Closing(at(minute), store, ClosedBy.STORE_CLOSED, 5 if for_good else None)


def ends(track: Track) -> list[tuple[datetime, datetime | None, ClosedBy | None]]:
    """When each visit began and ended, and why, in order."""
    return sorted((v.entered_at, v.left_at, v.closed_by) for v in track.visits.values())


def test_a_visit_that_the_place_ended_goes_on_by_no_later_fix() -> None:
    for later in (fix(25, uncertain=["a"]), fix(25, uncertain=[ANY_STORE]), fix(25)):
        track = taken([fix(0, "a"), fix(10, "a"), later], shut(20))
        assert ends(track) == [(START, at(10), ClosedBy.STORE_CLOSED)]


def test_whoever_stays_on_in_a_store_that_closed_for_a_while_has_another_visit() -> None:
    track = taken([fix(0, "a"), fix(10, "a"), fix(25, "a")], shut(20))
    assert ends(track) == [(START, at(10), ClosedBy.STORE_CLOSED), (at(25), None, None)]


def test_nobody_is_in_a_store_after_it_closed_for_good() -> None:
    """A device's clock may be ahead, and a process may not know it yet."""
    known = [fix(0, "a"), fix(10, "a"), fix(22, "a"), fix(23, tentative=["a"])]
    track = taken(known, shut(20, for_good=True))
    assert ends(track) == [(START, at(10), ClosedBy.STORE_CLOSED)]


def test_late_fixes_around_a_closing_give_the_same_in_any_order() -> None:
    """Inside, closed for a while, outside and inside again."""
    inside, outside, again = fix(0, "a"), fix(5, number=900), fix(12, "a", number=901)
    for late in ((outside, again), (again, outside)):
        track = taken([inside, *late], shut(10))
        assert ends(track) == [(START, START, ClosedBy.LEFT), (at(12), None, None)]
    for late in ((outside, again), (again, outside)):
        track = taken([inside, *late], shut(3))
        assert ends(track) == [(START, START, ClosedBy.STORE_CLOSED), (at(12), None, None)]


def test_a_closing_ends_the_visit_of_a_first_fix_that_comes_late() -> None:
    assert ends(taken([fix(10, "a")], shut(20))) == [(at(10), at(10), ClosedBy.STORE_CLOSED)]


def test_a_late_fix_from_before_the_closing_amends_and_the_place_still_ends_it() -> None:
    early, late = fix(0, "a", number=900), fix(15, "a", number=901)
    track = taken([fix(5, "a"), fix(10, "a"), early, late], shut(20))
    assert ends(track) == [(START, at(15), ClosedBy.STORE_CLOSED)]


def test_a_late_fix_outside_before_the_closing_is_when_the_subject_left() -> None:
    track = taken([fix(5, "a"), fix(10, "a"), fix(15, number=900)], shut(20))
    assert ends(track) == [(at(5), at(10), ClosedBy.LEFT)]


def test_a_fix_from_before_the_closing_after_a_pause_ends_the_earlier_visit() -> None:
    track = taken([fix(0, "a", "b"), fix(10, "a", "b"), fix(50, number=900)], shut(60))
    assert {visit.closed_by for visit in track.visits.values()} == {ClosedBy.GAP}
    assert track.stays.going_on == {}


def test_a_place_ends_no_visit_of_somebody_who_was_silent_for_longer_than_the_gap() -> None:
    pause = GAP.total_seconds() / 60
    known = [fix(0, "a"), fix(5, uncertain=["a"])]
    assert ends(taken(known, shut(5 + pause))) == [(START, START, ClosedBy.STORE_CLOSED)]
    assert ends(taken(known, shut(5.1 + pause))) == [(START, None, None)]


def test_a_closing_takes_back_what_was_tentative_before_it() -> None:
    before, after = fix(0, tentative=["a"]), fix(1, tentative=["a"])
    assert fold([before, after], shut(0.5)) == []
    assert len(fold([before, after], shut(2))) == 1


def test_a_vague_fix_outside_leaves_only_with_another_one_and_none_inside_between() -> None:
    inside, vague, vaguer = fix(0, "a"), fix(5, uncertain=[VAGUE]), fix(6, uncertain=[VAGUE])
    assert ends(taken([inside, vague])) == [(START, None, None)]
    assert ends(taken([inside, vague, vaguer])) == [(START, START, ClosedBy.LEFT)]
    assert ends(taken([inside, vague, fix(6)])) == [(START, START, ClosedBy.LEFT)]
    assert ends(taken([inside, fix(5)])) == [(START, START, ClosedBy.LEFT)]
    again = [inside, vague, fix(5.5, "a"), vaguer]
    assert ends(taken(again)) == [(START, None, None)]
    burst = fix(5 + 4 / 60, uncertain=[VAGUE])
    assert ends(taken([inside, vague, burst])) == [(START, None, None)]


def test_who_is_at_a_geofence_that_is_not_in_force_any_more_did_not_leave() -> None:
    over = fix(5, tentative=["a"], uncertain=["a"])
    [visit] = taken([fix(0, "a"), over]).visits.values()
    assert (visit.state, visit.closed_by) == (VisitState.EXPIRED, ClosedBy.FENCE_EXPIRED)
    assert fold([over, fix(6, tentative=["a"], uncertain=["a"])]) == []


def test_a_point_chosen_on_a_map_bears_out_no_other_fix() -> None:
    chosen = fix(0, "a", uncertain=[ANY_STORE, CHOSEN_POINT])
    [visit] = fold([chosen])
    assert visit.sensed_at is None
    [visit] = fold([chosen, fix(1, tentative=["a"])])
    assert (visit.entered_at, visit.sensed_at) == (START, at(1))
    [visit] = fold([fix(-1, tentative=["a"], number=900), chosen])
    assert visit.sensed_at == at(-1)


def test_a_fix_later_than_a_week_after_its_neighbours_changes_no_visit() -> None:
    known = [fix(0, "a"), fix(20, "a")]
    track = taken(known)
    before = dict(track.visits)
    for days_late, changes in ((7, 1), (8, 0)):
        track = taken(known)
        late = fix(10, number=900)._replace(received_at=at(0) + timedelta(days=days_late))
        assert bool(track.take(late, Ids())) == bool(changes)
        assert track.beyond == ({late.check_in_id} if days_late > 7 else set())
        assert (track.visits == before) is not bool(changes)
