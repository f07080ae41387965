"""Codes and beacons over HTTP: who gets them, and how they change."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.conftest import Tokens

pytestmark = pytest.mark.slow

CODE = "/v1/stores/s1/check-in-code"
BEACON = {"store_id": "s1", "uuid": "f7826da6-4fa2-4e98-8024-bc5b71e0893e", "major": 1, "minor": 2}


async def test_a_screen_gets_a_code_with_its_picture_and_when_to_ask_again(
    geo: httpx.AsyncClient, server: dict[str, str], tokens: Tokens
) -> None:
    staff = tokens("staff", store_id="s1")
    shown = (await geo.get(CODE, headers=staff)).json()
    assert (len(shown["code"]), shown["form"], shown["edition"]) == (40, "screen", None)
    assert shown["svg"].startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert shown["valid_from"] < shown["ask_again_at"] < shown["accepted_until"]


async def test_staff_of_another_store_get_no_code(
    geo: httpx.AsyncClient, server: dict[str, str], tokens: Tokens
) -> None:
    response = await geo.get(CODE, headers=tokens("staff", store_id="s2"))
    assert response.status_code == 403


async def test_unknown_and_closed_stores_have_no_code(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    assert (await geo.get("/v1/stores/none/check-in-code", headers=server)).status_code == 404
    await geo.delete("/v1/stores/s1", headers=server)
    assert (await geo.get(CODE, headers=server)).status_code == 409


async def test_a_printed_code_stays_until_its_edition_is_revoked(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    async def printed() -> Any:
        return (await geo.get(CODE, params={"form": "printed"}, headers=server)).json()

    first = await printed()
    assert (first["edition"], first["ask_again_at"]) == (1, None)
    assert (await printed())["code"] == first["code"]
    rotations = await asyncio.gather(
        *(geo.post(f"{CODE}/rotate", json={"edition": 1}, headers=server) for _ in range(4))
    )
    assert [(r.status_code, r.json()["edition"]) for r in rotations] == [(200, 2)] * 4
    assert (await printed())["code"] == rotations[0].json()["code"] != first["code"]
    refused = await geo.post(f"{CODE}/rotate", json={"edition": 7}, headers=server)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/edition-changed")


async def test_an_edition_survives_a_change_of_the_store(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str]
) -> None:
    await geo.post(f"{CODE}/rotate", json={"edition": 1}, headers=server)
    store = {"name": "New name", "latitude": 40.7, "longitude": -74.0}
    await geo.put("/v1/stores/s1", json=store, headers=server)
    async with asyncio.timeout(5):
        while geo_app.state.fences.current.stores["s1"].name != "New name":
            await asyncio.sleep(0.005)
    assert geo_app.state.fences.current.stores["s1"].code_edition == 2


async def test_a_beacon_is_made_changed_read_and_removed(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    path = "/v1/beacons/door"
    made = await geo.put(path, json=BEACON, headers=server)
    assert (made.status_code, made.json()) == (201, {"beacon_id": "door", **BEACON})
    changed = await geo.put(path, json={**BEACON, "minor": 3}, headers=server)
    assert (changed.status_code, changed.json()["minor"]) == (200, 3)
    assert (await geo.get(path, headers=server)).json() == changed.json()
    assert (await geo.delete(path, headers=server)).status_code == 204
    for method in ("GET", "DELETE"):
        gone = await geo.request(method, path, headers=server)
        assert (gone.status_code, gone.json()["type"]) == (404, "/problems/beacon-unknown")


async def test_no_two_beacons_send_the_same(geo: httpx.AsyncClient, server: dict[str, str]) -> None:
    puts = await asyncio.gather(
        *(geo.put(f"/v1/beacons/b{n}", json=BEACON, headers=server) for n in range(6))
    )
    assert sorted(put.status_code for put in puts) == [201] + [409] * 5


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"major": 65_536}, 422),
        ({"minor": -1}, 422),
        ({"uuid": "f7"}, 422),
        ({"store_id": "none"}, 404),
    ],
)
async def test_a_beacon_that_cannot_be_is_refused(
    geo: httpx.AsyncClient, server: dict[str, str], changes: dict[str, Any], status: int
) -> None:
    response = await geo.put("/v1/beacons/b", json={**BEACON, **changes}, headers=server)
    assert response.status_code == status
