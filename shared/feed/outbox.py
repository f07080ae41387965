"""The outbox: facts written in the transaction of the change they tell of."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Table, TextClause, delete, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.contracts.events import Event, EventType
from shared.direct import Statement, run_together
from shared.feed.tables import FeedTables, Lane, bucket_of

_OUTLIVING = (
    EventType.SUBJECT_ERASED.value,
    EventType.COUPON_REDEEMED.value,
    EventType.REDEMPTION_REVERSED.value,
)


class PreparedEvent(NamedTuple):
    """An event with its CloudEvent already in JSON; ``payload`` is sent as it stands."""

    event_id: UUID
    subject_id: UUID | None
    type: str
    payload: bytes


def prepare(event: Event | Mapping[str, Any]) -> PreparedEvent:
    """Put an event, or the mapping of one, into JSON once and for all."""
    if isinstance(event, Event):
        payload = event.model_dump_json().encode()
        return PreparedEvent(event.id, event.subject, event.type.value, payload)
    subject = event.get("subject")
    return PreparedEvent(
        UUID(str(event["id"])),
        None if subject is None else UUID(str(subject)),
        str(event["type"]),
        orjson.dumps(dict(event), default=str),  # for the driver's own kind of UUID
    )


async def enqueue(
    connection: AsyncConnection,
    tables: FeedTables,
    events: Sequence[PreparedEvent | Event | Mapping[str, Any]],
    *,
    lane: Lane = Lane.NORMAL,
) -> None:
    """Write events to the outbox, in order, in the caller's transaction, by one statement.

    From a session take ``await session.connection()``. After the commit, ``Deliverer.wake()``
    spares the events the wait for the next poll.
    """
    await run_together(connection, enqueuing(tables, events, lane=lane))


def enqueuing(
    tables: FeedTables,
    events: Sequence[PreparedEvent | Event | Mapping[str, Any]],
    *,
    lane: Lane = Lane.NORMAL,
) -> list[Statement]:
    """What ``enqueue`` runs, to be run together with other writes."""
    if not events:
        return []
    ready = [e if isinstance(e, PreparedEvent) else prepare(e) for e in events]
    values = {
        "lane": int(lane),
        "buckets": [bucket_of(e.subject_id, e.event_id) for e in ready],
        "subjects": [e.subject_id for e in ready],
        "ids": [e.event_id for e in ready],
        "types": [e.type for e in ready],
        "payloads": [e.payload.decode() for e in ready],
    }
    return [Statement(_insert_into(tables.outbox), values)]


@cache
def _insert_into(outbox: Table) -> TextClause:
    return text(f"""
        INSERT INTO {outbox.fullname} (lane, bucket, subject_id, event_id, type, payload)
        SELECT CAST(:lane AS smallint), bucket, subject_id, event_id, type, payload
        FROM unnest(CAST(:buckets AS smallint[]), CAST(:subjects AS uuid[]),
            CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:payloads AS text[]))
            AS told (bucket, subject_id, event_id, type, payload)
    """)


async def forget_subject(connection: AsyncConnection, tables: FeedTables, subject_id: UUID) -> None:
    """Drop what waits, is parked or was heard of a subject, but for what outlives it.

    That is the news of its erasure, and what the books keep of redemptions without the subject.
    """
    outbox, inbox = tables.outbox, tables.inbox
    await connection.execute(
        delete(outbox)
        .where(outbox.c.bucket == bucket_of(subject_id, subject_id))
        .where(outbox.c.subject_id == subject_id)
        .where(outbox.c.type.not_in(_OUTLIVING))
    )
    await connection.execute(delete(inbox).where(inbox.c.subject_id == subject_id))
