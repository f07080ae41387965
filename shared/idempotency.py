"""The same request sent again gets the same answer and changes nothing.

A key is claimed in the caller's transaction by an insert. A second request with the key waits
on that row until the first has committed, and then reads its answer; if the first rolled back,
the second acts instead.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import orjson
from fastapi import Header
from sqlalchemy import (
    Column,
    DateTime,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    and_,
    delete,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSON, insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import Conflict

MAX_KEY_LENGTH = 128

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=MAX_KEY_LENGTH,
        pattern=r"^[!-~]+$",
        description="1 to 128 printable characters; the same key again gets the same answer",
    ),
]
"""Required header; if it is missing the problem names ``header:Idempotency-Key``."""

Act = Callable[[], Awaitable[tuple[int, Mapping[str, Any]]]]


class KeyReused(Conflict):
    """The Idempotency-Key was used before with another body. Use a new key for a new request."""

    slug = "key_reused"
    title = "The idempotency key belongs to another request"


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What the caller is answered. ``repeated`` tells an answer given before."""

    status: int
    body: dict[str, Any]
    repeated: bool


def idempotency_table(metadata: MetaData) -> Table:
    """The service's table of claimed keys; ``expires_at`` null is for ever.

    ``answer`` is JSON text, not JSONB, so that a repeat gets the very same bytes. Claims and
    answers come in one transaction, so a committed row always has its answer.
    """
    return Table(
        "idempotency_keys",
        metadata,
        Column("scope", Text, primary_key=True),
        Column("endpoint", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("request_hash", LargeBinary, nullable=False),
        Column("status", SmallInteger),
        Column("answer", JSON),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("expires_at", DateTime(timezone=True), index=True),
    )


async def once(
    session: AsyncSession,
    table: Table,
    *,
    scope: str,
    endpoint: str,
    key: str,
    request: bytes,
    ttl: timedelta | None,
    now: datetime,
    act: Act,
) -> StoredAnswer:
    """Run ``act`` once per (scope, endpoint, key), in the caller's transaction.

    ``scope`` is ``Principal.scope``, ``endpoint`` the route's name, ``request`` the canonical
    bytes of what is asked, ``ttl`` how long the key is remembered (None: for ever). ``act``
    gives status and body; a normal refusal (409) is given back too, so that it is stored.
    What ``act`` raises rolls the claim back with the rest, and nothing is stored.

    A repeat answers 200 where the first answered 201, else the first status.
    Raises KeyReused when the key came before with another ``request``.
    """
    digest = hashlib.sha256(request).digest()
    place = {"scope": scope, "endpoint": endpoint, "key": key}
    expires_at = None if ttl is None else now + ttl
    if not await _claim(session, table, place, digest, (now, expires_at)):
        return await _stored(session, table, place, digest)
    status, answer = await act()
    body: dict[str, Any] = orjson.loads(orjson.dumps(answer, default=str))  # asyncpg's UUIDs
    row = update(table).where(_at(table, place)).values(status=status, answer=body)
    await session.execute(row)
    return StoredAnswer(status, body, repeated=False)


async def forget_expired(session: AsyncSession, table: Table, now: datetime) -> None:
    """Delete the keys whose time has passed; for the sweeper."""
    await session.execute(delete(table).where(table.c.expires_at <= now))


async def _claim(
    session: AsyncSession,
    table: Table,
    place: Mapping[str, str],
    digest: bytes,
    times: tuple[datetime, datetime | None],
) -> bool:
    """Claim the key, or take over one that has expired; waits for whoever is claiming it."""
    now, expires_at = times
    fresh = {
        "request_hash": digest,
        "status": None,
        "answer": JSON.NULL,
        "created_at": now,
        "expires_at": expires_at,
    }
    claim = insert(table).values(**place, **fresh)
    claim = claim.on_conflict_do_update(
        index_elements=["scope", "endpoint", "key"],
        set_=fresh,
        where=table.c.expires_at <= now,
    )
    claimed = await session.execute(claim.returning(table.c.key))
    return claimed.first() is not None


async def _stored(
    session: AsyncSession, table: Table, place: Mapping[str, str], digest: bytes
) -> StoredAnswer:
    columns = select(table.c.request_hash, table.c.status, table.c.answer)
    row = (await session.execute(columns.where(_at(table, place)))).one()
    if bytes(row.request_hash) != digest:
        raise KeyReused("This Idempotency-Key came with another body; send a new key.")
    status = 200 if row.status == 201 else row.status  # noqa: PLR2004 - HTTP's own numbers
    return StoredAnswer(status, row.answer, repeated=True)


def _at(table: Table, place: Mapping[str, str]) -> Any:
    return and_(*(table.c[name] == value for name, value in place.items()))
