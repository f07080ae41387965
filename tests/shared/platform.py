"""A small service on the real platform, for tests of the platform itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, FastAPI, Request
from pydantic import Field

from shared.access import allow, public
from shared.app import Service
from shared.auth import Principal, Role, TokenVerifier
from shared.errors import Conflict
from shared.http import instrument
from shared.idempotency import IdempotencyKey
from shared.keys import load_geo_keys
from shared.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor
from shared.problems import documented
from shared.settings import ServiceSettings
from shared.wire import Integer, Latitude, Moment, WireModel


class ShelfIsFull(Conflict):
    """The shelf holds as much as it can <for now>."""

    slug = "shelf_full"
    title = "The shelf is full"


class Owner(WireModel):
    value: str


class Circle(WireModel):
    kind: str = Field(pattern="^circle$")
    radius_m: float


class Parcel(WireModel):
    label: str
    latitude: Latitude = 0.0
    weight_g: Integer = 1
    sent_at: Moment | None = None
    owner: Owner | None = None
    shape: Circle | Owner | None = None
    notes: list[str] = Field(default_factory=list)
    extras: dict[str, Any] = Field(default_factory=dict)
    story: str = Field(default="", max_length=1_000)


router = APIRouter(prefix="/v1")


@router.post("/parcels", dependencies=[public()])
async def send_parcel(parcel: Parcel) -> Parcel:
    return parcel


@router.get("/parcels", dependencies=[public()])
async def list_parcels(limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Page[int]:
    start = decode_cursor(cursor, parts=1)[0] if cursor else 0
    return Page(items=list(range(start, start + limit)), next_cursor=None)


@router.get("/parcels/{parcel_id}", dependencies=[public()])
async def read_parcel(parcel_id: int) -> int:
    return parcel_id


@router.put(
    "/shelves/{shelf_id}",
    dependencies=[allow(Role.SERVER)],
    responses=documented(ShelfIsFull),
)
async def fill_shelf(shelf_id: str, key: IdempotencyKey) -> None:
    raise ShelfIsFull(f"Shelf {shelf_id} is full.", reason=key)


@router.get("/me")
async def whoami(principal: Annotated[Principal, allow(Role.MEMBER, Role.STAFF)]) -> str:
    return principal.name


@router.post("/broken", dependencies=[public()])
async def break_down(request: Request) -> None:
    body = await request.body()
    raise RuntimeError(f"could not read {body!r} at 40.7419,-73.9893")


@router.post("/stream", dependencies=[public()])
async def measure(request: Request) -> int:
    return sum([len(chunk) async for chunk in request.stream()])


@router.get("/slow", dependencies=[public()])
async def wait() -> None:
    await asyncio.sleep(30)


def build_app(keys: Path, *more: APIRouter, **settings: Any) -> FastAPI:
    app = Service()
    for part in (router, *more):
        app.include_router(part)
    chosen = ServiceSettings(keys_dir=keys / "geo", **settings)
    app.state.verifier = TokenVerifier(load_geo_keys(keys / "geo").public)
    app.state.limiter = chosen.limiter()
    instrument(app, "probe", chosen)
    return app


@asynccontextmanager
async def calling(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://probe") as client:
        yield client
