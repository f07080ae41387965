import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy import make_url, text

from services.geo_api.wechat.accounts import service
from services.geo_api.wechat.accounts.domain import AccountUnknown
from services.geo_api.wechat.accounts.live import LiveAccounts
from services.geo_api.wechat.accounts.repository import AccountRows
from shared.datum.kinds import Datum
from shared.db import Database
from shared.errors import Unavailable
from shared.sealing import StorageKey
from shared.wechat.callback import Mode
from tests.conftest import DatabaseUrls
from tests.geo_api.wechat.factories import (
    AES_KEY,
    APP_ID,
    APP_SECRET,
    NOW,
    TOKEN,
    add_account,
)


@pytest.fixture
async def live(database_urls: DatabaseUrls, storage: StorageKey) -> AsyncIterator[LiveAccounts]:
    live = LiveAccounts(database_urls.geo, storage)
    await live.start()
    yield live
    await live.stop()


async def until(claim: Callable[[], bool], *, within_s: float = 1) -> None:
    async with asyncio.timeout(within_s):
        while not claim():
            await asyncio.sleep(0.01)


async def test_an_account_is_known_within_a_second_and_forgotten_when_it_is_closed(
    live: LiveAccounts, database: Database, storage: StorageKey
) -> None:
    with pytest.raises(AccountUnknown):
        live.find("tea")

    await add_account(database, storage)
    await until(lambda: "tea" in live.current.by_id)
    account = live.find("tea")
    assert (account.app_id, account.callback.token) == (APP_ID, TOKEN)
    assert (account.callback.aes_key, account.callback.mode) == (AES_KEY, Mode.SECURE)
    assert account.credentials is not None
    assert account.credentials.app_secret == APP_SECRET

    async with database.begin() as connection:
        await service.close(connection, AccountRows(storage), "tea", NOW + timedelta(hours=1))
    await until(lambda: "tea" not in live.current.by_id)


async def test_without_notifications_the_poll_finds_a_change(
    live: LiveAccounts, database: Database, storage: StorageKey
) -> None:
    assert live._connection is not None
    await live._connection.execute("UNLISTEN *")

    await add_account(database, storage)
    await until(lambda: "tea" in live.current.by_id)


async def test_a_change_is_taken_up_after_the_connection_was_lost(
    live: LiveAccounts, database: Database, database_urls: DatabaseUrls, storage: StorageKey
) -> None:
    plain = make_url(database_urls.superuser).set(drivername="postgresql")
    connection = await asyncpg.connect(plain.render_as_string(hide_password=False))
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename = 'solomo_geo' AND query LIKE '%wechat_accounts_version%'"
    )
    await connection.close()

    await add_account(database, storage)
    await until(lambda: "tea" in live.current.by_id, within_s=5)


async def test_nothing_in_memory_shows_a_secret(
    live: LiveAccounts, database: Database, storage: StorageKey
) -> None:
    await add_account(database, storage)
    await until(lambda: "tea" in live.current.by_id)

    shown = f"{live.current!r} {live.find('tea')!r} {live.find('tea')}"
    for secret in (TOKEN, AES_KEY, APP_SECRET):
        assert secret not in shown


async def test_the_database_alone_gives_no_secret_away(
    database: Database, storage: StorageKey
) -> None:
    await add_account(database, storage)
    async with database.begin() as connection:
        rows = await connection.execute(text("SELECT * FROM geo.wechat_accounts"))
        stored = str(rows.mappings().one())

    for secret in (TOKEN, AES_KEY, APP_SECRET):
        assert secret not in stored


async def test_an_account_whose_secrets_do_not_open_is_left_out_and_harms_no_other(
    live: LiveAccounts, database: Database, storage: StorageKey
) -> None:
    await add_account(database, storage)
    await add_account(database, StorageKey(b"x" * 32), "coffee", app_id="wx7766554433221100")
    await until(lambda: live.current.version == 2)

    assert set(live.current.by_id) == {"tea"}


async def test_a_datum_that_nobody_named_is_taken_for_wgs_84(
    live: LiveAccounts, database: Database, storage: StorageKey
) -> None:
    await add_account(database, storage, location_datum=None)
    await until(lambda: "tea" in live.current.by_id)
    assert live.find("tea").location_datum is Datum.WGS84


async def test_it_waits_for_a_database_that_is_not_there_yet(storage: StorageKey) -> None:
    live = LiveAccounts("postgresql+asyncpg://nobody@127.0.0.1:1/none", storage, poll_s=0.05)
    await live.start()
    with pytest.raises(Unavailable):
        live.find("tea")
    await live.stop()
