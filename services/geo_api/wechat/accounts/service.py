"""Use cases of accounts."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.places.domain import ANY, Condition, Outcome
from services.geo_api.wechat.accounts.domain import (
    RESERVED_IDS,
    Account,
    AccountContent,
    AccountUnknown,
    AppTaken,
    GivenSecrets,
    close_account,
    credentials_of,
    put_account,
)
from services.geo_api.wechat.accounts.repository import AccountRows
from shared.errors import FieldFault, Malformed


async def read(connection: AsyncConnection, rows: AccountRows, account_id: str) -> Account:
    """An account, a closed one too. Raises AccountUnknown."""
    account = await rows.find(connection, account_id)
    if account is None:
        raise AccountUnknown(f"There is no WeChat account {account_id}.")
    return account


async def put(
    connection: AsyncConnection,
    rows: AccountRows,
    account_id: str,
    said: tuple[AccountContent, GivenSecrets],
    at: datetime,
    condition: Condition = ANY,
) -> tuple[Account, Outcome]:
    """Create or change an account; ``said`` are its content and the secrets that came with it.

    Raises Malformed, AppTaken, OtherApp and VersionChanged.
    """
    if account_id in RESERVED_IDS:
        raise Malformed(FieldFault("path:account_id", "is a word of the addresses themselves"))
    await rows.lock(connection)
    current = await rows.find(connection, account_id)
    account, outcome = put_account(account_id, current, *said, at, condition)
    if outcome is Outcome.UNCHANGED:
        return account, outcome
    owner = await rows.account_of_app(connection, account.content.app_id)
    if owner not in (None, account_id):
        raise AppTaken(f"Account {owner} has this AppID.", account_id=owner)
    await rows.write(connection, account)
    if current is None or credentials_of(current) != credentials_of(account):
        await rows.forget_token(connection, account_id)
    return account, outcome


async def close(
    connection: AsyncConnection,
    rows: AccountRows,
    account_id: str,
    at: datetime,
    condition: Condition = ANY,
) -> None:
    """Close an account and forget its secrets; its pushes are refused from then on.

    Raises AccountUnknown and VersionChanged.
    """
    await rows.lock(connection)
    current = await read(connection, rows, account_id)
    closed = close_account(current, at, condition)
    if closed is not current:
        await rows.write(connection, closed)
        await rows.forget_token(connection, account_id)
