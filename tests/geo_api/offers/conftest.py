from collections.abc import AsyncIterator

import pytest

from shared.db import Database
from tests.conftest import DatabaseUrls


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database.connect(database_urls.geo, pool_size=16)
    yield database
    await database.close()
