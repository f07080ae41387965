"""HTTP of the export of stores, streamed as it is read."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from services.geo_api.places import lists, repository
from services.geo_api.places.domain import Geofence, Store
from services.geo_api.places.endpoints.common import MayRead, Now
from services.geo_api.places.export import Format, Rows, Writer, writer
from shared.db import Database
from shared.errors import Malformed
from shared.problems import documented

router = APIRouter(prefix="/v1/stores/export", tags=["stores"])

STORES_AT_ONCE = 500
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file",
        "content": {
            "application/geo+json": {"schema": {"type": "object"}},
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.google-earth.kml+xml": {"schema": {"type": "string"}},
        },
    }
}


@router.get("", response_class=StreamingResponse, responses={**_FILES, **documented(Malformed)})
async def export_stores(
    request: Request,
    _: MayRead,
    now: Now,
    wanted: Annotated[
        Format, Query(alias="format", description="geojson, csv or kml")
    ] = Format.GEOJSON,
) -> StreamingResponse:
    """All stores with their geofences as a file, a row for each geofence, in WGS 84.

    The same file imported again changes nothing. What is closed for good is left out.
    """
    form = writer(wanted)
    disposition = f'attachment; filename="{_file_name(wanted, now)}"'
    return StreamingResponse(
        _parts(request.app.state.database, form),
        media_type=form.media_type,
        headers={"Content-Disposition": disposition},
    )


def _file_name(wanted: Format, now: datetime) -> str:
    return f"stores-{now:%Y-%m-%d}.{wanted.value}"


async def _parts(database: Database, form: Writer) -> AsyncIterator[str]:
    """Page by page, each in a transaction of its own: a slow reader holds up nobody."""
    yield form.head()
    after = ""
    while True:
        async with database.begin() as connection:
            stores = await lists.list_stores(connection, lists.StoreFilter(), after, STORES_AT_ONCE)
            ids = [store.store_id for store in stores]
            geofences = await repository.open_geofences_of(connection, *ids)
        if stores:
            yield form.rows(_rows(stores, geofences))
        if len(stores) < STORES_AT_ONCE:
            break
        after = ids[-1]
    yield form.end()


def _rows(stores: list[Store], geofences: list[Geofence]) -> Rows:
    """A row for each geofence of a store, or one without."""
    of_store: dict[str, list[Geofence]] = {store.store_id: [] for store in stores}
    for geofence in geofences:
        of_store[geofence.content.store_id].append(geofence)
    rows: list[tuple[Store, Geofence | None]] = []
    for store in stores:
        drawn = of_store[store.store_id]
        rows += [(store, geofence) for geofence in drawn] or [(store, None)]
    return rows
