"""Counting what another outline would have made of past fixes."""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.presence.domain import Fix
from services.geo_api.presence.rule import DEFAULT_RULE, Standing
from services.geo_api.redrawing.domain import AFTER, BEFORE, Comparison, Tally, compare

IN, MAYBE, OUT, DOUBT = (
    Standing.ARRIVES,
    Standing.TENTATIVE,
    Standing.OUTSIDE,
    Standing.UNCERTAIN,
)
START = datetime(2026, 11, 23, 12, tzinfo=UTC)
Seen = tuple[UUID, Fix]


def seen(minute: float, before: Standing, after: Standing, who: int = 1) -> Seen:
    at = START + timedelta(minutes=minute)
    stands = {BEFORE: before, AFTER: after}
    of = [frozenset(n for n, s in stands.items() if s is which) for which in (IN, MAYBE, DOUBT)]
    return UUID(int=who), Fix(UUID(int=int(minute * 60)), at, at, *of)


def counted(fixes: list[Seen]) -> Comparison:
    fixes_of: dict[UUID, list[Fix]] = {}
    for subject, fix in fixes:
        fixes_of.setdefault(subject, []).append(fix)
    return compare(fixes_of, DEFAULT_RULE)


def test_a_visit_is_gained_where_only_the_new_outline_has_one_and_lost_the_other_way() -> None:
    fixes = [
        seen(0, IN, IN),
        seen(5, OUT, OUT),
        seen(10, OUT, IN),
        seen(15, OUT, OUT),
        seen(20, IN, OUT, who=2),
    ]

    found = counted(fixes)

    assert found.seen == 5
    assert found.fixes == Tally(before=2, after=2, gained=1, lost=1)
    assert found.subjects == Tally(before=2, after=1, gained=0, lost=1)
    assert found.visits == Tally(before=2, after=2, gained=1, lost=1)


def test_a_fix_in_doubt_changes_nothing_and_a_long_pause_ends_a_visit() -> None:
    fixes = [seen(0, IN, IN), seen(10, DOUBT, OUT), seen(20, IN, IN), seen(51, IN, IN)]

    assert counted(fixes).visits == Tally(before=2, after=3, gained=0, lost=0)


def test_a_longer_visit_that_was_two_is_neither_gained_nor_lost() -> None:
    fixes = [seen(0, IN, IN), seen(5, OUT, IN), seen(10, IN, IN)]

    assert counted(fixes).visits == Tally(before=2, after=1, gained=0, lost=0)


def test_fixes_on_the_edge_make_a_visit_only_together() -> None:
    alone = [seen(0, MAYBE, OUT), seen(10, MAYBE, OUT)]
    corroborated = [seen(0, MAYBE, OUT), seen(1, MAYBE, OUT)]

    assert counted(alone).visits == Tally(0, 0, 0, 0)
    assert counted(alone).fixes == Tally(2, 0, 0, 2)
    assert counted(corroborated).visits == Tally(1, 0, 0, 1)


standings = st.sampled_from(Standing)
fixes_of_two = st.lists(
    st.builds(
        seen,
        st.integers(0, 300),
        before=standings,
        after=standings,
        who=st.integers(1, 2),
    ),
    max_size=30,
    unique_by=lambda s: (s[0], s[1].occurred_at),
)


@given(fixes=fixes_of_two, shuffled=st.randoms())
def test_the_order_of_reading_does_not_matter_and_the_sums_agree(
    fixes: list[Seen], shuffled: Random
) -> None:
    other = [*fixes]
    shuffled.shuffle(other)
    found = counted(fixes)

    assert counted(other) == found
    for tally in (found.fixes, found.subjects):
        assert tally.before - tally.lost == tally.after - tally.gained


@given(minutes=st.lists(st.tuples(st.integers(0, 300), standings), max_size=30))
def test_the_same_outline_gains_and_loses_nothing(minutes: list[tuple[int, Standing]]) -> None:
    found = counted([seen(minute, stand, stand) for minute, stand in dict(minutes).items()])

    for tally in (found.fixes, found.subjects, found.visits):
        assert (tally.gained, tally.lost) == (0, 0)
        assert tally.before == tally.after
