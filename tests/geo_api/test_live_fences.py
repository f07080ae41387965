"""Fences in memory: seen soon, shared between versions, and never lost when connections are."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from shapely import Polygon
from sqlalchemy import make_url

from services.geo_api.adapters.live_fences import LiveFences
from services.geo_api.places.schedules import in_force
from services.geo_api.presence.matching import Fix
from shared import geo
from shared.boundary import inradius_m
from shared.errors import Unavailable
from tests.conftest import DatabaseUrls
from tests.geo_api.places.conftest import client, places_app, sql
from tests.geo_api.places.factories import circle, make_circle, make_store, outline, store

__all__ = ["client", "places_app", "sql"]

HERE = Fix(-73.9893, 40.7419, 10.0)


@pytest.fixture
async def live(database_urls: DatabaseUrls) -> AsyncIterator[LiveFences]:
    live = LiveFences(database_urls.geo)
    await live.start()
    yield live
    await live.stop()


async def until(seen: Callable[[], bool], within_s: float = 1.0) -> float:
    """Wait for it; gives the seconds that it took."""
    started = time.monotonic()
    while not seen():
        assert time.monotonic() - started < within_s, "not seen in time"
        await asyncio.sleep(0.005)
    return time.monotonic() - started


def inside(live: LiveFences) -> list[tuple[str, int]]:
    (matches,) = live.current.index.match([HERE])
    return [(match.fence.geofence_id, match.fence.version) for match in matches if match.inside]


async def test_a_change_made_over_http_is_matched_within_a_second_in_another_process(
    client: httpx.AsyncClient, live: LiveFences
) -> None:
    await make_store(client)
    await make_circle(client)
    await until(lambda: inside(live) == [("g1", 1)])
    info = live.current.stores["s1"]
    assert (info.name, info.timezone) == ("Madison Square Park", "America/New_York")
    assert info.tags == {"flagship", "manhattan"}

    await client.put("/v1/geofences/g1", json=circle(radius_m=50))
    await until(lambda: inside(live) == [("g1", 2)])

    await client.put("/v1/stores/s1", json=store(tags=["new"]))
    await until(lambda: live.current.stores["s1"].tags == {"new"})

    await client.delete("/v1/stores/s1")
    await until(lambda: inside(live) == [] and not live.current.stores)


async def test_hours_schedules_and_dwell_times_come_along(
    client: httpx.AsyncClient, live: LiveFences
) -> None:
    hours = {"weekly": {"monday": ["22:00-02:00"]}}
    schedule = {"valid_until": "2026-12-24T20:00:00Z", "weekly": {"monday": ["08:00-12:00"]}}
    await make_store(client, hours=hours)
    await make_circle(client, schedule=schedule, dwell_s=[300, 900])
    await until(lambda: len(live.current.index) == 1)

    store_info = live.current.stores["s1"]
    (fence,) = live.current.index.fences

    in_the_night = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)
    assert store_info.is_open(in_the_night)
    assert not store_info.is_open(in_the_night + timedelta(hours=1))
    assert fence.dwell_s == (300, 900)
    monday_at_nine = datetime(2026, 11, 23, 14, tzinfo=UTC)
    assert in_force(fence.schedule, store_info.timezone, monday_at_nine)
    assert not in_force(fence.schedule, store_info.timezone, monday_at_nine + timedelta(weeks=6))


async def test_without_notify_polling_finds_the_change_all_the_same(
    database_urls: DatabaseUrls,
    client: httpx.AsyncClient,
    live: LiveFences,
    sql: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    await make_store(client)
    await make_circle(client)
    await until(lambda: len(live.current.index) == 1)

    async with sql.transaction():
        await sql.execute("UPDATE geo.fence_index_version SET version = version + 1")
        await sql.execute(
            """UPDATE geo.stores SET tags = '{by hand}',
                   index_version = (SELECT version FROM geo.fence_index_version)"""
        )

    await until(lambda: live.current.stores["s1"].tags == {"by hand"})


async def test_what_did_not_change_is_the_same_object_in_the_next_version(
    client: httpx.AsyncClient, live: LiveFences
) -> None:
    ring = ([-74.0, 40.7], [-73.9, 40.7], [-73.9, 40.8], [-74.0, 40.8], [-74.0, 40.7])
    await make_store(client)
    await make_circle(client, "g1")
    await client.put("/v1/geofences/g2", json=outline(*ring))
    await until(lambda: len(live.current.index) == 2)
    before = live.current

    await make_circle(client, "g3")
    await until(lambda: len(live.current.index) == 3)

    after = live.current
    assert after.index.fences[0] is before.index.fences[0]
    assert after.index.fences[1].shape is before.index.fences[1].shape
    assert len(before.index) == 2
    assert after.version > before.version

    await client.put("/v1/stores/s1", json=store(name="Renamed"))
    await until(lambda: live.current.stores["s1"].name == "Renamed")
    assert live.current.index is after.index


async def test_after_its_connection_is_killed_it_sees_what_happened_meanwhile(
    client: httpx.AsyncClient,
    live: LiveFences,
    sql: "asyncpg.Connection[asyncpg.Record]",
    database_urls: DatabaseUrls,
) -> None:
    await make_store(client)
    await make_circle(client)
    await until(lambda: len(live.current.index) == 1)
    superuser = make_url(database_urls.superuser).set(drivername="postgresql")
    connection = await asyncpg.connect(superuser.render_as_string(hide_password=False))
    kill = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
              WHERE application_name = 'solomo_fences' AND datname = current_database()"""

    assert await connection.fetchval(kill) == 1
    await client.delete("/v1/geofences/g1")
    await make_circle(client, "g2")

    await until(lambda: inside(live) == [("g2", 1)], within_s=2.0)
    assert live.age_s < 1.0
    assert await connection.fetchval(kill) == 1
    await make_circle(client, "g3")
    await until(lambda: len(live.current.index) == 2, within_s=2.0)
    await connection.close()


