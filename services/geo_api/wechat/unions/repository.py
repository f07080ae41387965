"""Queries of followers whose unionid is still to be asked for."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.wechat.users.repository import openid_context
from shared.sealing import StorageKey

_ACCOUNTS = text("""
    SELECT DISTINCT account_id FROM geo.wechat_users WHERE follows AND union_known_at IS NULL
""")

_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtext('solomo unionids ' || :account))")

_WANTED = text("""
    SELECT subject_id, openid FROM geo.wechat_users
    WHERE account_id = :account AND follows AND union_known_at IS NULL
    ORDER BY follows_since LIMIT :most
""")

_KNOWN = text("""
    UPDATE geo.wechat_users SET union_known_at = :now
    WHERE account_id = :account AND subject_id = ANY(CAST(:subjects AS uuid[]))
""")


async def accounts(connection: AsyncConnection) -> set[str]:
    """Those that have followers to ask for."""
    return set(await connection.scalars(_ACCOUNTS))


async def wanted(
    connection: AsyncConnection, storage: StorageKey, account_id: str, most: int
) -> dict[UUID, str]:
    """Followers to ask for, with their openids in clear; nobody while another process asks.

    The caller's transaction keeps the others away until it ends.
    """
    if not await connection.scalar(_LOCK, {"account": account_id}):
        return {}
    rows = await connection.execute(_WANTED, {"account": account_id, "most": most})
    return {
        row.subject_id: storage.decrypt(row.openid, openid_context(row.subject_id)).decode()
        for row in rows
    }


async def note(
    connection: AsyncConnection, account_id: str, subjects: Sequence[UUID], now: datetime
) -> None:
    """They were asked for, whatever the answer was."""
    values = {"account": account_id, "subjects": list(subjects), "now": now}
    await connection.execute(_KNOWN, values)
