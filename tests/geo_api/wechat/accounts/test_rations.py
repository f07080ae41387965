"""When a token is good and WeChat may be asked for another: pure rules."""

import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.wechat.accounts.rations import AFTER_REFUSAL, FORCED, Held, Ration
from shared.wechat.answers import FetchedToken
from tests.geo_api.wechat.factories import NOW

gaps_s = st.lists(st.floats(min_value=0.1, max_value=4 * 3600), max_size=300)


@given(gaps_s=gaps_s, ration=st.sampled_from([FORCED, AFTER_REFUSAL]))
def test_no_pattern_of_asking_gets_more_than_the_ration(
    gaps_s: list[float], ration: Ration
) -> None:
    now, taken = NOW, list[datetime]()
    for gap_s in gaps_s:
        now += timedelta(seconds=gap_s)
        if ration.allows(taken, now):
            taken.append(now)

    for at in taken:
        within = [other for other in taken if at - timedelta(days=1) < other <= at]
        assert len(within) <= ration.per_day
        of_minute = [other for other in within if other > at - timedelta(minutes=1)]
        assert len(of_minute) <= ration.per_minute
    apart = [later - earlier for earlier, later in itertools.pairwise(taken)]
    assert all(gap >= ration.apart for gap in apart)


@given(lifetime_s=st.integers(1, 7200), age_s=st.floats(0, 8000))
def test_a_token_is_renewed_before_it_ends_and_not_at_once(lifetime_s: int, age_s: float) -> None:
    held = Held().with_token(FetchedToken("t", lifetime_s), NOW)
    at = NOW + timedelta(seconds=age_s)

    assert held.fresh(NOW) == "t"
    assert held.living(at) == ("t" if age_s < lifetime_s else None)
    if held.fresh(at):
        assert held.living(at)
        assert lifetime_s - age_s >= min(300, lifetime_s / 2) - 0.001


def test_what_was_asked_for_is_remembered_for_a_day() -> None:
    held = Held().refused(NOW).forced(NOW)
    later = NOW + timedelta(hours=23)
    assert held.refused(later).refused_at == (NOW, later)
    assert held.forced(NOW + timedelta(hours=25)).forced_at == (NOW + timedelta(hours=25),)


@pytest.mark.parametrize("held", [Held(), Held(token="t"), Held().refused(NOW)])
def test_what_is_not_there_is_neither_fresh_nor_living(held: Held) -> None:
    assert (held.fresh(NOW), held.living(NOW)) == (None, None)


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(Held(token="secret"))
