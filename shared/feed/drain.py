"""The deliverer's queries: what is due, and what became of what was told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Table, TextClause, func, select, text, true
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.direct import Statement
from shared.feed.tables import FeedTables, Lane

GIVE_UP_AFTER = timedelta(days=7)
"""An event that has failed for so long is parked."""

GIVE_UP_ATTEMPTS = 10
"""It has failed at least so often as well: a week of standstill is not a week of trying."""

MAX_ERROR_LENGTH = 500


class DueEvent(NamedTuple):
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
    values = {"buckets": list(buckets), "lane": int(lane), "limit": limit}
    rows = await connection.execute(_due(tables.outbox), values)
    return [DueEvent(*row) for row in rows]


def settling(tables: FeedTables, settlement: Settlement) -> list[Statement]:
    """Write down what became of events; rows that are gone already are passed over."""
    outbox, statements = tables.outbox, list[Statement]()
    if settlement.done:
        statements.append(Statement(_delete(outbox), {"ids": settlement.done}))
    if settlement.refused:
        ids, reasons = zip(*settlement.refused, strict=True)
        told = {"ids": [*ids], "errors": _texts(reasons)}
        statements.append(Statement(_park(outbox), told))
    if settlement.failed:
        put_off = {
            "ids": [failed.id for failed in settlement.failed],
            "errors": _texts([failed.error for failed in settlement.failed]),
            "delays": [failed.delay_s for failed in settlement.failed],
            "patience": GIVE_UP_AFTER,
            "attempts": GIVE_UP_ATTEMPTS,
        }
        statements.append(Statement(_put_off(outbox), put_off))
    return statements


def _texts(reasons: Sequence[str]) -> list[str]:
    return [reason.replace("\0", "")[:MAX_ERROR_LENGTH] for reason in reasons]


@cache
def _due(outbox: Table) -> TextClause:
    return text(f"""
        SELECT due.id, due.event_id, due.payload, due.attempts
        FROM unnest(CAST(:buckets AS smallint[])) AS mine (bucket)
        CROSS JOIN LATERAL (
            SELECT id, event_id, payload, attempts FROM {outbox.fullname} AS o
            WHERE o.bucket = mine.bucket AND o.lane = CAST(:lane AS smallint)
                AND o.parked_at IS NULL AND o.next_attempt_at <= statement_timestamp()
            ORDER BY o.next_attempt_at, o.id
            LIMIT CAST(:limit AS bigint)
        ) AS due
        LIMIT CAST(:limit AS bigint)
    """)


@cache
def _delete(outbox: Table) -> TextClause:
    return text(f"DELETE FROM {outbox.fullname} WHERE id = ANY(CAST(:ids AS bigint[]))")


@cache
def _park(outbox: Table) -> TextClause:
    return text(f"""
        UPDATE {outbox.fullname} AS o
        SET attempts = o.attempts + 1, parked_at = statement_timestamp(), last_error = told.error
        FROM unnest(CAST(:ids AS bigint[]), CAST(:errors AS text[])) AS told (id, error)
        WHERE o.id = told.id
    """)


@cache
def _put_off(outbox: Table) -> TextClause:
    return text(f"""
        UPDATE {outbox.fullname} AS o
        SET attempts = o.attempts + 1, last_error = told.error,
            next_attempt_at = COALESCE(
                statement_timestamp() + make_interval(secs => told.delay_s), o.next_attempt_at),
            parked_at = CASE
                WHEN o.created_at < statement_timestamp() - CAST(:patience AS interval)
                    AND o.attempts + 1 >= CAST(:attempts AS integer)
                THEN statement_timestamp() END
        FROM unnest(CAST(:ids AS bigint[]), CAST(:errors AS text[]), CAST(:delays AS float8[]))
            AS told (id, error, delay_s)
        WHERE o.id = told.id AND o.parked_at IS NULL
    """)
