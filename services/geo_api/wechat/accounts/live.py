"""The accounts in memory, following the database: open ones with their secrets in clear.

The version of the accounts is one row, changed in the transaction of every change to one. It is
polled every half second on a connection of its own; a notification only shortens the wait. The
accounts are swapped as a whole.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import structlog
from cryptography.exceptions import InvalidTag

from services.geo_api.wechat.accounts.domain import (
    AccountUnknown,
    KnownAccount,
    LiveAccount,
    known_account,
    live_account,
)
from services.geo_api.wechat.accounts.repository import CHANNEL, EVERY, VERSION, AccountRows
from shared.connecting import connect
from shared.db import driver_address
from shared.errors import Unavailable
from shared.sealing import StorageKey

POLL_S = 0.5
_TIMEOUT_S = 5.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AccountBook:
    """All open accounts at one moment, by their own ids and by those of their apps.

    ``closed`` are the others, whose last pushes may still be handled.
    """

    version: int = -1
    by_id: Mapping[str, LiveAccount] = field(default_factory=dict)
    by_app_id: Mapping[str, LiveAccount] = field(default_factory=dict)
    closed: Mapping[str, KnownAccount] = field(default_factory=dict)


class LiveAccounts:
    """Holds the newest ``AccountBook``; ``url`` is the address of the service's role."""

    def __init__(
        self,
        url: str,
        storage: StorageKey,
        *,
        poll_s: float = POLL_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dsn = driver_address(url)
        self._rows = AccountRows(storage)
        self._poll_s = poll_s
        self._monotonic = monotonic
        self._book = AccountBook()
        self._checked_at = float("-inf")
        self._woken = asyncio.Event()
        self._connection: asyncpg.Connection[Any] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def current(self) -> AccountBook:
        """Raises Unavailable until the accounts were read for the first time."""
        if self._checked_at == float("-inf"):
            raise Unavailable("The WeChat accounts are being loaded; send the same request again.")
        return self._book

    def find(self, account_id: str) -> LiveAccount:
        """An open account. Raises AccountUnknown, and Unavailable before the first reading."""
        account = self.current.by_id.get(account_id)
        if account is None:
            raise AccountUnknown("There is no WeChat account of this id.")
        return account

    def known(self, account_id: str) -> KnownAccount:
        """An account, a closed one too. Raises as ``find`` does."""
        closed = self.current.closed.get(account_id)
        return self.find(account_id) if closed is None else closed

    @property
    def age_s(self) -> float:
        """Seconds since the accounts were last known to be the newest; infinite before."""
        return self._monotonic() - self._checked_at

    async def start(self) -> None:
        """Read the accounts if the database is there, then follow them; without one, ask on."""
        await self._try_to_refresh()
        self._task = asyncio.create_task(self._follow(), name="live-accounts")

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
        except Exception as error:  # noqa: BLE001 - whatever it was, the accounts are followed
            _log.warning("accounts_not_read", error=type(error).__name__, age_s=self.age_s)
            await self._disconnect()

    async def _refresh(self) -> None:
        """Compare versions, and read the accounts anew if they changed."""
        asked_at = self._monotonic()
        connection = await self._connected()
        version = await connection.fetchval(VERSION)
        if version != self._book.version:
            self._book = await self._read(connection)
        self._checked_at = asked_at

    async def _read(self, connection: "asyncpg.Connection[Any]") -> AccountBook:
        """Version and accounts as of one moment: both are read in one snapshot."""
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            version = await connection.fetchval(VERSION)
            rows = await connection.fetch(EVERY)
        read = [account for row in rows if (account := self._opened(row)) is not None]
        accounts = [account for account in read if isinstance(account, LiveAccount)]
        closed = [account for account in read if not isinstance(account, LiveAccount)]
        return AccountBook(
            version,
            {account.account_id: account for account in accounts},
            {account.app_id: account for account in accounts},
            {account.account_id: account for account in closed},
        )

    def _opened(self, row: Mapping[str, Any]) -> KnownAccount | None:
        """One that does not open, as under another storage key, is left out and named."""
        try:
            account = self._rows.read(row)
            return live_account(account) if account.closed_at is None else known_account(account)
        except (InvalidTag, ValueError) as error:
            _log.error(
                "account_not_opened", account_id=row["account_id"], error=type(error).__name__
            )
            return None

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
