"""When an account keeps quiet."""

from datetime import UTC, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.wechat.accounts.outreach import SILENT, QuietHours, read_outreach
from services.geo_api.wechat.accounts.outreach_schemas import OUTREACH_EXAMPLE, OutreachBody

times = st.times()


@given(start=times, end=times, at=times)
def test_a_time_is_quiet_or_the_rest_of_the_day_is(start: time, end: time, at: time) -> None:
    if start != end:
        assert QuietHours(start, end).cover(at) != QuietHours(end, start).cover(at)
    else:
        assert not QuietHours(start, end).cover(at)


@pytest.mark.parametrize(
    ("hour", "quiet"), [(12, False), (13, True), (0, True), (1, False)]
)  # in UTC, of 21:00 to 09:00 in Shanghai
def test_quiet_hours_are_those_of_the_zone_and_go_past_midnight(hour: int, quiet: bool) -> None:
    settings = read_outreach(OUTREACH_EXAMPLE)
    assert settings.is_quiet(datetime(2026, 11, 23, hour, tzinfo=UTC)) == quiet
    assert not SILENT.is_quiet(datetime(2026, 11, 23, hour, tzinfo=UTC))


def test_what_is_left_out_is_silent_and_what_is_stored_is_read_again() -> None:
    assert read_outreach({}) == SILENT
    stored = OutreachBody.model_validate(OUTREACH_EXAMPLE).model_dump(mode="json", by_alias=True)
    assert stored == OUTREACH_EXAMPLE
    settings = read_outreach(stored)
    assert settings.coupon is not None
    assert settings.coupon.data["thing1"] == "{title}"
    assert read_outreach(OutreachBody().model_dump(mode="json", by_alias=True)) == SILENT
