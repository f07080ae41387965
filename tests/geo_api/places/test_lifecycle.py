"""Visits that end because a place does: for a time, by schedule, or for good."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from services.geo_api.places.service.lifecycle import end_visits_by_time
from tests.geo_api.places.conftest import close_visits
from tests.geo_api.places.factories import circle, make_circle, make_store, store

pytestmark = pytest.mark.slow

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


async def visit(
    sql: "asyncpg.Connection[asyncpg.Record]", store_id: str = "s1", at: datetime = NOW
) -> UUID:
    """A person in the store, seen at ``at``."""
    subject_id, visit_id = uuid4(), uuid4()
    await sql.execute(
        """INSERT INTO geo.visits (subject_id, visit_id, store_id, state, entered_at,
               last_inside_at, provisional, revision, last_received_at)
           VALUES ($1, $2, $3, 'open', $4, $4, false, 1, $4)""",
        subject_id,
        visit_id,
        store_id,
        at,
    )
    return visit_id


async def ended(sql: "asyncpg.Connection[asyncpg.Record]") -> list[str | None]:
    rows = await sql.fetch("SELECT closed_by FROM geo.visits ORDER BY store_id, state, closed_by")
    return [row["closed_by"] for row in rows]


async def sweep(app: FastAPI, at: datetime) -> int:
    async with app.state.database.begin() as connection:
        return await end_visits_by_time(connection, at, close_visits)


def closure(start: datetime, end: datetime | None = None) -> dict[str, list[dict[str, str]]]:
    closing = {"from": start.isoformat()} | ({"until": end.isoformat()} if end else {})
    return {"closures": [closing]}


async def test_a_temporary_closing_ends_the_visits_when_it_begins_and_only_then(
    client: httpx.AsyncClient, places_app: FastAPI, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client, "s1", hours=closure(NOW + HOUR, NOW + 3 * HOUR))
    await make_store(client, "s2")
    await visit(sql, "s1", NOW + HOUR / 2)
    await visit(sql, "s2", NOW + HOUR / 2)

    await sweep(places_app, NOW + HOUR - timedelta(seconds=1))
    assert await ended(sql) == [None, None]
    await sweep(places_app, NOW + HOUR)
    assert await ended(sql) == ["store_closed", None]

    await visit(sql, "s1", NOW + 1.5 * HOUR)
    await sweep(places_app, NOW + 2 * HOUR)
    assert await ended(sql) == ["store_closed", None, None]


async def test_a_closing_that_was_over_before_anybody_looked_ends_nothing(
    client: httpx.AsyncClient, places_app: FastAPI, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client, hours=closure(NOW + HOUR, NOW + 2 * HOUR))
    await visit(sql)

    await sweep(places_app, NOW + 2 * HOUR)

    assert await ended(sql) == [None]
    assert await sql.fetchval("SELECT next_closure_at FROM geo.stores") is None


async def test_who_was_not_seen_for_over_half_an_hour_is_not_ended_by_the_place(
    client: httpx.AsyncClient, places_app: FastAPI, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client, hours=closure(NOW + HOUR))
    await visit(sql)

    await sweep(places_app, NOW + HOUR)

    assert await ended(sql) == ["silence"]
    assert await sql.fetchval("SELECT closed_by FROM geo.closings") == "store_closed"


async def test_each_closing_has_its_turn_and_renaming_the_store_repeats_none(
    client: httpx.AsyncClient, places_app: FastAPI, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    first, second = (closure(NOW + k * HOUR, NOW + (k + 1) * HOUR) for k in (1, 5))
    hours = {"closures": first["closures"] + second["closures"]}
    await make_store(client, hours=hours)

    await sweep(places_app, NOW + HOUR)
    await client.put("/v1/stores/s1", json=store(name="Renamed", hours=hours))

    assert await sql.fetchval("SELECT next_closure_at FROM geo.stores") == NOW + 5 * HOUR
    await visit(sql, at=NOW + 4.5 * HOUR)
    await sweep(places_app, NOW + 1.5 * HOUR)
    assert await ended(sql) == [None]
    await sweep(places_app, NOW + 5 * HOUR)
    assert await ended(sql) == ["store_closed"]


async def test_a_schedule_that_ends_for_good_ends_the_visits_once(
    client: httpx.AsyncClient, places_app: FastAPI, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client)
    await make_circle(client, schedule={"valid_until": (NOW + HOUR).isoformat()})
    await visit(sql, at=NOW + HOUR / 2)

    assert await sweep(places_app, NOW) == 0
    assert await sweep(places_app, NOW + HOUR) == 1
    assert await ended(sql) == ["fence_expired"]
    assert await sweep(places_app, NOW + 2 * HOUR) == 0


async def test_of_many_sweeps_at_once_one_ends_the_visits(
    client: httpx.AsyncClient, places_app: FastAPI, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client, hours=closure(NOW + HOUR))
    await visit(sql, at=NOW + HOUR / 2)

    handled = await asyncio.gather(*(sweep(places_app, NOW + HOUR) for _ in range(6)))

    assert sorted(handled) == [0, 0, 0, 0, 0, 1]
    assert await ended(sql) == ["store_closed"]
    assert await sql.fetchval("SELECT revision FROM geo.visits") == 2


async def test_visits_go_on_while_another_geofence_of_the_store_does(
    client: httpx.AsyncClient, places_app: FastAPI, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client)
    await make_circle(client, "g1", schedule={"valid_until": (NOW + HOUR).isoformat()})
    await make_circle(client, "g2", schedule={"valid_until": (NOW + 2 * HOUR).isoformat()})
    await visit(sql, at=NOW + 1.5 * HOUR)

    await sweep(places_app, NOW + HOUR)
    assert await ended(sql) == [None]
    await sweep(places_app, NOW + 2 * HOUR)
    assert await ended(sql) == ["fence_expired"]


async def test_a_schedule_made_longer_in_time_ends_nothing(
    client: httpx.AsyncClient, places_app: FastAPI, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client)
    await make_circle(client, schedule={"valid_until": (NOW + HOUR).isoformat()})
    await visit(sql)

    longer = circle(schedule={"valid_until": (NOW + 3 * HOUR).isoformat()})
    assert (await client.put("/v1/geofences/g1", json=longer)).status_code == 200
    await sweep(places_app, NOW + HOUR)

    assert await ended(sql) == [None]


async def test_removing_the_last_geofence_in_use_ends_the_visits(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client)
    await make_circle(client, "g1", schedule={"valid_until": (NOW - HOUR).isoformat()})
    await make_circle(client, "g2")
    await visit(sql)

    await client.delete("/v1/geofences/g2")

    assert await ended(sql) == ["fence_removed"]


@pytest.mark.parametrize("what", ["stores", "geofences"])
async def test_the_sweep_reads_what_is_due_by_its_index(
    what: str, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    column = {"stores": "next_closure_at", "geofences": "ends_at"}[what]
    await sql.execute("SET enable_seqscan = off")

    plan = await sql.fetch(f"EXPLAIN SELECT * FROM geo.{what} WHERE {column} <= now()")

    assert f"ix_{what}_{column}" in "\n".join(row[0] for row in plan)
