"""HTTP of the stores nearest to a point, by query and, so that no address is logged, by body."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from services.geo_api.places import lists
from services.geo_api.places.endpoints.common import MaySearch, Now
from services.geo_api.places.hours import status
from services.geo_api.places.schemas import (
    NearbyIn,
    NearbyOut,
    NearbyStores,
    store_fields,
)
from shared.datum import Datum, to_wgs84
from shared.db import Session
from shared.errors import FieldFault, Malformed
from shared.geo import LonLat, check_position
from shared.pagination import Limit
from shared.problems import documented

router = APIRouter(prefix="/v1/stores/nearby", tags=["stores"])

_DEFAULT_LIMIT = 20


@router.get("", responses=documented(Malformed))
async def nearby_by_query(
    _: MaySearch,
    session: Session,
    latitude: Annotated[float, Query(examples=[40.7419])],
    longitude: Annotated[float, Query(examples=[-73.9893])],
    now: Now,
    datum: Datum = Datum.WGS84,
    limit: Limit = _DEFAULT_LIMIT,
) -> NearbyStores:
    """Stores that are not closed for good, nearest first, and whether they are open now."""
    try:
        here = check_position(latitude, longitude)
    except Malformed as error:
        faults = (FieldFault(f"?{f.pointer[1:]}", f.detail) for f in error.faults)
        raise Malformed(*faults) from None
    return await _nearby(session, to_wgs84(here.lon, here.lat, datum), limit, now)


@router.post("", responses=documented(Malformed))
async def nearby_by_body(_: MaySearch, body: NearbyIn, session: Session, now: Now) -> NearbyStores:
    """The same with the position in the body, where no log and no proxy sees it."""
    here = check_position(body.latitude, body.longitude)
    return await _nearby(session, to_wgs84(here.lon, here.lat, body.datum), body.limit, now)


async def _nearby(session: AsyncSession, here: LonLat, limit: int, at: datetime) -> NearbyStores:
    found = await lists.nearby(await session.connection(), here, limit)
    return NearbyStores(items=[_shown(near, at) for near in found])


def _shown(near: lists.Nearby, at: datetime) -> NearbyOut:
    content = near.store.content
    return NearbyOut(
        **store_fields(near.store),
        distance_m=round(near.distance_m, 3),
        open_now=status(content.hours, content.timezone, at).open,
    )
