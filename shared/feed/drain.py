"""The deliverer's queries: what is due, and what became of what was told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Float,
    Select,
    SmallInteger,
    Text,
    Update,
    bindparam,
    case,
    delete,
    func,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.feed.tables import FeedTables, Lane

GIVE_UP_AFTER = timedelta(days=7)
"""An event that has failed for so long is parked."""

GIVE_UP_ATTEMPTS = 10
"""It has failed at least so often as well: a week of standstill is not a week of trying."""

MAX_ERROR_LENGTH = 500


@dataclass(frozen=True, slots=True)
class DueEvent:
    """A row to be told; ``attempts`` is how often that failed."""

    id: int
    event_id: UUID
    payload: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Failed:
    """``delay_s`` None keeps the event's place in the queue: it was not to blame."""

    id: int
    error: str
    delay_s: float | None


@dataclass(slots=True)
class Settlement:
    """What became of events that were told, not yet written down.

    ``done`` are ids to delete, ``refused`` ids to park with the reason, ``failed`` stay.
    """

    done: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.done or self.refused or self.failed)


async def relax(connection: AsyncConnection) -> None:
    """Let the transaction's commit not wait for the disk.

    A deletion lost in a crash is a repeat, which the inbox absorbs; a lost lease is taken anew.
    """
    await connection.execute(select(func.set_config("synchronous_commit", "off", true())))


async def take_due(
    connection: AsyncConnection,
    tables: FeedTables,
    lane: Lane,
    buckets: Sequence[int],
    limit: int,
) -> list[DueEvent]:
    """Up to ``limit`` due events, bucket by bucket in the order given, longest due first."""
    found = await connection.execute(
        _due(tables), {"buckets": list(buckets), "lane": int(lane), "limit": limit}
    )
    return [DueEvent(*row) for row in found]


async def settle(connection: AsyncConnection, tables: FeedTables, settlement: Settlement) -> None:
    """Write down what became of events; rows that are gone already are passed over."""
    outbox = tables.outbox
    if settlement.done:
        gone = bindparam("ids", type_=ARRAY(BigInteger))
        await connection.execute(
            delete(outbox).where(outbox.c.id == func.any(gone)), {"ids": settlement.done}
        )
    if settlement.refused:
        ids, reasons = zip(*settlement.refused, strict=True)
        await connection.execute(_park(tables), {"ids": [*ids], "errors": _texts(reasons)})
    if settlement.failed:
        await connection.execute(
            _put_off(tables),
            {
                "ids": [failed.id for failed in settlement.failed],
                "errors": _texts([failed.error for failed in settlement.failed]),
                "delays": [failed.delay_s for failed in settlement.failed],
                "give_up_s": GIVE_UP_AFTER.total_seconds(),
            },
        )


def _texts(reasons: Sequence[str]) -> list[str]:
    return [reason.replace("\0", "")[:MAX_ERROR_LENGTH] for reason in reasons]


def _due(tables: FeedTables) -> Select[int, UUID, str, int]:
    outbox = tables.outbox
    buckets = (
        func.unnest(bindparam("buckets", type_=ARRAY(SmallInteger)))
        .table_valued("bucket")
        .render_derived()
    )
    due = (
        select(outbox.c.id, outbox.c.event_id, outbox.c.payload, outbox.c.attempts)
        .where(outbox.c.bucket == buckets.c.bucket)
        .where(outbox.c.lane == bindparam("lane", type_=SmallInteger))
        .where(outbox.c.parked_at.is_(None))
        .where(outbox.c.next_attempt_at <= func.statement_timestamp())
        .order_by(outbox.c.next_attempt_at, outbox.c.id)
        .limit(bindparam("limit", type_=BigInteger))
        .lateral()
    )
    return (
        select(due.c.id, due.c.event_id, due.c.payload, due.c.attempts)
        .select_from(buckets.join(due, true()))
        .limit(bindparam("limit", type_=BigInteger))
    )


def _park(tables: FeedTables) -> Update:
    outbox = tables.outbox
    told = (
        func.unnest(
            bindparam("ids", type_=ARRAY(BigInteger)), bindparam("errors", type_=ARRAY(Text))
        )
        .table_valued("id", "error")
        .render_derived(name="told")
    )
    return (
        update(outbox)
        .where(outbox.c.id == told.c.id)
        .values(
            attempts=outbox.c.attempts + 1,
            parked_at=func.statement_timestamp(),
            last_error=told.c.error,
        )
    )


def _put_off(tables: FeedTables) -> Update:
    outbox, now = tables.outbox, func.statement_timestamp()
    told = (
        func.unnest(
            bindparam("ids", type_=ARRAY(BigInteger)),
            bindparam("errors", type_=ARRAY(Text)),
            bindparam("delays", type_=ARRAY(Float)),
        )
        .table_valued("id", "error", "delay_s")
        .render_derived(name="told")
    )
    patience = func.make_interval(0, 0, 0, 0, 0, 0, bindparam("give_up_s", type_=Float))
    is_hopeless = (outbox.c.created_at < now - patience) & (
        outbox.c.attempts + 1 >= GIVE_UP_ATTEMPTS
    )
    delay = func.make_interval(0, 0, 0, 0, 0, 0, told.c.delay_s)
    return (
        update(outbox)
        .where(outbox.c.id == told.c.id)
        .where(outbox.c.parked_at.is_(None))
        .values(
            attempts=outbox.c.attempts + 1,
            last_error=told.c.error,
            next_attempt_at=func.coalesce(now + delay, outbox.c.next_attempt_at),
            parked_at=case((is_hopeless, now)),
        )
    )
