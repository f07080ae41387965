"""Who was seen at the same pair, on a real table."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.trust.repository import Pair, asking, noting, pair_hash, prune, sightings
from shared.db import Database
from shared.direct import read_together, run_together
from tests.conftest import DatabaseUrls

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAY = NOW.toordinal()
A, B, C = (UUID(int=n) for n in (1, 2, 3))


@pytest.fixture
async def connection(database_urls: DatabaseUrls) -> AsyncIterator[AsyncConnection]:
    database = Database.connect(database_urls.geo)
    async with database.begin() as connection:
        yield connection
    await database.close()


async def note_and_ask(
    connection: AsyncConnection, pairs: list[Pair], now: datetime
) -> dict[bytes, set[UUID]]:
    (rows,) = await read_together(connection, [asking({hashed for hashed, _ in pairs})])
    await run_together(connection, noting(pairs, now))
    return sightings(rows, pairs)


def hashed(latitude: float = 31.230412, *, key: bytes = b"key", day: int = DAY) -> bytes:
    return pair_hash(key, day, latitude, 121.473701)


def test_a_pair_is_known_by_its_key_its_day_and_every_digit() -> None:
    other = {hashed(31.230413), hashed(key=b"other"), hashed(day=DAY + 1)}
    assert len(other) == 3
    assert hashed() == hashed() not in other


async def test_whoever_comes_later_sees_whoever_was_there(connection: AsyncConnection) -> None:
    here, there = hashed(), hashed(31.230413)
    assert await note_and_ask(connection, [(here, A)], NOW) == {here: {A}}
    seen = await note_and_ask(connection, [(here, B), (there, B)], NOW)
    assert seen == {here: {A, B}, there: {B}}


async def test_within_a_group_all_see_each_other(connection: AsyncConnection) -> None:
    here = hashed()
    assert await note_and_ask(connection, [(here, A), (here, B), (here, A)], NOW) == {here: {A, B}}


async def test_of_a_crowd_a_few_are_enough(connection: AsyncConnection) -> None:
    here = hashed()
    await note_and_ask(connection, [(here, uuid4()) for _ in range(50)], NOW)
    assert 16 <= len((await note_and_ask(connection, [(here, C)], NOW))[here]) <= 17


async def test_sightings_are_forgotten_after_a_day(connection: AsyncConnection) -> None:
    here = hashed()
    await note_and_ask(connection, [(here, A)], NOW)
    assert await prune(connection, NOW + timedelta(hours=24), 500) == 0
    assert await prune(connection, NOW + timedelta(hours=24, seconds=1), 500) == 1
    assert await note_and_ask(connection, [(here, B)], NOW) == {here: {B}}
