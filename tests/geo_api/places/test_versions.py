"""Every version of a geofence is kept, with who said it and when."""

import asyncpg
import httpx
import pytest

from tests.conftest import Tokens
from tests.geo_api.places.factories import circle, make_circle, make_store, outline

pytestmark = pytest.mark.slow

TRIANGLE = ([-74.0, 40.7], [-73.9, 40.7], [-73.9, 40.8], [-74.0, 40.7])


async def test_versions_tell_who_drew_what_and_when_newest_first(
    client: httpx.AsyncClient, tokens: Tokens
) -> None:
    await make_store(client)
    await make_circle(client)
    ann = tokens("marketer", name="ann")
    await client.put("/v1/geofences/g1", json=outline(*TRIANGLE), headers=ann)
    await client.delete("/v1/geofences/g1")

    items = (await client.get("/v1/geofences/g1/versions")).json()["items"]

    told = [(v["version"], v["shape"], v["created_by"], v["closes"]) for v in items]
    assert told == [
        (3, "Polygon", "server:test", True),
        (2, "Polygon", "marketer:ann", False),
        (1, "Circle", "server:test", False),
    ]
    moments = [version["created_at"] for version in items]
    assert moments == sorted(moments, reverse=True)


async def test_an_earlier_version_keeps_its_outline_schedule_and_dwell_times(
    client: httpx.AsyncClient,
) -> None:
    await make_store(client)
    await make_circle(client, dwell_s=[60], schedule={"weekly": {"sunday": ["08:00-14:00"]}})
    await client.put("/v1/geofences/g1", json=outline(*TRIANGLE))

    first = (await client.get("/v1/geofences/g1/versions/1")).json()
    second = (await client.get("/v1/geofences/g1/versions/2")).json()

    assert first["geometry"] == circle()["geometry"]
    assert first["dwell_s"] == [60]
    assert first["schedule"]["weekly"]["sunday"] == ["08:00-14:00"]
    assert (second["geometry"]["type"], second["dwell_s"], second["schedule"]) == (
        "Polygon",
        [],
        None,
    )
    assert (first["store_id"], second["created_by"]) == ("s1", "server:test")


async def test_versions_come_in_pages(client: httpx.AsyncClient) -> None:
    await make_store(client)
    for radius_m in range(100, 105):
        await client.put("/v1/geofences/g1", json=circle(radius_m=radius_m))
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/v1/geofences/g1/versions", params=params)).json()
        seen += [version["version"] for version in page["items"]]
        cursor = page["next_cursor"]

    assert seen == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("address", "status", "slug"),
    [
        ("none/versions", 404, "geofence-unknown"),
        ("none/versions/1", 404, "geofence-version-unknown"),
        ("g1/versions/2", 404, "geofence-version-unknown"),
        ("g1/versions/0", 422, "malformed"),
        ("g1/versions/first", 422, "malformed"),
        ("g1/versions?cursor=WyJhIl0", 422, "malformed"),
    ],
)
async def test_versions_that_are_not_there_are_a_problem(
    client: httpx.AsyncClient, address: str, status: int, slug: str
) -> None:
    await make_store(client)
    await make_circle(client)

    answer = await client.get(f"/v1/geofences/{address}")

    assert answer.status_code == status
    assert answer.json()["type"] == f"/problems/{slug}"


async def test_a_page_of_versions_reads_the_primary_key(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await sql.execute("SET enable_seqscan = off")

    plan = await sql.fetch(
        """EXPLAIN SELECT version FROM geo.geofence_versions
           WHERE geofence_id = 'g1' AND version < 9 ORDER BY version DESC LIMIT 3"""
    )

    assert "pk_geofence_versions" in "\n".join(row[0] for row in plan)
