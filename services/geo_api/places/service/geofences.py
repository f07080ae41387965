"""Use cases of geofences."""

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.places import repository
from services.geo_api.places.domain import (
    ANY,
    Condition,
    Geofence,
    GeofenceContent,
    GeofenceUnknown,
    Outcome,
    VisitsEnd,
    close_geofence,
    put_geofence,
    require_open,
)
from services.geo_api.places.service.lifecycle import is_in_use
from services.geo_api.places.service.writing import Changes, Writer, keep, write_and_publish


async def read(connection: AsyncConnection, geofence_id: str) -> Geofence:
    """A geofence, closed ones too. Raises GeofenceUnknown."""
    geofence = (await repository.geofences(connection, [geofence_id])).get(geofence_id)
    if geofence is None:
        raise GeofenceUnknown(f"There is no geofence {geofence_id}.")
    return geofence


async def put(
    connection: AsyncConnection,
    writer: Writer,
    geofence_id: str,
    content: GeofenceContent,
    condition: Condition = ANY,
) -> tuple[Geofence, Outcome]:
    """Draw or redraw a geofence of an open store.

    Raises StoreUnknown, StoreClosed, GeofenceClosed, GeofenceOfAnotherStore, VersionChanged.
    """
    held = await repository.lock_index(connection)
    stores = await repository.stores(connection, [content.store_id])
    require_open(content.store_id, stores.get(content.store_id))
    current = (await repository.geofences(connection, [geofence_id])).get(geofence_id)
    decided = put_geofence(geofence_id, current, content, writer.at, condition)
    return await keep(connection, writer, decided, held)


async def close(
    connection: AsyncConnection, writer: Writer, geofence_id: str, condition: Condition = ANY
) -> None:
    """Close a geofence; with the last one of a store that is in use the visits there end.

    A closed one stays as it is. Raises GeofenceUnknown and VersionChanged.
    """
    held = await repository.lock_index(connection)
    geofence = await read(connection, geofence_id)
    closed = close_geofence(geofence, writer.at, condition)
    if closed is geofence:
        return
    await write_and_publish(connection, writer, Changes(geofences=[closed]), held)
    store_id = geofence.content.store_id
    if not await is_in_use(connection, store_id, writer.at):
        await writer.close_visits(connection, store_id, writer.at, VisitsEnd.FENCE_REMOVED)
