"""Import of stores over HTTP: files as people have them, refusals by row, idempotency, races."""

import asyncio
import gzip
from collections import Counter
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import orjson
import pytest

from services.geo_api.places import files
from tests.geo_api.places.factories import make_circle, make_store
from tests.shared_data import shared_data

pytestmark = pytest.mark.slow

HEADER = "id,name,lat,lon,timezone,tags,radius_m\n"
GOOD = "s{0},Store {0},40.{0:04},-74.0,America/New_York,a;b,50\n"


def csv_of(*rows: str) -> str:
    return HEADER + "".join(rows)


async def send(
    client: httpx.AsyncClient,
    content: str | bytes,
    query: str = "",
    **headers: str,
) -> httpx.Response:
    defaults = {"Content-Type": "text/csv", "Idempotency-Key": uuid4().hex}
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(
        f"/v1/stores/import?{query}", content=content, headers=defaults | changed, timeout=120
    )


async def send_geojson(
    client: httpx.AsyncClient, features: list[Any], query: str = "", **members: Any
) -> httpx.Response:
    document = {"type": "FeatureCollection", "features": features} | members
    return await send(client, orjson.dumps(document), query, Content_Type="application/geo+json")


def counts(report: dict[str, Any]) -> tuple[int, int, int, int]:
    return report["created"], report["updated"], report["unchanged"], report["refused_count"]


def faults(report: dict[str, Any]) -> dict[int, list[str]]:
    """By line, the pointers of the faults."""
    return {row["line"]: [f["pointer"] for f in row["errors"]] for row in report["refused"]}


