"""Permissions to write to somebody: the same in any order, and each used once."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.wechat.users import repository
from services.geo_api.wechat.users.domain import (
    OFFICIAL_WINDOWS,
    Answer,
    Following,
    KnownUser,
    SeenUser,
    Trigger,
    Window,
)
from services.geo_api.wechat.users.repository import UserRows
from shared.db import Database
from shared.direct import Statement, run_together
from shared.sealing import StorageKey
from tests.conftest import DatabaseUrls

pytestmark = pytest.mark.slow

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACCOUNT, TEMPLATE = "mini", "tpl_A"
ROWS = UserRows(StorageKey(bytes(range(32))))


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database.connect(database_urls.geo, pool_size=8)
    yield database
    await database.close()


def person(subject: UUID | None = None) -> KnownUser:
    return KnownUser(subject or uuid4(), ACCOUNT, "oSLM_1", follows=None)


def answer(user: KnownUser, minute: int, *, granted: bool) -> Answer:
    at = NOON + timedelta(minutes=minute)
    return Answer(user.subject_id, ACCOUNT, TEMPLATE, uuid4(), granted, at)


def window(user: KnownUser, trigger: Trigger, at: datetime) -> Window:
    rule = OFFICIAL_WINDOWS[trigger]
    return Window(user.subject_id, ACCOUNT, trigger, at, at + rule.lasts, rule.allowed)


async def write(database: Database, statements: Sequence[Statement]) -> None:
    async with database.begin() as connection:
        await run_together(connection, statements)


async def open_grants(connection: AsyncConnection, user: KnownUser) -> set[UUID]:
    rows = await connection.scalars(
        text("SELECT grant_id FROM geo.wechat_grants WHERE subject_id = :s AND state = 'open'"),
        {"s": user.subject_id},
    )
    return set(rows)


async def test_a_refusal_closes_what_was_granted_before_it_in_any_order(
    database: Database,
) -> None:
    for order in permutations(range(4)):
        user = person()
        said = [
            answer(user, 0, granted=True),
            answer(user, 1, granted=False),
            answer(user, 2, granted=True),
            answer(user, 1, granted=True),
        ]
        for place in order:
            await write(database, repository.answering([said[place]]))
        async with database.begin() as connection:
            assert await open_grants(connection, user) == {said[2].grant_id}


async def test_answers_that_come_together_count_like_answers_that_come_apart(
    database: Database,
) -> None:
    draw = random.Random(4)
    for _ in range(30):
        said = [(draw.randrange(6), draw.random() < 0.6) for _ in range(6)]
        together, apart = person(), person()
        await write(
            database,
            repository.answering([answer(together, at, granted=yes) for at, yes in said]),
        )
        for at, yes in draw.sample(said, len(said)):
            await write(database, repository.answering([answer(apart, at, granted=yes)]))
        async with database.begin() as connection:
            one = await open_grants(connection, together)
            assert len(one) == len(await open_grants(connection, apart))


async def test_a_push_that_is_handled_twice_grants_once(database: Database) -> None:
    user = person()
    granted = answer(user, 0, granted=True)
    for _ in range(2):
        await write(database, repository.answering([granted]))
    async with database.begin() as connection:
        assert await repository.take_grant(connection, user, TEMPLATE, NOON) == granted.grant_id
        assert await repository.take_grant(connection, user, TEMPLATE, NOON) is None
    await write(database, repository.answering([granted]))
    async with database.begin() as connection:
        assert await repository.take_grant(connection, user, TEMPLATE, NOON) is None


async def test_senders_at_the_same_moment_never_take_the_same_grant(database: Database) -> None:
    user = person()
    await write(
        database,
        repository.answering([answer(user, minute, granted=True) for minute in range(5)]),
    )

    async def take() -> UUID | None:
        async with database.begin() as connection:
            taken = await repository.take_grant(connection, user, TEMPLATE, NOON)
            await asyncio.sleep(0.01)
            return taken

    taken = [one for one in await asyncio.gather(*(take() for _ in range(8))) if one]
    assert taken
    assert len(taken) == len(set(taken))


async def test_a_window_gives_as_many_places_as_its_rule_says(database: Database) -> None:
    user = person()
    await write(database, repository.opening([window(user, Trigger.SCAN, NOON)]))

    async def take() -> str | None:
        async with database.begin() as connection:
            return await repository.take_place(connection, user, NOON + timedelta(seconds=30))

    taken = await asyncio.gather(*(take() for _ in range(8)))
    async with database.begin() as connection:
        used = await connection.scalar(text("SELECT used FROM geo.wechat_windows"))
    assert used == len([one for one in taken if one])
    assert used <= OFFICIAL_WINDOWS[Trigger.SCAN].allowed


async def test_a_window_that_closed_gives_no_place_and_a_later_scan_opens_it_anew(
    database: Database,
) -> None:
    user = person()
    later = NOON + timedelta(minutes=5)
    await write(database, repository.opening([window(user, Trigger.SCAN, NOON)]))
    async with database.begin() as connection:
        assert await repository.take_place(connection, user, later) is None
    await write(database, repository.opening([window(user, Trigger.SCAN, later)]))
    await write(database, repository.opening([window(user, Trigger.SCAN, NOON)]))  # late
    async with database.begin() as connection:
        assert await repository.take_place(connection, user, later) == "scan"


async def test_who_follows_is_what_was_said_last_in_any_order(database: Database) -> None:
    for order in permutations(range(3)):
        user = person()
        await write(database, ROWS.seeing([SeenUser(user.subject_id, ACCOUNT, "oSLM_1", NOON)]))
        said = [
            Following(user.subject_id, ACCOUNT, follows=True, at=NOON),
            Following(user.subject_id, ACCOUNT, follows=False, at=NOON + timedelta(hours=1)),
            Following(user.subject_id, ACCOUNT, follows=True, at=NOON + timedelta(hours=1)),
        ]
        for place in order:
            await write(database, repository.following([said[place]]))
        async with database.begin() as connection:
            [known] = await ROWS.known(connection, [user.subject_id])
        assert known.follows is False
        assert known.openid == "oSLM_1"


async def test_an_openid_does_not_lie_in_the_clear_and_is_not_printed(database: Database) -> None:
    user = person()
    await write(database, ROWS.seeing([SeenUser(user.subject_id, ACCOUNT, "oSLM_1", NOON)]))
    async with database.begin() as connection:
        stored = await connection.scalar(text("SELECT openid FROM geo.wechat_users"))
        [known] = await ROWS.known(connection, [user.subject_id])
    assert b"oSLM_1" not in stored
    assert "oSLM_1" not in repr(known)


async def test_a_refusal_at_sending_closes_every_grant_up_to_then(database: Database) -> None:
    user = person()
    grants = [answer(user, minute, granted=True) for minute in (0, 1)]
    await write(database, repository.answering(grants))
    async with database.begin() as connection:
        taken = await repository.take_grant(connection, user, TEMPLATE, NOON)
        assert taken is not None
        at = NOON + timedelta(minutes=2)
        await repository.refuse(connection, user, TEMPLATE, taken, at)
    await write(database, repository.answering([answer(user, 1, granted=True)]))  # comes late
    async with database.begin() as connection:
        assert await open_grants(connection, user) == set()
