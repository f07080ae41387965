"""Use cases of stores."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.places import repository
from services.geo_api.places.domain import (
    ANY,
    Condition,
    Outcome,
    Store,
    StoreContent,
    StoreUnknown,
    VisitsEnd,
    close_geofence,
    close_store,
    put_store,
)
from services.geo_api.places.hours import OpenState, Reason, is_open
from services.geo_api.places.service.writing import Changes, Writer, keep, write_and_publish


async def read(connection: AsyncConnection, store_id: str) -> Store:
    """A store, closed ones too. Raises StoreUnknown."""
    store = (await repository.stores(connection, [store_id])).get(store_id)
    if store is None:
        raise StoreUnknown(f"There is no store {store_id}.")
    return store


def open_state(store: Store, at: datetime) -> OpenState:
    """Whether a store is open at ``at``; one that closed for good by then is not."""
    if store.closed_at is not None and at >= store.closed_at:
        return OpenState(
            open=False, reason=Reason.CLOSED_FOR_GOOD, note=None, opens_next=None, closes_at=None
        )
    return is_open(store.content.hours, store.content.timezone, at)


async def put(
    connection: AsyncConnection,
    writer: Writer,
    store_id: str,
    content: StoreContent,
    condition: Condition = ANY,
) -> tuple[Store, Outcome]:
    """Create or change a store. Raises StoreClosed and VersionChanged."""
    held = await repository.lock_index(connection)
    current = (await repository.stores(connection, [store_id])).get(store_id)
    decided = put_store(store_id, current, content, writer.at, condition)
    return await keep(connection, writer, decided, held)


async def close(
    connection: AsyncConnection, writer: Writer, store_id: str, condition: Condition = ANY
) -> None:
    """Close a store with its geofences and end the visits there; a closed one stays as it is.

    Raises StoreUnknown and VersionChanged.
    """
    held = await repository.lock_index(connection)
    store = await read(connection, store_id)
    closed = close_store(store, writer.at, condition)
    if closed is store:
        return
    geofences = await repository.open_geofences_of(connection, store_id)
    changes = Changes([closed], [close_geofence(geofence, writer.at) for geofence in geofences])
    await write_and_publish(connection, writer, changes, held)
    await writer.close_visits(connection, store_id, writer.at, VisitsEnd.STORE_CLOSED)
