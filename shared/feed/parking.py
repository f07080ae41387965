"""What an operator sees and does: how far the feed is behind, and what of it is parked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.feed.tables import FeedTables, Lane


@dataclass(frozen=True, slots=True)
class Lag:
    """How far the other service is behind; parked events count in ``parked`` only."""

    waiting: int
    oldest_age_s: float
    parked: int


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that is told no more until an operator says so. Its content is not shown."""

    id: int
    event_id: UUID
    type: str
    reason: str | None
    attempts: int
    created_at: datetime
    parked_at: datetime


@dataclass(frozen=True, slots=True)
class Choice:
    """Which parked events: those that meet every condition given."""

    event_ids: Sequence[UUID] | None = None
    type: str | None = None


async def lag(connection: AsyncConnection, tables: FeedTables) -> Lag:
    """Count what waits and what is parked."""
    outbox = tables.outbox
    age = func.extract("epoch", func.clock_timestamp() - func.min(outbox.c.created_at))
    waiting = select(func.count(), func.coalesce(age, 0)).where(outbox.c.parked_at.is_(None))
    count, oldest_age_s = (await connection.execute(waiting)).one()
    parked = select(func.count()).where(outbox.c.parked_at.is_not(None))
    return Lag(count, float(oldest_age_s), (await connection.execute(parked)).scalar_one())


async def list_parked(
    connection: AsyncConnection,
    tables: FeedTables,
    *,
    type: str | None = None,  # noqa: A002 - the name it has on the wire
    after_id: int = 0,
    limit: int = 50,
) -> list[ParkedEvent]:
    """Parked events by id, from the first above ``after_id``."""
    outbox = tables.outbox
    found = await connection.execute(
        select(
            outbox.c.id,
            outbox.c.event_id,
            outbox.c.type,
            outbox.c.last_error,
            outbox.c.attempts,
            outbox.c.created_at,
            outbox.c.parked_at,
        )
        .where(*_chosen(tables, Choice(type=type)), outbox.c.id > after_id)
        .order_by(outbox.c.id)
        .limit(limit)
    )
    return [ParkedEvent(*row) for row in found]


async def replay(connection: AsyncConnection, tables: FeedTables, choice: Choice) -> int:
    """Have parked events told anew, as if they had never failed; how many there were."""
    replayed = await connection.execute(
        update(tables.outbox)
        .where(*_chosen(tables, choice))
        .values(
            parked_at=None,
            attempts=0,
            last_error=None,
            next_attempt_at=func.statement_timestamp(),
        )
    )
    return replayed.rowcount


async def discard(connection: AsyncConnection, tables: FeedTables, choice: Choice) -> int:
    """Throw parked events away: the other service will never hear them; how many there were.

    What travels by the urgent lane, withdrawals and erasures, goes only if it is named by its id.
    """
    conditions = _chosen(tables, choice)
    if choice.event_ids is None:
        conditions.append(tables.outbox.c.lane != int(Lane.URGENT))
    discarded = await connection.execute(delete(tables.outbox).where(*conditions))
    return discarded.rowcount


def _chosen(tables: FeedTables, choice: Choice) -> list[ColumnElement[bool]]:
    outbox = tables.outbox
    conditions: list[ColumnElement[bool]] = [outbox.c.parked_at.is_not(None)]
    if choice.event_ids is not None:
        conditions.append(outbox.c.event_id.in_(choice.event_ids))
    if choice.type is not None:
        conditions.append(outbox.c.type == choice.type)
    return conditions
