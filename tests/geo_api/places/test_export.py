"""Export as GeoJSON, CSV and KML: what comes out goes in again and changes nothing."""

import csv
import io
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import orjson
import pytest
from fastapi import FastAPI

from services.geo_api.places.endpoints import exports
from services.geo_api.places.hours_schemas import HOURS_EXAMPLE, SCHEDULE_EXAMPLE
from services.geo_api.places.kml import features as features_of_kml
from tests.geo_api.places.factories import circle, make_circle, make_store, outline

pytestmark = pytest.mark.slow

FORMATS = ["geojson", "csv", "kml"]
RING = ([-74.0, 40.7], [-73.9, 40.7], [-73.9, 40.8], [-74.0, 40.8], [-74.0, 40.7])
HOLE = [[-73.96, 40.74], [-73.96, 40.76], [-73.94, 40.76], [-73.94, 40.74], [-73.96, 40.74]]
FIJI = ([179.9, -17], [-179.9, -17], [-179.9, -16.6], [179.9, -16.6], [179.9, -17])


async def a_chain_of_awkward_stores(client: httpx.AsyncClient) -> None:
    await make_store(client, "plain")
    await make_circle(client, "plain", "plain")
    await make_store(client, "no-fence", brand=None, address=None, tags=[])
    texts = {"name": '  "Tea", <Ann> & 茶  ', "tags": ["a;b", "c,d", "[e"]}
    await make_store(client, "texts", address="Two  blanks, = sum(A1)", **texts)
    await make_circle(client, "texts", "texts", radius_m=33.3)
    await make_store(client, "several", hours=HOURS_EXAMPLE)
    await make_circle(client, "a", "several", dwell_s=[60, 300], schedule=SCHEDULE_EXAMPLE)
    moved = {"type": "Circle", "coordinates": [-73.9, 40.7123456789012345, 7], "radius_m": 50}
    await client.put("/v1/geofences/b", json={"store_id": "several", "geometry": moved})
    holed = outline(*RING, store_id="several")
    holed["geometry"]["coordinates"].append(HOLE)
    await client.put("/v1/geofences/c", json=holed)
    away = {"latitude": -16.8, "longitude": 179.99, "timezone": "Pacific/Fiji"}
    await make_store(client, "fiji", **away)
    await client.put("/v1/geofences/fiji", json=outline(*FIJI, store_id="fiji"))
    china = {"latitude": 31.2304, "longitude": 121.4737, "timezone": "Asia/Shanghai"}
    await make_store(client, "china", datum="gcj02", **china)
    ring = ([121.47, 31.23], [121.48, 31.23], [121.48, 31.24], [121.47, 31.23])
    moved_there = outline(*ring, store_id="china") | {"datum": "gcj02"}
    await client.put("/v1/geofences/china", json=moved_there)
    of_one = {"type": "MultiPolygon", "coordinates": [[[[0, -0.0], [1, 0], [1, 1], [0, -0.0]]]]}
    await client.put("/v1/geofences/d", json={"store_id": "several", "geometry": of_one})
    await make_store(client, "gone")
    await client.delete("/v1/stores/gone")


async def exported(client: httpx.AsyncClient, wanted: str) -> httpx.Response:
    answer = await client.get("/v1/stores/export", params={"format": wanted})
    assert answer.status_code == 200, answer.text
    return answer


async def imported(client: httpx.AsyncClient, file: httpx.Response) -> dict[str, Any]:
    headers = {
        "Content-Type": file.headers["content-type"],
        "Idempotency-Key": uuid4().hex,
    }
    answer = await client.post("/v1/stores/import", content=file.content, headers=headers)
    assert answer.status_code == 201, answer.text
    report: dict[str, Any] = answer.json()
    return report


@pytest.mark.parametrize("wanted", FORMATS)
async def test_an_export_imported_again_changes_nothing(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]", wanted: str
) -> None:
    await a_chain_of_awkward_stores(client)
    before = await sql.fetchval("SELECT version FROM geo.fence_index_version")

    report = await imported(client, await exported(client, wanted))

    assert (report["refused"], report["unchanged"], report["received"]) == ([], 9, 9)
    assert await sql.fetchval("SELECT version FROM geo.fence_index_version") == before


@pytest.mark.parametrize("wanted", FORMATS)
async def test_an_export_imported_elsewhere_makes_the_same_stores(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]", wanted: str
) -> None:
    await a_chain_of_awkward_stores(client)
    file = await exported(client, wanted)
    await sql.execute("TRUNCATE geo.stores, geo.geofences, geo.geofence_versions CASCADE")

    report = await imported(client, file)
    again = await exported(client, wanted)

    assert (report["refused"], report["unchanged"]) == ([], 0)
    assert (await client.get("/v1/stores/several")).json()["hours"]["weekly"]["sunday"] == []
    assert (await client.get("/v1/geofences/a")).json()["dwell_s"] == [60, 300]
    assert (await client.get("/v1/stores/texts")).json()["tags"] == ["a;b", "c,d", "[e"]
    assert (await client.get("/v1/geofences", params={"store_id": "no-fence"})).json()[
        "items"
    ] == []
    if wanted == "csv":
        assert again.text == file.text


async def test_what_is_exported_is_what_its_readers_expect(client: httpx.AsyncClient) -> None:
    await a_chain_of_awkward_stores(client)

    geojson = await exported(client, "geojson")
    table = await exported(client, "csv")
    kml = await exported(client, "kml")

    features = orjson.loads(geojson.content)["features"]
    assert [f["properties"]["id"] for f in features] == [
        "china", "fiji", "no-fence", "plain", *["several"] * 4, "texts",
    ]  # fmt: skip
    china = features[0]["geometry"]["coordinates"][0][0][0]
    assert abs(china[0] - 121.47) > 0.003  # WGS 84
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert rows[2]["radius_m"] == "none"
    assert rows[6]["wkt"].startswith("POLYGON ((-74.0 40.7, ")
    assert len(features_of_kml(kml.content, 100)) == 9
    assert 'filename="stores-' in kml.headers["content-disposition"]
    unknown = await client.get("/v1/stores/export?format=xls")
    assert unknown.status_code == 422


async def test_many_stores_come_page_by_page(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "STORES_AT_ONCE", 2)
    for name in "abcd":
        await make_store(client, name)

    features = orjson.loads((await exported(client, "geojson")).content)["features"]

    assert [feature["properties"]["id"] for feature in features] == ["a", "b", "c", "d"]


async def test_no_stores_are_a_file_without_rows(
    client: httpx.AsyncClient, places_app: FastAPI
) -> None:
    assert orjson.loads((await exported(client, "geojson")).content)["features"] == []
    assert (await exported(client, "csv")).text.count("\n") == 1
    assert features_of_kml((await exported(client, "kml")).content, 100) == []


async def test_a_redrawn_outline_in_an_export_is_an_update(client: httpx.AsyncClient) -> None:
    await make_store(client, "s1", datum="gcj02")
    await make_circle(client, "s1", "s1")
    document = orjson.loads((await exported(client, "geojson")).content)
    document["features"][0]["properties"]["radius_m"] = 120
    headers = {"Content-Type": "application/geo+json", "Idempotency-Key": "k"}

    answer = await client.post("/v1/stores/import", content=orjson.dumps(document), headers=headers)

    assert (answer.json()["updated"], answer.json()["unchanged"]) == (1, 0)
    assert (await client.get("/v1/geofences/s1")).json()["geometry"]["radius_m"] == 120
    assert circle()["geometry"]["radius_m"] == 100
