"""The inbox: each event is applied once, however often it comes."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    TIMESTAMP,
    Boolean,
    Integer,
    Uuid,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from shared.feed.tables import FeedTables

_REPLACES = literal_column("xmax <> 0", Boolean)

PLACES = UUID(int=0)
"""Stands in the inbox for the subject of an event that has none."""


async def claim_new(
    connection: AsyncConnection,
    tables: FeedTables,
    events: Sequence[tuple[UUID | None, UUID, int]],
    now: datetime,
) -> dict[int, bool]:
    """Positions, in order, of those ``events`` that are to be applied; all others are duplicates.

    True where an earlier revision was applied before, which the new one replaces.

    An event is (subject_id, event_id, revision). It is new if nothing, or only a lower revision,
    was claimed under its two ids; within one call the highest revision wins, and among equal
    ones the first. The claim belongs to the caller's transaction, which applies the events: a
    concurrent claim of the same event waits for its commit, a rollback gives the claim back.
    Rows are taken in key order, so that two batches cannot wait for each other in a circle.
    """
    winners: dict[tuple[UUID, UUID], int] = {}
    for position, (subject_id, event_id, revision) in enumerate(events):
        key = (subject_id or PLACES, event_id)
        if key not in winners or events[winners[key]][2] < revision:
            winners[key] = position
    if not winners:
        return {}
    keys = sorted(winners)
    claimed = await connection.execute(
        _claim(tables),
        {
            "subjects": [subject_id for subject_id, _ in keys],
            "ids": [event_id for _, event_id in keys],
            "revisions": [events[winners[key]][2] for key in keys],
            "now": now,
        },
    )
    new = {winners[row.subject_id, row.event_id]: row.replaces for row in claimed}
    return dict(sorted(new.items()))


def _claim(tables: FeedTables) -> ReturningInsert[UUID, UUID, bool]:
    """``xmax`` of a row says who locked it: nobody, if it was inserted just now."""
    rows = (
        func.unnest(
            bindparam("subjects", type_=ARRAY(Uuid)),
            bindparam("ids", type_=ARRAY(Uuid)),
            bindparam("revisions", type_=ARRAY(Integer)),
        )
        .table_valued("subject_id", "event_id", "revision")
        .render_derived()
    )
    source = select(
        rows.c.subject_id,
        rows.c.event_id,
        rows.c.revision,
        bindparam("now", type_=TIMESTAMP(timezone=True)),
    ).order_by(rows.c.subject_id, rows.c.event_id)
    inbox = tables.inbox
    claim = insert(inbox).from_select(["subject_id", "event_id", "revision", "applied_at"], source)
    return claim.on_conflict_do_update(
        index_elements=[inbox.c.subject_id, inbox.c.event_id],
        set_={"revision": claim.excluded.revision, "applied_at": claim.excluded.applied_at},
        where=inbox.c.revision < claim.excluded.revision,
    ).returning(inbox.c.subject_id, inbox.c.event_id, _REPLACES.label("replaces"))
