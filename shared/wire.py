"""The form of what comes in over the wire: one strict base model, and the types it is made of."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
)
from pydantic_core import PydanticCustomError

from shared.errors import FieldFault, Malformed

MAX_TEXT = 200
MAX_DEPTH = 32
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_DATE_LENGTH = 10


class WireModel(BaseModel):
    """Base of request bodies.

    A field that is not known is refused. Every field is looked through for texts, by a call of
    Python each; a busy model names those that can hold one: ``_storable = texts("version")``.
    Texts become NFC, have no control characters (so no NUL, which PostgreSQL cannot store) and at
    most 200 characters unless the field sets its own ``max_length``. NaN and Infinity are refused,
    also deep within fields of any JSON.
    """

    model_config = ConfigDict(
        extra="forbid",
        str_max_length=MAX_TEXT,
        allow_inf_nan=False,
        frozen=True,
    )

    @field_validator("*", mode="after")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return storable(value)


def texts(*fields: str) -> Any:
    """In a ``WireModel``, as ``_storable``: only ``fields`` may hold texts of the caller's own."""
    return field_validator(*fields, mode="after")(classmethod(lambda _, value: storable(value)))


def storable(value: Any, depth: int = 0) -> Any:
    """``value`` with all its texts in NFC; dicts and lists are gone through to any depth.

    Raises PydanticCustomError for control characters, broken surrogates, NaN, Infinity, or
    nesting deeper than 32.
    """
    if type(value) is str:
        return value if value.isascii() and value.isprintable() else _clean(value)
    if not isinstance(value, dict | list | float):
        return value
    if isinstance(value, float):
        return _finite(value)
    if depth > MAX_DEPTH:
        raise PydanticCustomError("too_deep", "is nested too deeply")
    if isinstance(value, dict):
        return {storable(k, depth): storable(v, depth + 1) for k, v in value.items()}
    return [storable(item, depth + 1) for item in value]


def parse_json(data: bytes) -> Any:
    """JSON as RFC 8259 has it: UTF-8, no NaN or Infinity, no broken surrogates.

    For bodies that an endpoint reads by itself. Raises Malformed at the whole document.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        detail = f"is not JSON: {error.msg} at character {error.pos}"
        raise Malformed(FieldFault("", detail)) from None


def _clean(text: str) -> str:
    normal = unicodedata.normalize("NFC", text)
    if normal.isprintable():
        return normal
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in normal):
        raise PydanticCustomError("control_character", "holds a control character: leave it out")
    return normal


def _finite(number: float) -> float:
    if number - number != 0:
        raise PydanticCustomError("finite_number", "must be a finite number, not NaN or Infinity")
    return number


def _is_timestamp_text(value: Any) -> Any:
    """Pydantic alone would also read numbers, and texts of digits, as Unix times."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or value[_DATE_LENGTH : _DATE_LENGTH + 1] not in ("T", "t", " "):
        raise PydanticCustomError("moment", "must be RFC 3339, such as 2026-11-23T12:00:00Z")
    return value


def _in_range(value: datetime) -> datetime:
    """As UTC, for times of one zone are compared twice as quickly as those of two.

    The year is looked at first: at the ends of the calendar there are times that have no UTC.
    """
    if EARLIEST.year - 1 <= value.year <= LATEST.year:
        moment = value.astimezone(UTC)
        if EARLIEST <= moment < LATEST:
            return moment
    raise PydanticCustomError("moment_range", "must lie between 2000-01-01 and 2100-01-01")


Moment = Annotated[AwareDatetime, BeforeValidator(_is_timestamp_text), AfterValidator(_in_range)]
"""A time in RFC 3339 with its offset, from 2000 up to 2100; becomes UTC."""

Number = Annotated[float, Field(strict=True)]
"""A finite JSON number; texts and booleans are not read as numbers."""

Integer = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
"""A whole JSON number that fits PostgreSQL's bigint."""

Latitude = Annotated[Number, Field(ge=-90, le=90)]
Longitude = Annotated[Number, Field(ge=-180, le=180)]
"""Degrees, in the datum that the message names."""