async def test_while_the_database_is_away_the_last_fences_stay_and_grow_old(
    client: httpx.AsyncClient,
    live: LiveFences,
    places_app: FastAPI,
    superuser_url: str,
    database_urls: DatabaseUrls,
) -> None:
    await make_store(client)
    await make_circle(client)
    await until(lambda: len(live.current.index) == 1)
    name = make_url(database_urls.geo).database
    server = make_url(superuser_url).set(drivername="postgresql")
    connection = await asyncpg.connect(server.render_as_string(hide_password=False))

    await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    await connection.fetch(
        """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE application_name = 'solomo_fences' AND datname = $1""",
        name,
    )
    await asyncio.sleep(1.5)
    aged = live.age_s
    matched = inside(live)
    await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    await connection.close()

    assert aged > 1.0
    assert matched == [("g1", 1)]
    await until(lambda: live.age_s < 0.6, within_s=3.0)


async def test_before_the_first_load_nothing_is_answered_rather_than_no_match() -> None:
    live = LiveFences("postgresql+asyncpg://nobody@127.0.0.1:1/nowhere")
    await live.start(timeout_s=0.3)

    with pytest.raises(Unavailable):
        _ = live.current
    assert live.age_s == math.inf
    await live.stop()


async def test_a_database_that_went_back_in_time_is_read_anew(
    client: httpx.AsyncClient, live: LiveFences, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client)
    await make_circle(client, "g1")
    await make_circle(client, "g2")
    await until(lambda: len(live.current.index) == 2)

    async with sql.transaction():
        await sql.execute("DELETE FROM geo.geofence_versions WHERE geofence_id = 'g2'")
        await sql.execute("DELETE FROM geo.geofences WHERE geofence_id = 'g2'")
        await sql.execute("UPDATE geo.fence_index_version SET version = version - 1")

    await until(lambda: len(live.current.index) == 1)


async def test_changes_committed_by_many_writers_at_once_all_arrive(
    client: httpx.AsyncClient, live: LiveFences
) -> None:
    await make_store(client)

    await asyncio.gather(*(make_circle(client, f"g{n}") for n in range(40)))

    await until(lambda: len(live.current.index) == 40, within_s=2.0)


async def test_when_changes_pause_the_index_is_made_whole_with_the_same_fences(
    client: httpx.AsyncClient, live: LiveFences
) -> None:
    await make_store(client)
    await make_circle(client, "g1")
    await until(lambda: len(live.current.index) == 1)
    await client.put("/v1/geofences/g1", json=circle(radius_m=50))
    await until(lambda: inside(live) == [("g1", 2)])

    await until(lambda: live.current.index.is_settled, within_s=3.0)

    assert inside(live) == [("g1", 2)]
    assert len(live.current.index) == 1


