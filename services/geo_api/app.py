"""The composition root of geo_api: the one place that knows every part and wires them."""

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

import httpx
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.adapters.live_fences import LiveFences
from services.geo_api.adapters.live_offers import LiveOffers
from services.geo_api.audience import endpoints as audience
from services.geo_api.checkins import endpoints as checkins
from services.geo_api.checkins import explanations
from services.geo_api.checkins.committer import Committer
from services.geo_api.checkins.maintenance import Maintenance
from services.geo_api.checkins.service.exact import DayKeys
from services.geo_api.checkins.service.outcome import Tools
from services.geo_api.evidence import endpoints as evidence
from services.geo_api.invitations.service import Inviter
from services.geo_api.monitoring import endpoints as monitoring
from services.geo_api.monitoring.service import Monitor
from services.geo_api.offers import endpoints as offers
from services.geo_api.outreach import endpoints as outreach
from services.geo_api.places import endpoints as places
from services.geo_api.places.domain import VisitsEnd
from services.geo_api.presence import endpoints as visits
from services.geo_api.presence.domain import ClosedBy
from services.geo_api.presence.rule import RULES
from services.geo_api.presence.service import close_visits_of_store
from services.geo_api.redemptions import endpoints as redemptions
from services.geo_api.redrawing import endpoints as redrawing
from services.geo_api.sessions import endpoints as sessions
from services.geo_api.settings import GeoSettings
from services.geo_api.tables import FEED, IDEMPOTENCY, REVOKED_TOKENS
from services.geo_api.wechat.accounts import endpoints as accounts
from services.geo_api.wechat.accounts.live import LiveAccounts
from services.geo_api.wechat.accounts.tokens import TokenStore
from services.geo_api.wechat.mini import endpoints as mini
from services.geo_api.wechat.pushes import callback
from services.geo_api.wechat.pushes import endpoints as pushes
from services.geo_api.wechat.pushes.retention import JOBS as PUSH_JOBS
from services.geo_api.wechat.pushes.running import receiving
from services.geo_api.wechat.scenes import endpoints as scenes
from services.geo_api.wechat.sending.retention import JOBS as SENDING_JOBS
from services.geo_api.wechat.sending.running import sending
from services.geo_api.wechat.sending.writers import writers_of
from services.geo_api.wechat.tools import WeChatTools
from services.geo_api.wechat.unions.asker import asking
from shared.access import Revocations
from shared.app import new_app
from shared.auth import ServiceTokens, SwiftSigner, TokenVerifier
from shared.clock import Clock, utc_now
from shared.datum import in_gcj_zone
from shared.db import Database
from shared.feed.delivery import Deliverer
from shared.feed.endpoints import feed_router
from shared.health import Check, answers
from shared.http import instrument
from shared.ids import swift_uuid7
from shared.keys import load_geo_keys
from shared.memory import settle
from shared.wechat.client import WeChatClient
from shared.wechat.probing import Probe
from shared.wechat.quotas import Quotas

MAX_FENCES_AGE_S = 5.0
"""Fences, offers and accounts not confirmed for so long are not trusted: the process is not ready."""


