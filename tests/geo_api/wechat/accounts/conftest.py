from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

import pytest

from services.geo_api.wechat.accounts.tokens import TokenStore
from shared.clock import utc_now
from shared.db import Database
from shared.sealing import StorageKey
from shared.wechat.client import WeChatClient
from tests.geo_api.wechat.factories import add_account
from tests.geo_api.wechat.token_server import TokenServer, token_server


class Watch:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self.ahead

    def turn(self, **by: float) -> None:
        self.ahead += timedelta(**by)


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with token_server() as server:
        yield server


@pytest.fixture
def watch() -> Watch:
    return Watch()


Make = Callable[[], WeChatClient]


@pytest.fixture
async def make(
    database: Database, storage: StorageKey, server: TokenServer, watch: Watch
) -> AsyncIterator[Make]:
    """Makes clients that share nothing but the database, as processes do."""
    await add_account(database, storage)
    made: list[WeChatClient] = []

    def client() -> WeChatClient:
        store = partial(TokenStore, database, storage, watch)
        made.append(WeChatClient((server.base,), tokens=store, total_s=20))
        return made[-1]

    yield client
    for one in made:
        await one.close()
