from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.db import Database
from shared.sealing import StorageKey
from tests.conftest import DatabaseUrls
from tests.geo_api.wechat.factories import storage_of


@pytest.fixture
def storage(installation_keys: Path) -> StorageKey:
    return storage_of(installation_keys)


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database.connect(database_urls.geo, pool_size=8)
    yield database
    await database.close()
