"""The inbox: each event is applied once, however often it comes."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import Table, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.feed.tables import FeedTables

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
        _claim(tables.inbox),
        {
            "subjects": [subject_id for subject_id, _ in keys],
            "ids": [event_id for _, event_id in keys],
            "revisions": [events[winners[key]][2] for key in keys],
            "now": now,
        },
    )
    new = {winners[row.subject_id, row.event_id]: row.replaces for row in claimed}
    return dict(sorted(new.items()))


@cache
def _claim(inbox: Table) -> TextClause:
    """``xmax`` of a row says who locked it: nobody, if it was inserted just now."""
    return text(f"""
        INSERT INTO {inbox.fullname} AS heard (subject_id, event_id, revision, applied_at)
        SELECT subject_id, event_id, revision, CAST(:now AS timestamptz)
        FROM unnest(CAST(:subjects AS uuid[]), CAST(:ids AS uuid[]), CAST(:revisions AS integer[]))
            AS told (subject_id, event_id, revision)
        ORDER BY subject_id, event_id
        ON CONFLICT (subject_id, event_id) DO UPDATE SET
            revision = EXCLUDED.revision, applied_at = EXCLUDED.applied_at
        WHERE heard.revision < EXCLUDED.revision
        RETURNING subject_id, event_id, xmax <> 0 AS replaces
    """)
