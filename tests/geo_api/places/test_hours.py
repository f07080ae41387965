"""Opening hours: weeks, nights, clock changes, holidays, single days and closings."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.places.calendars import fault_of
from services.geo_api.places.hours import (
    Closure,
    ExceptionalDay,
    HolidayHours,
    HolidayRule,
    Hours,
    Reason,
    is_open,
    next_closure,
    status,
)
from services.geo_api.places.schedules import Schedule, in_force
from services.geo_api.places.spans import WHOLE_DAY, Week, read_day, read_span

NEW_YORK, SHANGHAI, HAVANA = "America/New_York", "Asia/Shanghai", "America/Havana"
LORD_HOWE, APIA = "Australia/Lord_Howe", "Pacific/Apia"


def week(*texts: str, **days: list[str]) -> Week:
    """The same spans every day, but for the days named."""
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    return tuple(read_day(days.get(name, list(texts))) for name in names)


def local(text: str, zone: str = NEW_YORK, fold: int = 0) -> datetime:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return moment.astimezone(UTC)


def test_a_day_may_have_several_spans_and_begins_and_ends_with_the_minute() -> None:
    hours = Hours(weekly=week("09:00-12:00", "13:00-18:00"))

    def at(text: str) -> bool:
        return status(hours, NEW_YORK, local(f"2026-11-23T{text}")).open

    assert [at("08:59:59"), at("09:00"), at("11:59:59"), at("12:00")] == [False, True, True, False]
    assert [at("12:59"), at("13:00"), at("17:59"), at("18:00")] == [False, True, True, False]


def test_a_closed_store_says_when_it_opens_and_an_open_one_when_it_closes() -> None:
    hours = Hours(weekly=week("09:00-12:00", "13:00-18:00", sun=[]))

    at_noon = is_open(hours, NEW_YORK, local("2026-11-23T12:30"))
    on_saturday_night = is_open(hours, NEW_YORK, local("2026-11-28T23:00"))
    in_the_morning = is_open(hours, NEW_YORK, local("2026-11-23T10:00"))

    assert (at_noon.open, at_noon.opens_next) == (False, local("2026-11-23T13:00"))
    assert on_saturday_night.opens_next == local("2026-11-30T09:00")
    assert (in_the_morning.open, in_the_morning.closes_at) == (True, local("2026-11-23T12:00"))
    assert (in_the_morning.opens_next, at_noon.closes_at) == (None, None)


def test_a_span_that_passes_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    hours = Hours(weekly=week(fri=["22:00-02:00"]))

    assert status(hours, SHANGHAI, local("2026-11-28T01:59", SHANGHAI)).open
    assert not status(hours, SHANGHAI, local("2026-11-28T02:00", SHANGHAI)).open
    assert not status(hours, SHANGHAI, local("2026-11-27T01:59", SHANGHAI)).open
    late = is_open(hours, SHANGHAI, local("2026-11-27T23:00", SHANGHAI))
    assert late.closes_at == local("2026-11-28T02:00", SHANGHAI)


def test_spans_that_touch_across_midnight_are_one_opening() -> None:
    hours = Hours(weekly=week(fri=["20:00-24:00"], sat=["00:00-05:00"]))
    around_the_clock = Hours(weekly=week("00:00-24:00", mon=["00:00-20:00"]))

    assert is_open(hours, NEW_YORK, local("2026-11-27T21:00")).closes_at == local(
        "2026-11-28T05:00"
    )
    state = is_open(around_the_clock, NEW_YORK, local("2026-11-24T03:00"))
    assert state.closes_at == local("2026-11-30T20:00")


def test_a_store_that_never_closes_has_no_closing_time_and_one_that_never_opens_no_opening() -> (
    None
):
    always = is_open(Hours(weekly=week("00:00-24:00")), NEW_YORK, local("2026-11-24T03:00"))
    never = is_open(Hours(weekly=week()), NEW_YORK, local("2026-11-24T03:00"))

    assert (always.open, always.closes_at) == (True, None)
    assert (never.open, never.opens_next, never.reason) == (False, None, Reason.WEEKLY)


def test_a_store_whose_hours_are_not_known_counts_as_open() -> None:
    state = is_open(None, NEW_YORK, local("2026-11-24T03:00"))

    assert (state.open, state.reason) == (True, Reason.NO_HOURS)


# The clock jumps from 02:00 to 03:00 on 2026-03-08 and from 02:00 back to 01:00 on 2026-11-01.


def test_an_opening_time_that_the_clock_leaves_out_is_the_moment_of_the_jump() -> None:
    hours = Hours(weekly=week("02:30-06:00"))
    jump = datetime(2026, 3, 8, 7, tzinfo=UTC)

    assert not status(hours, NEW_YORK, jump - timedelta(seconds=1)).open
    assert status(hours, NEW_YORK, jump).open
    assert is_open(hours, NEW_YORK, jump - timedelta(hours=1)).opens_next == jump


def test_a_closing_time_that_the_clock_leaves_out_is_the_moment_of_the_jump() -> None:
    hours = Hours(weekly=week("22:00-02:30"))
    jump = datetime(2026, 3, 8, 7, tzinfo=UTC)

    assert status(hours, NEW_YORK, jump - timedelta(seconds=1)).open
    assert not status(hours, NEW_YORK, jump).open


def test_a_span_that_the_clock_leaves_out_whole_does_not_happen() -> None:
    hours = Hours(weekly=week(sun=["02:10-02:50"]))

    state = is_open(hours, NEW_YORK, local("2026-03-08T01:00"))

    assert (state.open, state.opens_next) == (False, local("2026-03-15T02:10"))


def test_an_hour_that_comes_twice_is_open_from_the_first_time_to_the_second() -> None:
    early, late = Hours(weekly=week("00:00-01:30")), Hours(weekly=week("01:30-05:00"))

    assert status(early, NEW_YORK, local("2026-11-01T01:29", fold=1)).open
    assert not status(early, NEW_YORK, local("2026-11-01T01:30", fold=1)).open
    assert not status(late, NEW_YORK, local("2026-11-01T01:29")).open
    assert status(late, NEW_YORK, local("2026-11-01T01:30")).open
    assert status(late, NEW_YORK, local("2026-11-01T01:10", fold=1)).open


def test_a_day_of_25_hours_is_open_all_day() -> None:
    hours = Hours(weekly=week(sun=["00:00-24:00"]))

    state = is_open(hours, NEW_YORK, local("2026-11-01T00:00"))

    assert state.closes_at == local("2026-11-01T00:00") + timedelta(hours=25)


def test_a_midnight_that_the_clock_leaves_out_begins_the_day_at_the_jump() -> None:
    """In Havana the clock jumps from 00:00 to 01:00."""
    hours = Hours(weekly=week("00:00-24:00", sat=[]))
    jump = datetime(2026, 3, 8, 5, tzinfo=UTC)

    assert not status(hours, HAVANA, jump - timedelta(seconds=1)).open
    assert status(hours, HAVANA, jump).open


def test_a_clock_that_jumps_by_half_an_hour_and_a_day_that_was_left_out() -> None:
    """Lord Howe Island jumps from 02:00 to 02:30; Samoa had no 30 December 2011."""
    half = Hours(weekly=week("02:15-04:00"))
    whole = Hours(weekly=week(fri=["09:00-17:00"], sat=["09:00-17:00"]))

    opens = is_open(half, LORD_HOWE, local("2026-10-04T01:00", LORD_HOWE)).opens_next
    after_thursday = is_open(whole, APIA, local("2011-12-29T12:00", APIA)).opens_next

    assert opens == local("2026-10-04T02:30", LORD_HOWE)
    assert after_thursday == local("2011-12-31T09:00", APIA)


def test_a_holiday_closes_a_store_or_gives_it_other_hours_or_changes_nothing() -> None:
    thanksgiving = local("2026-11-26T11:00")

    def on_holidays(rule: HolidayRule, *texts: str) -> Hours:
        special = HolidayHours("US", "NY", rule, read_day(texts))
        return Hours(weekly=week("09:00-18:00"), holidays=special)

    closed = is_open(on_holidays(HolidayRule.CLOSED), NEW_YORK, thanksgiving)
    short = on_holidays(HolidayRule.OWN_HOURS, "10:00-16:00")
    usual = is_open(on_holidays(HolidayRule.AS_USUAL), NEW_YORK, thanksgiving)

    assert (closed.open, closed.reason, closed.note) == (False, Reason.HOLIDAY, "Thanksgiving Day")
    assert closed.opens_next == local("2026-11-27T09:00")
    assert is_open(short, NEW_YORK, thanksgiving).closes_at == local("2026-11-26T16:00")
    assert not status(short, NEW_YORK, local("2026-11-26T09:30")).open
    assert (usual.open, usual.reason) == (True, Reason.WEEKLY)


def test_a_holiday_begins_at_midnight_of_the_store_not_of_greenwich() -> None:
    special = HolidayHours("CN", None, HolidayRule.CLOSED, ())
    hours = Hours(weekly=week("00:00-24:00"), holidays=special)

    assert status(hours, SHANGHAI, local("2026-09-30T23:59", SHANGHAI)).open
    assert not status(hours, SHANGHAI, local("2026-10-01T00:00", SHANGHAI)).open
    assert not status(hours, SHANGHAI, local("2026-10-07T12:00", SHANGHAI)).open  # moved by law
    assert status(hours, SHANGHAI, local("2026-10-08T00:00", SHANGHAI)).open


def test_the_night_before_goes_on_into_a_closed_day() -> None:
    special = HolidayHours("US", None, HolidayRule.CLOSED, ())
    bar = Hours(weekly=week("18:00-03:00"), holidays=special)

    assert status(bar, NEW_YORK, local("2026-12-25T02:00")).open
    assert not status(bar, NEW_YORK, local("2026-12-25T20:00")).open
    assert not status(bar, NEW_YORK, local("2026-12-26T02:00")).open


def test_the_more_particular_rule_wins() -> None:
    day = date(2026, 12, 25)
    closing = Closure(local("2026-12-25T12:00"), local("2026-12-27T12:00"), "stocktaking")
    hours = Hours(
        weekly=week("09:00-18:00"),
        holidays=HolidayHours("US", None, HolidayRule.CLOSED, ()),
        exceptions=(ExceptionalDay(day, read_day(["10:00-14:00"]), "open at Christmas"),),
        closures=(closing,),
    )

    exceptional = is_open(hours, NEW_YORK, local("2026-12-25T10:30"))
    shut = is_open(hours, NEW_YORK, local("2026-12-25T12:00"))

    assert (exceptional.reason, exceptional.note) == (Reason.EXCEPTION, "open at Christmas")
    assert exceptional.closes_at == closing.starts_at
    assert (shut.reason, shut.note) == (Reason.TEMPORARILY_CLOSED, "stocktaking")
    assert shut.opens_next == closing.ends_at


def test_a_store_that_is_closed_until_further_notice_does_not_say_when_it_opens() -> None:
    began = local("2026-11-23T00:00")
    hours = Hours(weekly=week("09:00-18:00"), closures=(Closure(began, None, None),))

    state = is_open(hours, NEW_YORK, began)

    assert (state.open, state.opens_next) == (False, None)
    assert next_closure(hours, began + timedelta(days=99)) == began


def test_a_closure_that_is_over_is_not_the_next_one() -> None:
    over, coming = (
        Closure(local(f"2026-{month}-01T00:00"), local(f"2026-{month}-02T00:00"), None)
        for month in ("10", "12")
    )

    hours = Hours(closures=(coming, over))

    assert next_closure(hours, local("2026-11-01T00:00")) == coming.starts_at
    assert next_closure(hours, local("2026-12-02T00:00")) is None
    assert next_closure(None, local("2026-11-01T00:00")) is None


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["9:00-12:00"], "must be a span"),
        (["09:00-12:60"], "must be a span"),
        (["24:00-25:00"], "must be a span"),
        (["09:00-09:00"], "00:00-24:00"),
        (["09:00-12:00", "11:00-13:00"], "overlap"),
        (["22:00-02:00", "23:00-24:00"], "overlap"),
    ],
)
def test_spans_that_cannot_be_are_explained(texts: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_day(texts)


@pytest.mark.parametrize("text", ["09:00-12:30", "22:00-02:00", "00:00-24:00", "23:59-23:58"])
def test_a_span_is_written_as_it_was_read(text: str) -> None:
    assert str(read_span(text)) == text


def test_a_country_without_known_holidays_is_refused_with_a_word() -> None:
    assert fault_of("US", "NY") is fault_of("CN", None) is None
    assert "ISO 3166-1" in str(fault_of("XX", None))
    assert "no such subdivision" in str(fault_of("US", "ZZ"))


def test_a_schedule_holds_from_its_first_moment_until_before_its_last() -> None:
    begin, end = local("2026-11-24T08:00"), local("2026-11-27T08:00")
    mornings = Schedule(begin, end, week("07:00-10:00"))

    def at(text: str) -> bool:
        return in_force(mornings, NEW_YORK, local(text))

    assert [at("2026-11-24T07:59"), at("2026-11-24T08:00")] == [False, True]
    assert [at("2026-11-24T10:00"), at("2026-11-25T07:00")] == [False, True]
    assert [at("2026-11-27T07:59"), at("2026-11-27T08:00")] == [True, False]
    assert in_force(None, NEW_YORK, end)


minutes = st.integers(0, 1_439)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 2 * 365 * 86_400).map(lambda s: FIRST + timedelta(seconds=s))
zones = st.sampled_from([NEW_YORK, SHANGHAI, HAVANA, LORD_HOWE, "Europe/Dublin"])


@st.composite
def hours_of_a_store(draw: st.DrawFn) -> Hours:
    def day() -> tuple[str, ...]:
        marks = sorted(draw(st.sets(minutes, max_size=6)))
        pairs = list(zip(marks[::2], marks[1::2], strict=False))
        return tuple(f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}" for a, b in pairs)

    rule = draw(st.sampled_from(HolidayRule))
    special = HolidayHours("US", None, rule, read_day(day()))
    starts = draw(MOMENTS)
    closing = Closure(starts, starts + timedelta(hours=draw(st.integers(1, 200))), None)
    return Hours(tuple(read_day(day()) for _ in range(7)), special, (), (closing,))


@given(hours=hours_of_a_store(), zone=zones, at=MOMENTS)
def test_what_is_told_of_the_next_change_is_what_then_holds(
    hours: Hours, zone: str, at: datetime
) -> None:
    state = is_open(hours, zone, at)
    change = state.closes_at if state.open else state.opens_next

    assert state.open is status(hours, zone, at).open
    if change is not None:
        assert change > at
        assert status(hours, zone, change).open is not state.open
        before = change - timedelta(seconds=1)
        assert status(hours, zone, max(at, before)).open is state.open
        halfway = at + (change - at) / 2
        assert status(hours, zone, halfway).open is state.open


@given(zone=zones, at=MOMENTS)
def test_a_store_open_all_day_every_day_is_open_at_every_moment(zone: str, at: datetime) -> None:
    assert status(Hours(weekly=(WHOLE_DAY,) * 7), zone, at).open


@given(zone=zones, at=MOMENTS, opens=minutes, length=st.integers(1, 1_439))
def test_away_from_clock_changes_the_wall_decides(
    zone: str, at: datetime, opens: int, length: int
) -> None:
    there = ZoneInfo(zone)
    day_and_a_half = timedelta(hours=36)
    offsets = {
        (at + shift).astimezone(there).utcoffset() for shift in (-day_and_a_half, day_and_a_half)
    }
    span = read_span(
        f"{opens // 60:02}:{opens % 60:02}-"
        f"{(opens + length) % 1440 // 60:02}:{(opens + length) % 60:02}"
    )
    shown = at.astimezone(there)
    minute = 60 * shown.hour + shown.minute
    on_the_wall = (minute - opens) % 1_440 < length

    if len(offsets) == 1:
        assert status(Hours(weekly=((span,),) * 7), zone, at).open is on_the_wall
