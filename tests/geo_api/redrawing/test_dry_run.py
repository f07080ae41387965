"""The dry run over real check-ins: counted right, near only, and without a coordinate."""

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.geo_api.redrawing import service
from tests.conftest import DatabaseUrls, Tokens
from tests.geo_api.checkins.helpers import LAT, LON, ago, body, north, open_store, person

pytestmark = pytest.mark.slow


def circle(radius_m: float, lat: float = LAT) -> dict[str, Any]:
    return {"geometry": {"type": "Circle", "coordinates": [LON, lat], "radius_m": radius_m}}


async def seen(
    geo: httpx.AsyncClient,
    headers: dict[str, str],
    who: str,
    metres: float,
    minutes: float,
    **changes: Any,
) -> None:
    """A person so far north of the store, so long ago."""
    when = {"latitude": north(metres), "occurred_at": ago(minutes=minutes)}
    fix = body(subject=person(who), **when, **changes)
    answer = await geo.post("/v1/check-ins", json=fix, headers=headers)
    assert answer.status_code == 201, answer.text


async def ask(
    geo: httpx.AsyncClient, headers: dict[str, str], asked: dict[str, Any]
) -> dict[str, Any]:
    answer = await geo.post("/v1/geofences/s1/dry-run", json=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_wider_outline_gains_and_a_moved_one_loses(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    headers = tokens("server")
    await open_store(geo, geo_app, headers)
    await seen(geo, headers, "ann", 0, 50)
    await seen(geo, headers, "ann", 900, 45)
    await seen(geo, headers, "bob", 150, 50)
    await seen(geo, headers, "bob", 155, 40)
    await seen(geo, headers, "cleo", 50_000, 30)
    await seen(geo, headers, "dora", 150, 30, location_grade="fuzzy")

    wider = await ask(geo, headers, circle(200))
    moved = await ask(geo, headers, circle(100, north(150)))
    same = await ask(geo, headers, circle(100))

    assert wider["seen"] == 4
    assert wider["fixes"] == {"before": 1, "after": 3, "gained": 2, "lost": 0}
    assert wider["subjects"] == {"before": 1, "after": 2, "gained": 1, "lost": 0}
    assert wider["visits"] == {"before": 1, "after": 2, "gained": 1, "lost": 0}
    assert moved["fixes"] == {"before": 1, "after": 2, "gained": 2, "lost": 1}
    assert moved["visits"] == {"before": 1, "after": 1, "gained": 1, "lost": 1}
    assert same["fixes"] == {"before": 1, "after": 1, "gained": 0, "lost": 0}
    assert (same["geofence_id"], same["version"]) == ("s1", 1)


async def test_a_fix_is_judged_by_the_rule_of_arrival(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    """At the edge the overlap is too small, unless the person pressed the button."""
    headers = tokens("server")
    await open_store(geo, geo_app, headers)
    for who, kind in (("ann", "manual"), ("bob", "background")):
        fix = body(subject=person(who), kind=kind, latitude=north(98), accuracy_m=100)
        assert (await geo.post("/v1/check-ins", json=fix, headers=headers)).status_code == 201

    found = await ask(geo, headers, circle(200))

    assert found["fixes"] == {"before": 2, "after": 2, "gained": 0, "lost": 0}
    assert found["visits"] == {"before": 1, "after": 2, "gained": 1, "lost": 0}


async def test_nothing_is_changed_and_no_coordinate_is_told(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    headers = tokens("marketer")
    await open_store(geo, geo_app, tokens("server"))
    await seen(geo, tokens("server"), "ann", 0, 5)

    answer = await geo.post("/v1/geofences/s1/dry-run", json=circle(500), headers=headers)

    assert not re.search(r"73\.98|40\.74", answer.text)
    assert (await geo.get("/v1/geofences/s1", headers=headers)).json()["version"] == 1


async def test_check_ins_whose_key_was_destroyed_are_not_seen(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens, database_urls: DatabaseUrls
) -> None:
    headers = tokens("server")
    await open_store(geo, geo_app, headers)
    await seen(geo, headers, "ann", 0, 5)
    async with geo_app.state.database.begin() as connection:
        await connection.exec_driver_sql("UPDATE geo.day_keys SET wrapped_key = NULL")

    assert (await ask(geo, headers, circle(100)))["seen"] == 0


async def test_too_many_check_ins_are_refused_with_advice(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = tokens("server")
    await open_store(geo, geo_app, headers)
    for number in range(3):
        await seen(geo, headers, f"p{number}", 0, 5)
    monkeypatch.setattr(service, "MAX_CHECK_INS", 2)

    answer = await geo.post("/v1/geofences/s1/dry-run", json=circle(100), headers=headers)

    assert answer.status_code == 413
    assert answer.json()["type"] == "/problems/dry-run-too-large"
    assert "fewer days" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"days": 8}, "/days"),
        ({"geometry": {"type": "Point", "coordinates": [1, 1]}}, "/geometry/type"),
        (
            {
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]],
                }
            },
            "/geometry",
        ),
    ],
)
async def test_what_cannot_be_tried_is_explained(
    geo: httpx.AsyncClient,
    geo_app: FastAPI,
    tokens: Tokens,
    changes: dict[str, Any],
    pointer: str,
) -> None:
    headers = tokens("server")
    await open_store(geo, geo_app, headers)

    asked = circle(100) | changes
    answer = await geo.post("/v1/geofences/s1/dry-run", json=asked, headers=headers)
    nowhere = await geo.post("/v1/geofences/s2/dry-run", json=circle(100), headers=headers)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert nowhere.status_code == 404
