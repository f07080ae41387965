"""When a store is open: its week, public holidays, single days, and times of being closed.

The more particular rule wins: a temporary closing before an exceptional day, that before a public
holiday, that before the week. Days are those of the store's zone; a span that passes midnight
belongs to the day on which it begins, and goes on into a day that is closed.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from services.geo_api.places.calendars import public_holidays
from services.geo_api.places.spans import (
    WHOLE_DAY,
    Day,
    Week,
    day_open_at,
    local_day,
    openings,
)

HORIZON_DAYS = 400
"""So far ahead an opening or closing is looked for: a shop of one season opens once a year."""


class HolidayRule(StrEnum):
    """What a public holiday does to a store's hours."""

    CLOSED = "closed"
    OWN_HOURS = "own_hours"
    AS_USUAL = "as_usual"


class Reason(StrEnum):
    """Which rule says that a store is open, or that it is not."""

    NO_HOURS = "no_hours"
    WEEKLY = "weekly"
    HOLIDAY = "holiday"
    EXCEPTION = "exception"
    TEMPORARILY_CLOSED = "temporarily_closed"
    CLOSED_FOR_GOOD = "closed_for_good"


@dataclass(frozen=True, slots=True)
class HolidayHours:
    """``country`` and ``subdivision`` by ISO 3166; ``spans`` are the own hours, else none."""

    country: str
    subdivision: str | None
    rule: HolidayRule
    spans: Day


@dataclass(frozen=True, slots=True)
class ExceptionalDay:
    """A day with hours of its own; without any spans it is closed."""

    on: date
    spans: Day
    note: str | None


@dataclass(frozen=True, slots=True)
class Closure:
    """Closed from a moment on, until another or until further notice."""

    starts_at: datetime
    ends_at: datetime | None
    reason: str | None

    def covers(self, at: datetime) -> bool:
        return self.starts_at <= at and (self.ends_at is None or at < self.ends_at)


@dataclass(frozen=True, slots=True)
class Hours:
    """``weekly`` None: the hours are not known, and the store counts as open.

    ``exceptions`` are in the order of their days, each day once.
    """

    weekly: Week | None = None
    holidays: HolidayHours | None = None
    exceptions: tuple[ExceptionalDay, ...] = ()
    closures: tuple[Closure, ...] = ()


class Status(NamedTuple):
    """``note``: the holiday's name, or what the store says of the day or the closing."""

    open: bool
    reason: Reason
    note: str | None


@dataclass(frozen=True, slots=True)
class OpenState:
    """Open or not, why, and until when.

    ``closes_at`` is set while open, ``opens_next`` while closed; None where that is not within
    the next 400 days.
    """

    open: bool
    reason: Reason
    note: str | None
    opens_next: datetime | None
    closes_at: datetime | None


class _Rule(NamedTuple):
    spans: Day
    reason: Reason
    note: str | None


def status(hours: Hours | None, zone: str, at: datetime) -> Status:
    """Whether a store of IANA ``zone`` is open at ``at``, and by which rule; some 20 µs."""
    if hours is None:
        return Status(open=True, reason=Reason.NO_HOURS, note=None)
    closure = next((closure for closure in hours.closures if closure.covers(at)), None)
    if closure is not None:
        return Status(open=False, reason=Reason.TEMPORARILY_CLOSED, note=closure.reason)
    day = day_open_at(lambda day: _rule(hours, day).spans, zone, at)
    rule = _rule(hours, local_day(zone, at) if day is None else day)
    return Status(open=day is not None, reason=rule.reason, note=rule.note)


def is_open(hours: Hours | None, zone: str, at: datetime) -> OpenState:
    """``status`` with the moment at which it ends; some milliseconds where that is far off."""
    now = status(hours, zone, at)
    opens_next = closes_at = None
    if hours is not None:
        start, end = _opening(hours, zone, at)
        opens_next, closes_at = (None, end) if now.open else (start, None)
    return OpenState(now.open, now.reason, now.note, opens_next, closes_at)


def next_closure(hours: Hours | None, at: datetime) -> datetime | None:
    """When the next temporary closing begins that is not over at ``at``; it may have begun."""
    closures = () if hours is None else hours.closures
    coming = (c.starts_at for c in closures if c.ends_at is None or c.ends_at > at)
    return min(coming, default=None)


def _rule(hours: Hours, day: date) -> _Rule:
    exceptions = hours.exceptions
    position = bisect_left(exceptions, day, key=lambda exception: exception.on)
    if position < len(exceptions) and exceptions[position].on == day:
        return _Rule(exceptions[position].spans, Reason.EXCEPTION, exceptions[position].note)
    special = hours.holidays
    if special is not None and special.rule is not HolidayRule.AS_USUAL:
        name = public_holidays(special.country, special.subdivision, day.year).get(day)
        if name is not None:
            return _Rule(special.spans, Reason.HOLIDAY, name)
    if hours.weekly is None:
        return _Rule(WHOLE_DAY, Reason.NO_HOURS, None)
    return _Rule(hours.weekly[day.weekday()], Reason.WEEKLY, None)


def _opening(hours: Hours, zone: str, at: datetime) -> tuple[datetime | None, datetime | None]:
    """The opening that goes on at ``at`` or is the next one; None for an end beyond sight."""
    first = local_day(zone, at) - timedelta(days=1)
    horizon = at + timedelta(days=HORIZON_DAYS)
    whole = openings(lambda day: _rule(hours, day).spans, zone, first, HORIZON_DAYS + 3)
    for opening in whole:
        for start, end in _without_closures(*opening, hours.closures):
            if end > at:
                return (start if start < horizon else None), (end if end < horizon else None)
    return None, None


def _without_closures(
    start: datetime, end: datetime, closures: tuple[Closure, ...]
) -> Iterator[tuple[datetime, datetime]]:
    """What temporary closings leave of an opening, in order."""
    for closure in sorted(closures, key=lambda closure: closure.starts_at):
        if closure.starts_at >= end:
            break
        if start < closure.starts_at:
            yield start, closure.starts_at
        if closure.ends_at is None:
            return
        start = max(start, closure.ends_at)
    if start < end:
        yield start, end
