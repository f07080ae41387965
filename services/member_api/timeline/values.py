"""Reading single values of an event, and saying which of them cannot be taken."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from asyncpg.pgproto import pgproto

from shared.wire import EARLIEST, LATEST, MAX_TEXT


class UnreadableEvent(ValueError):  # noqa: N818 - a whole phrase, like the refusals
    """``reason`` says why, as a word for the sender's operator."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def moment(value: Any, reason: str) -> datetime:
    """A time with its offset, from 2000 up to 2100. Raises UnreadableEvent."""
    try:
        return _moment(value)
    except (TypeError, ValueError):
        raise UnreadableEvent(reason) from None


@lru_cache(maxsize=1 << 12)
def _moment(value: Any) -> datetime:
    """Remembered, since half of the times in a batch stand there more than once."""
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is None or not EARLIEST <= parsed < LATEST:
        raise ValueError(value)
    return parsed


def as_uuid(value: Any, reason: str) -> UUID:
    """A UUID of asyncpg's own kind, which is made and compared in C. Raises UnreadableEvent."""
    try:
        return pgproto.UUID(value)
    except (TypeError, ValueError):
        raise UnreadableEvent(reason) from None


def uuid_of(data: Mapping[str, Any], name: str) -> UUID:
    """Raises UnreadableEvent."""
    return as_uuid(data.get(name), f"bad_{name}")


def check_text(data: Mapping[str, Any], name: str, *, optional: bool = False) -> None:
    """That ``name`` is a text of 1 to 200 characters, or missing where it may be.

    Raises UnreadableEvent.
    """
    value = data.get(name)
    if value is None and optional:
        return
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
        raise UnreadableEvent(f"bad_{name}")


def check_one_of(data: Mapping[str, Any], name: str, known: frozenset[str]) -> None:
    """Raises UnreadableEvent."""
    value = data.get(name)
    if not isinstance(value, str) or value not in known:
        raise UnreadableEvent(f"bad_{name}")