def create_app(
    settings: GeoSettings | None = None,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Clock = utc_now,
) -> FastAPI:
    """geo_api. ``transport`` reaches member_api in tests, ``clock`` sets the time there."""
    app = new_app(
        "geo_api",
        "Check-ins in; matches, visits, coupons and the invitation to join out.",
        settings or GeoSettings.load(),
        _lifespan,
        transport=transport,
        clock=clock,
    )
    app.state.owns_process = settings is None  # uvicorn made us, not a test
    app.state.feed_tables = FEED
    app.state.idempotency = IDEMPOTENCY
    # The busiest first: a request is matched against the routers in their order.
    app.include_router(checkins.busiest)
    app.include_router(callback.router)
    app.include_router(explanations.router)
    parts = (checkins, redemptions, sessions, visits, offers, monitoring, evidence, places)
    for part in (
        *parts,
        audience,
        redrawing,
        accounts,
        scenes,
        pushes,
        mini,
        outreach,
    ):  # monitoring first: it is no geofence of that name
        app.include_router(part.router)
    app.include_router(feed_router(FEED))
    instrument(app, "geo_api", app.state.settings)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Start what runs beside the requests; stop it in the opposite order, losing nothing."""
    async with AsyncExitStack() as stack:
        await _connect(app, stack)
        await _follow(app, stack)
        await _work(app, stack)
        _converse(app, stack)
        await stack.enter_async_context(receiving(app.state))
        await stack.enter_async_context(asking(app.state.wechat))
        await stack.enter_async_context(sending(app.state))
        if app.state.owns_process:
            settle()
        yield


async def _connect(app: FastAPI, stack: AsyncExitStack) -> None:
    state, settings = app.state, app.state.settings
    state.keys = load_geo_keys(settings.keys_dir)
    state.database = Database.connect(settings.geo_database_url, pool_size=settings.database_pool)
    stack.push_async_callback(state.database.close)
    revocations = Revocations(REVOKED_TOKENS)
    state.verifier = TokenVerifier(state.keys.public, revocations)
    await stack.enter_async_context(revocations.followed(state.database))
    state.readiness["database"] = answers(state.database)


async def _follow(app: FastAPI, stack: AsyncExitStack) -> None:
    """Keep fences, offers and WeChat accounts in memory as the database has them."""
    await asyncio.to_thread(in_gcj_zone, 121.5, 31.2)  # opens the zone's outlines, a second or two
    state, settings = app.state, app.state.settings
    state.fences = LiveFences(settings.geo_database_url)
    state.monitor = Monitor(state.fences)
    state.offers = LiveOffers(settings.geo_database_url)
    state.wechat_accounts = LiveAccounts(settings.geo_database_url, state.keys.storage)
    followed = {
        "fences": state.fences,
        "offers": state.offers,
        "wechat_accounts": state.wechat_accounts,
    }
    for name, live in followed.items():
        await live.start()
        stack.push_async_callback(live.stop)
        state.readiness[name] = _freshness(live)


async def _work(app: FastAPI, stack: AsyncExitStack) -> None:
    state, settings = app.state, app.state.settings
    service_tokens = ServiceTokens(state.keys.signing, "geo_api")
    state.feed = Deliverer(
        state.database,
        FEED,
        url=f"{settings.member_url}/v1/interactions/batch",
        token=service_tokens.current,
        transport=state.transport,
    )
    await state.feed.start()
    stack.push_async_callback(state.feed.stop)
    state.rule = RULES[settings.arrival_rule]
    state.day_keys = DayKeys(state.database, state.keys.storage)
    state.inviter = Inviter(SwiftSigner(state.keys.signing), settings.join_url, settings.campaign)
    tools = Tools(
        fences=state.fences,
        offers=state.offers,
        keys=state.keys,
        inviter=state.inviter,
        day_keys=state.day_keys,
        feed_tables=FEED,
        new_id=swift_uuid7,
        rule=state.rule,
        writers=functools.partial(writers_of, state.wechat_accounts),
    )
    state.close_visits = _close_visits
    maintenance = Maintenance(
        state.database, tools, state.clock, state.feed.wake, further=PUSH_JOBS | SENDING_JOBS
    )
    maintenance.start()
    stack.push_async_callback(maintenance.stop)
    state.committer = Committer(state.database.url, tools, state.feed, settings.commit_lanes)
    state.committer.start()
    stack.push_async_callback(state.committer.stop)


def _converse(app: FastAPI, stack: AsyncExitStack) -> None:
    """What talks with WeChat."""
    state, settings = app.state, app.state.settings
    client = WeChatClient(
        tuple(settings.wechat_api_bases.split(",")),
        tokens=functools.partial(TokenStore, state.database, state.keys.storage, state.clock),
        mp_base=settings.wechat_mp_base,
        transport=state.transport,
        clock=state.clock,
        quotas=Quotas(settings.workers),
    )
    stack.push_async_callback(client.close)
    state.wechat = WeChatTools(
        settings=settings,
        database=state.database,
        keys=state.keys,
        clock=state.clock,
        feed=state.feed,
        feed_tables=FEED,
        accounts=state.wechat_accounts,
        client=client,
        inviter=state.inviter,
        probe=Probe(state.transport),
    )


async def _close_visits(
    connection: AsyncConnection, store_id: str, at: datetime, why: VisitsEnd
) -> None:
    await close_visits_of_store(connection, FEED, store_id, at, ClosedBy(why))


def _freshness(live: LiveFences | LiveOffers | LiveAccounts) -> Check:
    async def check() -> str | None:
        old = live.age_s > MAX_FENCES_AGE_S
        return f"not confirmed for {live.age_s:.0f} s" if old else None

    return check
