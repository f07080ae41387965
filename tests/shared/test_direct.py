"""The short way to PostgreSQL: what is not committed does not look as if it were."""

import asyncpg
import pytest
from sqlalchemy import text

from shared.direct import NotCommitted, OwnConnection
from tests.conftest import DatabaseUrls


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
