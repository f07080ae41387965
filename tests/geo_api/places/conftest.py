"""geo_api's places alone, on a database of their own."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.places import endpoints as places
from services.geo_api.places.domain import VisitsEnd
from services.geo_api.presence.domain import ClosedBy
from services.geo_api.presence.service import close_visits_of_store
from services.geo_api.settings import GeoSettings
from services.geo_api.tables import FEED, IDEMPOTENCY
from shared.auth import TokenVerifier
from shared.clock import utc_now
from shared.db import Database
from shared.http import instrument
from shared.keys import load_geo_keys
from tests.conftest import DatabaseUrls, Tokens


async def close_visits(
    connection: AsyncConnection, store_id: str, at: datetime, why: VisitsEnd
) -> None:
    await close_visits_of_store(connection, FEED, store_id, at, ClosedBy(why))


@pytest.fixture
async def places_app(
    database_urls: DatabaseUrls, installation_keys: Path
) -> AsyncIterator[FastAPI]:
    settings = GeoSettings(
        geo_database_url=database_urls.geo, keys_dir=installation_keys / "geo", access_log=False
    )
    app = FastAPI()
    state = app.state
    state.settings, state.clock, state.limiter = settings, utc_now, settings.limiter()
    state.feed_tables, state.idempotency, state.readiness = FEED, IDEMPOTENCY, {}
    state.close_visits = close_visits
    state.verifier = TokenVerifier(load_geo_keys(settings.keys_dir).public)
    state.database = Database.connect(database_urls.geo)
    app.include_router(places.router)
    instrument(app, "geo_api", settings)
    yield app
    await state.database.close()


@pytest.fixture
async def client(places_app: FastAPI, tokens: Tokens) -> AsyncIterator[httpx.AsyncClient]:
    """Calls places with a server key."""
    transport = httpx.ASGITransport(places_app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://geo", headers=tokens("server")
    ) as client:
        yield client


@pytest.fixture
async def sql(database_urls: DatabaseUrls) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A plain connection as geo_api's role, beside the service."""
    plain = make_url(database_urls.geo).set(drivername="postgresql")
    connection = await asyncpg.connect(plain.render_as_string(hide_password=False))
    yield connection
    await connection.close()
