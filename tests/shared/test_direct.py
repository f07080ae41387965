"""The short way to PostgreSQL: what is not committed does not look as if it were."""

from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.db import Database
from shared.direct import NotCommitted, OwnConnection, borrowed
from tests.conftest import DatabaseUrls

pytestmark = pytest.mark.slow


async def test_a_transaction_that_went_on_after_an_error_does_not_pass_for_committed(
    database_urls: DatabaseUrls,
) -> None:
    """PostgreSQL answers COMMIT with ROLLBACK then, and with no error."""
    lane = OwnConnection(database_urls.geo)

    async def go_on_after_an_error() -> None:
        async with lane.begin() as connection:
            with pytest.raises(asyncpg.DivisionByZeroError):
                await connection.execute(text("SELECT 1 / 0"))

    with pytest.raises(NotCommitted):
        await go_on_after_an_error()
    async with lane.begin() as connection:
        [row] = await connection.execute(text("SELECT 1 AS one"))
    await lane.close()
    assert row.one == 1


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database.connect(database_urls.geo, pool_size=1)
    yield database
    await database.close()


async def test_a_borrowed_connection_commits_and_goes_back_to_the_pool(database: Database) -> None:
    async with database.begin() as connection:
        await connection.execute(text("CREATE TABLE geo.noted (n integer)"))
    noting = text("INSERT INTO geo.noted SELECT :n RETURNING pg_backend_pid() AS pid")
    async with borrowed(database) as connection:
        [noted] = await connection.execute(noting, {"n": 1})
    with suppress(ZeroDivisionError):
        async with borrowed(database) as connection:
            await connection.execute(noting, {"n": 2})
            raise ZeroDivisionError
    async with database.begin() as connection:
        found = await connection.execute(text("SELECT n, pg_backend_pid() FROM geo.noted"))
        assert found.all() == [(1, noted.pid)]


async def test_on_a_borrowed_connection_faults_are_those_of_sqlalchemy(database: Database) -> None:
    with pytest.raises(DBAPIError) as fault:
        async with borrowed(database) as connection:
            await connection.execute(text("SELECT 1 / 0"))
    assert isinstance(fault.value.orig, asyncpg.DivisionByZeroError)
    assert not fault.value.connection_invalidated


async def test_a_borrowed_connection_that_is_lost_is_not_lent_again(database: Database) -> None:
    with pytest.raises(DBAPIError) as fault:
        async with borrowed(database) as connection:
            await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert fault.value.connection_invalidated
    async with borrowed(database) as connection:
        [row] = await connection.execute(text("SELECT 1 AS one"))
    assert row.one == 1
