"""What speaks against a check-in, over HTTP: scored, explained, kept."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from services.geo_api.audience.repository import erase
from services.geo_api.checkins.maintenance import Maintenance
from shared.identity import Namespace, normalise, subject_id
from tests.conftest import DatabaseUrls
from tests.geo_api.checkins.helpers import LAT, LON, ago, body, known, north, person

pytestmark = pytest.mark.slow

PATH = "/v1/check-ins"
EXACT = {"latitude": LAT + 0.0000123, "longitude": LON - 0.0000321}


async def doubts(
    geo: httpx.AsyncClient, headers: dict[str, str], **changes: Any
) -> dict[str, dict[str, Any]]:
    """The signals against a check-in, with their numbers."""
    sent = body(**changes)
    answer = (await geo.post(PATH, params={"explain": True}, json=sent, headers=headers)).json()
    told = answer["check_in"]["trust"]
    found = {doubt["signal"]: doubt for doubt in answer["doubts"]}
    assert told["signals"] == list(found)
    assert told["score"] == max(0, 100 - sum(doubt["weight"] for doubt in found.values()))
    return found


def subject_of(app: FastAPI, value: str) -> UUID:
    identity = normalise(Namespace.APP_USER, "demo", value)
    return subject_id(app.state.keys.identity, identity)


async def test_nothing_speaks_against_an_ordinary_check_in(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    assert await doubts(geo, server) == {}


async def test_the_trust_is_kept_with_the_check_in_and_in_its_repeat(
    geo: httpx.AsyncClient, server: dict[str, str], database_urls: DatabaseUrls
) -> None:
    sent = body(signals={"mocked": True, "compromised": True})
    first = await geo.post(PATH, json=sent, headers=server)
    assert first.json()["check_in"]["trust"] == {"score": 0, "signals": ["mocked", "compromised"]}
    repeat = await geo.post(PATH, params={"explain": True}, json=sent, headers=server)
    assert [doubt["signal"] for doubt in repeat.json()["doubts"]] == ["mocked", "compromised"]
    connection = await asyncpg.connect(database_urls.superuser.replace("+asyncpg", ""))
    kept = await connection.fetchrow("SELECT trust, flags, evidence FROM geo.check_ins")
    await connection.close()
    assert kept is not None
    assert tuple(kept) == (0, ["mocked", "compromised"], "gps")


async def test_time_and_accuracy_speak_for_themselves(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    old = await doubts(geo, server, occurred_at=ago(minutes=11), accuracy_m=300)
    assert list(old) == ["stale", "inaccurate"]
    assert old["stale"]["age_s"] == pytest.approx(660, abs=5)
    assert list(await doubts(geo, server, occurred_at=ago(minutes=-2))) == ["future"]


async def test_a_device_that_jumps_is_told_by_its_speed(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    who = person("jumper")
    before, after = ago(minutes=2), ago(minutes=1)
    await doubts(geo, server, subject=who, latitude=north(50_000), occurred_at=before)
    found = await doubts(geo, server, subject=who, occurred_at=after)
    assert list(found) == ["jumped_single_device"]
    assert found["jumped_single_device"]["speed_mps"] == pytest.approx(833, rel=0.01)
    assert found["jumped_single_device"]["distance_m"] == pytest.approx(50_000, rel=0.01)
    assert await doubts(geo, server, subject=who) == {}


async def test_within_a_batch_each_fix_is_compared_with_the_one_before(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    who = person("jumper")
    lines = [
        body(subject=who, occurred_at=ago(minutes=minutes), latitude=north(metres))
        for minutes, metres in ((6, 0), (4, 50_000), (2, 50_050), (1, 0))
    ]
    response = await geo.post(f"{PATH}/batch", json=lines, headers=server)
    flags = [
        httpx.Response(200, text=line).json()["check_in"]["trust"]["signals"]
        for line in response.text.splitlines()
    ]
    jumped = ["jumped_single_device"]
    assert flags == [[], jumped, [], jumped]


async def test_a_scan_without_coordinates_does_not_move_the_last_place(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    who = person("walker")
    await doubts(geo, server, subject=who, latitude=north(20_000), occurred_at=ago(minutes=9))
    scan = body(subject=who, kind="purchase", evidence={"store_id": "s1"})
    for name in ("latitude", "longitude", "accuracy_m"):
        del scan[name]
    scan["occurred_at"] = ago(seconds=30)
    assert (await geo.post(PATH, json=scan, headers=server)).status_code == 201
    assert await doubts(geo, server, subject=who) == {}  # 20 km in 9 minutes: a car


async def test_two_devices_of_one_person_cannot_be_far_apart_at_once(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str]
) -> None:
    phone, tablet = subject_of(geo_app, "phone"), subject_of(geo_app, "tablet")
    await doubts(
        geo, server, subject=person("tablet"), latitude=north(80_000), occurred_at=ago(minutes=1)
    )
    await doubts(
        geo, server, subject=person("phone"), occurred_at=ago(minutes=1), latitude=north(9)
    )
    together = text("UPDATE geo.subjects SET siblings = :both WHERE subject_id = ANY(:both)")
    async with geo_app.state.database.begin() as connection:
        await connection.execute(together, {"both": [phone, tablet]})
    found = await doubts(geo, server, subject=person("phone"))
    assert list(found) == ["jumped_multiple_devices"]
    assert found["jumped_multiple_devices"]["distance_m"] == pytest.approx(80_000, rel=0.01)


async def test_the_same_exact_coordinates_of_another_person_are_shared(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    assert await doubts(geo, server, subject=person("first"), **EXACT) == {}
    assert await doubts(geo, server, subject=person("first"), **EXACT) == {}
    found = await doubts(geo, server, subject=person("second"), **EXACT)
    assert found["sharing"]["others"] == 1
    third = await doubts(geo, server, subject=person("third"), **EXACT)
    assert third["sharing"]["others"] == 2


async def test_in_one_batch_all_copies_are_seen(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    lines = [body(**EXACT) for _ in range(3)]
    response = await geo.post(f"{PATH}/batch", json=lines, headers=server)
    assert response.text.count('"signals":["sharing"]') == 3


async def test_a_rounded_pair_and_a_stores_own_place_are_shared_by_nobody(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str]
) -> None:
    store = {"name": "Second", **EXACT}
    await geo.put("/v1/stores/s2", json=store, headers=server)
    geometry = {
        "type": "Circle",
        "coordinates": [EXACT["longitude"], EXACT["latitude"]],
        "radius_m": 50,
    }
    await geo.put("/v1/geofences/s2", json={"store_id": "s2", "geometry": geometry}, headers=server)
    await known(geo_app, "s2")
    for place in ({}, EXACT):
        for _ in range(2):
            assert await doubts(geo, server, **place) == {}


async def test_an_erasure_takes_its_sightings_along(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str]
) -> None:
    await doubts(geo, server, subject=person("first"), **EXACT)
    async with geo_app.state.database.begin() as connection:
        await erase(connection, subject_of(geo_app, "first"))
    assert await doubts(geo, server, subject=person("second"), **EXACT) == {}


async def test_a_place_that_fits_only_in_another_datum_is_named(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str]
) -> None:
    store = {"name": "上海店", "latitude": 31.2304, "longitude": 121.4737}
    await geo.put("/v1/stores/sh", json=store, headers=server)
    geometry = {"type": "Circle", "coordinates": [121.4737, 31.2304], "radius_m": 100}
    fence = {"store_id": "sh", "datum": "wgs84", "geometry": geometry}
    await geo.put("/v1/geofences/sh", json=fence, headers=server)
    await known(geo_app, "sh")
    shifted = {"latitude": 31.228458, "longitude": 121.478222}
    found = await doubts(geo, server, **shifted)
    assert found["datum_mistake"]["read_as"] == "gcj02"
    assert await doubts(geo, server, **shifted, datum="gcj02") == {}
    assert await doubts(geo, server, **shifted, kind="background") == {}


async def test_what_is_not_recorded_is_not_weighed(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    sent = body(consent=None, signals={"mocked": True})
    answer = (await geo.post(PATH, json=sent, headers=server)).json()
    assert answer["check_in"]["trust"] is None


async def test_copies_are_looked_for_and_noted_in_no_trip_of_their_own(
    geo: httpx.AsyncClient, server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    fetch = asyncpg.Connection.fetch

    async def note(driver: Any, sql: str, *values: Any) -> Any:
        if "fix_sightings" in sql:
            seen.append(sql)
        return await fetch(driver, sql, *values)

    monkeypatch.setattr(asyncpg.Connection, "fetch", note)
    away = [body(latitude=LAT + 1.0000123) for _ in range(20)]
    await geo.post(f"{PATH}/batch", json=away, headers=server)
    assert ["INSERT INTO geo.fix_sightings" in sql for sql in seen] == [False]
    seen.clear()
    many = [body(latitude=north(n / 7), longitude=LON + 0.0000123) for n in range(40)]
    await geo.post(f"{PATH}/batch", json=many, headers=server)
    assert ["INSERT INTO geo.fix_sightings" in sql for sql in seen] == [False, True]
    assert all("geo.check_in_receipts" in sql for sql in seen)


async def test_old_sightings_are_forgotten_by_maintenance(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str]
) -> None:
    await doubts(geo, server, subject=person("first"), **EXACT)
    async with geo_app.state.database.begin() as connection:
        await connection.execute(
            text("UPDATE geo.fix_sightings SET received_at = :old"),
            {"old": datetime.now(UTC) - timedelta(hours=25)},
        )
    state = geo_app.state
    tools = state.committer.tools
    maintenance = Maintenance(state.database, tools, state.clock, state.feed.wake)
    assert await maintenance.run("sightings") == 1
