"""The feed between real processes, killed at the worst moments."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from itertools import combinations
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from shared.db import Database
from tests.shared.feed.conftest import an_event
from tests.shared.feed.deliverer import GEO_FEED
from tests.shared.feed.receiver import Behaviour
from tests.shared.feed.waiting import applied, drained, each_once, tell, until, waiting

pytestmark = pytest.mark.slow

LEASE_S = 2.0

Process = asyncio.subprocess.Process
Start = Callable[..., Coroutine[Any, Any, Process]]


@pytest.fixture
async def start(database: Database) -> AsyncIterator[Start]:
    """Starts a module as a process, with ``env`` added; what still lives in the end is killed."""
    started: list[Process] = []

    async def run(module: str, *arguments: object, **env: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"tests.shared.feed.{module}",
            *map(str, arguments),
            env=os.environ | env,
            stdout=asyncio.subprocess.PIPE,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def peer_url(port: int) -> str:
    return f"http://127.0.0.1:{port}/events"


async def serving(port: int) -> None:
    async def answers() -> bool:
        async with httpx.AsyncClient() as client:
            with suppress(httpx.TransportError):
                return (await client.get(f"http://127.0.0.1:{port}/")).status_code == 404
        return False

    await until(answers, every_s=0.1)


async def holder_of(process: Process) -> UUID:
    assert process.stdout is not None
    return UUID((await process.stdout.readline()).decode().strip())


async def leases(database: Database) -> dict[UUID, int]:
    """How many living leases each holder has."""
    table = GEO_FEED.outbox_leases
    async with database.begin() as connection:
        rows = await connection.execute(
            select(table.c.holder, func.count())
            .where(table.c.expires_at > func.now())
            .group_by(table.c.holder)
        )
        return {holder: count for holder, count in rows if holder is not None}


async def test_a_receiver_that_dies_after_applying_and_before_answering_applies_nothing_twice(
    database: Database, feed_url: str, port: int, peer_url: str, start: Start
) -> None:
    events = [an_event() for _ in range(1_000)]
    await tell(database, events)
    doomed = await start("receiver", feed_url, port, SOLOMO_TEST_DIES="1")
    await serving(port)
    await start("deliverer", feed_url, peer_url, LEASE_S)
    assert await asyncio.wait_for(doomed.wait(), 15) == -signal.SIGKILL
    assert 0 < len(await applied(database)) < len(events)
    assert await waiting(database) == len(events)
    await start("receiver", feed_url, port)
    await drained(database, within_s=30)
    assert await each_once(database, events)


async def test_a_deliverer_that_is_killed_on_the_way_loses_and_doubles_nothing(
    database: Database, feed_url: str, port: int, peer_url: str, start: Start
) -> None:
    events = [an_event() for _ in range(6_000)]
    await tell(database, events)
    await start("receiver", feed_url, port)
    await serving(port)
    for share in (0.2, 0.5):
        doomed = await start("deliverer", feed_url, peer_url, LEASE_S)

        async def is_on_the_way(share: float = share) -> bool:
            return len(await applied(database)) > share * len(events)

        await until(is_on_the_way, within_s=30)
        doomed.kill()
        await doomed.wait()
        assert await waiting(database) > 0
    await start("deliverer", feed_url, peer_url, LEASE_S)
    await drained(database, within_s=30)
    assert await each_once(database, events)


async def test_three_deliverers_share_the_work_and_two_take_over_when_one_is_killed(
    database: Database, feed_url: str, port: int, peer_url: str, start: Start
) -> None:
    await start("receiver", feed_url, port)
    processes = [await start("deliverer", feed_url, peer_url, LEASE_S) for _ in range(3)]
    holders = [await holder_of(process) for process in processes]

    async def is_shared() -> bool:
        return sorted((await leases(database)).values()) == [20, 22, 22]

    await until(is_shared, within_s=30)
    events = [an_event() for _ in range(3_000)]
    await tell(database, events[:1_500])
    processes[0].kill()
    killed_at = asyncio.get_running_loop().time()
    await tell(database, events[1_500:])
    await drained(database, within_s=30)
    assert asyncio.get_running_loop().time() - killed_at < 2 * LEASE_S + 3
    assert await each_once(database, events)

    async def is_taken_over() -> bool:
        return await leases(database) == {holders[1]: 32, holders[2]: 32}

    await until(is_taken_over, within_s=30)
    processes[1].terminate()
    await asyncio.wait_for(processes[1].wait(), 10)
    assert set(await leases(database)) == {holders[2]}


async def test_deliverers_that_come_and_go_tell_no_event_twice(
    database: Database, behaviour: Behaviour, deliverers: Callable[..., Any]
) -> None:
    """Within one process, since each batch is then seen: shares change hands without overlap."""
    events = [an_event() for _ in range(8_000)]
    behaviour.claims = False
    everybody = [deliverers() for _ in range(4)]

    async def load() -> None:
        for first in range(0, len(events), 100):
            await tell(database, events[first : first + 100])
            for deliverer in everybody:
                deliverer.wake()

    async def come_and_go() -> None:
        for deliverer in everybody:
            await deliverer.start()
            await asyncio.sleep(0.5)
        await everybody[0].stop()

    await asyncio.gather(load(), come_and_go())
    await drained(database, within_s=30)
    assert await each_once(database, events)
    batches = [set(batch) for batch in behaviour.batches]
    assert not any(one & other for one, other in combinations(batches, 2))
