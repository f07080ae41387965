"""What an operator sees of the inbox and does: how far it is behind, what is parked, replay."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.wechat.pushes.domain import PushState

_LIST = text("""
    SELECT push_id, kind, state, reason, attempts, occurred_at, received_at, due_at, handled_at
    FROM geo.wechat_pushes
    WHERE account_id = :account_id
        AND (CAST(:state AS text) IS NULL OR state = :state)
        AND (CAST(:after_at AS timestamptz) IS NULL
            OR (received_at, push_id) < (:after_at, CAST(:after_id AS uuid)))
    ORDER BY received_at DESC, push_id DESC LIMIT :most
""")

_REPLAY = text("""
    UPDATE geo.wechat_pushes
    SET state = 'waiting', attempts = 0, due_at = :now, reason = NULL, handled_at = NULL
    WHERE account_id = :account_id AND state IN ('parked', 'unknown') AND body IS NOT NULL
        AND (state = 'parked' AND CAST(:ids AS uuid[]) IS NULL
            OR push_id = ANY(CAST(:ids AS uuid[])))
    RETURNING push_id
""")

_LAG = text("""
    SELECT count(*) AS waiting, min(received_at) AS oldest_at,
        (SELECT count(*) FROM geo.wechat_pushes WHERE state = 'parked') AS parked
    FROM geo.wechat_pushes WHERE state = 'waiting'
""")


@dataclass(frozen=True, slots=True)
class ListedPush:
    """A push as an operator sees it: neither what it says nor whom it is from."""

    push_id: UUID
    kind: str
    state: PushState
    reason: str | None
    attempts: int
    occurred_at: datetime
    received_at: datetime
    due_at: datetime
    handled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lag:
    waiting: int
    oldest_age_s: float
    parked: int


async def list_pushes(
    connection: AsyncConnection,
    account_id: str,
    state: PushState | None,
    after: tuple[datetime, UUID] | None,
    most: int,
) -> list[ListedPush]:
    """The newest first; ``after`` is (received_at, id) of the last one that was seen."""
    after_at, after_id = after or (None, None)
    values = {"account_id": account_id, "state": state and state.value, "most": most}
    rows = await connection.execute(_LIST, values | {"after_at": after_at, "after_id": after_id})
    return [ListedPush(**{**row, "state": PushState(row["state"])}) for row in rows.mappings()]


async def replay(
    connection: AsyncConnection, account_id: str, ids: Sequence[UUID] | None, now: datetime
) -> int:
    """Have pushes handled anew: all that are parked, or those named, unknown ones too."""
    rows = await connection.execute(
        _REPLAY, {"account_id": account_id, "ids": ids and [*ids], "now": now}
    )
    return len(rows.all())


async def lag(connection: AsyncConnection, now: datetime) -> Lag:
    """How far the handling is behind."""
    row = (await connection.execute(_LAG, {})).one()
    age_s = 0.0 if row.oldest_at is None else (now - row.oldest_at).total_seconds()
    return Lag(row.waiting, max(0.0, age_s), row.parked)
