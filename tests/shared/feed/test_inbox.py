import asyncio
import random
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from shared.db import Database
from shared.feed.inbox import claim_new
from tests.shared.feed.receiver import MEMBER_FEED

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

Claim = tuple[UUID | None, UUID, int]


async def claim(database: Database, *events: Claim) -> list[int]:
    async with database.begin() as connection:
        return [*await claim_new(connection, MEMBER_FEED, events, NOW)]


async def test_an_event_is_new_once(database: Database) -> None:
    event = (uuid4(), uuid4(), 1)
    assert await claim(database, event) == [0]
    assert await claim(database, event) == []


async def test_only_a_higher_revision_is_new_again(database: Database) -> None:
    subject_id, event_id = uuid4(), uuid4()
    assert await claim(database, (subject_id, event_id, 2)) == [0]
    assert await claim(database, (subject_id, event_id, 1)) == []
    assert await claim(database, (subject_id, event_id, 3)) == [0]
    assert await claim(database, (subject_id, event_id, 2)) == []


async def test_an_event_that_replaces_an_earlier_revision_says_so(database: Database) -> None:
    subject_id, event_id = uuid4(), uuid4()
    for revision, replaces in ((2, False), (3, True)):
        event = (subject_id, event_id, revision)
        async with database.begin() as connection:
            assert await claim_new(connection, MEMBER_FEED, [event], NOW) == {0: replaces}


async def test_within_a_batch_the_first_of_the_highest_revisions_wins(database: Database) -> None:
    subject_id, event_id, other = uuid4(), uuid4(), (uuid4(), uuid4(), 1)
    batch = [(subject_id, event_id, revision) for revision in (1, 3, 2, 3)]
    assert await claim(database, *batch, other) == [1, 4]


async def test_the_same_id_of_another_subject_is_another_event(database: Database) -> None:
    event_id = uuid4()
    assert await claim(database, (uuid4(), event_id, 1), (None, event_id, 1)) == [0, 1]
    assert await claim(database, (uuid4(), event_id, 1), (None, event_id, 1)) == [0]


async def test_an_empty_batch_has_nothing_new(database: Database) -> None:
    assert await claim(database) == []


async def test_a_claim_rolled_back_is_given_back(database: Database) -> None:
    event = (uuid4(), uuid4(), 1)
    async with database.engine.connect() as connection:
        assert await claim_new(connection, MEMBER_FEED, [event], NOW) == {0: False}
        await connection.rollback()
    assert await claim(database, event) == [0]


async def test_batches_in_any_order_claim_each_event_once_and_never_deadlock(
    database: Database,
) -> None:
    events: list[Claim] = [(uuid4(), uuid4(), 1) for _ in range(400)]
    chance = random.Random(7)

    async def shuffled() -> list[UUID]:
        mine = chance.sample(events, len(events))
        return [mine[at][1] for at in await claim(database, *mine)]

    for _ in range(5):
        batches = await asyncio.gather(*(shuffled() for _ in range(8)))
        claimed = [event_id for batch in batches for event_id in batch]
        assert sorted(claimed) == sorted(event_id for _, event_id, _ in events)
        events = [(subject_id, event_id, revision + 1) for subject_id, event_id, revision in events]
