"""Every query of closings: when a store, or its geofences, ended the visits there."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.presence.domain import ClosedBy, Closing
from shared.direct import Statement

# In the index of the store's transaction the version without its geofences is written already.
_NOTE_CLOSING = text("""
    INSERT INTO geo.closings (store_id, at, closed_by, index_version)
    SELECT :store, :at, :closed_by, CASE
        WHEN :closed_by = 'fence_removed' OR EXISTS (
            SELECT FROM geo.stores WHERE store_id = :store AND closed_at IS NOT NULL)
        THEN (SELECT version FROM geo.fence_index_version WHERE id = 1) END
    ON CONFLICT DO NOTHING
""")

# Those of the stores that fixes since ``since`` are at, and of visits that may go on. Of the latter
# only unsettled ones, which seldom are any: what is settled has ended all that it ends.
_CLOSINGS = text("""
    SELECT at, store_id, closed_by, index_version FROM geo.closings
    WHERE store_id = ANY(CAST(:stores AS text[])) AND at >= :since
    UNION ALL
    SELECT c.at, c.store_id, c.closed_by, c.index_version FROM geo.closings AS c
    WHERE NOT c.settled AND EXISTS (
        SELECT FROM geo.visits AS v
        WHERE v.subject_id = ANY(CAST(:subjects AS uuid[])) AND (v.state = 'open' OR v.provisional)
            AND v.store_id = c.store_id AND v.entered_at <= c.at)
""")

_UNSETTLED = text("""
    SELECT at, store_id, closed_by, index_version FROM geo.closings
    WHERE NOT settled AND at < :before
    ORDER BY at LIMIT :most
""")

_SETTLED = text("""
    UPDATE geo.closings SET settled = true
    WHERE store_id = :store AND at = :at AND closed_by = :closed_by
""")

_PRUNE = text("""
    DELETE FROM geo.closings WHERE ctid IN (
        SELECT ctid FROM geo.closings WHERE settled AND at < :horizon LIMIT :most
    )
""")

KEPT = timedelta(days=90)
"""For fixes that come late. Visits change for a week after their fixes were received; only a lone
fix may be older, and then it is ended by the silence after it instead of by its store's closing."""


async def note(connection: AsyncConnection, closing: Closing) -> None:
    """Keep it; the version of the index is added where the store has no geofences any more."""
    at, store_id, closed_by, _ = closing
    values = {"at": at, "store": store_id, "closed_by": closed_by.value}
    await connection.execute(_NOTE_CLOSING, values)


def asking(stores: Sequence[str], since: datetime, subjects: Sequence[UUID] = ()) -> Statement:
    """Of ``stores`` the closings from ``since`` on, and those of visits that may go on.

    To be run together with other queries; give its rows to ``read``.
    """
    return Statement(_CLOSINGS, {"stores": stores, "since": since, "subjects": subjects})


def read(rows: Iterable[Sequence[Any]]) -> list[Closing]:
    """Each once, in order."""
    return sorted({Closing(at, store, ClosedBy(why), version) for at, store, why, version in rows})


async def unsettled(connection: AsyncConnection, before: datetime, most: int) -> list[Closing]:
    """Closings from before then that were not gone through yet."""
    rows = await connection.execute(_UNSETTLED, {"before": before, "most": most})
    return read(tuple(row) for row in rows)


async def settle(connection: AsyncConnection, closing: Closing) -> None:
    at, store_id, closed_by, _ = closing
    values = {"at": at, "store": store_id, "closed_by": closed_by.value}
    await connection.execute(_SETTLED, values)


async def prune(connection: AsyncConnection, now: datetime, most: int) -> int:
    """Forget at most ``most`` that were gone through long ago; how many they were."""
    values = {"horizon": now - KEPT, "most": most}
    return (await connection.execute(_PRUNE, values)).rowcount
