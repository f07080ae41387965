"""Queries of logins."""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.wechat.users.repository import openid_context
from shared.sealing import StorageKey

# Of logins that overtake each other the newer one's key stays.
_KEEP = text("""
    UPDATE geo.wechat_users SET session_key = :sealed, session_at = :now
    WHERE subject_id = :subject AND account_id = :account
        AND (session_at IS NULL OR session_at <= :now)
""")

_OPENID = text("""
    SELECT openid FROM geo.wechat_users WHERE subject_id = :subject AND account_id = :account
""")

_ANSWER = text("""
    SELECT CAST(answer AS text) FROM geo.idempotency_keys
    WHERE scope = :scope AND endpoint = :endpoint AND key = :key
        AND (expires_at IS NULL OR expires_at > :now)
""")


def session_context(subject_id: UUID, account_id: str) -> bytes:
    """Binds a sealed session_key to whose it is."""
    return b"wechat session_key" + subject_id.bytes + account_id.encode()


async def keep_session_key(
    connection: AsyncConnection,
    storage: StorageKey,
    whose: tuple[UUID, str],
    session_key: str,
    now: datetime,
) -> None:
    """Keep the newest session_key of (subject, account), encrypted, and no older one."""
    sealed = storage.encrypt(session_key.encode(), session_context(*whose))
    subject, account = whose
    values = {"subject": subject, "account": account, "sealed": sealed, "now": now}
    await connection.execute(_KEEP, values)


async def openid_of(
    connection: AsyncConnection, storage: StorageKey, subject_id: UUID, account_id: str
) -> str | None:
    """The openid in clear, never to be logged; None for somebody whom the account does not know."""
    values = {"subject": subject_id, "account": account_id}
    sealed: bytes | None = await connection.scalar(_OPENID, values)
    if sealed is None:
        return None
    return storage.decrypt(sealed, openid_context(subject_id)).decode()


async def earlier_answer(
    connection: AsyncConnection, scope: str, endpoint: str, key: str, now: datetime
) -> dict[str, Any] | None:
    """What was answered under a key that was used already."""
    values = {"scope": scope, "endpoint": endpoint, "key": key, "now": now}
    stored: str | None = await connection.scalar(_ANSWER, values)
    answer: dict[str, Any] | None = None if stored is None else orjson.loads(stored)
    return answer
