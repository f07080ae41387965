"""Lists in pages: ``?limit=&cursor=`` in, ``{"items": [...], "next_cursor": ...}`` out."""

import base64
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import orjson
from fastapi import Query
from pydantic import BaseModel

from shared.errors import FieldFault, Malformed
from shared.wire import EARLIEST, LATEST

T = TypeVar("T")

MAX_LIMIT = 500
DEFAULT_LIMIT = 50
_MAX_CURSOR = 1_000

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items in a page")]
"""Declare as ``limit: Limit = DEFAULT_LIMIT``."""

Cursor = Annotated[
    str | None,
    Query(max_length=_MAX_CURSOR, description="``next_cursor`` of the page before"),
]
"""Declare as ``cursor: Cursor = None``."""


class Page(BaseModel, Generic[T]):
    """``next_cursor`` is null on the last page."""

    items: list[T]
    next_cursor: str | None


def encode_cursor(*parts: str | float | bool | datetime | UUID | None) -> str:
    """The sort key of the last item, as opaque text. Datetimes and UUIDs come back as text."""
    position = orjson.dumps(parts, default=str)  # asyncpg's UUIDs are a subclass
    return base64.urlsafe_b64encode(position).rstrip(b"=").decode()


def decode_cursor(cursor: str, *, parts: int | None = None) -> list[Any]:
    """The parts that :func:`encode_cursor` was given, as JSON has them.

    ``parts`` is how many there must be. Raises Malformed at ``?cursor`` for anything else.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        decoded = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except ValueError as error:
        raise _bad_cursor() from error
    if not isinstance(decoded, list) or (parts is not None and len(decoded) != parts):
        raise _bad_cursor()
    if any(isinstance(part, str) and "\0" in part for part in decoded):
        raise _bad_cursor()
    return decoded


def moment_and_uuid(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Where a list by (time, id) goes on; None on its first page. Raises Malformed."""
    if cursor is None:
        return None
    at, identifier = decode_cursor(cursor, parts=2)
    try:
        moment, found = datetime.fromisoformat(str(at)), UUID(str(identifier))
    except ValueError:
        raise _bad_cursor() from None
    if moment.tzinfo is None or not EARLIEST <= moment < LATEST:
        raise _bad_cursor()
    return moment, found


def last_id(cursor: str | None) -> str:
    """Where a list by the callers' own ids goes on; before the first at ``""``. Raises Malformed."""
    if cursor is None:
        return ""
    (identifier,) = decode_cursor(cursor, parts=1)
    if not isinstance(identifier, str):
        raise _bad_cursor()
    return identifier


def _bad_cursor() -> Malformed:
    return Malformed(
        FieldFault("?cursor", "is not a cursor of this list: send next_cursor as it was given")
    )
