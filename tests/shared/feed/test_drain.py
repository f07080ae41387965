import pytest
from sqlalchemy import text

from shared.db import Database
from shared.feed.drain import _due, take_due
from shared.feed.tables import BUCKETS, Lane
from tests.shared.feed.conftest import an_event
from tests.shared.feed.deliverer import GEO_FEED
from tests.shared.feed.waiting import tell

pytestmark = pytest.mark.slow


async def test_a_backlog_that_came_after_the_last_statistics_is_read_by_its_index(
    database: Database,
) -> None:
    await tell(database, [an_event()])
    async with database.begin() as connection:
        await connection.execute(text("ANALYZE geo.outbox"))
    await tell(database, [an_event() for _ in range(5_000)])
    values = {"buckets": [3, 4], "lane": 1, "limit": 500}
    async with database.begin() as connection:
        explain = text(f"EXPLAIN {_due(GEO_FEED.outbox).text}")
        rows = (await connection.execute(explain, values)).scalars().all()
    plan = "\n".join(rows)
    assert "Index Scan using ix_outbox_due" in plan
    assert "Sort" not in plan


async def test_only_the_buckets_and_the_lane_asked_for_are_taken_up_to_the_limit(
    database: Database,
) -> None:
    events = [an_event() for _ in range(400)]
    await tell(database, events)
    await tell(database, [an_event()], Lane.URGENT)
    async with database.begin() as connection:
        even = [*range(0, BUCKETS, 2)]
        found = await take_due(connection, GEO_FEED, Lane.NORMAL, even, 1_000)
        few = await take_due(connection, GEO_FEED, Lane.NORMAL, even, 7)
    expected = {e.event_id for e in events if e.subject_id and e.subject_id.int % 2 == 0}
    assert {event.event_id for event in found} == expected
    assert few == found[:7]
