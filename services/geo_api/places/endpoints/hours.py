"""HTTP of a store's opening hours."""

from typing import Annotated

from fastapi import APIRouter, Query

from services.geo_api.places.domain import StoreUnknown
from services.geo_api.places.endpoints.common import MaySearch, Now, StoreId
from services.geo_api.places.hours_schemas import OpenStateOut
from services.geo_api.places.service import stores
from shared.db import Session
from shared.errors import Malformed
from shared.problems import documented
from shared.wire import Moment

router = APIRouter(prefix="/v1/stores", tags=["stores"])


@router.get("/{store_id}/hours", responses=documented(Malformed, StoreUnknown))
async def get_hours(
    store_id: StoreId,
    _: MaySearch,
    session: Session,
    now: Now,
    at: Annotated[
        Moment | None,
        Query(description="RFC 3339; now, if left out", examples=["2026-12-24T18:00:00Z"]),
    ] = None,
) -> OpenStateOut:
    """Whether a store is open at a moment, by which rule, until when, and its hours as a whole.

    A time of day that the clock leaves out is the moment of its jump; an hour that comes twice is
    open from the first time to the second.
    """
    store = await stores.read(await session.connection(), store_id)
    content, asked = store.content, at or now
    state = stores.open_state(store, asked)
    return OpenStateOut.of(store_id, content.timezone, asked, state, content.hours)
