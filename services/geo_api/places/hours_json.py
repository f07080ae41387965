"""Hours and schedules as plain JSON, the form of the wire and of the database; and back again.

Nothing is judged here: what is read was written by ``encode…`` or checked by the wire's models.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from services.geo_api.places.hours import (
    Closure,
    ExceptionalDay,
    HolidayHours,
    HolidayRule,
    Hours,
)
from services.geo_api.places.schedules import Schedule
from services.geo_api.places.spans import WEEKDAYS, Day, Week, read_day


def encode_hours(hours: Hours) -> dict[str, Any]:
    return {
        "weekly": _encode_week(hours.weekly),
        "holidays": None if hours.holidays is None else _encode_holidays(hours.holidays),
        "exceptions": [
            {"date": day.on.isoformat(), "open": _encode_day(day.spans), "note": day.note}
            for day in hours.exceptions
        ],
        "closures": [
            {
                "from": _encode_moment(closure.starts_at),
                "until": _encode_moment(closure.ends_at),
                "reason": closure.reason,
            }
            for closure in hours.closures
        ],
    }


def decode_hours(document: Mapping[str, Any]) -> Hours:
    """Hours in canonical order, so that the same hours said in another order are equal."""
    holidays = document.get("holidays")
    exceptions = [
        ExceptionalDay(date.fromisoformat(day["date"]), read_day(day["open"]), day.get("note"))
        for day in document.get("exceptions", ())
    ]
    closures = [
        Closure(datetime.fromisoformat(c["from"]), _decode_moment(c.get("until")), c.get("reason"))
        for c in document.get("closures", ())
    ]
    return Hours(
        weekly=_decode_week(document.get("weekly")),
        holidays=None if holidays is None else _decode_holidays(holidays),
        exceptions=tuple(sorted(exceptions, key=lambda day: day.on)),
        closures=tuple(sorted(closures, key=lambda closure: closure.starts_at)),
    )


def encode_schedule(schedule: Schedule) -> dict[str, Any]:
    return {
        "valid_from": _encode_moment(schedule.valid_from),
        "valid_until": _encode_moment(schedule.valid_until),
        "weekly": _encode_week(schedule.weekly),
    }


def decode_schedule(document: Mapping[str, Any]) -> Schedule:
    return Schedule(
        _decode_moment(document.get("valid_from")),
        _decode_moment(document.get("valid_until")),
        _decode_week(document.get("weekly")),
    )


def _encode_week(week: Week | None) -> dict[str, list[str]] | None:
    if week is None:
        return None
    return {name: _encode_day(day) for name, day in zip(WEEKDAYS, week, strict=True)}


def _decode_week(document: Mapping[str, Sequence[str]] | None) -> Week | None:
    """A day that is not named is closed."""
    if document is None:
        return None
    return tuple(read_day(document.get(name, ())) for name in WEEKDAYS)


def _encode_holidays(holidays: HolidayHours) -> dict[str, Any]:
    return {
        "country": holidays.country,
        "subdivision": holidays.subdivision,
        "rule": holidays.rule.value,
        "open": _encode_day(holidays.spans),
    }


def _decode_holidays(document: Mapping[str, Any]) -> HolidayHours:
    return HolidayHours(
        document["country"],
        document.get("subdivision"),
        HolidayRule(document["rule"]),
        read_day(document.get("open", ())),
    )


def _encode_day(day: Day) -> list[str]:
    return [str(span) for span in day]


def _encode_moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _decode_moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
