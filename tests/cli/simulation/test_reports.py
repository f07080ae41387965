from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from cli.simulation.paths import PathMaker
from cli.simulation.reports import BEGINNING, Report, Trouble, in_order_of_arrival, reports
from cli.simulation.sources import GNSS, exactly

NOTHING = Trouble(lost=0, repeated=0, offline=0, silent=0, skewed=0)


@pytest.fixture
def live() -> list[Report]:
    way = PathMaker.beginning(0, 0).wait(2 * 3_600).path()
    return reports("somebody", exactly(way, GNSS))


def troubled(live: list[Report], seed: int = 1, **shares: float) -> list[Report]:
    trouble = Trouble(**{"lost": 0, "repeated": 0, "offline": 0, "silent": 0, "skewed": 0} | shares)
    return trouble.befalls(live, np.random.default_rng(seed))


def test_without_trouble_every_fix_arrives_as_it_occurs(live: list[Report]) -> None:
    assert NOTHING.befalls(live, np.random.default_rng(1)) == live
    assert len(live) == 240
    assert all(report.occurred_at == report.received_at for report in live)


def test_an_offline_phone_loses_nothing_and_sends_all_at_once_in_disorder(
    live: list[Report],
) -> None:
    sent = troubled(live, offline=1)
    assert sorted(report.number for report in sent) == list(range(240))
    held = [report for report in sent if report.received_at > report.occurred_at]
    assert len({report.received_at for report in held}) == 1
    assert len(held) == 40
    assert held != sorted(held, key=lambda report: report.occurred_at)
    assert in_order_of_arrival([sent]) == sent


def test_a_silent_phone_makes_no_fix_for_longer_than_a_visit_may_pause(
    live: list[Report],
) -> None:
    moments = [report.occurred_at for report in troubled(live, silent=1)]
    gaps = [after - before for before, after in pairwise(moments)]
    assert max(gaps) >= timedelta(minutes=45)
    assert len(moments) == 150


def test_a_wrong_clock_is_wrong_by_the_same_for_every_fix(live: list[Report]) -> None:
    sent = troubled(live, skewed=1)
    (wrong,) = {report.occurred_at - report.received_at for report in sent}
    assert timedelta(0) < abs(wrong) <= timedelta(seconds=60)


def test_a_repeat_is_the_same_check_in_three_times(live: list[Report]) -> None:
    sent = troubled(live, repeated=1)
    assert len(sent) == 720
    assert set(sent) == set(live)


def test_a_lost_fix_is_never_made(live: list[Report]) -> None:
    assert 0 < len(troubled(live, lost=0.5)) < 240


def test_everybody_together_arrives_in_order_and_keeps_their_own(live: list[Report]) -> None:
    other = [r._replace(subject="other") for r in troubled(live, offline=1)]
    together = in_order_of_arrival([live, other])
    assert [r for r in together if r.subject == "other"] == other
    assert together[0].received_at == BEGINNING
    moments = [report.received_at for report in together]
    assert moments == sorted(moments)
