"""A deliverer as a running thing: how it stops, what it shows, what it outlives."""

import asyncio

import httpx
import pytest
from prometheus_client import generate_latest
from sqlalchemy import func, select, text

from shared.db import Database
from tests.shared.feed.conftest import Deliverers, an_event
from tests.shared.feed.deliverer import GEO_FEED
from tests.shared.feed.receiver import Behaviour
from tests.shared.feed.waiting import (
    applied,
    drained,
    each_once,
    tell,
    until,
    waiting,
)

pytestmark = pytest.mark.slow


async def test_a_stop_lets_the_batch_under_way_end_and_gives_up_the_leases(
    database: Database,
    deliverers: Deliverers,
    behaviour: Behaviour,
    peer: httpx.AsyncBaseTransport,
) -> None:
    under_way, go_on = asyncio.Event(), asyncio.Event()

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            under_way.set()
            await go_on.wait()
            return await peer.handle_async_request(request)

    deliverer = deliverers(transport=Slow())
    events = [an_event() for _ in range(30)]
    await tell(database, events)
    await deliverer.start()
    await under_way.wait()
    stopping = asyncio.create_task(deliverer.stop())
    await asyncio.sleep(0.1)
    go_on.set()
    await stopping
    assert set(await applied(database)) == set(behaviour.heard)
    assert await waiting(database) == len(events) - len(behaviour.heard)
    async with database.begin() as connection:
        held = select(func.count(GEO_FEED.outbox_leases.c.holder))
        assert (await connection.execute(held)).scalar_one() == 0


async def test_the_lag_is_measured_and_shown(
    database: Database, deliverers: Deliverers, behaviour: Behaviour
) -> None:
    events = [an_event() for _ in range(5)]
    behaviour.refuses = {events[0].event_id}
    await tell(database, events)
    deliverer = deliverers()
    await deliverer.start()

    async def is_shown() -> bool:
        return b'solomo_feed_parked{feed="geo"} 1.0' in generate_latest()

    await until(is_shown)
    assert deliverer.last_lag is not None
    assert deliverer.last_lag.parked == 1
    assert b'solomo_feed_delivered_total{feed="geo"}' in generate_latest()


async def test_a_deliverer_outlives_the_loss_of_its_database_connections(
    database: Database, deliverers: Deliverers
) -> None:
    deliverer = deliverers()
    await deliverer.start()
    await asyncio.sleep(0.2)
    async with database.engine.connect() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    events = [an_event() for _ in range(20)]
    await tell(database, events)
    await drained(database)
    assert await each_once(database, events)
