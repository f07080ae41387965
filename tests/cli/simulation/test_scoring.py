from datetime import datetime, timedelta

import pytest

from cli.simulation.deciding import Found
from cli.simulation.reports import BEGINNING
from cli.simulation.scoring import Score, at_edge, score, total
from services.geo_api.presence.domain import ClosedBy, VisitState


def at(seconds: float) -> datetime:
    return BEGINNING + timedelta(seconds=seconds)


def visit(
    entered_s: float, left_s: float, told_s: float | None = None, exit_s: float | None = None
) -> Found:
    told = entered_s if told_s is None else told_s
    exited = exit_s is not None
    return Found(
        "somebody",
        "shop",
        at(entered_s),
        at(left_s),
        at(left_s),
        VisitState.EXITED if exited else VisitState.EXPIRED,
        ClosedBy.LEFT if exited else ClosedBy.GAP,
        at(told),
        at(exit_s) if exit_s is not None else None,
    )


def test_a_visit_that_fits_is_right_with_its_delays_and_its_time_misplaced() -> None:
    made = score([(1000, 2000)], [visit(1010, 1990, 1040, 2050)], BEGINNING)
    assert (made.stays, made.recalled, made.right, made.wrong, made.again) == (1, 1, 1, 0, 0)
    assert (made.enter_delays_s, made.exit_delays_s) == ([40], [50])
    assert (made.inside_s, made.misplaced_s) == (1000, 20)
    assert (made.precision, made.recall) == (1, 1)


def test_a_stay_without_a_visit_is_missed_and_a_visit_without_a_stay_is_wrong() -> None:
    made = score([(1000, 2000)], [visit(5000, 5300, exit_s=5400)], BEGINNING)
    assert (made.recalled, made.right, made.wrong) == (0, 0, 1)
    assert (made.precision, made.recall, made.misplaced_s) == (0, 0, 1300)


def test_a_visit_that_begins_anew_in_the_same_stay_is_not_right() -> None:
    visits = [visit(1000, 1300, exit_s=1330), visit(1400, 2000, exit_s=2030)]
    made = score([(1000, 2000)], visits, BEGINNING)
    assert (made.right, made.again, made.precision, made.recall) == (1, 1, 0.5, 1)
    assert made.exit_delays_s == [30]


def test_a_visit_that_goes_on_after_a_silence_is_right() -> None:
    visits = [visit(1000, 1300), visit(4000, 5000, exit_s=5030)]
    made = score([(1000, 5000)], visits, BEGINNING)
    assert (made.right, made.again, made.precision) == (2, 0, 1)


def test_who_only_passed_through_may_have_a_visit_or_none() -> None:
    for visits in ([], [visit(1010, 1010, exit_s=1040)]):
        made = score([(1000, 1030)], visits, BEGINNING)
        assert (made.stays, made.visits) == (0, 0)
        assert made.precision is None


def test_clocks_may_be_a_minute_off_and_no_more() -> None:
    assert score([(1000, 2000)], [visit(2060, 2100)], BEGINNING).right == 1
    assert score([(1000, 2000)], [visit(2061, 2100)], BEGINNING).wrong == 1


@pytest.mark.parametrize(
    ("visits", "flaps"),
    [
        ([], 0),
        ([visit(0, 3600)], 0),
        ([visit(0, 10, exit_s=20)], 1),
        ([visit(0, 10, exit_s=20), visit(30, 40)], 2),
    ],
)
def test_at_an_edge_one_change_of_state_is_no_flap(visits: list[Found], flaps: int) -> None:
    made = at_edge(visits, 360)
    assert (made.flaps, made.edge_fixes) == (flaps, 360)
    assert made.flaps_per_1000 == pytest.approx(1000 * flaps / 360)


def test_scores_add_up_and_nothing_has_no_shares() -> None:
    one = score([(1000, 2000)], [visit(1000, 2000, exit_s=2030)], BEGINNING)
    whole = total([one, one, at_edge([], 10)])
    assert (whole.stays, whole.exit_delays_s, whole.edge_fixes) == (2, [30, 30], 10)
    assert set(Score().document().values()) == {0, None}
