"""Queries of accounts. Secrets lie encrypted, each bound to its account and column."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.wechat.accounts.domain import Account, AccountContent, AccountKind, Secrets
from shared.datum.kinds import Datum
from shared.sealing import StorageKey
from shared.wechat.answers import TokenApi
from shared.wechat.callback import Format, Mode

CHANNEL = "solomo_wechat_accounts"
"""Where a change of the accounts is announced; polling finds it too."""

_COLUMNS = """account_id, version, kind, name, app_id, original_id, format, mode, token, aes_key,
    app_secret, location_datum, consent_version, token_api, CAST(settings AS text) AS settings,
    created_at, updated_at, closed_at"""

_READ = text(f"SELECT {_COLUMNS} FROM geo.wechat_accounts WHERE account_id = :account_id")

_OF_APP = text("""
    SELECT account_id FROM geo.wechat_accounts WHERE app_id = :app_id AND closed_at IS NULL
""")

_LIST = text(f"""
    SELECT {_COLUMNS} FROM geo.wechat_accounts
    WHERE account_id > :after AND (closed_at IS NULL OR :with_closed)
    ORDER BY account_id COLLATE "C" LIMIT :most
""")

_WRITE = text("""
    INSERT INTO geo.wechat_accounts (account_id, version, kind, name, app_id, original_id, format,
        mode, token, aes_key, app_secret, location_datum, consent_version, token_api, settings,
        created_at, updated_at, closed_at)
    VALUES (:account_id, :version, :kind, :name, :app_id, :original_id, :format, :mode, :token,
        :aes_key, :app_secret, :location_datum, :consent_version, :token_api,
        CAST(:settings AS jsonb), :created_at, :updated_at, :closed_at)
    ON CONFLICT (account_id) DO UPDATE SET version = EXCLUDED.version, kind = EXCLUDED.kind,
        name = EXCLUDED.name, original_id = EXCLUDED.original_id, format = EXCLUDED.format,
        mode = EXCLUDED.mode, token = EXCLUDED.token, aes_key = EXCLUDED.aes_key,
        app_secret = EXCLUDED.app_secret, location_datum = EXCLUDED.location_datum,
        consent_version = EXCLUDED.consent_version, token_api = EXCLUDED.token_api,
        settings = EXCLUDED.settings, updated_at = EXCLUDED.updated_at,
        closed_at = EXCLUDED.closed_at
""")

_FORGET_TOKEN = text("""
    UPDATE geo.wechat_tokens SET access_token = NULL, expires_at = NULL
    WHERE account_id = :account_id
""")
_LOCK = text("SELECT version FROM geo.wechat_accounts_version WHERE id = 1 FOR UPDATE")
_COUNT_UP = text("""
    UPDATE geo.wechat_accounts_version SET version = version + 1 WHERE id = 1 RETURNING version
""")
_ANNOUNCE = text(f"SELECT pg_notify('{CHANNEL}', CAST(CAST(:version AS bigint) AS text))")

VERSION = "SELECT version FROM geo.wechat_accounts_version WHERE id = 1"
EVERY = f"SELECT {_COLUMNS} FROM geo.wechat_accounts"
"""For whoever follows the accounts on a connection of the driver's own."""


@dataclass(frozen=True, slots=True)
class AccountRows:
    """The accounts, as ``storage`` opens and closes their secrets."""

    storage: StorageKey

    async def lock(self, connection: AsyncConnection) -> None:
        """One change of accounts at a time, until the end of the transaction."""
        await connection.execute(_LOCK)

    async def find(self, connection: AsyncConnection, account_id: str) -> Account | None:
        """An account, a closed one too."""
        rows = await connection.execute(_READ, {"account_id": account_id})
        row = rows.mappings().first()
        return None if row is None else self.read(row)

    async def account_of_app(self, connection: AsyncConnection, app_id: str) -> str | None:
        """The open account that has this AppID."""
        found: str | None = await connection.scalar(_OF_APP, {"app_id": app_id})
        return found

    async def list_after(
        self, connection: AsyncConnection, after: str, most: int, *, with_closed: bool
    ) -> list[Account]:
        values = {"after": after, "most": most, "with_closed": with_closed}
        return [self.read(row) for row in (await connection.execute(_LIST, values)).mappings()]

    async def write(self, connection: AsyncConnection, account: Account) -> None:
        """Store it, and let all processes know at the commit."""
        await connection.execute(_WRITE, self._values(account))
        version = await connection.scalar(_COUNT_UP)
        await connection.execute(_ANNOUNCE, {"version": version})

    async def forget_token(self, connection: AsyncConnection, account_id: str) -> None:
        """Let the next call fetch one with the credentials as they are then."""
        await connection.execute(_FORGET_TOKEN, {"account_id": account_id})

    def read(self, row: RowMapping | Mapping[str, Any]) -> Account:
        """Raises ``cryptography.exceptions.InvalidTag`` under another storage key."""
        content = AccountContent(
            kind=AccountKind(row["kind"]),
            name=row["name"],
            app_id=row["app_id"],
            original_id=row["original_id"],
            format=Format(row["format"]),
            mode=Mode(row["mode"]),
            location_datum=row["location_datum"] and Datum(row["location_datum"]),
            consent_version=row["consent_version"],
            token_api=TokenApi(row["token_api"]),
            outreach=orjson.loads(row["settings"]),
        )
        return Account(
            account_id=row["account_id"],
            version=row["version"],
            content=content,
            secrets=self._secrets(row),
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            closed_at=row["closed_at"],
        )

    def _secrets(self, row: RowMapping | Mapping[str, Any]) -> Secrets | None:
        if row["closed_at"] is not None:
            return None
        account_id = row["account_id"]
        return Secrets(
            token=self._open(account_id, "token", row["token"]) or "",
            aes_key=self._open(account_id, "aes_key", row["aes_key"]),
            app_secret=self._open(account_id, "app_secret", row["app_secret"]),
        )

    def _values(self, account: Account) -> dict[str, Any]:
        content, secrets, whose = account.content, account.secrets, account.account_id
        return {
            "account_id": whose,
            "version": account.version,
            "kind": content.kind.value,
            "name": content.name,
            "app_id": content.app_id,
            "original_id": content.original_id,
            "format": content.format.value,
            "mode": content.mode.value,
            "token": self._close(whose, "token", secrets.token if secrets else None),
            "aes_key": self._close(whose, "aes_key", secrets.aes_key if secrets else None),
            "app_secret": self._close(whose, "app_secret", secrets.app_secret if secrets else None),
            "location_datum": content.location_datum and content.location_datum.value,
            "consent_version": content.consent_version,
            "token_api": content.token_api.value,
            "settings": orjson.dumps(dict(content.outreach)).decode(),
            "created_at": account.created_at,
            "updated_at": account.updated_at,
            "closed_at": account.closed_at,
        }

    def _open(self, account_id: str, column: str, stored: bytes | None) -> str | None:
        if stored is None:
            return None
        return self.storage.decrypt(stored, context_of(account_id, column)).decode()

    def _close(self, account_id: str, column: str, secret: str | None) -> bytes | None:
        if secret is None:
            return None
        return self.storage.encrypt(secret.encode(), context_of(account_id, column))


def context_of(account_id: str, column: str) -> bytes:
    """What a secret is bound to: under another account or in another column it does not open."""
    return f"wechat_accounts {column} {account_id}".encode()
