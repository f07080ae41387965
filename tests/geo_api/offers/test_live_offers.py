import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from services.geo_api.adapters.live_offers import LiveOffers
from services.geo_api.offers.lifecycle import Verb
from services.geo_api.offers.service import keeping
from shared.db import Database
from shared.errors import Unavailable
from tests.conftest import DatabaseUrls
from tests.geo_api.offers.helpers import NOW, store_offer


@pytest.fixture
async def live(database_urls: DatabaseUrls) -> AsyncIterator[LiveOffers]:
    live = LiveOffers(database_urls.geo, poll_s=0.05, clock=lambda: NOW)
    await live.start()
    yield live
    await live.stop()


async def until(claim: Callable[[], bool], *, within_s: float = 5) -> None:
    async with asyncio.timeout(within_s):
        while not claim():
            await asyncio.sleep(0.01)


async def test_the_book_follows_what_is_activated_changed_and_paused(
    live: LiveOffers, database: Database
) -> None:
    assert live.current.offers == ()

    await store_offer(database, "draft", activate=False)
    await store_offer(database)
    await until(lambda: [o.offer_id for o in live.current.offers] == ["o1"])

    await store_offer(database, title="6 off")
    await until(lambda: [(o.title, o.version) for o in live.current.offers] == [("6 off", 2)])

    async with database.begin() as connection:
        await keeping.move(connection, "o1", Verb.PAUSE, NOW)
    await until(lambda: live.current.offers == ())


async def test_a_change_that_is_rolled_back_is_never_seen(
    live: LiveOffers, database: Database
) -> None:
    await store_offer(database)
    async with database.engine.connect() as connection:
        await keeping.move(connection, "o1", Verb.END, NOW)
        await connection.rollback()
    await until(lambda: len(live.current.offers) == 1)
    await asyncio.sleep(0.2)

    assert [o.offer_id for o in live.current.offers] == ["o1"]


async def test_a_notification_shortens_the_wait_for_the_poll(
    database: Database, database_urls: DatabaseUrls
) -> None:
    live = LiveOffers(database_urls.geo, poll_s=60, clock=lambda: NOW)
    await live.start()
    try:
        await store_offer(database)
        await until(lambda: len(live.current.offers) == 1)
    finally:
        await live.stop()


async def test_the_book_outlives_the_loss_of_its_connection_and_knows_its_age(
    live: LiveOffers, database: Database
) -> None:
    await store_offer(database)
    await until(lambda: len(live.current.offers) == 1)
    assert live._connection is not None
    live._connection.terminate()
    await asyncio.sleep(0.1)

    await store_offer(database, "o2")
    await until(lambda: len(live.current.offers) == 2)

    assert live.age_s < 5


async def test_without_a_database_it_starts_and_has_no_book_to_decide_by() -> None:
    live = LiveOffers("postgresql://127.0.0.1:1/nowhere")
    await live.start()

    assert live.age_s == float("inf")
    with pytest.raises(Unavailable):
        _ = live.current
    await live.stop()


async def test_the_book_is_followed_on_after_an_offer_that_cannot_be_read(
    live: LiveOffers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_row: object) -> None:
        raise ValueError("from a newer version of the service")

    with monkeypatch.context() as patch:
        patch.setattr("services.geo_api.adapters.live_offers.read_active", refuse)
        await store_offer(database)
        await asyncio.sleep(0.2)
        assert live.current.offers == ()
    await until(lambda: len(live.current.offers) == 1)
