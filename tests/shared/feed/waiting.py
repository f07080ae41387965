"""What the feed's tests ask of the database, and how they wait for it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from sqlalchemy import func, select

from shared.db import Database
from shared.feed.outbox import PreparedEvent, enqueue
from shared.feed.tables import Lane
from tests.shared.feed.deliverer import GEO_FEED
from tests.shared.feed.receiver import APPLIED

OUTBOX = GEO_FEED.outbox


async def until(
    condition: Callable[[], Awaitable[bool]], *, within_s: float = 15.0, every_s: float = 0.02
) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(every_s)


async def tell(
    database: Database, events: Sequence[PreparedEvent], lane: Lane = Lane.NORMAL
) -> None:
    async with database.begin() as connection:
        await enqueue(connection, GEO_FEED, events, lane=lane)


async def waiting(database: Database) -> int:
    async with database.begin() as connection:
        count = select(func.count()).select_from(OUTBOX).where(OUTBOX.c.parked_at.is_(None))
        return (await connection.execute(count)).scalar_one()


async def drained(database: Database, *, within_s: float = 15.0) -> None:
    async def is_empty() -> bool:
        return await waiting(database) == 0

    await until(is_empty, within_s=within_s)


async def parked(database: Database) -> dict[UUID, str]:
    """Reasons by event id."""
    async with database.begin() as connection:
        rows = await connection.execute(
            select(OUTBOX.c.event_id, OUTBOX.c.last_error).where(OUTBOX.c.parked_at.is_not(None))
        )
        return {row.event_id: row.last_error for row in rows}


async def applied(database: Database) -> Counter[UUID]:
    """How often each event was applied."""
    async with database.begin() as connection:
        return Counter((await connection.execute(select(APPLIED.c.event_id))).scalars())


async def each_once(database: Database, events: Sequence[PreparedEvent]) -> bool:
    return await applied(database) == Counter(event.event_id for event in events)
