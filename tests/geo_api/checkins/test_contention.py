"""Check-ins that race: the same id, the same people, several processes, lost connections."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import asyncpg
import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI
from sqlalchemy import text

from services.geo_api.app import create_app
from services.geo_api.checkins import repository
from services.geo_api.subjects import repository as subjects
from shared.direct import Direct
from tests.conftest import DatabaseUrls
from tests.geo_api.checkins.helpers import ago, body, known, person
from tests.geo_api.checkins.tables import rows

pytestmark = pytest.mark.slow

PATH = "/v1/check-ins"


@pytest.fixture
async def second(geo_app: FastAPI, server: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """Another process of geo_api on the same database, as far as locks can tell."""
    app = create_app(geo_app.state.settings, transport=geo_app.state.transport)
    async with LifespanManager(app):
        await known(app, "s1")
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://geo2") as client:
            yield client


async def test_one_id_sent_many_times_at_once_counts_once(
    geo: httpx.AsyncClient,
    second: httpx.AsyncClient,
    server: dict[str, str],
    database_urls: DatabaseUrls,
) -> None:
    sent = body()
    responses = await asyncio.gather(
        *(client.post(PATH, json=sent, headers=server) for client in [geo, second] * 16)
    )
    assert Counter(response.status_code for response in responses) == {201: 1, 200: 31}
    assert len({response.content for response in responses}) == 1
    stored = await rows(database_urls)
    assert len(stored["check_ins"]) == len(stored["check_in_receipts"]) == 1
    assert len(stored["visits"]) == 1


async def test_without_lock_and_key_the_same_race_counts_twice(
    geo: httpx.AsyncClient,
    second: httpx.AsyncClient,
    server: dict[str, str],
    database_urls: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The guards of the test above, taken out: the subject's lock, and the receipt's key."""
    lock = subjects.lock_and_read

    async def look(connection: Any, *arguments: Any) -> Any:
        found = await lock(connection, *arguments)
        if isinstance(connection, Direct):
            await connection.driver.execute("COMMIT; BEGIN")  # lets go of what it locked
        return found

    monkeypatch.setattr(subjects, "lock_and_read", look)
    monkeypatch.setattr(repository, "receipts", lambda _: {})
    insert = repository._WRITE_RECEIPTS.text
    monkeypatch.setattr(repository, "_WRITE_RECEIPTS", text(f"{insert} ON CONFLICT DO NOTHING"))
    sent = body()
    await asyncio.gather(
        *(client.post(PATH, json=sent, headers=server) for client in [geo, second] * 16)
    )
    assert len((await rows(database_urls))["check_ins"]) > 1


async def test_the_key_alone_stops_whom_the_lock_let_through(
    geo: httpx.AsyncClient,
    server: dict[str, str],
    database_urls: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = body()
    assert (await geo.post(PATH, json=sent, headers=server)).status_code == 201
    monkeypatch.setattr(repository, "receipts", lambda _: {})
    assert (await geo.post(PATH, json=sent, headers=server)).status_code == 422
    assert len((await rows(database_urls))["check_ins"]) == 1


async def test_an_answer_whose_commit_seemed_lost_is_still_the_first(
    geo: httpx.AsyncClient, server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes away between the commit and its confirmation."""
    execute = asyncpg.Connection.execute

    async def cut(driver: Any, sql: str, *arguments: Any) -> Any:
        done = await execute(driver, sql, *arguments)
        if sql == "COMMIT":
            monkeypatch.undo()
            raise ConnectionResetError
        return done

    monkeypatch.setattr(asyncpg.Connection, "execute", cut)
    sent = body()
    first = await geo.post(PATH, json=sent, headers=server)
    repeat = await geo.post(PATH, json=sent, headers=server)
    assert (first.status_code, repeat.status_code) == (201, 200)
    assert first.content == repeat.content


async def test_groups_of_the_same_people_in_two_processes_never_deadlock_for_good(
    geo: httpx.AsyncClient,
    second: httpx.AsyncClient,
    server: dict[str, str],
    database_urls: DatabaseUrls,
) -> None:
    order = Random(3)
    people = [person(f"p{n}") for n in range(30)]

    async def batch(client: httpx.AsyncClient, minute: int) -> list[int]:
        shuffled = order.sample(people, len(people))
        lines = [body(subject=who, occurred_at=ago(minutes=minute)) for who in shuffled]
        response = await client.post(f"{PATH}/batch", json=lines, headers=server)
        return [line.count(b'"http_status":201') for line in response.content.splitlines()]

    answered = await asyncio.gather(
        *(batch(client, minute) for minute in range(1, 9) for client in (geo, second))
    )
    assert sum(map(sum, answered)) == 16 * 30
    stored = await rows(database_urls)
    assert len(stored["check_ins"]) == 16 * 30
    assert len(stored["visits"]) == 30


async def test_two_processes_taking_fixes_in_turns_agree_on_the_visit(
    geo: httpx.AsyncClient, second: httpx.AsyncClient, server: dict[str, str]
) -> None:
    who = person("shared")
    minutes = [9, 1, 7, 3, 5, 8, 2, 6, 4]
    responses = await asyncio.gather(
        *(
            client.post(PATH, json=body(subject=who, occurred_at=ago(minutes=m)), headers=server)
            for m, client in zip(minutes, [geo, second] * 5, strict=False)
        )
    )
    assert {response.status_code for response in responses} == {201}
    [visit] = (await geo.get("/v1/visits", headers=server)).json()["items"]
    assert visit["state"] == "open"


async def test_a_lost_connection_is_settled_by_sending_again(
    geo: httpx.AsyncClient, server: dict[str, str], database_urls: DatabaseUrls
) -> None:
    """Backends are killed under the load; every check-in ends up stored exactly once."""
    check_ins = [body() for _ in range(200)]
    killer = asyncio.create_task(_kill_backends(database_urls, times=12))
    statuses = await asyncio.gather(*(_persist(geo, server, sent) for sent in check_ins))
    await killer
    assert set(statuses) <= {200, 201}
    stored = await rows(database_urls)
    assert len(stored["check_ins"]) == len(stored["visits"]) == 200


async def _persist(geo: httpx.AsyncClient, headers: dict[str, str], sent: dict[str, Any]) -> int:
    for _ in range(60):
        response = await geo.post(PATH, json=sent, headers=headers)
        if response.status_code < 500:
            return response.status_code
        await asyncio.sleep(0.05)
    return response.status_code


async def _kill_backends(urls: DatabaseUrls, *, times: int) -> None:
    connection = await asyncpg.connect(urls.superuser.replace("+asyncpg", ""))
    for _ in range(times):
        await asyncio.sleep(0.05)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = 'solomo_geo'"
        )
    await connection.close()
