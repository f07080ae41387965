"""The tables of the feed: what waits to be told, who tells it, and what has been heard."""

from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)

BUCKETS = 64
"""Into so many buckets the outbox is split by subject; each is drained by one deliverer."""

_MOMENT = TIMESTAMP(timezone=True)
_BUSY_QUEUE = {
    "autovacuum_vacuum_scale_factor": "0",
    "autovacuum_vacuum_threshold": "20000",
    "autovacuum_vacuum_cost_delay": "0",
}
"""A queue is mostly dead rows: they are cleared by their number, not by their share."""


class Lane(IntEnum):
    """``URGENT`` is for withdrawals and erasures: no backlog of the other delays it."""

    URGENT = 0
    NORMAL = 1


@dataclass(frozen=True, slots=True)
class FeedTables:
    """One service's end of the feed.

    ``outbox`` holds what the other service has not confirmed; ``outbox_leases`` who drains which
    bucket and until when; ``outbox_deliverers`` who is alive and wants a share; ``inbox`` the
    highest revision of each event heard.
    """

    outbox: Table
    outbox_leases: Table
    outbox_deliverers: Table
    inbox: Table


def feed_tables(metadata: MetaData) -> FeedTables:
    """Declare the feed's tables in ``metadata`` and its schema; call once per service."""
    return FeedTables(
        outbox=_outbox(metadata),
        outbox_leases=Table(
            "outbox_leases",
            metadata,
            Column("bucket", SmallInteger, primary_key=True, autoincrement=False),
            Column("holder", Uuid),
            Column("expires_at", _MOMENT),
            CheckConstraint(f"bucket BETWEEN 0 AND {BUCKETS - 1}", name="bucket_exists"),
        ),
        outbox_deliverers=Table(
            "outbox_deliverers",
            metadata,
            Column("holder", Uuid, primary_key=True),
            Column("expires_at", _MOMENT, nullable=False),
        ),
        inbox=Table(
            "inbox",
            metadata,
            Column("subject_id", Uuid, primary_key=True),
            Column("event_id", Uuid, primary_key=True),
            Column("revision", Integer, nullable=False),
            Column("applied_at", _MOMENT, nullable=False),
        ),
    )


def bucket_of(subject_id: UUID | None, event_id: UUID) -> int:
    """The bucket of an event: 0 to 63, all events of a subject in the same one.

    Both ids are hashes or random in their last bits, so those are hash enough.
    """
    return (event_id if subject_id is None else subject_id).int % BUCKETS


def _outbox(metadata: MetaData) -> Table:
    """``id`` tells rows apart and orders nothing: a lower one may be committed later.

    ``next_attempt_at`` is the database's clock at the insert until a failure puts it off.
    """
    return Table(
        "outbox",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("bucket", SmallInteger, nullable=False),
        Column("lane", SmallInteger, nullable=False),
        Column("subject_id", Uuid),
        Column("event_id", Uuid, nullable=False),
        Column("type", Text, nullable=False),
        Column("payload", Text, nullable=False),
        Column("created_at", _MOMENT, nullable=False, server_default=func.clock_timestamp()),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("next_attempt_at", _MOMENT, nullable=False, server_default=func.clock_timestamp()),
        Column("parked_at", _MOMENT),
        Column("last_error", Text),
        CheckConstraint(f"bucket BETWEEN 0 AND {BUCKETS - 1}", name="bucket_exists"),
        CheckConstraint("lane IN (0, 1)", name="lane_exists"),
        Index(
            "ix_outbox_due",
            "bucket",
            "lane",
            "next_attempt_at",
            "id",
            postgresql_where=text("parked_at IS NULL"),
        ),
        Index("ix_outbox_parked", "id", postgresql_where=text("parked_at IS NOT NULL")),
        postgresql_with=_BUSY_QUEUE,
    )
