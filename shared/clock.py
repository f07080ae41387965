"""The wall clock, injected so that rules are told the time and tests can set it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present moment as an aware UTC datetime."""


def utc_now() -> datetime:
    return datetime.now(UTC)
