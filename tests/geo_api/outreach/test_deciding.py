"""Whether a message goes, by which account and route, and if not, why not and until when."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.outreach.domain import (
    LOOKED_AT_AGAIN,
    Attitude,
    Contact,
    CouponIs,
    Decision,
    Drop,
    Past,
    Pending,
    Reason,
    Route,
    Send,
    Wait,
    decide,
    end_of_quiet,
    next_day,
    often_enough,
)
from services.geo_api.wechat.accounts.outreach import SILENT, OutreachSettings, QuietHours

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)  # 20:00 in Shanghai
SOMEBODY = uuid4()
AGREES = Attitude(refuses=False, agrees=True)
SILENCE = Attitude(refuses=False, agrees=False)
NOTHING_SENT = Past([], under_way=False)
PENDING = Pending(CouponIs.VALID, NOON + timedelta(days=3), None)

zones = st.sampled_from(
    ["Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC"]
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(  # noqa: DTZ001 - UTC follows
    lambda at: at.replace(tzinfo=UTC)
)
times = st.times().map(lambda at: at.replace(second=0, microsecond=0))


def limits(**changes: Any) -> OutreachSettings:
    return replace(SILENT, enabled=True, **changes)


def contact(account_id: str = "mini", subject_id: UUID = SOMEBODY, **changes: Any) -> Contact:
    fields: dict[str, Any] = {
        "limits": limits(),
        "writes": True,
        "grant": False,
        "window": False,
    } | changes
    return Contact(account_id, subject_id, **fields)


@dataclass(frozen=True)
class Case:
    """What is decided at noon, with what a test needs changed."""

    contacts: tuple[Contact, ...] = (contact(grant=True),)
    pending: Pending = PENDING
    attitude: Attitude = AGREES
    past: Past = NOTHING_SENT

    def decided(self) -> Decision:
        return decide(self.pending, self.attitude, self.contacts, self.past, NOON)


def test_a_grant_is_enough_without_a_word_on_marketing() -> None:
    expected = Send("mini", SOMEBODY, Route.SUBSCRIBE_MESSAGE)
    assert Case(attitude=SILENCE).decided() == expected


def test_a_window_needs_a_consent_to_marketing() -> None:
    windowed = (contact(window=True),)
    assert Case(windowed).decided() == Send("mini", SOMEBODY, Route.CUSTOM_MESSAGE)
    waits = Wait(NOON + LOOKED_AT_AGAIN, Reason.NO_CONSENT)
    assert Case(windowed, attitude=SILENCE).decided() == waits


def test_a_grant_at_any_account_goes_before_a_window_at_another() -> None:
    contacts = (contact("a", window=True), contact("b", grant=True))
    assert Case(contacts).decided() == Send("b", SOMEBODY, Route.SUBSCRIBE_MESSAGE)


def test_an_account_that_may_not_write_now_leaves_it_to_one_that_may() -> None:
    quiet = limits(quiet_hours=QuietHours(time(19), time(21)))
    contacts = (contact("a", grant=True, limits=quiet), contact("b", window=True))
    assert Case(contacts).decided() == Send("b", SOMEBODY, Route.CUSTOM_MESSAGE)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"attitude": Attitude(refuses=True, agrees=False)}, Reason.MARKETING_REFUSED),
        ({"pending": replace(PENDING, coupon=CouponIs.USED)}, Reason.COUPON_USED),
        ({"pending": replace(PENDING, coupon=CouponIs.WITHDRAWN)}, Reason.COUPON_WITHDRAWN),
        ({"pending": replace(PENDING, expires_at=NOON)}, Reason.EXPIRED),
        ({"pending": Pending(CouponIs.VALID, NOON, "no_channel")}, Reason.NO_CHANNEL),
    ],
)
def test_what_will_never_be_sent_is_dropped(changes: dict[str, Any], reason: Reason) -> None:
    assert Case(**changes).decided() == Drop(reason)


@pytest.mark.parametrize(
    ("changes", "until", "reason"),
    [
        ({"contacts": ()}, NOON + LOOKED_AT_AGAIN, Reason.NO_CHANNEL),
        ({"contacts": (contact(),)}, NOON + LOOKED_AT_AGAIN, Reason.NO_CHANNEL),
        (
            {"contacts": (contact(grant=True, writes=False),)},
            NOON + LOOKED_AT_AGAIN,
            Reason.OUTREACH_OFF,
        ),
        (
            {"past": Past([NOON - timedelta(hours=1)], under_way=False)},
            NOON + timedelta(hours=4),
            Reason.OFTEN_ENOUGH,
        ),
        (
            {"past": Past([], under_way=True)},
            NOON + timedelta(seconds=2),
            Reason.ONE_AT_A_TIME,
        ),
        (
            {"contacts": (contact(grant=True, limits=limits(
                quiet_hours=QuietHours(time(19), time(9)))),)},
            NOON + timedelta(hours=13),
            Reason.QUIET_HOURS,
        ),
    ],
)  # fmt: skip
def test_what_waits_says_why_and_until_when(
    changes: dict[str, Any], until: datetime, reason: Reason
) -> None:
    assert Case(**changes).decided() == Wait(until, reason)


def test_it_waits_no_longer_than_its_coupon_lives() -> None:
    ends = NOON + timedelta(hours=1)
    assert Case((), replace(PENDING, expires_at=ends)).decided() == Wait(ends, Reason.NO_CHANNEL)


def test_what_any_account_sent_counts_for_the_limit_of_each() -> None:
    twice = limits(per_person_per_day=2)
    contacts = (contact("once", grant=True), contact("twice", window=True, limits=twice))
    past = Past([NOON - timedelta(hours=1)], under_way=False)
    assert Case(contacts, past=past).decided() == Send("twice", SOMEBODY, Route.CUSTOM_MESSAGE)


def test_a_day_is_a_calendar_day_of_the_account() -> None:
    before_midnight = datetime(2026, 11, 22, 15, 59, tzinfo=UTC)  # in Shanghai
    after_midnight = datetime(2026, 11, 22, 16, 1, tzinfo=UTC)
    assert not often_enough(limits(), [before_midnight], NOON)
    assert often_enough(limits(), [after_midnight], NOON)
    assert not often_enough(limits(timezone="UTC"), [after_midnight], NOON)


@given(zone=zones, now=moments)
def test_the_next_day_is_ahead_and_begins_no_earlier_than_it_must(zone: str, now: datetime) -> None:
    begins = next_day(zone, now)
    local = now.astimezone(ZoneInfo(zone)).date()
    assert now < begins <= now + timedelta(hours=26)
    assert begins.astimezone(ZoneInfo(zone)).date() == local + timedelta(days=1)
    before = (begins - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).date()
    assert before == local


@given(zone=zones, now=moments, start=times, end=times)
def test_quiet_hours_end_when_it_is_quiet_no_more(
    zone: str, now: datetime, start: time, end: time
) -> None:
    settings = limits(timezone=zone, quiet_hours=QuietHours(start, end))
    ends = end_of_quiet(settings, now)
    assert (ends is not None) == settings.is_quiet(now)
    if ends is not None:
        assert now < ends <= now + timedelta(hours=26)
        assert not settings.is_quiet(ends)


def test_no_quiet_hours_and_equal_ends_are_never_quiet() -> None:
    assert end_of_quiet(limits(), NOON) is None
    assert end_of_quiet(limits(quiet_hours=QuietHours(time(20), time(20))), NOON) is None
