"""Both ends of a feed in a database of the test's own: outbox in ``geo``, inbox in ``member``."""

from collections.abc import AsyncIterator, Callable
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from sqlalchemy import make_url, text

from shared.db import Database
from shared.feed.delivery import Deliverer, DeliveryOptions
from shared.feed.outbox import PreparedEvent
from shared.feed.stream import Pace
from tests.shared.feed.deliverer import GEO, GEO_FEED
from tests.shared.feed.receiver import MEMBER, Behaviour, receiver

SWIFT = DeliveryOptions(
    lease_s=1.0,
    pace=Pace(poll_s=0.02, idle_poll_s=0.05, rest_s=0.0, busy_rest_s=0.0),
    lag_every_s=0.05,
)

Deliverers = Callable[..., Deliverer]


@pytest.fixture
async def feed_url(superuser_url: str) -> AsyncIterator[str]:
    name = f"feed_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(superuser_url)
    await admin.execute(f'CREATE DATABASE "{name}"')
    url = make_url(superuser_url).set(drivername="postgresql+asyncpg", database=name)
    try:
        yield url.render_as_string(hide_password=False)
    finally:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()


@pytest.fixture
async def database(feed_url: str) -> AsyncIterator[Database]:
    database = Database.connect(feed_url, pool_size=5)
    async with database.begin() as connection:
        await connection.execute(text("CREATE SCHEMA geo"))
        await connection.execute(text("CREATE SCHEMA member"))
        await connection.run_sync(GEO.create_all)
        await connection.run_sync(MEMBER.create_all)
    yield database
    await database.close()


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def peer(database: Database, behaviour: Behaviour) -> httpx.AsyncBaseTransport:
    """The way to a receiver in this process."""
    return httpx.ASGITransport(app=receiver(database, behaviour))


@pytest.fixture
async def deliverers(
    database: Database, peer: httpx.AsyncBaseTransport
) -> AsyncIterator[Deliverers]:
    """Makes deliverers to the receiver; they are stopped in the end."""
    made: list[Deliverer] = []

    def make(
        options: DeliveryOptions = SWIFT, transport: httpx.AsyncBaseTransport | None = None
    ) -> Deliverer:
        deliverer = Deliverer(
            database,
            GEO_FEED,
            url="http://member/events",
            token=lambda: "test",
            transport=transport or peer,
            options=options,
        )
        made.append(deliverer)
        return deliverer

    yield make
    for deliverer in made:
        await deliverer.stop()


def an_event(subject_id: UUID | None = None, **members: object) -> PreparedEvent:
    """A check-in of a subject of its own."""
    subject_id, event_id = subject_id or uuid4(), uuid4()
    extra = "".join(f',"{name}":{value}' for name, value in members.items())
    payload = f'{{"id":"{event_id}","subject":"{subject_id}","type":"check_in"{extra}}}'
    return PreparedEvent(event_id, subject_id, "check_in", payload.encode())
