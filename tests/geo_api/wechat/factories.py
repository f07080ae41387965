"""WeChat accounts for tests, written as the service writes them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.geo_api.wechat.accounts import service
from services.geo_api.wechat.accounts.domain import (
    Account,
    AccountContent,
    AccountKind,
    GivenSecrets,
)
from services.geo_api.wechat.accounts.repository import AccountRows
from shared.datum.kinds import Datum
from shared.db import Database
from shared.keys import load_geo_keys
from shared.sealing import StorageKey
from shared.wechat.answers import Credentials, TokenApi
from shared.wechat.callback import Format, Mode

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TOKEN = "AAAAtoken"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
APP_SECRET = "5e884898da28047151d0e56f8dc62927"
APP_ID = "wx0011223344556677"


def storage_of(installation_keys: Path) -> StorageKey:
    return load_geo_keys(installation_keys / "geo").storage


def content(**said: Any) -> AccountContent:
    """A service account in secure mode and XML."""
    fields: dict[str, Any] = {
        "kind": AccountKind.SERVICE,
        "name": "Tea House",
        "app_id": APP_ID,
        "original_id": "gh_51a2b3c4d5e6",
        "format": Format.XML,
        "mode": Mode.SECURE,
        "location_datum": Datum.WGS84,
        "consent_version": None,
        "token_api": TokenApi.STABLE,
        "outreach": {},
    }
    return AccountContent(**fields | said)


SECRETS = GivenSecrets(TOKEN, AES_KEY, APP_SECRET)


async def add_account(
    database: Database,
    storage: StorageKey,
    account_id: str = "tea",
    secrets: GivenSecrets = SECRETS,
    **said: Any,
) -> Account:
    """Create or change an account; ``said`` is what differs from ``content``."""
    async with database.begin() as connection:
        account, _ = await service.put(
            connection, AccountRows(storage), account_id, (content(**said), secrets), NOW
        )
    return account


def credentials(account_id: str = "tea", **said: Any) -> Credentials:
    return Credentials(account_id, **{"app_id": APP_ID, "app_secret": APP_SECRET} | said)
