"""HTTP of geofences."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from services.geo_api.places import lists
from services.geo_api.places.domain import (
    GeofenceClosed,
    GeofenceOfAnotherStore,
    GeofenceUnknown,
    Outcome,
    StoreClosed,
    StoreUnknown,
    VersionChanged,
)
from services.geo_api.places.endpoints.common import (
    ByWriter,
    Closed,
    GeofenceId,
    MayRead,
)
from services.geo_api.places.preconditions import IfVersion, etag
from services.geo_api.places.schemas import GEOFENCE_EXAMPLES, GeofenceIn, GeofenceOut
from services.geo_api.places.service import geofences
from shared.db import Session
from shared.errors import Malformed
from shared.ids import Slug
from shared.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, encode_cursor, last_id
from shared.problems import documented

router = APIRouter(prefix="/v1/geofences", tags=["geofences"])


@router.put(
    "/{geofence_id}",
    responses={
        201: {"model": GeofenceOut, "description": "Created"},
        **documented(
            Malformed,
            StoreUnknown,
            StoreClosed,
            GeofenceClosed,
            GeofenceOfAnotherStore,
            VersionChanged,
        ),
    },
)
async def put_geofence(
    geofence_id: GeofenceId,
    body: Annotated[GeofenceIn, Body(openapi_examples=GEOFENCE_EXAMPLES)],
    *,
    writer: ByWriter,
    condition: IfVersion,
    session: Session,
    response: Response,
) -> GeofenceOut:
    """Draw or redraw a geofence of an open store: 201 the first time, 200 after.

    The same outline again makes no new version. A geofence never changes its store, and the id
    of a closed one is never used again.
    """
    content = await asyncio.to_thread(body.content)  # thousands of vertices take a while
    connection = await session.connection()
    geofence, outcome = await geofences.put(connection, writer, geofence_id, content, condition)
    response.headers["ETag"] = etag(geofence.version)
    response.status_code = 201 if outcome is Outcome.CREATED else 200
    return GeofenceOut.of(geofence)


@router.get("/{geofence_id}", responses=documented(GeofenceUnknown))
async def get_geofence(
    geofence_id: GeofenceId, _: MayRead, session: Session, response: Response
) -> GeofenceOut:
    """A geofence as it is now, closed ones too; the ETag is its version."""
    geofence = await geofences.read(await session.connection(), geofence_id)
    response.headers["ETag"] = etag(geofence.version)
    return GeofenceOut.of(geofence)


@router.delete(
    "/{geofence_id}", status_code=204, responses=documented(GeofenceUnknown, VersionChanged)
)
async def delete_geofence(
    geofence_id: GeofenceId, writer: ByWriter, condition: IfVersion, session: Session
) -> None:
    """Close a geofence for good; again changes nothing. With a store's last one visits end."""
    await geofences.close(await session.connection(), writer, geofence_id, condition)


@router.get("", responses=documented(Malformed))
async def list_geofences(
    _: MayRead,
    session: Session,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    store_id: Annotated[Slug | None, Query()] = None,
    closed: Closed = Closed.FALSE,
) -> Page[GeofenceOut]:
    """Geofences by id; without ``closed`` only those that are open."""
    connection = await session.connection()
    found = await lists.list_geofences(
        connection, store_id, closed=closed.wanted, after=last_id(cursor), most=limit + 1
    )
    shown = found[:limit]
    return Page(
        items=[GeofenceOut.of(geofence) for geofence in shown],
        next_cursor=encode_cursor(shown[-1].geofence_id) if len(found) > limit else None,
    )
