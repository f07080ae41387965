"""Lists and nearby search: filters, pages, order, indexes, number of queries."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pyproj import Geod
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.geo_api.places.lists import NEARBY
from tests.geo_api.places.factories import make_circle, make_store

pytestmark = pytest.mark.slow


@contextmanager
def counted(engine: AsyncEngine) -> Iterator[list[str]]:
    """The statements sent meanwhile."""
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


async def ids(client: httpx.AsyncClient, query: str) -> list[str]:
    answer = await client.get(f"/v1/stores?{query}")
    assert answer.status_code == 200, answer.text
    return [item["store_id"] for item in answer.json()["items"]]


async def test_stores_are_found_by_tag_brand_text_and_closing(client: httpx.AsyncClient) -> None:
    await make_store(client, "a", name="50% off_shop", brand="X", tags=["t1"])
    await make_store(client, "b", name="Plain", brand="Y", tags=["t1", "t2"])
    await make_store(client, "c", name="Gone", brand="X", tags=[])
    await client.delete("/v1/stores/c")

    assert await ids(client, "") == ["a", "b"]
    assert await ids(client, "tag=t1") == ["a", "b"]
    assert await ids(client, "tag=t2") == ["b"]
    assert await ids(client, "brand=X") == ["a"]
    assert await ids(client, "q=plAIN") == ["b"]
    assert await ids(client, "q=50%25+off_") == ["a"]
    assert await ids(client, "q=%25") == ["a"]
    assert await ids(client, "closed=true") == ["c"]
    assert await ids(client, "closed=any&brand=X") == ["a", "c"]


async def test_pages_neither_skip_nor_repeat_while_stores_are_added(
    client: httpx.AsyncClient,
) -> None:
    for name in ("b", "d", "f", "h"):
        await make_store(client, name)

    first = (await client.get("/v1/stores?limit=2")).json()
    for name in ("a", "c", "e"):
        await make_store(client, name)
    second = (await client.get(f"/v1/stores?limit=2&cursor={first['next_cursor']}")).json()
    third = (await client.get(f"/v1/stores?limit=2&cursor={second['next_cursor']}")).json()

    seen = [[item["store_id"] for item in page["items"]] for page in (first, second, third)]
    assert seen == [["b", "d"], ["e", "f"], ["h"]]
    assert third["next_cursor"] is None


async def test_a_cursor_of_something_else_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/stores?cursor=nonsense!")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "?cursor"


async def test_geofences_are_listed_by_store_in_pages(client: httpx.AsyncClient) -> None:
    await make_store(client, "s1")
    await make_store(client, "s2")
    for name, store_id in (("a", "s1"), ("b", "s2"), ("c", "s1"), ("d", "s1")):
        await make_circle(client, name, store_id)
    await client.delete("/v1/geofences/d")

    first = (await client.get("/v1/geofences?store_id=s1&limit=1")).json()
    rest = (
        await client.get(f"/v1/geofences?store_id=s1&limit=1&cursor={first['next_cursor']}")
    ).json()

    assert [item["geofence_id"] for item in first["items"] + rest["items"]] == ["a", "c"]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    "address",
    [
        "/v1/stores",
        "/v1/geofences",
        "/v1/stores/nearby?latitude=40.7&longitude=-74&limit=50",
    ],
)
async def test_a_list_takes_one_query_however_long_it_is(
    client: httpx.AsyncClient, places_app: FastAPI, address: str
) -> None:
    for number in range(12):
        await make_store(client, f"s{number}")
        await make_circle(client, f"g{number}", f"s{number}")
    await client.get(address)

    with counted(places_app.state.database.engine) as statements:
        items = (await client.get(address)).json()["items"]

    assert len(items) == 12
    assert len(statements) == 1


async def test_nearby_orders_by_distance_on_the_ellipsoid(client: httpx.AsyncClient) -> None:
    chance = random.Random(5)
    places = {
        f"s{n:02}": (chance.uniform(40.6, 40.9), chance.uniform(-74.2, -73.8)) for n in range(40)
    }
    for name, (latitude, longitude) in places.items():
        await make_store(client, name, latitude=latitude, longitude=longitude)
    geod = Geod(ellps="WGS84")
    true = {n: geod.inv(-74.0, 40.75, lon, lat)[2] for n, (lat, lon) in places.items()}

    answer = await client.get("/v1/stores/nearby?latitude=40.75&longitude=-74.0&limit=10")

    found = [(item["store_id"], item["distance_m"]) for item in answer.json()["items"]]
    assert [name for name, _ in found] == sorted(true, key=true.__getitem__)[:10]
    assert all(abs(distance - true[name]) < 0.002 for name, distance in found)


async def test_nearby_puts_right_what_a_sphere_would_put_wrong(client: httpx.AsyncClient) -> None:
    # From 40° N, 1° of longitude is 0.3 % longer on the ellipsoid than on the sphere, 1° of
    # latitude 0.1 % shorter: a store to the north and one to the east at nearly the same way.
    await make_store(client, "east", latitude=40.0, longitude=-73.0)
    await make_store(client, "north", latitude=40.7675, longitude=-74.0)
    geod = Geod(ellps="WGS84")
    east, north = geod.inv(-74, 40, -73, 40)[2], geod.inv(-74, 40, -74, 40.7675)[2]
    assert north < east < north * 1.004

    answer = await client.get("/v1/stores/nearby?latitude=40&longitude=-74&limit=1")

    assert [item["store_id"] for item in answer.json()["items"]] == ["north"]


async def test_nearby_by_body_answers_the_same_and_looks_across_the_antimeridian(
    client: httpx.AsyncClient,
) -> None:
    await make_store(client, "west", latitude=-16.8, longitude=-179.99)
    await make_store(client, "east", latitude=-16.8, longitude=179.9)
    point = {"latitude": -16.8, "longitude": 179.99, "limit": 2}

    by_body = await client.post("/v1/stores/nearby", json=point)
    by_query = await client.get("/v1/stores/nearby", params=point)

    assert [item["store_id"] for item in by_body.json()["items"]] == ["west", "east"]
    assert by_body.json() == by_query.json()


async def test_nearby_leaves_out_closed_stores_and_reads_gcj02(client: httpx.AsyncClient) -> None:
    await make_store(
        client,
        "open",
        latitude=31.2304,
        longitude=121.4737,
        datum="gcj02",
        timezone="Asia/Shanghai",
    )
    await make_store(client, "closed", latitude=31.2304, longitude=121.4737)
    await client.delete("/v1/stores/closed")

    address = "/v1/stores/nearby?latitude=31.2304&longitude=121.4737&datum="
    by_gcj02 = (await client.get(address + "gcj02")).json()["items"]
    by_wgs84 = (await client.get(address + "wgs84")).json()["items"]

    assert [(item["store_id"], item["distance_m"]) for item in by_gcj02] == [("open", 0.0)]
    assert 300 < by_wgs84[0]["distance_m"] < 700


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("latitude=121.4&longitude=31.2", "?latitude"),
        ("latitude=nan&longitude=31.2", "?latitude"),
        ("longitude=31.2", "?latitude"),
        ("latitude=1&longitude=1&limit=0", "?limit"),
        ("latitude=1&longitude=1&datum=x", "?datum"),
    ],
)
async def test_a_faulty_query_is_named(client: httpx.AsyncClient, query: str, pointer: str) -> None:
    answer = await client.get(f"/v1/stores/nearby?{query}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_nearby_uses_the_index_to_find_and_to_bound(places_app: FastAPI) -> None:
    values = {"lon": -74.0, "lat": 40.7, "most": 20}
    async with places_app.state.database.begin() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = await connection.execute(text(f"EXPLAIN {NEARBY.text}"), values)
        lines = [row[0] for row in plan]

    scans = [line for line in lines if "ix_stores_location" in line]
    assert len(scans) == 2
    assert any("Order By: (location <->" in line for line in lines)


async def test_the_examples_of_the_documentation_work_as_they_stand(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/openapi.json")).json()
    schemas, paths = document["components"]["schemas"], document["paths"]
    a_store = schemas["StoreIn"]["examples"][0]
    geofence = paths["/v1/geofences/{geofence_id}"]["put"]["requestBody"]["content"]
    file = paths["/v1/stores/import"]["post"]["requestBody"]["content"]["text/csv"]["example"]

    first = await client.put("/v1/stores/demo-madison-square", json=a_store)
    assert first.status_code == 201
    for name, example in geofence["application/json"]["examples"].items():
        answer = await client.put("/v1/geofences/demo", json=example["value"])
        assert answer.status_code in (200, 201), name
    found = await client.post("/v1/stores/nearby", json=schemas["NearbyIn"]["examples"][0])
    assert len(found.json()["items"]) == 1
    imported = await client.post(
        "/v1/stores/import?timezone=America/New_York",
        content=file,
        headers={"Content-Type": "text/csv", "Idempotency-Key": "example"},
    )
    assert imported.json()["created"] == 1
