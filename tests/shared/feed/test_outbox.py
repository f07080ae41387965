from datetime import UTC, datetime
from uuid import UUID, uuid4

import orjson
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from shared.contracts.events import Event, EventType
from shared.db import Database
from shared.feed.inbox import claim_new
from shared.feed.outbox import PreparedEvent, enqueue, forget_subject, prepare
from shared.feed.tables import BUCKETS, FeedTables, Lane, bucket_of
from tests.shared.feed.conftest import an_event
from tests.shared.feed.deliverer import GEO_FEED
from tests.shared.feed.receiver import MEMBER_FEED
from tests.shared.feed.waiting import OUTBOX, parked, tell, waiting

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@given(st.uuids(), st.uuids(), st.uuids())
def test_all_events_of_a_subject_share_a_bucket(subject: UUID, one: UUID, other: UUID) -> None:
    bucket = bucket_of(subject, one)
    assert bucket == bucket_of(subject, other)
    assert 0 <= bucket < BUCKETS


def test_an_event_and_its_mapping_are_prepared_alike() -> None:
    event = Event(
        id=uuid4(),
        source="/geo_api",
        type=EventType.CHECK_IN,
        subject=uuid4(),
        time=NOON,
        received_at=NOON,
        data={"store_ids": ["s1"], "accuracy_m": None},
    )
    one, other = prepare(event), prepare(event.model_dump())
    assert Event.model_validate_json(one.payload) == Event.model_validate_json(other.payload)
    assert Event.model_validate_json(one.payload) == event
    assert (one.event_id, one.subject_id, one.type) == (other.event_id, event.subject, "check_in")


async def test_what_is_rolled_back_is_never_told(database: Database) -> None:
    async with database.engine.connect() as connection:
        await enqueue(connection, GEO_FEED, [an_event()])
        await connection.rollback()
    assert await waiting(database) == 0


async def test_a_session_enqueues_in_its_own_transaction_and_in_order(database: Database) -> None:
    events = [an_event() for _ in range(50)]
    async with database.transaction() as session:
        await enqueue(await session.connection(), GEO_FEED, events, lane=Lane.URGENT)
        await enqueue(await session.connection(), GEO_FEED, [])
    async with database.begin() as connection:
        rows = (await connection.execute(select(OUTBOX).order_by(OUTBOX.c.id))).all()
    assert [row.event_id for row in rows] == [event.event_id for event in events]
    assert {row.lane for row in rows} == {int(Lane.URGENT)}
    assert orjson.loads(rows[0].payload) == orjson.loads(events[0].payload)


async def test_a_forgotten_subject_leaves_only_the_news_of_its_erasure_and_what_the_books_need(
    database: Database,
) -> None:
    subject_id, other = uuid4(), an_event()
    outliving = [
        PreparedEvent(uuid4(), subject_id, kind.value, b"{}")
        for kind in (
            EventType.SUBJECT_ERASED,
            EventType.COUPON_REDEEMED,
            EventType.REDEMPTION_REVERSED,
        )
    ]
    await tell(database, [an_event(subject_id), an_event(subject_id), *outliving, other])
    async with database.begin() as connection:
        await connection.execute(OUTBOX.update().values(parked_at=NOON))
        await claim_new(
            connection, MEMBER_FEED, [(subject_id, uuid4(), 1), (uuid4(), uuid4(), 1)], NOON
        )
    async with database.begin() as connection:
        mixed = FeedTables(
            GEO_FEED.outbox, GEO_FEED.outbox_leases, GEO_FEED.outbox_deliverers, MEMBER_FEED.inbox
        )
        await forget_subject(connection, mixed, subject_id)
        heard = (await connection.execute(select(MEMBER_FEED.inbox.c.subject_id))).scalars().all()
    assert set(await parked(database)) == {event.event_id for event in (*outliving, other)}
    assert len(heard) == 1
    assert subject_id not in heard
