"""Counting what another outline would have made of past fixes."""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.presence.matching import Containment
from services.geo_api.redrawing.domain import Sighting, Tally, compare

IN, OUT, DOUBT = Containment.INSIDE, Containment.OUTSIDE, Containment.UNCERTAIN
START = datetime(2026, 11, 23, 12, tzinfo=UTC)


def seen(minute: float, before: Containment, after: Containment, who: int = 1) -> Sighting:
    at = START + timedelta(minutes=minute)
    return Sighting(UUID(int=who), at, UUID(int=int(minute * 60)), before, after)


def test_a_visit_is_gained_where_only_the_new_outline_has_one_and_lost_the_other_way() -> None:
    fixes = [
        seen(0, IN, IN),
        seen(5, OUT, OUT),
        seen(10, OUT, IN),
        seen(15, OUT, OUT),
        seen(20, IN, OUT, who=2),
    ]

    found = compare(fixes)

    assert found.seen == 5
    assert found.fixes == Tally(before=2, after=2, gained=1, lost=1)
    assert found.subjects == Tally(before=2, after=1, gained=0, lost=1)
    assert found.visits == Tally(before=2, after=2, gained=1, lost=1)


def test_a_fix_in_doubt_changes_nothing_and_a_long_pause_ends_a_visit() -> None:
    fixes = [seen(0, IN, IN), seen(10, DOUBT, OUT), seen(20, IN, IN), seen(51, IN, IN)]

    assert compare(fixes).visits == Tally(before=2, after=3, gained=0, lost=0)


def test_a_longer_visit_that_was_two_is_neither_gained_nor_lost() -> None:
    fixes = [seen(0, IN, IN), seen(5, OUT, IN), seen(10, IN, IN)]

    assert compare(fixes).visits == Tally(before=2, after=1, gained=0, lost=0)


containments = st.sampled_from(Containment)
fixes_of_two = st.lists(
    st.builds(
        seen,
        st.integers(0, 300),
        before=containments,
        after=containments,
        who=st.integers(1, 2),
    ),
    max_size=30,
    unique_by=lambda s: (s.subject_id, s.occurred_at),
)


@given(fixes=fixes_of_two, shuffled=st.randoms())
def test_the_order_of_reading_does_not_matter_and_the_sums_agree(
    fixes: list[Sighting], shuffled: Random
) -> None:
    other = [*fixes]
    shuffled.shuffle(other)
    found = compare(fixes)

    assert compare(other) == found
    for tally in (found.fixes, found.subjects):
        assert tally.before - tally.lost == tally.after - tally.gained


@given(fixes=fixes_of_two)
def test_the_same_outline_gains_and_loses_nothing(fixes: list[Sighting]) -> None:
    found = compare([fix._replace(after=fix.before) for fix in fixes])

    for tally in (found.fixes, found.subjects, found.visits):
        assert (tally.gained, tally.lost) == (0, 0)
        assert tally.before == tally.after