async def test_a_csv_makes_stores_with_a_circle_each_and_again_changes_nothing(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    content = csv_of(*(GOOD.format(n) for n in range(1, 6)))

    first = await send(client, content)
    version = await sql.fetchval("SELECT version FROM geo.fence_index_version")
    second = await send(client, content)

    assert (first.status_code, counts(first.json())) == (201, (5, 0, 0, 0))
    assert counts(second.json()) == (0, 0, 5, 0)
    assert version == 1
    assert await sql.fetchval("SELECT version FROM geo.fence_index_version") == version
    assert await sql.fetchval("SELECT count(*) FROM geo.outbox") == 5
    store = (await client.get("/v1/stores/s3")).json()
    assert (store["name"], store["tags"], store["version"]) == ("Store 3", ["a", "b"], 1)
    geofence = (await client.get("/v1/geofences/s3")).json()
    assert geofence["geometry"] == {
        "type": "Circle",
        "coordinates": [-74.0, 40.0003],
        "radius_m": 50,
    }


async def test_a_changed_row_is_updated_and_the_others_are_left_alone(
    client: httpx.AsyncClient,
) -> None:
    await send(client, csv_of(GOOD.format(1), GOOD.format(2), GOOD.format(3)))

    moved = GOOD.format(2).replace(",50\n", ",75\n")
    report = (await send(client, csv_of(GOOD.format(1), moved, GOOD.format(4)))).json()

    assert counts(report) == (1, 1, 1, 0)
    assert (await client.get("/v1/geofences/s2")).json()["version"] == 2
    assert (await client.get("/v1/stores/s2")).json()["version"] == 1
    assert (await client.get("/v1/stores/s3")).json()["closed_at"] is None


async def test_a_bad_row_is_refused_with_its_line_and_harms_no_other(
    client: httpx.AsyncClient,
) -> None:
    content = csv_of(
        GOOD.format(1),
        "s2,Swapped,-174.0,40.7,America/New_York,,\n",
        's3,"Over two\nlines",40.7,-74.0,Nowhere/Land,,\n',
        "s4,,40.7,-74.0,America/New_York,,\n",
        "s 5,Bad id,40.7,-74.0,America/New_York,,\n",
        "s6,No number,north,-74.0,America/New_York,,\n",
        "s7,Too wide,40.7,-74.0,America/New_York,,200000\n",
        "s8,Short\n",
        ",No id,40.7,-74.0,America/New_York,,\n",
        "s10,Two faults,,-74.0,Nowhere/Land,,\n",
        "\n",
        GOOD.format(9),
    )

    report = (await send(client, content)).json()

    assert counts(report) == (2, 0, 0, 9)
    assert report["received"] == 11
    assert faults(report) == {
        3: ["/latitude"],
        4: ["/timezone"],
        6: ["/name"],
        7: ["/id"],
        8: ["/latitude"],
        9: ["/radius_m"],
        10: [""],
        11: ["/id"],
        12: ["/latitude", "/timezone"],
    }
    assert "swapped" in report["refused"][0]["errors"][0]["detail"]
    assert (await client.get("/v1/stores")).json()["items"][0]["store_id"] == "s1"


async def test_an_id_in_two_rows_is_refused_in_both_with_both_lines_named(
    client: httpx.AsyncClient,
) -> None:
    report = (await send(client, csv_of(GOOD.format(1), GOOD.format(2), GOOD.format(1)))).json()

    assert counts(report) == (1, 0, 0, 2)
    for row in report["refused"]:
        assert row["store_id"] == "s1"
        assert row["errors"][0]["detail"].endswith("lines 2, 4")


async def test_a_dry_run_says_the_same_and_changes_nothing(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    content = csv_of(GOOD.format(1), "s2,Bad,north,-74.0,America/New_York,,\n")

    dry = await send(client, content, "dry_run=true", Idempotency_Key="k")
    assert await sql.fetchval("SELECT count(*) FROM geo.stores") == 0
    wet = await send(client, content, Idempotency_Key="k")

    assert (dry.status_code, wet.status_code) == (200, 201)
    assert dry.json() == wet.json() | {"dry_run": True}


async def test_the_same_key_again_answers_the_first_report(client: httpx.AsyncClient) -> None:
    content = csv_of(GOOD.format(1))

    first = await send(client, content, Idempotency_Key="k")
    again = await send(client, content, Idempotency_Key="k")
    other = await send(client, csv_of(GOOD.format(2)), Idempotency_Key="k")
    other_query = await send(client, content, "radius_m=10", Idempotency_Key="k")

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert [other.status_code, other_query.status_code] == [409, 409]
    without = await client.post(
        "/v1/stores/import", content=content, headers={"Content-Type": "text/csv"}
    )
    assert without.json()["errors"][0]["pointer"] == "header:Idempotency-Key"


async def test_features_bring_their_outline_or_get_a_circle(client: httpx.AsyncClient) -> None:
    ring = [[-74, 40.7], [-73.99, 40.7], [-73.99, 40.71], [-74, 40.71], [-74, 40.7]]
    bow = [[0, 10], [1, 11], [1, 10], [0, 11], [0, 10]]
    features = [
        {
            "type": "Feature",
            "id": "way/7",
            "properties": {"name": "Mall", "tags": ["x"], "shop": "mall"},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        },
        {
            "type": "Feature",
            "properties": {"Store_ID": 12, "name": "Kiosk", "radius_m": 30},
            "geometry": {"type": "Point", "coordinates": [-74, 40.7, 5]},
        },
        {
            "type": "Feature",
            "id": "bow",
            "properties": {"name": "Bow"},
            "geometry": {"type": "Polygon", "coordinates": [bow]},
        },
        {"type": "Feature", "id": "line", "properties": None, "geometry": {"type": "LineString"}},
        "no feature",
        {"type": "Feature", "id": "none", "properties": {"name": "None"}, "geometry": None},
    ]

    report = (await send_geojson(client, features, "timezone=America/New_York")).json()

    assert counts(report) == (2, 0, 0, 4)
    assert faults(report) == {
        3: ["/geometry/coordinates"],
        4: ["/geometry/type"],
        5: [""],
        6: ["/latitude", "/longitude"],
    }
    mall = (await client.get("/v1/stores/way:7")).json()
    assert -74 < mall["longitude"] < -73.99
    assert 40.7 < mall["latitude"] < 40.71
    assert (await client.get("/v1/geofences/12")).json()["geometry"]["radius_m"] == 30


async def test_columns_may_be_mapped_and_a_missing_one_is_named(
    client: httpx.AsyncClient,
) -> None:
    content = "Nummer;Titel;Breite;Länge\n1;Café;47,1;8.1\n2;Bar;47.2;8.2\n"
    query = "timezone=Europe/Zurich&map=id=Nummer&map=name=Titel&map=latitude=breite"

    refused = await send(client, content, query)
    report = (await send(client, content, query + "&map=longitude=Länge")).json()
    unknown = await send(client, content, query + "&map=longitude=Foo")
    wrong = await send(client, content, query + "&map=colour=Foo")

    assert refused.status_code == 422
    assert "?map=longitude=COLUMN" in refused.json()["errors"][0]["detail"]
    assert counts(report) == (1, 0, 0, 1)
    assert faults(report) == {2: ["/latitude"]}
    for answer in (unknown, wrong):
        assert answer.json()["errors"][0]["pointer"] == "?map"


@pytest.mark.parametrize(
    ("content", "headers", "pointer"),
    [
        (b"\xff\xfe\x00", {}, ""),
        (b"", {}, "/1"),
        (b"id,name\n1,A\n", {}, "/1"),
        (b"{}", {"Content_Type": "application/json"}, "/features"),
        (b"{", {"Content_Type": "application/json"}, ""),
        (
            b'{"features": [], "crs": {"properties": {"name": "EPSG:3857"}}}',
            {"Content_Type": "application/geo+json"},
            "/crs",
        ),
        (b"x", {"Content_Encoding": "br"}, "header:Content-Encoding"),
        (b"x", {"Content_Encoding": "gzip"}, ""),
        (gzip.compress(b"id,lat,lon\n", mtime=0)[:-4], {"Content_Encoding": "gzip"}, ""),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_as_a_whole(
    client: httpx.AsyncClient, content: bytes, headers: dict[str, str], pointer: str
) -> None:
    answer = await send(client, content, **headers)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("kind", ["", "text/plain", "application/vnd.api+json"])
async def test_a_file_of_an_unknown_kind_is_refused_with_those_that_are_known(
    client: httpx.AsyncClient, kind: str
) -> None:
    answer = await send(client, b"x", Content_Type=kind)

    assert answer.status_code == 415
    assert "text/csv, application/geo+json" in answer.json()["detail"]


async def test_a_gzip_bomb_is_refused_before_it_unfolds(client: httpx.AsyncClient) -> None:
    bomb = gzip.compress(bytes(65 * 1024 * 1024))

    answer = await send(client, bomb, Content_Encoding="gzip")

    assert len(bomb) < 100_000
    assert answer.status_code == 413


async def test_too_many_rows_are_refused_as_a_whole(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_ROWS", 3)

    answer = await send(client, csv_of(*(GOOD.format(n) for n in range(4))))

    assert answer.status_code == 413
    assert (await client.get("/v1/stores")).json()["items"] == []


async def test_what_is_closed_or_belongs_elsewhere_is_refused_by_row(
    client: httpx.AsyncClient,
) -> None:
    for name in ("s1", "s3"):
        await make_store(client, name)
    await client.delete("/v1/stores/s1")
    await make_circle(client, "s2", "s3")

    report = (await send(client, csv_of(*(GOOD.format(n) for n in (1, 2, 4))))).json()

    assert counts(report) == (1, 0, 0, 2)
    details = [row["errors"][0]["detail"] for row in report["refused"]]
    assert "closed" in details[0]
    assert "belongs to store s3" in details[1]
    assert (await client.get("/v1/stores/s2")).status_code == 404


async def test_progress_comes_in_lines_and_the_report_last(client: httpx.AsyncClient) -> None:
    content = csv_of(*(GOOD.format(n) for n in range(1_200)))

    answer = await send(client, content, Accept="application/x-ndjson")
    repeat = await send(client, content, Accept="application/x-ndjson", Idempotency_Key="k")
    reused = await send(client, csv_of(), Accept="application/x-ndjson", Idempotency_Key="k")

    assert answer.headers["content-type"] == "application/x-ndjson"
    *progress, report = [orjson.loads(line) for line in answer.content.splitlines()]
    assert [line["progress"]["done"] for line in progress] == [1_000, 1_200]
    assert {line["progress"]["of"] for line in progress} == {1_200}
    assert counts(report) == (1_200, 0, 0, 0)
    assert counts(orjson.loads(repeat.content.splitlines()[-1])) == (0, 0, 1_200, 0)
    assert orjson.loads(reused.content)["problem"]["type"] == "/problems/key_reused"


async def test_imports_of_the_same_stores_at_once_create_each_once(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    rows = [GOOD.format(n) for n in range(300)]
    orders = [rows, rows[::-1], rows[100:] + rows[:100], rows[1::2] + rows[::2]]

    answers = await asyncio.gather(*(send(client, csv_of(*order)) for order in orders))

    reports = [answer.json() for answer in answers]
    assert sorted(counts(report) for report in reports) == [(0, 0, 300, 0)] * 3 + [(300, 0, 0, 0)]
    assert await sql.fetchval("SELECT max(version) FROM geo.stores") == 1
    assert await sql.fetchval("SELECT count(*) FROM geo.geofence_versions") == 300


async def test_an_import_racing_with_single_changes_loses_none(
    client: httpx.AsyncClient, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    content = csv_of(*(GOOD.format(n) for n in range(500)))
    body = {
        "name": "By hand",
        "latitude": 40.0,
        "longitude": -74.0,
        "timezone": "America/New_York",
    }

    imported, *changed = await asyncio.gather(
        send(client, content),
        *(client.put(f"/v1/stores/s{n}", json=body) for n in range(0, 500, 100)),
    )

    assert imported.status_code == 201
    assert {answer.status_code for answer in changed} <= {200, 201}
    versions = await sql.fetch("SELECT store_id, version FROM geo.stores WHERE version > 1")
    assert len(versions) == 5
    assert await sql.fetchval("SELECT count(DISTINCT index_version) FROM geo.stores") <= 6


async def test_all_stores_of_a_real_city_are_imported(client: httpx.AsyncClient) -> None:
    content = shared_data("data/stores_nyc_alltheplaces.csv.gz").read_bytes()
    query = "timezone=America/New_York&radius_m=100"

    report = (await send(client, content, query, Content_Encoding="gzip")).json()
    again = (await send(client, content, query, Content_Encoding="gzip")).json()

    assert counts(report) == (9_969, 0, 0, 0)
    assert counts(again) == (0, 0, 9_969, 0)
    store = (await client.get("/v1/stores/atp-ny-04294")).json()
    assert store["name"] == store["brand"] == "Dunkin'"


async def test_a_directory_in_many_scripts_is_imported_with_its_own_time_zones(
    client: httpx.AsyncClient,
) -> None:
    content = shared_data("data/starbucks_directory_2017.csv.gz").read_bytes()

    report = (await send(client, content, Content_Encoding="gzip")).json()

    assert report["received"] == 25_600
    reasons = Counter(
        (error["pointer"], error["detail"]) for row in report["refused"] for error in row["errors"]
    )
    assert reasons == {
        ("/timezone", "must be an IANA time zone, such as Asia/Shanghai"): 123,
        ("/address", "holds a control character: leave it out"): 5,
        ("/name", "holds a control character: leave it out"): 1,
        ("/id", "stands in several rows: lines 8031, 8162"): 2,
        ("/latitude", "is needed"): 1,
        ("/longitude", "is needed"): 1,
    }
    assert report["created"] == 25_600 - report["refused_count"]
    andorra = (await client.get("/v1/stores/47370-257954")).json()
    assert (andorra["name"], andorra["timezone"]) == ("Meritxell, 96", "Europe/Andorra")


async def test_a_chinese_chain_is_imported_from_gcj02(client: httpx.AsyncClient) -> None:
    content = shared_data("data/stores_china_heytea.csv.gz").read_bytes()
    query = "datum=gcj02&timezone=Asia/Shanghai&radius_m=80"

    report = (await send(client, content, query, Content_Encoding="gzip")).json()

    assert counts(report) == (484, 0, 0, 0)
    shop = (await client.get("/v1/stores/heytea-0001")).json()
    assert shop["latitude"] == 26.562769
    assert 0.001 < abs(shop["wgs84"]["longitude"] - 106.723373) < 0.008
    assert shop["name"] == "贵阳国贸逸天城热麦店"


async def test_outlines_of_malls_and_counties_are_imported(client: httpx.AsyncClient) -> None:
    malls = shared_data("data/malls_bangalore_osm_2015.geojson.gz").read_bytes()
    counties = shared_data("data/ny_counties_2011.geojson.gz").read_bytes()
    geojson = {"Content_Encoding": "gzip", "Content_Type": "application/geo+json"}

    first = (await send(client, malls, "timezone=Asia/Kolkata", **geojson)).json()
    mapped = "timezone=America/New_York&map=id=tile_id&map=name=tile_id"
    second = (await send(client, counties, mapped, **geojson)).json()

    nameless = [row["errors"] for row in first["refused"]]
    assert first["received"] == 31
    assert all(errors[0]["pointer"] == "/name" for errors in nameless)
    assert first["created"] + len(nameless) == 31
    assert (await client.get("/v1/stores/way:52464089")).json()["name"] == "Mantri Square"
    assert counts(second) == (62, 0, 0, 0)
