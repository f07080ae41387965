"""The composition root of member_api: the one place that knows every part and wires them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import httpx
from fastapi import FastAPI

from services.member_api.adapters.installation import Installation
from services.member_api.adapters.sweeper import sweep
from services.member_api.consents import endpoints as consents
from services.member_api.context import Context
from services.member_api.people import endpoints as people
from services.member_api.profiles import endpoints as profiles
from services.member_api.profiles.audience import FeedAnnouncer
from services.member_api.profiles.erasure import PersonEraser
from services.member_api.settings import MemberSettings
from services.member_api.signups import endpoints as signups
from services.member_api.tables import FEED, REVOKED_TOKENS
from services.member_api.timeline import endpoints as timeline
from shared.access import Revocations
from shared.app import new_app
from shared.auth import ServiceTokens, TokenVerifier
from shared.clock import Clock, utc_now
from shared.db import Database
from shared.feed.delivery import Deliverer
from shared.feed.endpoints import feed_router
from shared.health import answers
from shared.http import instrument
from shared.keys import load_member_keys
from shared.memory import settle


def create_app(
    settings: MemberSettings | None = None,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Clock = utc_now,
) -> FastAPI:
    """member_api. ``transport`` reaches geo_api in tests, ``clock`` sets the time there."""
    app = new_app(
        "member_api",
        "Who people are, what they consented to, and all that happened to them.",
        settings or MemberSettings.load(),
        _lifespan,
        transport=transport,
        clock=clock,
    )
    app.state.owns_process = settings is None  # uvicorn made us, not a test
    for part in (people, profiles, timeline, consents, signups):
        app.include_router(part.router)
    app.include_router(feed_router(FEED))
    instrument(app, "member_api", app.state.settings)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Start what runs beside the requests; stop it in the opposite order, losing nothing."""
    async with AsyncExitStack() as stack:
        await _connect(app, stack)
        await _tell(app, stack)
        if app.state.owns_process:
            settle()
        yield


async def _connect(app: FastAPI, stack: AsyncExitStack) -> None:
    state, settings = app.state, app.state.settings
    state.keys = load_member_keys(settings.keys_dir)
    url = settings.member_database_url
    state.database = Database.connect(url, pool_size=settings.database_pool)
    stack.push_async_callback(state.database.close)
    installation = Installation(state.database, settings.keys_dir)
    state.require_installation = installation.require
    state.readiness["database"] = answers(state.database)
    state.readiness["installation"] = installation.doubt
    await stack.enter_async_context(installation.followed())
    revocations = Revocations(REVOKED_TOKENS)
    state.verifier = TokenVerifier(state.keys.public, revocations)
    await stack.enter_async_context(revocations.followed(state.database))
    await stack.enter_async_context(_running(sweep(state.database, state.clock)))


async def _tell(app: FastAPI, stack: AsyncExitStack) -> None:
    state, settings = app.state, app.state.settings
    state.feed = Deliverer(
        state.database,
        FEED,
        url=f"{settings.geo_url}/v1/audience/batch",
        token=ServiceTokens(state.keys.signing, "member_api").current,
        transport=state.transport,
    )
    await state.feed.start()
    stack.push_async_callback(state.feed.stop)
    state.context = Context(
        database=state.database,
        keys=state.keys,
        clock=state.clock,
        announcer=FeedAnnouncer(state.keys),
        eraser=PersonEraser(state.keys, state.clock),
        wake=state.feed.wake,
    )


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let ``work`` run beside the requests until the lifespan ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
