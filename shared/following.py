"""Books in memory that follow the database: small, read often, and swapped as a whole.

The version of a book is one row, changed in the transaction of every change to what the book
holds. It is polled every half second on a connection of its own; a notification only shortens
the wait. While the database is away the last book stays, and its age grows.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import asyncpg
import structlog

from shared.connecting import connect
from shared.db import driver_address
from shared.errors import Unavailable

POLL_S = 0.5
_TIMEOUT_S = 5.0

Book = TypeVar("Book")
if TYPE_CHECKING:
    Connection = asyncpg.Connection[Any]
else:
    Connection = asyncpg.Connection

_log = structlog.get_logger(__name__)


class Following(ABC, Generic[Book]):
    """Holds the newest book of one kind; ``url`` is the address of the service's role.

    A kind says what its books hold, for messages, where their version stands, and on which
    channel changes are told.
    """

    what: ClassVar[str]
    version_query: ClassVar[str]
    channel: ClassVar[str]

    def __init__(self, url: str, *, poll_s: float = POLL_S) -> None:
        self._dsn = driver_address(url)
        self._poll_s = poll_s
        self._held: tuple[int, Book] | None = None
        self._checked_at = float("-inf")
        self._woken = asyncio.Event()
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def read(self, connection: Connection, version: int) -> Book:
        """The book as it is now; all that is read here is of the moment of ``version``."""

    @property
    def current(self) -> Book:
        """Raises Unavailable until a book was read for the first time."""
        if self._held is None:
            raise Unavailable(f"The {self.what} are being loaded; send the same request again.")
        return self._held[1]

    @property
    def age_s(self) -> float:
        """Seconds since the book was last known to be the newest; infinite before the first."""
        return time.monotonic() - self._checked_at

    async def start(self) -> None:
        """Read the book if the database is there, then follow it; without one, ask on."""
        await self._try_to_refresh()
        self._task = asyncio.create_task(self._follow(), name=f"following {self.what}")

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
            _log.warning("not_read", what=self.what, error=type(error).__name__, age_s=self.age_s)
            await self._disconnect()

    async def _refresh(self) -> None:
        """Compare versions, and read the book anew if it changed."""
        asked_at = time.monotonic()
        connection = await self._connected()
        version = await connection.fetchval(self.version_query)
        if self._held is None or version != self._held[0]:
            self._held = await self._read_whole(connection)
        self._checked_at = asked_at

    async def _read_whole(self, connection: Connection) -> tuple[int, Book]:
        """Version and book as of one moment: both are read in one snapshot."""
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            version = await connection.fetchval(self.version_query)
            return version, await self.read(connection, version)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(
                self._dsn, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S
            )
            await self._connection.add_listener(self.channel, self._on_notice)
        return self._connection

    def _on_notice(self, *_notice: object) -> None:
        self._woken.set()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
