"""What comes over places by time alone: a temporary closing begins, a schedule ends for good.

Either ends the visits that are open then, once. Whoever stays on in a closed store may well be
seen again and have another visit: people are where they are.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.places import repository
from services.geo_api.places.domain import Store, VisitsEnd
from services.geo_api.places.hours import Reason, status
from services.geo_api.places.records import STORE_COLUMNS, read_store
from services.geo_api.places.schedules import ends_by
from services.geo_api.places.service.writing import ClosesVisits

_CLOSING_STORES = text(f"""
    SELECT {STORE_COLUMNS} FROM geo.stores
    WHERE next_closure_at <= :at
    ORDER BY next_closure_at, store_id
    LIMIT :most
    FOR UPDATE SKIP LOCKED
""")

_NEXT_CLOSURES = text("""
    UPDATE geo.stores AS s SET next_closure_at = n.next_closure_at
    FROM unnest(CAST(:ids AS text[]), CAST(:moments AS timestamptz[])) AS n (id, next_closure_at)
    WHERE s.store_id = n.id
""")

_ENDING_GEOFENCES = text("""
    WITH due AS (
        SELECT geofence_id FROM geo.geofences
        WHERE ends_at <= :at
        ORDER BY ends_at, geofence_id
        LIMIT :most
        FOR UPDATE SKIP LOCKED
    )
    UPDATE geo.geofences AS g SET ends_at = NULL
    FROM due WHERE g.geofence_id = due.geofence_id
    RETURNING g.store_id
""")


async def end_visits_by_time(
    connection: AsyncConnection, at: datetime, close_visits: ClosesVisits, most: int = 500
) -> int:
    """End the visits that closings and schedules end by ``at``; gives the places looked at.

    A store keeps its visits as long as one of its geofences goes on.
    """
    closing = await repository.rows(connection, _CLOSING_STORES, at=at, most=most)
    stores = [read_store(row) for row in closing]
    await _note_next(connection, stores, at)
    for store in stores:
        if _is_closed(store, at):
            await close_visits(connection, store.store_id, at, VisitsEnd.STORE_CLOSED)
    ending = await repository.rows(connection, _ENDING_GEOFENCES, at=at, most=most)
    for store_id in sorted({row["store_id"] for row in ending}):
        if not await is_in_use(connection, store_id, at):
            await close_visits(connection, store_id, at, VisitsEnd.FENCE_EXPIRED)
    return max(len(closing), len(ending))


async def is_in_use(connection: AsyncConnection, store_id: str, at: datetime) -> bool:
    """Whether a store has an open geofence whose schedule has not ended for good."""
    found = await repository.open_geofences_of(connection, store_id)
    return any(not ends_by(geofence.content.schedule, at) for geofence in found)


def _is_closed(store: Store, at: datetime) -> bool:
    """Not so for a closing that was over before anybody looked."""
    content = store.content
    return status(content.hours, content.timezone, at).reason is Reason.TEMPORARILY_CLOSED


async def _note_next(connection: AsyncConnection, stores: Sequence[Store], at: datetime) -> None:
    if stores:
        moments = [_next_after(store, at) for store in stores]
        ids = [store.store_id for store in stores]
        await connection.execute(_NEXT_CLOSURES, {"ids": ids, "moments": moments})


def _next_after(store: Store, at: datetime) -> datetime | None:
    closures = () if store.content.hours is None else store.content.hours.closures
    return min((c.starts_at for c in closures if c.starts_at > at), default=None)
