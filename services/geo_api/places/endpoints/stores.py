"""HTTP of stores."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from services.geo_api.places import lists
from services.geo_api.places.domain import Outcome, StoreClosed, StoreUnknown, VersionChanged
from services.geo_api.places.endpoints.common import (
    ByWriter,
    Closed,
    MayRead,
    StoreId,
)
from services.geo_api.places.preconditions import IfVersion, etag
from services.geo_api.places.schemas import StoreIn, StoreOut
from services.geo_api.places.service import stores
from shared.db import Session
from shared.errors import Malformed
from shared.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, encode_cursor, last_id
from shared.problems import documented
from shared.wire import MAX_TEXT

router = APIRouter(prefix="/v1/stores", tags=["stores"])

Text = Annotated[str | None, Query(max_length=MAX_TEXT)]


@router.put(
    "/{store_id}",
    responses={
        201: {"model": StoreOut, "description": "Created"},
        **documented(Malformed, StoreClosed, VersionChanged),
    },
)
async def put_store(
    store_id: StoreId,
    body: StoreIn,
    *,
    writer: ByWriter,
    condition: IfVersion,
    session: Session,
    response: Response,
) -> StoreOut:
    """Create or change a store: 201 the first time, 200 after.

    The same content again makes no new version. The id of a closed store is never used again.
    """
    connection = await session.connection()
    store, outcome = await stores.put(connection, writer, store_id, body.content(), condition)
    response.headers["ETag"] = etag(store.version)
    response.status_code = 201 if outcome is Outcome.CREATED else 200
    return StoreOut.of(store)


@router.get("/{store_id}", responses=documented(StoreUnknown))
async def get_store(
    store_id: StoreId, _: MayRead, session: Session, response: Response
) -> StoreOut:
    """A store, closed ones too; the ETag is its version."""
    store = await stores.read(await session.connection(), store_id)
    response.headers["ETag"] = etag(store.version)
    return StoreOut.of(store)


@router.delete("/{store_id}", status_code=204, responses=documented(StoreUnknown, VersionChanged))
async def delete_store(
    store_id: StoreId, writer: ByWriter, condition: IfVersion, session: Session
) -> None:
    """Close a store for good, with its geofences and the visits there; again changes nothing."""
    await stores.close(await session.connection(), writer, store_id, condition)


def _filter(
    tag: Text = None,
    brand: Text = None,
    q: Annotated[Text, Query(description="Part of a name, brand, address or id")] = None,
    closed: Closed = Closed.FALSE,
) -> lists.StoreFilter:
    return lists.StoreFilter(tag, brand, q, closed.wanted)


@router.get("", responses=documented(Malformed))
async def list_stores(
    _: MayRead,
    wanted: Annotated[lists.StoreFilter, Depends(_filter)],
    session: Session,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[StoreOut]:
    """Stores by id; without ``closed`` only those that are open."""
    found = await lists.list_stores(await session.connection(), wanted, last_id(cursor), limit + 1)
    shown = found[:limit]
    return Page(
        items=[StoreOut.of(store) for store in shown],
        next_cursor=encode_cursor(shown[-1].store_id) if len(found) > limit else None,
    )
