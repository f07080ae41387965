"""The activated offers in memory, following the database.

The version of the offers' book is one row, changed in the transaction of every change to an
offer. It is polled every half second on a connection of its own; a notification only shortens
the wait. The book is swapped as a whole, so a reader never sees half a change.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import asyncpg
import structlog

from services.geo_api.offers.domain import EMPTY_BOOK, OfferBook
from services.geo_api.offers.repository.offers import BOOK, BOOK_VERSION, CHANNEL, read_active
from shared.clock import Clock, utc_now
from shared.connecting import connect
from shared.errors import Unavailable

POLL_S = 0.5
_TIMEOUT_S = 5.0

_log = structlog.get_logger(__name__)


class LiveOffers:
    """Holds the newest ``OfferBook``; ``dsn`` is a ``postgresql://`` address of the service's role."""

    def __init__(
        self,
        dsn: str,
        *,
        poll_s: float = POLL_S,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dsn = dsn.replace("postgresql+asyncpg://", "postgresql://", 1)
        self._poll_s = poll_s
        self._clock = clock
        self._monotonic = monotonic
        self._book = EMPTY_BOOK
        self._checked_at = float("-inf")
        self._woken = asyncio.Event()
        self._connection: asyncpg.Connection[Any] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def current(self) -> OfferBook:
        """Raises Unavailable until the book was read for the first time."""
        if self._checked_at == float("-inf"):
            raise Unavailable("The offers are being loaded; send the same request again.")
        return self._book

    @property
    def age_s(self) -> float:
        """Seconds since the book was last known to be the newest; infinite before the first."""
        return self._monotonic() - self._checked_at

    async def start(self) -> None:
        """Read the book if the database is there, then follow it; without one, ask on."""
        await self._try_to_refresh()
        self._task = asyncio.create_task(self._follow(), name="live-offers")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._disconnect()

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._poll_s)
            self._woken.clear()
            await self._try_to_refresh()

    async def _try_to_refresh(self) -> None:
        try:
            await self._refresh()
        except Exception as error:  # noqa: BLE001 - whatever it was, the book is to be followed
            _log.warning("offers_not_read", error=type(error).__name__, age_s=self.age_s)
            await self._disconnect()

    async def _refresh(self) -> None:
        """Compare versions, and read the book anew if it changed."""
        asked_at = self._monotonic()
        connection = await self._connected()
        version = await connection.fetchval(BOOK_VERSION)
        if version != self._book.version or self._checked_at == float("-inf"):
            self._book = await _read(connection, self._clock())
        self._checked_at = asked_at

    async def _connected(self) -> "asyncpg.Connection[Any]":
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(
                self._dsn, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S
            )
            await self._connection.add_listener(CHANNEL, self._on_notice)
        return self._connection

    def _on_notice(self, *_notice: object) -> None:
        self._woken.set()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


async def _read(connection: "asyncpg.Connection[Any]", now: datetime) -> OfferBook:
    """Version and offers as of one moment: both are read in one snapshot."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        version = await connection.fetchval(BOOK_VERSION)
        rows = await connection.fetch(BOOK, now)
    return OfferBook(version, tuple(read_active(row) for row in rows))