async def test_how_large_a_new_outline_is_does_not_wait_for_the_first_who_comes_near(
    client: httpx.AsyncClient, live: LiveFences, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked_out = []

    def remembered(geometry: Polygon) -> float:
        worked_out.append(geometry)
        return inradius_m(geometry)

    monkeypatch.setattr(geo, "inradius_m", remembered)
    await make_store(client)
    here = outline([-74, 40.74], [-73.98, 40.74], [-73.98, 40.76], [-74, 40.74])
    (await client.put("/v1/geofences/g1", json=here)).raise_for_status()

    await until(lambda: len(worked_out) == 1)

    ((match,),) = live.current.index.match([HERE])
    assert match.fence.shape.inradius_m > 100
    assert len(worked_out) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["circles", "outlines"])
async def test_changes_among_a_hundred_thousand_fences_are_in_force_within_a_second(
    database_urls: DatabaseUrls,
    client: httpx.AsyncClient,
    sql: "asyncpg.Connection[asyncpg.Record]",
    kind: str,
) -> None:
    await fill(sql, 100_000, outlines=kind == "outlines")
    live = LiveFences(database_urls.geo)
    await live.start(timeout_s=60)
    await make_circle(client)
    took_s = [await until(lambda: ("g1", 1) in inside(live))]
    async with lag() as late_s:
        for version in (2, 3):
            await client.put("/v1/geofences/g1", json=circle(radius_m=40 + version))
            took_s.append(await until(lambda n=version: ("g1", n) in inside(live)))  # type: ignore[misc]
    assert len(live.current.index) == 100_001

    await client.delete("/v1/geofences/g1")
    await until(lambda: len(live.current.index) == 100_000)
    print(f"in force after {[f'{s * 1000:.0f} ms' for s in took_s]}, "  # noqa: T201
          f"the loop late by {max(late_s) * 1000:.0f} ms")  # fmt: skip
    assert sorted(late_s)[-2] < LONGEST_HALT_S  # one may be the machine's own
    await live.stop()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["circles", "outlines"])
async def test_loading_a_hundred_thousand_fences_costs_less_than_five_seconds(
    database_urls: DatabaseUrls, sql: "asyncpg.Connection[asyncpg.Record]", kind: str
) -> None:
    await fill(sql, 100_000, outlines=kind == "outlines")
    live = LiveFences(database_urls.geo)

    started_s, began = time.process_time(), time.monotonic()
    await live.start(timeout_s=60)
    cost_s, took_s = time.process_time() - started_s, time.monotonic() - began

    print(f"100,000 {kind}: {cost_s:.1f} s of work in {took_s:.1f} s")  # noqa: T201
    assert len(live.current.index) == 100_000
    assert cost_s < 5, f"cost {cost_s:.1f} s"
    await live.stop()


LONGEST_HALT_S = 0.15
"""Above the 50 ms that are aimed at, since a busy machine halts everybody."""


@asynccontextmanager
async def lag() -> AsyncIterator[list[float]]:
    """By how many seconds the event loop was late each time in the block."""
    late_s = [0.0, 0.0]

    async def watch() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            late_s.append(time.monotonic() - before - 0.005)

    watching = asyncio.create_task(watch())
    yield late_s
    watching.cancel()


async def fill(
    sql: "asyncpg.Connection[asyncpg.Record]", count: int, *, outlines: bool = False
) -> None:
    """So many stores with a circle, or an outline of 24 corners, each, as an import leaves them."""
    area = "ST_Multi(ST_Buffer(location, 200, 6)::geometry)" if outlines else "NULL"
    radius = "NULL, NULL" if outlines else "location, 100"
    await sql.execute(
        f"""
        INSERT INTO geo.stores SELECT 's' || n, 1, 'Store', NULL, NULL, 'America/New_York', '{{}}', NULL, NULL,
            ST_MakePoint(-74 + n % 400 * 0.005, 40 + n / 400 * 0.005)::geography,
            40, -74, 'wgs84', now(), now(), NULL, 1
        FROM generate_series(1, {count}) AS n;
        INSERT INTO geo.geofences SELECT store_id, store_id, 1, NULL, now(), now(), NULL, 1
        FROM geo.stores;
        INSERT INTO geo.geofence_versions
        SELECT store_id, 1, {radius}, {area}, '{{}}', 'wgs84', NULL, '{{}}', now(), 'test'
        FROM geo.stores;
        UPDATE geo.fence_index_version SET version = 1;
        ANALYZE geo.stores, geo.geofences, geo.geofence_versions;
        """
    )
