"""Geofences over HTTP: shapes, faults, versions, closing."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from tests.geo_api.places.factories import circle, make_circle, make_store, outline

pytestmark = pytest.mark.slow

SQUARE = ([-74.0, 40.7], [-73.99, 40.7], [-73.99, 40.71], [-74.0, 40.71], [-74.0, 40.7])


async def test_a_circle_is_kept_as_centre_and_radius(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client)

    answer = await client.put("/v1/geofences/g1", json=circle())

    assert answer.status_code == 201
    assert answer.headers["etag"] == '"1"'
    assert answer.json()["geometry"] == circle()["geometry"]
    assert (await client.get("/v1/geofences/g1")).json() == answer.json()
    row = await sql.fetchrow(
        "SELECT ST_AsText(center) AS center, radius_m, area, created_by FROM geo.geofence_versions"
    )
    assert row is not None
    assert tuple(row) == ("POINT(-73.9893 40.7419)", 100.0, None, "server:test")


async def test_an_outline_with_a_hole_covers_what_postgis_says(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client)
    hole = [[-73.996, 40.704], [-73.996, 40.706], [-73.994, 40.706], [-73.994, 40.704]]
    body = outline(*SQUARE)
    body["geometry"]["coordinates"].append([*hole, hole[0]])

    assert (await client.put("/v1/geofences/g1", json=body)).status_code == 201

    covers = """SELECT ST_Covers(area, ST_SetSRID(ST_MakePoint($1, $2), 4326))
                FROM geo.geofence_versions"""
    assert await sql.fetchval(covers, -73.998, 40.702)
    assert not await sql.fetchval(covers, -73.995, 40.705)


async def test_a_redrawn_geofence_keeps_its_earlier_outline_as_a_version(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client)
    await make_circle(client)

    same = await client.put("/v1/geofences/g1", json=circle())
    redrawn = await client.put("/v1/geofences/g1", json=circle(radius_m=50))
    as_outline = await client.put("/v1/geofences/g1", json=outline(*SQUARE))

    assert [same.json()["version"], redrawn.json()["version"]] == [1, 2]
    assert as_outline.json()["version"] == 3
    kept = await sql.fetch("SELECT radius_m FROM geo.geofence_versions ORDER BY version")
    assert [row["radius_m"] for row in kept] == [100.0, 50.0, None]


async def test_an_outline_across_the_antimeridian_covers_both_sides(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client, latitude=-16.8, longitude=179.99, timezone="Pacific/Fiji")
    ring = ([179.9, -17], [-179.9, -17], [-179.9, -16.6], [179.9, -16.6], [179.9, -17])

    assert (await client.put("/v1/geofences/g1", json=outline(*ring))).status_code == 201

    covers = """SELECT ST_Covers(area, ST_SetSRID(ST_MakePoint($1, -16.8), 4326))
                FROM geo.geofence_versions"""
    assert [await sql.fetchval(covers, lon) for lon in (179.95, -179.95, 0, 179.8)] == [
        True,
        True,
        False,
        False,
    ]


async def test_a_gcj02_outline_is_moved_vertex_by_vertex_and_answered_as_received(
    client: httpx.AsyncClient,
) -> None:
    await make_store(client)
    ring = ([121.47, 31.23], [121.48, 31.23], [121.48, 31.24], [121.47, 31.24], [121.47, 31.23])

    answer = (await client.put("/v1/geofences/g1", json=outline(*ring) | {"datum": "gcj02"})).json()

    assert answer["geometry"]["coordinates"] == [list(ring)]
    first = answer["wgs84"]["coordinates"]
    while isinstance(first[0], list):
        first = first[0]
    assert 0.003 < abs(first[0] - 121.47) < 0.006


@pytest.mark.parametrize(
    ("ring", "says"),
    [
        (
            ([0, 10], [1, 11], [1, 10], [0, 11], [0, 10]),
            "Self-intersection near longitude 0.5, latitude 10.5",
        ),
        (([0, 10], [1, 10], [1, 11], [0, 11]), "not closed"),
        (([40.7, -74.0], [40.7, -73.9], [40.8, -73.9], [40.7, -74.0]), "swapped"),
        (([0, 10], [1, 10], [2, 10], [0, 10]), "no area"),
    ],
)
async def test_an_outline_that_cannot_be_is_explained_and_not_stored(
    client: httpx.AsyncClient,
    sql: "asyncpg.Connection[asyncpg.Record]",
    ring: list[list[float]],
    says: str,
) -> None:
    await make_store(client)

    answer = await client.put("/v1/geofences/g1", json=outline(*ring))

    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["pointer"].startswith("/geometry/coordinates")
    assert says in fault["detail"]
    assert await sql.fetchval("SELECT count(*) FROM geo.geofences") == 0


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"store_id": "no such id"}, "/store_id"),
        ({"geometry": {"type": "Point", "coordinates": [0, 1]}}, "/geometry/type"),
        ({"geometry": {"type": "Circle", "coordinates": [1, 1]}}, "/geometry/radius_m"),
        ({"radius_m": 5}, "/radius_m"),
    ],
)
async def test_a_faulty_field_is_named(
    client: httpx.AsyncClient, changes: dict[str, Any], pointer: str
) -> None:
    await make_store(client)

    answer = await client.put("/v1/geofences/g1", json=circle() | changes)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_geofence_needs_a_store_and_never_changes_it(client: httpx.AsyncClient) -> None:
    await make_store(client, "s1")
    await make_store(client, "s2")
    await make_circle(client, "g1", "s1")

    nowhere = await client.put("/v1/geofences/g2", json=circle("nowhere"))
    elsewhere = await client.put("/v1/geofences/g1", json=circle("s2"))

    assert nowhere.status_code == 404
    assert nowhere.json()["type"] == "/problems/store-unknown"
    assert elsewhere.status_code == 409
    assert elsewhere.json()["type"] == "/problems/geofence-of-another-store"
    for answer in (nowhere, elsewhere):
        assert answer.json()["pointer"] == "/store_id"


async def test_of_eight_redrawn_for_the_same_version_one_wins(client: httpx.AsyncClient) -> None:
    await make_store(client)
    await make_circle(client)

    async def attempt(number: int) -> httpx.Response:
        body = circle(radius_m=200 + number)
        return await client.put("/v1/geofences/g1", json=body, headers={"If-Match": '"1"'})

    answers = await asyncio.gather(*map(attempt, range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7


async def test_a_closed_geofence_stays_closed_and_keeps_its_outline(
    client: httpx.AsyncClient,
) -> None:
    await make_store(client)
    await make_circle(client)

    assert (await client.delete("/v1/geofences/g1")).status_code == 204
    closed = (await client.get("/v1/geofences/g1")).json()
    assert (await client.delete("/v1/geofences/g1")).status_code == 204

    assert closed["closed_at"] is not None
    assert closed["version"] == 2
    assert closed["geometry"] == circle()["geometry"]
    assert (await client.get("/v1/geofences/g1")).json() == closed
    again = await client.put("/v1/geofences/g1", json=circle())
    assert again.status_code == 409
    assert again.json()["type"] == "/problems/geofence-closed"


async def test_visits_end_with_the_last_geofence_of_a_store_and_not_before(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await make_store(client)
    await make_circle(client, "g1")
    await make_circle(client, "g2")
    await sql.execute(
        """INSERT INTO geo.visits (subject_id, visit_id, store_id, state, entered_at,
               last_inside_at, provisional, revision, last_received_at)
           VALUES ($1, $2, 's1', 'open', $3, $3, false, 1, $3)""",
        uuid4(),
        uuid4(),
        datetime.now(UTC),
    )

    await client.delete("/v1/geofences/g1")
    assert await sql.fetchval("SELECT state FROM geo.visits") == "open"
    await client.delete("/v1/geofences/g2")

    assert await sql.fetchval("SELECT closed_by FROM geo.visits") == "fence_removed"
