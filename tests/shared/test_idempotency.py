import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Column, Integer, Table, func, insert, select

from shared.db import Database, schema_metadata
from shared.idempotency import KeyReused, StoredAnswer, forget_expired, idempotency_table, once
from tests.conftest import DatabaseUrls

pytestmark = pytest.mark.slow

METADATA = schema_metadata("geo")
TABLE = idempotency_table(METADATA)
ACTS = Table("probe_acts", METADATA, Column("n", Integer, nullable=False))
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)

Ask = Callable[..., Awaitable[StoredAnswer]]


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database.connect(database_urls.geo, pool_size=20)
    async with database.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    yield database
    await database.close()


class Broken(Exception):  # noqa: N818 - named for what happened
    pass


async def ask(
    database: Database,
    *,
    key: str = "k",
    scope: str = "server:a",
    request: bytes = b"{}",
    now: datetime = NOW,
    ttl: timedelta | None = DAY,
    status: int = 201,
    work_s: float = 0,
    broken: bool = False,
) -> StoredAnswer:
    """One request in a transaction of its own, that leaves one row in ACTS when it acts."""
    async with database.transaction() as session:

        async def act() -> tuple[int, dict[str, Any]]:
            await session.execute(insert(ACTS).values(n=1))
            await asyncio.sleep(work_s)
            if broken:
                raise Broken
            return status, {"id": uuid4(), "amount": 1.0, "at": NOW, "z": 1, "a": 2}

        return await once(
            session, TABLE, scope=scope, endpoint="redeem", key=key,
            request=request, ttl=ttl, now=now, act=act,
        )  # fmt: skip


async def acts(database: Database) -> int:
    async with database.transaction() as session:
        return (await session.execute(select(func.count()).select_from(ACTS))).scalar_one()


async def test_a_repeat_gets_the_same_answer_and_does_nothing(database: Database) -> None:
    first = await ask(database)
    second = await ask(database)

    assert (first.status, first.repeated) == (201, False)
    assert (second.status, second.repeated) == (200, True)
    assert list(second.body.items()) == list(first.body.items())
    assert await acts(database) == 1


async def test_sixteen_clients_with_one_key_act_once(database: Database) -> None:
    answers = await asyncio.gather(*(ask(database, work_s=0.05) for _ in range(16)))

    assert sorted(answer.status for answer in answers) == [200] * 15 + [201]
    assert len({answer.body["id"] for answer in answers}) == 1
    assert await acts(database) == 1


async def test_when_the_first_fails_one_of_those_waiting_acts(database: Database) -> None:
    failing = asyncio.create_task(ask(database, work_s=0.2, broken=True))
    await asyncio.sleep(0.05)
    answers = await asyncio.gather(*(ask(database) for _ in range(8)))

    with pytest.raises(Broken):
        await failing
    assert sorted(answer.status for answer in answers) == [200] * 7 + [201]
    assert await acts(database) == 1


async def test_what_failed_is_not_remembered(database: Database) -> None:
    with pytest.raises(Broken):
        await ask(database, broken=True)

    assert (await ask(database)).status == 201
    assert await acts(database) == 1


async def test_the_same_key_with_another_body_is_refused(database: Database) -> None:
    await ask(database)

    with pytest.raises(KeyReused):
        await ask(database, request=b'{"amount":2}')
    assert await acts(database) == 1


async def test_the_same_key_of_another_caller_is_another_key(database: Database) -> None:
    first = await ask(database)
    other = await ask(database, scope="server:b")

    assert other.status == 201
    assert other.body["id"] != first.body["id"]


async def test_a_normal_refusal_is_repeated_with_its_own_status(database: Database) -> None:
    first = await ask(database, status=409)
    second = await ask(database, status=409)

    assert (first.status, second.status) == (409, 409)
    assert first.body == second.body


async def test_an_expired_key_is_free_again(database: Database) -> None:
    await ask(database)
    within = await ask(database, now=NOW + DAY - timedelta(seconds=1), request=b"{}")
    after = await ask(database, now=NOW + DAY, request=b"other")

    assert within.repeated
    assert not after.repeated
    assert await acts(database) == 2


async def test_a_key_kept_for_ever_never_expires(database: Database) -> None:
    await ask(database, ttl=None)

    assert (await ask(database, ttl=None, now=NOW + 10_000 * DAY)).repeated


async def test_sixteen_clients_take_over_an_expired_key_once(database: Database) -> None:
    await ask(database)

    late = [ask(database, now=NOW + 2 * DAY, work_s=0.05) for _ in range(16)]
    answers = await asyncio.gather(*late)

    assert sorted(answer.status for answer in answers) == [200] * 15 + [201]
    assert await acts(database) == 2


async def test_the_sweeper_forgets_only_what_has_expired(database: Database) -> None:
    await ask(database, key="short")
    await ask(database, key="ever", ttl=None)

    async with database.transaction() as session:
        await forget_expired(session, TABLE, NOW + DAY)

    async with database.transaction() as session:
        assert list(await session.scalars(select(TABLE.c.key))) == ["ever"]
