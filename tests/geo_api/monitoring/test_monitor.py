"""The list of geofences for a phone over HTTP: who may, what changes the ETag, what does not."""

from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from tests.conftest import Tokens
from tests.geo_api.checkins.helpers import LAT, LON, known, open_store

pytestmark = pytest.mark.slow

HERE = {"latitude": LAT, "longitude": LON}
REFRESH = "solomo-refresh-after-m"


async def test_a_member_gets_circles_and_the_distance_to_move(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    await open_store(geo, geo_app, tokens("server"), radius_m=40)
    member = tokens("member", subject_id=uuid4())

    answer = await geo.get("/v1/geofences/monitor", params=HERE, headers=member)
    by_body = await geo.post("/v1/geofences/monitor", json=HERE, headers=member)

    assert answer.status_code == 200, answer.text
    assert answer.json() == by_body.json()
    (item,) = answer.json()["items"]
    assert item == {
        "geofence_id": "s1",
        "store_id": "s1",
        "version": 1,
        "latitude": LAT,
        "longitude": LON,
        "radius_m": 100.0,
    }
    assert answer.json()["refresh_after_m"] == 50_000
    assert answer.headers[REFRESH] == "50000"


async def test_the_etag_changes_with_the_list_and_not_with_the_place(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    headers = tokens("server")
    await open_store(geo, geo_app, headers)
    first = await geo.get("/v1/geofences/monitor", params=HERE, headers=headers)
    tag = {"If-None-Match": f'"other", {first.headers["etag"]}'}

    moved = HERE | {"latitude": LAT + 0.01}
    same = await geo.get("/v1/geofences/monitor", params=moved, headers=headers | tag)
    await open_store(geo, geo_app, headers, "s2")
    new = await geo.get("/v1/geofences/monitor", params=moved, headers=headers | tag)
    one = await geo.post("/v1/geofences/monitor", json=HERE | {"limit": 1}, headers=headers | tag)

    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == first.headers["etag"]
    assert same.headers[REFRESH] == "50000"
    assert new.status_code == 200
    assert [item["geofence_id"] for item in new.json()["items"]] == ["s1", "s2"]
    assert one.status_code == 304  # s1 alone, as at first


async def test_a_redrawn_geofence_is_told_again(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    headers = tokens("server")
    await open_store(geo, geo_app, headers)
    first = await geo.get("/v1/geofences/monitor", params=HERE, headers=headers)
    geometry = {"type": "Circle", "coordinates": [LON, LAT], "radius_m": 300}
    body = {"store_id": "s1", "geometry": geometry}
    await geo.put("/v1/geofences/s1", json=body, headers=headers)
    await geo.put("/v1/geofences/s1b", json=body, headers=headers)
    await known(geo_app, "s1b")

    tag = {"If-None-Match": first.headers["etag"]}
    again = await geo.get(
        "/v1/geofences/monitor", params=HERE | {"limit": 1}, headers=headers | tag
    )

    assert again.status_code == 200
    assert (again.json()["items"][0]["version"], again.json()["items"][0]["radius_m"]) == (2, 300)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"limit": 101}, "limit"), ({"limit": 0}, "limit"), ({"latitude": 91}, "latitude")],
)
async def test_what_cannot_be_asked_is_named(
    geo: httpx.AsyncClient, tokens: Tokens, changes: dict[str, float], field: str
) -> None:
    headers = tokens("server")
    asked = HERE | changes

    by_query = await geo.get("/v1/geofences/monitor", params=asked, headers=headers)
    by_body = await geo.post("/v1/geofences/monitor", json=asked, headers=headers)

    assert (by_query.status_code, by_body.status_code) == (422, 422)
    assert by_query.json()["errors"][0]["pointer"] == f"?{field}"
    assert by_body.json()["errors"][0]["pointer"] == f"/{field}"
