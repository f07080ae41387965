import asyncio
import time
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi.responses import JSONResponse, Response
from sqlalchemy import func, select, update

from shared.db import Database
from shared.feed.delivery import DeliveryOptions
from shared.feed.drain import GIVE_UP_AFTER, GIVE_UP_ATTEMPTS
from shared.feed.outbox import enqueue
from shared.feed.stream import Pace
from shared.feed.tables import Lane
from tests.shared.feed.conftest import Deliverers, an_event
from tests.shared.feed.deliverer import GEO_FEED
from tests.shared.feed.receiver import Behaviour, Events
from tests.shared.feed.waiting import (
    OUTBOX,
    drained,
    each_once,
    parked,
    tell,
    until,
    waiting,
)

pytestmark = pytest.mark.slow


class Cut(httpx.AsyncBaseTransport):
    """A peer that is down, while ``is_down``; counts the attempts to reach it."""

    def __init__(self, peer: httpx.AsyncBaseTransport) -> None:
        self.peer = peer
        self.is_down = True
        self.attempts = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.attempts += 1
        if self.is_down:
            raise httpx.ConnectError("down", request=request)
        return await self.peer.handle_async_request(request)


async def test_what_is_told_is_applied_once_and_leaves_the_outbox(
    database: Database, deliverers: Deliverers
) -> None:
    events = [an_event() for _ in range(1_200)]
    await tell(database, events)
    await deliverers().start()
    await drained(database)
    assert await each_once(database, events)


async def test_a_wake_up_spares_the_wait_for_the_next_look(
    database: Database, deliverers: Deliverers
) -> None:
    deliverer = deliverers(
        DeliveryOptions(pace=Pace(poll_s=60, idle_poll_s=60, rest_s=0, busy_rest_s=0))
    )
    await deliverer.start()
    await asyncio.sleep(0.5)
    await tell(database, [an_event()])
    await asyncio.sleep(0.2)
    assert await waiting(database) == 1
    deliverer.wake()
    await drained(database, within_s=2)


async def test_what_comes_during_a_rest_goes_together_after_it(
    database: Database, deliverers: Deliverers, behaviour: Behaviour
) -> None:
    pace = Pace(poll_s=60, idle_poll_s=60, rest_s=0.4, busy_rest_s=0.4)
    deliverer = deliverers(DeliveryOptions(pace=pace))
    await deliverer.start()
    subject, began = uuid4(), time.monotonic()
    for _ in range(30):
        await tell(database, [an_event(subject)])
        deliverer.wake()
        await asyncio.sleep(0.01)
    await drained(database)
    rests = (time.monotonic() - began) / pace.rest_s
    assert len(behaviour.heard) == 30
    assert len(behaviour.batches) <= rests + 1


async def test_only_the_refused_event_parks_with_the_reason(
    database: Database, deliverers: Deliverers, behaviour: Behaviour
) -> None:
    events = [an_event() for _ in range(100)]
    behaviour.refuses = {events[41].event_id}
    await tell(database, events)
    await deliverers().start()
    await drained(database)
    assert await parked(database) == {events[41].event_id: "not of this world"}
    assert await each_once(database, [e for e in events if e is not events[41]])


@pytest.mark.parametrize("status", [413, 422])
async def test_a_batch_not_acceptable_is_split_down_to_the_one_bad_event(
    database: Database, deliverers: Deliverers, behaviour: Behaviour, status: int
) -> None:
    events = [an_event() for _ in range(300)]
    bad = {events[7].event_id, events[8].event_id}

    def before(batch: Events) -> Response | None:
        is_bad = any(UUID(event["id"]) in bad for event in batch)
        return JSONResponse({"detail": "poison"}, status) if is_bad else None

    behaviour.before = before
    await tell(database, events)
    await deliverers().start()
    await drained(database)
    assert await parked(database) == dict.fromkeys(bad, f"{status} poison")
    assert await each_once(database, [e for e in events if e.event_id not in bad])


@pytest.mark.slow
async def test_an_event_that_breaks_the_peer_does_not_hold_up_the_others(
    database: Database, deliverers: Deliverers, behaviour: Behaviour
) -> None:
    events = [an_event() for _ in range(200)]
    bad = events[50].event_id

    def before(batch: Events) -> Response | None:
        return Response(status_code=500) if str(bad) in {e["id"] for e in batch} else None

    async def is_alone() -> bool:
        await hurry(database)
        return await waiting(database) == 1

    behaviour.before = before
    await tell(database, events)
    await deliverers().start()
    await until(is_alone, within_s=60, every_s=0.3)
    assert await each_once(database, [e for e in events if e.event_id != bad])
    assert await parked(database) == {}


