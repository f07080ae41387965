import asyncio
import gc
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url, text

from shared.connecting import connect
from shared.db import Database

MOMENTS_S = [step / 2000 for step in range(40)]
"""From before the first byte to after the last, on a machine that is not idle."""


@pytest.fixture
async def complaints() -> list[str]:
    """What the loop is told that nobody has read."""
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: told.append(str(context["message"]))
    )
    return told


async def open_on_the_server(url: str, name: str) -> int:
    observer = await asyncpg.connect(url)
    try:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"
        return int(await observer.fetchval(query, name))
    finally:
        await observer.close()


async def nothing_is_left(url: str, name: str) -> None:
    gc.collect()
    async with asyncio.timeout(5):
        while await open_on_the_server(url, name):
            await asyncio.sleep(0.02)


async def test_a_cancelled_attempt_leaves_nothing_behind(
    superuser_url: str, complaints: list[str]
) -> None:
    settings = {"application_name": "given_up_directly"}
    for moment_s in MOMENTS_S:
        attempt = asyncio.create_task(connect(superuser_url, timeout=5, server_settings=settings))
        await asyncio.sleep(moment_s)
        if not attempt.done():
            attempt.cancel()
            await asyncio.wait([attempt])
        if not attempt.cancelled():
            attempt.result().terminate()
    await nothing_is_left(superuser_url, "given_up_directly")
    assert complaints == []


async def test_a_cancelled_use_of_the_pool_leaves_nothing_behind(
    superuser_url: str, complaints: list[str]
) -> None:
    url = make_url(superuser_url).set(drivername="postgresql+asyncpg")
    marked = "SET application_name = 'given_up_in_the_pool'"

    async def use(database: Database) -> None:
        async with database.begin() as connection:
            await connection.execute(text(marked))

    for moment_s in MOMENTS_S:
        database = Database.connect(url.render_as_string(hide_password=False))
        work = asyncio.create_task(use(database))
        await asyncio.sleep(moment_s)
        work.cancel()
        await asyncio.wait([work])
        await database.close()
    await nothing_is_left(superuser_url, "given_up_in_the_pool")
    assert complaints == []


async def test_what_keeps_from_connecting_is_told_as_the_driver_tells_it() -> None:
    refused: dict[str, Any] = {"host": "127.0.0.1", "port": 1, "timeout": 5}
    with pytest.raises(OSError, match="Connect call failed"):
        await connect(**refused)
