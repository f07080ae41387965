"""Wire shapes of opening hours and of the schedules of geofences."""

from datetime import date, datetime
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from services.geo_api.places.calendars import fault_of
from services.geo_api.places.hours import HolidayRule, Hours, OpenState, Reason
from services.geo_api.places.hours_json import (
    decode_hours,
    decode_schedule,
    encode_hours,
    encode_schedule,
)
from services.geo_api.places.schedules import Schedule
from services.geo_api.places.spans import read_day, read_span
from shared.wire import Moment, WireModel

MAX_SPANS = 10
MAX_EXCEPTIONS = 400
MAX_CLOSURES = 50
_DATE_LENGTH = 10

HOURS_EXAMPLE: dict[str, Any] = {
    "weekly": {
        "monday": ["09:00-12:00", "13:00-18:00"],
        "tuesday": ["09:00-18:00"],
        "wednesday": ["09:00-18:00"],
        "thursday": ["09:00-18:00"],
        "friday": ["09:00-18:00", "20:00-02:00"],
        "saturday": ["10:00-24:00"],
    },
    "holidays": {
        "country": "US",
        "subdivision": "NY",
        "rule": "own_hours",
        "open": ["10:00-16:00"],
    },
    "exceptions": [
        {"date": "2026-12-24", "open": ["09:00-13:00"], "note": "Christmas Eve"},
        {"date": "2026-12-25", "open": []},
    ],
    "closures": [
        {
            "from": "2027-01-11T00:00:00-05:00",
            "until": "2027-01-18T00:00:00-05:00",
            "reason": "Renovation",
        }
    ],
}
SCHEDULE_EXAMPLE: dict[str, Any] = {
    "valid_from": "2026-12-01T00:00:00-05:00",
    "valid_until": "2026-12-24T20:00:00-05:00",
    "weekly": {"saturday": ["08:00-14:00"], "sunday": ["08:00-14:00"]},
}


def _is_span(text: str) -> str:
    try:
        return str(read_span(text))
    except ValueError as error:
        raise PydanticCustomError("span", "{why}", {"why": str(error)}) from None


def _are_apart(texts: list[str]) -> list[str]:
    try:
        return [str(span) for span in read_day(texts)]
    except ValueError as error:
        raise PydanticCustomError("spans", "{why}", {"why": str(error)}) from None


def _is_date_text(value: Any) -> Any:
    """Pydantic alone would also read numbers as days since 1970, and times."""
    if isinstance(value, str) and len(value) == _DATE_LENGTH:
        return value
    raise PydanticCustomError("day", "must be a date, such as 2026-12-24")


Spans = Annotated[
    list[Annotated[str, AfterValidator(_is_span)]],
    Field(max_length=MAX_SPANS),
    AfterValidator(_are_apart),
]
DateText = Annotated[date, BeforeValidator(_is_date_text)]


class WeekBody(WireModel):
    """Spans of each day in the store's zone, such as ``09:00-12:00``; a day without any is closed.

    A span may pass midnight (``22:00-02:00``); it belongs to the day on which it begins.
    """

    monday: Spans = Field(default_factory=list)
    tuesday: Spans = Field(default_factory=list)
    wednesday: Spans = Field(default_factory=list)
    thursday: Spans = Field(default_factory=list)
    friday: Spans = Field(default_factory=list)
    saturday: Spans = Field(default_factory=list)
    sunday: Spans = Field(default_factory=list)


class HolidaysBody(WireModel):
    """What public holidays of a country (ISO 3166-1) and its part (ISO 3166-2) do to the hours.

    ``rule``: ``closed``; ``own_hours``, which are those in ``open``; or ``as_usual``.
    """

    country: str
    subdivision: str | None = None
    rule: HolidayRule
    open: Spans = Field(default_factory=list)

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        fault = fault_of(self.country, self.subdivision)
        if fault is not None:
            raise PydanticCustomError("holidays", "{why}", {"why": fault})
        if bool(self.open) is not (self.rule is HolidayRule.OWN_HOURS):
            raise PydanticCustomError(
                "own_hours", "open holds the spans of the rule own_hours, and of no other"
            )
        return self


class ExceptionBody(WireModel):
    """A day with hours of its own; ``open`` empty: closed."""

    date: DateText
    open: Spans
    note: str | None = None


class ClosureBody(WireModel):
    """Closed from a moment on; without ``until`` until further notice."""

    starts_at: Moment = Field(alias="from")
    until: Moment | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until is not None and self.until <= self.starts_at:
            raise PydanticCustomError("order", "until must be after from")
        return self


def _each_day_once(days: list[ExceptionBody]) -> list[ExceptionBody]:
    in_order = sorted(day.date for day in days)
    for earlier, later in pairwise(in_order):
        if earlier == later:
            raise PydanticCustomError("twice", "{day} stands twice", {"day": str(later)})
    return days


class HoursBody(WireModel):
    """When a store is open. The more particular rule wins: closures, exceptions, holidays, week.

    Without ``weekly`` the hours are not known, and the store counts as open.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [HOURS_EXAMPLE]})

    weekly: WeekBody | None = None
    holidays: HolidaysBody | None = None
    exceptions: Annotated[
        list[ExceptionBody], Field(max_length=MAX_EXCEPTIONS), AfterValidator(_each_day_once)
    ] = Field(default_factory=list)
    closures: Annotated[list[ClosureBody], Field(max_length=MAX_CLOSURES)] = Field(
        default_factory=list
    )

    def hours(self) -> Hours:
        return decode_hours(self.model_dump(mode="json", by_alias=True))

    @classmethod
    def of(cls, hours: Hours | None) -> Self | None:
        return None if hours is None else cls.model_validate(encode_hours(hours))


class ScheduleBody(WireModel):
    """When a geofence is in force: between two moments, and then in the spans of ``weekly`` only.

    What is left out sets no limit. The spans are in the zone of the store.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [SCHEDULE_EXAMPLE]})

    valid_from: Moment | None = None
    valid_until: Moment | None = None
    weekly: WeekBody | None = None

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        begin, end = self.valid_from, self.valid_until
        if begin is not None and end is not None and end <= begin:
            raise PydanticCustomError("order", "valid_until must be after valid_from")
        if self.weekly is not None and not any(self.weekly.model_dump().values()):
            raise PydanticCustomError("never", "weekly needs a span, or must be left out")
        return self

    def schedule(self) -> Schedule:
        return decode_schedule(self.model_dump(mode="json"))

    @classmethod
    def of(cls, schedule: Schedule | None) -> Self | None:
        return None if schedule is None else cls.model_validate(encode_schedule(schedule))


class OpenStateOut(BaseModel):
    """Whether a store is open ``at`` a moment, by which rule, and when that changes.

    ``reason`` is ``no_hours`` (they are not known: it counts as open), ``weekly``, ``holiday``,
    ``exception``, ``temporarily_closed`` or ``closed_for_good``; ``note`` is the holiday's name,
    or what the store says. ``closes_at`` is set while open, ``opens_next`` while closed, both
    only where that lies within 400 days.
    """

    store_id: str
    at: datetime
    timezone: str
    open: bool
    reason: Reason
    note: str | None
    opens_next: datetime | None
    closes_at: datetime | None
    hours: HoursBody | None

    @classmethod
    def of(
        cls, store_id: str, timezone: str, at: datetime, state: OpenState, hours: Hours | None
    ) -> Self:
        return cls(
            store_id=store_id,
            at=at,
            timezone=timezone,
            open=state.open,
            reason=state.reason,
            note=state.note,
            opens_next=state.opens_next,
            closes_at=state.closes_at,
            hours=HoursBody.of(hours),
        )
