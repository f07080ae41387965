"""The accounts in memory, following the database: open ones with their secrets in clear."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
from shared.following import POLL_S, Connection, Following
from shared.sealing import StorageKey

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AccountBook:
    """All open accounts at one moment, by their ids.

    ``closed`` are the others, whose last pushes may still be handled.
    """

    version: int = -1
    by_id: Mapping[str, LiveAccount] = field(default_factory=dict)
    closed: Mapping[str, KnownAccount] = field(default_factory=dict)


class LiveAccounts(Following[AccountBook]):
    """``storage`` opens the accounts' secrets."""

    what = "WeChat accounts"
    version_query = VERSION
    channel = CHANNEL

    def __init__(self, url: str, storage: StorageKey, *, poll_s: float = POLL_S) -> None:
        super().__init__(url, poll_s=poll_s)
        self._rows = AccountRows(storage)

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

    async def read(self, connection: Connection, version: int) -> AccountBook:
        rows = await connection.fetch(EVERY)
        read = [account for row in rows if (account := self._opened(row)) is not None]
        accounts = [account for account in read if isinstance(account, LiveAccount)]
        closed = [account for account in read if not isinstance(account, LiveAccount)]
        return AccountBook(
            version,
            {account.account_id: account for account in accounts},
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
