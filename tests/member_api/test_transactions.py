"""Transactions that lost a race begin again, and give up in words."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from services.member_api.transactions import ATTEMPTS, Contended, in_transaction
from shared.db import Database
from shared.errors import Unavailable
from tests.conftest import DatabaseUrls

pytestmark = pytest.mark.slow


@pytest.fixture
async def member_database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database.connect(database_urls.member, pool_size=2)
    yield database
    await database.close()


async def test_who_was_contended_begins_again(member_database: Database) -> None:
    tries = 0

    async def act(session: AsyncSession) -> int:
        nonlocal tries
        tries += 1
        await session.execute(text("SELECT 1"))
        if tries < 3:
            raise Contended
        return tries

    assert await in_transaction(member_database, act) == 3


async def test_a_deadlock_is_tried_again_and_at_last_given_up(member_database: Database) -> None:
    tries = 0

    async def act(session: AsyncSession) -> None:
        nonlocal tries
        tries += 1
        await session.execute(text("DO $$ BEGIN RAISE EXCEPTION USING errcode = '40P01'; END $$"))

    with pytest.raises(Unavailable):
        await in_transaction(member_database, act)

    assert tries == ATTEMPTS


async def test_any_other_fault_is_not_tried_again(member_database: Database) -> None:
    tries = 0

    async def act(session: AsyncSession) -> None:
        nonlocal tries
        tries += 1
        await session.execute(text("SELECT 1 / 0"))

    with pytest.raises(DBAPIError):
        await in_transaction(member_database, act)

    assert tries == 1
