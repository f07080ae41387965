from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI

from shared.db import Database
from shared.sealing import StorageKey
from tests.conftest import DatabaseUrls, Switchboard, Tokens
from tests.geo_api.wechat.factories import storage_of
from tests.geo_api.wechat.stand_in import HOSTS, MINI, SERVICE, CuttingSwitchboard, Rehearsal
from wechat_sandbox.app import InProcess
from wechat_sandbox.app import create_app as create_stand_in
from wechat_sandbox.example import furnish


@pytest.fixture
def storage(installation_keys: Path) -> StorageKey:
    return storage_of(installation_keys)


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database.connect(database_urls.geo, pool_size=8)
    yield database
    await database.close()


@pytest.fixture
def switchboard() -> Switchboard:
    return CuttingSwitchboard()


@pytest.fixture
async def rehearsal(
    switchboard: Switchboard, geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> AsyncIterator[Rehearsal]:
    """geo_api and the stand-in, each knowing the same two accounts."""
    async with AsyncExitStack() as stack:
        stand_in = create_stand_in(transport=switchboard)
        furnish(stand_in.state.world)
        await stack.enter_async_context(LifespanManager(stand_in))
        switchboard.apps |= dict.fromkeys(HOSTS, stand_in)
        wechat = await stack.enter_async_context(
            httpx.AsyncClient(transport=InProcess(stand_in), base_url="http://wechat")
        )
        one = Rehearsal(stand_in.state.world, wechat, geo, geo_app, tokens("server"))
        for account_id in (SERVICE, MINI):
            await one.connect(account_id)
        yield one
