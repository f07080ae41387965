"""Every query of the inbox, each over many pushes at once."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.wechat.pushes.domain import PushState
from shared.direct import Statement

# Of requests with the same parameters the first counts, in any process: the second waits here for
# the first's commit and then finds its digest. Sorted, so that no two groups wait in a ring.
_KEEP = text("""
    WITH fresh AS (
        INSERT INTO geo.wechat_nonces (account_id, digest, received_at)
        SELECT account_id, digest, received_at
        FROM unnest(CAST(:accounts AS text[]), CAST(:digests AS bytea[]),
            CAST(:received AS timestamptz[])) AS asked (account_id, digest, received_at)
        ORDER BY account_id, digest
        ON CONFLICT (account_id, digest) DO NOTHING
        RETURNING account_id, digest
    ), kept AS (
        INSERT INTO geo.wechat_pushes (account_id, push_id, subject_id, kind, occurred_at,
            received_at, body, state, attempts, due_at)
        SELECT account_id, push_id, subject_id, kind, occurred_at, received_at, body, 'waiting', 0,
            received_at
        FROM unnest(CAST(:accounts AS text[]), CAST(:digests AS bytea[]),
            CAST(:received AS timestamptz[]), CAST(:pushes AS uuid[]), CAST(:subjects AS uuid[]),
            CAST(:kinds AS text[]), CAST(:occurred AS timestamptz[]), CAST(:bodies AS bytea[]))
            AS said (account_id, digest, received_at, push_id, subject_id, kind, occurred_at, body)
        JOIN fresh USING (account_id, digest)
        WHERE push_id IS NOT NULL
        ORDER BY account_id, push_id
        ON CONFLICT (account_id, push_id) DO NOTHING
        RETURNING account_id, push_id
    )
    SELECT account_id, digest, (SELECT count(*) FROM kept) AS kept FROM fresh
""")

# A row that another process claims at the same moment is locked by it, and no longer due after.
# Outside of the subquery the conditions are written so that no index of what waits serves them:
# rows are found by their keys, however many wait.
_CLAIM = text("""
    UPDATE geo.wechat_pushes AS p SET due_at = :until, attempts = p.attempts + 1
    WHERE p.state || '' = 'waiting' AND p.due_at + interval '0' <= :now AND (p.account_id, p.push_id) IN (
        SELECT account_id, push_id FROM geo.wechat_pushes
        WHERE state = 'waiting' AND due_at <= :now
        ORDER BY due_at LIMIT :most)
    RETURNING account_id, push_id, subject_id, kind, occurred_at, received_at, body, attempts
""")

_SETTLE = text("""
    UPDATE geo.wechat_pushes AS p
    SET state = done.state, handled_at = :now, reason = done.reason,
        body = CASE WHEN done.state = 'unknown' THEN p.body END
    FROM unnest(CAST(:accounts AS text[]), CAST(:pushes AS uuid[]), CAST(:states AS text[]),
        CAST(:reasons AS text[])) AS done (account_id, push_id, state, reason)
    WHERE p.account_id = done.account_id AND p.push_id = done.push_id AND p.state || '' = 'waiting'
""")

_PUT_OFF = text("""
    UPDATE geo.wechat_pushes AS p
    SET state = CASE WHEN failed.parks THEN 'parked' ELSE p.state END, due_at = failed.due_at,
        attempts = failed.attempts, reason = failed.reason
    FROM unnest(CAST(:accounts AS text[]), CAST(:pushes AS uuid[]), CAST(:parks AS boolean[]),
        CAST(:due AS timestamptz[]), CAST(:attempts AS smallint[]), CAST(:reasons AS text[]))
        AS failed (account_id, push_id, parks, due_at, attempts, reason)
    WHERE p.account_id = failed.account_id AND p.push_id = failed.push_id
        AND p.state || '' = 'waiting'
""")


class Row(NamedTuple):
    """One request as it is stored; ``push_id`` and what follows is None for an unreadable one."""

    account_id: str
    digest: bytes
    received_at: datetime
    push_id: UUID | None = None
    subject_id: UUID | None = None
    kind: str | None = None
    occurred_at: datetime | None = None
    body: bytes | None = None


class Claimed(NamedTuple):
    """A push that this process handles until its time is over; ``attempts`` counts this one."""

    account_id: str
    push_id: UUID
    subject_id: UUID | None
    kind: str
    occurred_at: datetime
    received_at: datetime
    body: bytes | None
    attempts: int

    @property
    def key(self) -> tuple[str, UUID]:
        return self.account_id, self.push_id


class Done(NamedTuple):
    push: Claimed
    state: PushState
    reason: str | None


class PutOff(NamedTuple):
    """Tried in vain; ``parks``: for the last time."""

    push: Claimed
    parks: bool
    due_at: datetime
    attempts: int
    reason: str


class Kept(NamedTuple):
    """``fresh`` are the requests that were no repeats, ``pushes`` how many pushes were new."""

    fresh: frozenset[tuple[str, bytes]]
    pushes: int


async def keep(connection: AsyncConnection, rows: Sequence[Row]) -> Kept:
    """Write requests and their pushes, but for repeats."""
    names = "accounts", "digests", "received", "pushes", "subjects", "kinds", "occurred", "bodies"
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    found = (await connection.execute(_KEEP, columns)).all()
    fresh = frozenset((row.account_id, row.digest) for row in found)
    return Kept(fresh, found[0].kept if found else 0)


async def claim(
    connection: AsyncConnection, now: datetime, lasts: timedelta, most: int
) -> list[Claimed]:
    """Up to ``most`` pushes that are due, for this process alone until ``lasts`` is over."""
    values = {"now": now, "until": now + lasts, "most": most}
    return [Claimed(*row) for row in await connection.execute(_CLAIM, values)]


def settling(done: Iterable[Done], now: datetime) -> Statement:
    """Note what became of pushes; the body stays only with those that are kept as unknown."""
    each = [*done]
    values = {
        "accounts": [one.push.account_id for one in each],
        "pushes": [one.push.push_id for one in each],
        "states": [one.state.value for one in each],
        "reasons": [one.reason for one in each],
        "now": now,
    }
    return Statement(_SETTLE, values)


async def put_off(connection: AsyncConnection, failed: Sequence[PutOff]) -> None:
    """Have pushes tried again later, or park them."""
    values = {
        "accounts": [one.push.account_id for one in failed],
        "pushes": [one.push.push_id for one in failed],
        "parks": [one.parks for one in failed],
        "due": [one.due_at for one in failed],
        "attempts": [one.attempts for one in failed],
        "reasons": [one.reason for one in failed],
    }
    await connection.execute(_PUT_OFF, values)