async def hurry(database: Database) -> None:
    """Let the waits of events that failed end now."""
    async with database.begin() as connection:
        await connection.execute(update(OUTBOX).values(next_attempt_at=func.now()))


async def test_an_event_without_a_verdict_is_told_again_later(
    database: Database, deliverers: Deliverers, behaviour: Behaviour
) -> None:
    def answer_half(batch: Events) -> Response:
        results = [{"id": event["id"], "status": "applied"} for event in batch]
        return JSONResponse({"results": results[: len(batch) // 2]})

    events = [an_event() for _ in range(40)]
    behaviour.after = answer_half
    await tell(database, events)
    await deliverers(DeliveryOptions(lease_s=1.0, streams=1)).start()

    async def is_noted() -> bool:
        return 0 < await waiting(database) < len(events)

    await until(is_noted)
    behaviour.after = lambda _: None
    await drained(database)
    assert await each_once(database, events)


async def test_an_answer_lost_on_the_way_leads_to_a_repeat_that_changes_nothing(
    database: Database, deliverers: Deliverers, behaviour: Behaviour
) -> None:
    events = [an_event() for _ in range(60)]
    losses = iter(range(2))
    behaviour.after = lambda _: None if next(losses, None) is None else Response(status_code=502)
    await tell(database, events)
    await deliverers().start()
    await drained(database)
    assert len(behaviour.heard) > len(events)
    assert await each_once(database, events)


async def test_a_transaction_that_commits_late_with_lower_ids_is_not_skipped(
    database: Database, deliverers: Deliverers
) -> None:
    late, early = an_event(), an_event()
    await deliverers().start()
    async with database.engine.connect() as connection:
        await enqueue(connection, GEO_FEED, [late])
        await tell(database, [early])
        await drained(database)
        assert await each_once(database, [early])
        await connection.commit()
    await drained(database)
    assert await each_once(database, [early, late])


async def test_an_erasure_overtakes_a_backlog(
    database: Database, deliverers: Deliverers, behaviour: Behaviour
) -> None:
    backlog, erasure = [an_event() for _ in range(20_000)], an_event()
    for start in range(0, len(backlog), 5_000):
        await tell(database, backlog[start : start + 5_000])
    deliverer = deliverers()
    await deliverer.start()

    async def has_begun() -> bool:
        return len(behaviour.batches) > 2

    async def is_heard() -> bool:
        return erasure.event_id in behaviour.heard

    await until(has_begun)
    told_before = len(behaviour.batches)
    await tell(database, [erasure], Lane.URGENT)
    deliverer.wake()
    await until(is_heard, every_s=0.005)
    at = next(n for n, batch in enumerate(behaviour.batches) if erasure.event_id in batch)
    assert at - told_before < 10
    assert len(behaviour.heard) < 12_000


@pytest.mark.slow
async def test_a_peer_that_is_down_is_asked_once_per_back_off(
    database: Database, deliverers: Deliverers, peer: httpx.AsyncBaseTransport
) -> None:
    events = [an_event() for _ in range(2_000)]
    await tell(database, events)
    cut = Cut(peer)
    deliverer = deliverers(transport=cut)
    await deliverer.start()
    await asyncio.sleep(2.5)
    assert deliverer.peer_is_away
    assert 2 <= cut.attempts <= 6
    cut.is_down = False
    await drained(database)
    assert cut.attempts > 6
    assert await each_once(database, events)


WEEK, MINUTE = GIVE_UP_AFTER, timedelta(minutes=1)


@pytest.mark.parametrize(
    ("age", "attempts", "is_given_up"),
    [
        (WEEK + MINUTE, GIVE_UP_ATTEMPTS - 1, True),
        (WEEK - MINUTE, GIVE_UP_ATTEMPTS - 1, False),
        (WEEK + MINUTE, 0, False),
    ],
)
async def test_an_event_parks_after_failing_for_a_week(
    database: Database, deliverers: Deliverers, age: timedelta, attempts: int, is_given_up: bool
) -> None:
    event = an_event()
    await tell(database, [event])
    async with database.begin() as connection:
        await connection.execute(
            update(OUTBOX).values(created_at=func.now() - age, attempts=attempts)
        )
    full = httpx.MockTransport(lambda _: httpx.Response(503, json={"detail": "no room"}))
    await deliverers(transport=full).start()

    async def is_noted() -> bool:
        async with database.begin() as connection:
            noted = select(OUTBOX.c.attempts > attempts)
            return bool((await connection.execute(noted)).scalar_one())

    await until(is_noted)
    assert await parked(database) == ({event.event_id: "503 no room"} if is_given_up else {})
