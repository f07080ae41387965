"""The rule of arrival over HTTP: what one check-in after the other does to visits and news."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from services.geo_api.checkins.service.exact import DayKeys
from services.geo_api.checkins.service.last_fix import last_fixes
from services.geo_api.presence.fences import Fence, Fix
from services.geo_api.presence.rule import DEFAULT_RULE
from services.geo_api.subjects import repository as subjects
from tests.conftest import DatabaseUrls
from tests.geo_api.checkins.helpers import LAT, LON, body, north, open_store, person

pytestmark = pytest.mark.slow

PATH = "/v1/check-ins"
AT_EDGE = {"latitude": north(98), "accuracy_m": 60}
"""On the fence's side of the edge, with too small an overlap."""


@pytest.fixture
async def server(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str]
) -> dict[str, str]:
    """The test store has a dwell of ten minutes."""
    geometry = {"type": "Circle", "coordinates": [LON, LAT], "radius_m": 100}
    fence = {"store_id": "s1", "datum": "wgs84", "geometry": geometry, "dwell_s": [600]}
    assert (await geo.put("/v1/geofences/s1", json=fence, headers=server)).status_code == 200
    await until(lambda: [fence.dwell_s for fence in fences(geo_app)] == [(600,)])
    return server


def fences(app: FastAPI) -> list[Fence]:
    """Those of the test store that the process holds in memory."""
    found: list[Fence] = app.state.fences.current.index.of_store("s1")
    return found


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.01)


class Walk:
    """One person's check-ins, told by the seconds before now."""

    def __init__(self, geo: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.geo, self.headers = geo, headers
        self.now = datetime.now(UTC)
        self.who = person(str(id(self)))

    async def at(self, seconds_ago: float, **changes: Any) -> dict[str, Any]:
        moment = self.now - timedelta(seconds=seconds_ago)
        sent = body(kind="background", subject=self.who, occurred_at=moment.isoformat(), **changes)
        response = await self.geo.post(PATH, json=sent, headers=self.headers)
        assert response.status_code == 201, response.text
        answer: dict[str, Any] = response.json()
        return answer


@pytest.fixture
def walk(geo: httpx.AsyncClient, server: dict[str, str]) -> Walk:
    return Walk(geo, server)


async def rows(urls: DatabaseUrls, query: str) -> list[Any]:
    connection = await asyncpg.connect(urls.superuser.replace("+asyncpg", ""))
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def news(urls: DatabaseUrls, kind: str) -> list[dict[str, Any]]:
    """What was told of one type, in the order of its revisions."""
    payloads = [
        orjson.loads(row["payload"]) for row in await rows(urls, "SELECT * FROM geo.outbox")
    ]
    return sorted((p for p in payloads if p["type"] == kind), key=lambda fact: fact["revision"])


async def coffee(geo: httpx.AsyncClient, app: FastAPI, headers: dict[str, str]) -> None:
    """An offer for whoever checks in, once each."""
    offer = {
        "title": "Coffee", "trigger": {"type": "check_in"}, "stores": {"all": True},
        "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2099-01-01T00:00:00Z",
        "caps": {"total": 9, "per_person": 1}, "coupon": {"valid_for_s": 86_400},
        "benefit": {"type": "amount", "value_minor": 500, "currency": "CNY"},
    }  # fmt: skip
    await geo.put("/v1/offers/coffee", json=offer, headers=headers)
    await geo.post("/v1/offers/coffee/activate", headers=headers)
    await until(lambda: app.state.offers.current.offers)


async def test_a_point_chosen_on_a_map_bears_out_no_fix_and_none_bears_it_out(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str], walk: Walk
) -> None:
    await coffee(geo, geo_app, server)
    chosen = {"location_grade": "chosen"}
    assert (await walk.at(90, **chosen))["visits"][0]["state"] == "open"
    assert (await walk.at(60, **AT_EDGE))["coupons"] == []
    assert (await walk.at(30, **chosen))["coupons"] == []
    assert [c["offer_id"] for c in (await walk.at(1, **AT_EDGE))["coupons"]] == ["coffee"]


async def test_a_fix_far_vaguer_than_the_store_enters_and_deserves_no_offer_alone(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str], walk: Walk
) -> None:
    await coffee(geo, geo_app, server)
    await open_store(geo, geo_app, server, "kiosk", radius_m=25)
    answer = await walk.at(60, accuracy_m=190)
    confidence = {match["store_id"]: match["confidence"] for match in answer["matches"]}
    assert confidence == {"kiosk": 1, "s1": 2}
    assert {visit["store_id"] for visit in answer["visits"]} == {"kiosk", "s1"}
    assert [coupon["store_id"] for coupon in answer["coupons"]] == ["s1"]


async def test_what_an_earlier_fix_bears_out_is_answered_with_the_confidence_of_both(
    walk: Walk,
) -> None:
    [alone] = (await walk.at(60, **AT_EDGE))["matches"]
    assert (alone["transition"], alone["confidence"]) == (None, 1)
    [borne_out] = (await walk.at(30, **AT_EDGE))["matches"]
    assert (borne_out["transition"], borne_out["confidence"]) == ("enter", 2)


async def test_one_vague_fix_outside_leaves_no_store_and_two_do(walk: Walk) -> None:
    await walk.at(300)
    vague = {"latitude": north(400), "accuracy_m": 80}
    assert (await walk.at(200, **vague))["visits"] == []
    [visit] = (await walk.at(100, **vague))["visits"]
    assert (visit["state"], visit["closed_by"]) == ("exited", "left")


async def test_a_schedule_that_is_over_ends_a_visit_under_its_own_reason(
    geo: httpx.AsyncClient,
    geo_app: FastAPI,
    server: dict[str, str],
    walk: Walk,
    database_urls: DatabaseUrls,
) -> None:
    """In whichever order the fixes come."""
    geometry = {"type": "Circle", "coordinates": [LON, LAT], "radius_m": 100}
    over = (walk.now - timedelta(seconds=200)).isoformat()
    fence = {"store_id": "s1", "datum": "wgs84", "geometry": geometry}
    fence |= {"schedule": {"valid_until": over}}
    assert (await geo.put("/v1/geofences/s1", json=fence, headers=server)).status_code == 200
    await until(lambda: fences(geo_app)[0].schedule is not None)
    await walk.at(300)
    await walk.at(100)
    other = Walk(geo, server)
    await other.at(100)
    await other.at(300)
    found = await rows(database_urls, "SELECT state, closed_by FROM geo.visits")
    assert [tuple(row) for row in found] == [("expired", "fence_expired")] * 2


async def test_two_fixes_at_the_edge_enter_and_deserve_an_offer(
    geo: httpx.AsyncClient, geo_app: FastAPI, server: dict[str, str], walk: Walk
) -> None:
    await coffee(geo, geo_app, server)
    first = await walk.at(61, **AT_EDGE)
    [match] = first["matches"]
    assert (match["inside"], match["transition"], match["confidence"]) == (True, None, 1)
    assert first["visits"] == first["coupons"] == []
    second = await walk.at(1, **AT_EDGE)
    [visit] = second["visits"]
    assert datetime.fromisoformat(visit["entered_at"]) == walk.now - timedelta(seconds=61)
    assert [coupon["offer_id"] for coupon in second["coupons"]] == ["coffee"]


async def test_one_who_presses_the_button_at_the_edge_enters_at_once(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    response = await geo.post(PATH, json=body(**AT_EDGE), headers=server)
    assert [visit["state"] for visit in response.json()["visits"]] == ["open"]


async def test_what_was_tentative_is_remembered_and_then_forgotten(
    walk: Walk, database_urls: DatabaseUrls
) -> None:
    query = "SELECT maybe FROM geo.subjects"
    await walk.at(300, **AT_EDGE)
    [(maybe,)] = await rows(database_urls, query)
    moment = orjson.loads(maybe)["s1"]
    assert [datetime.fromisoformat(at) for at in moment] == [walk.now - timedelta(seconds=300)]
    await walk.at(200, latitude=north(500))
    assert [tuple(row) for row in await rows(database_urls, query)] == [(None,)]
    assert (await walk.at(190, **AT_EDGE))["visits"] == []


async def test_driving_through_is_a_crossing_and_no_visit(
    walk: Walk, database_urls: DatabaseUrls
) -> None:
    assert (await walk.at(60, latitude=north(-400)))["matches"] == []
    through = await walk.at(20, latitude=north(400))
    [match] = through["matches"]
    assert (match["store_id"], match["transition"], match["inside"]) == ("s1", "cross", False)
    assert match["distance_m"] == pytest.approx(300, abs=2)
    assert through["visits"] == []
    assert await rows(database_urls, "SELECT * FROM geo.visits") == []
    told = await news(database_urls, "check_in")
    assert [fact["data"]["store_ids"] for fact in told] == [[], []]


async def test_a_crossing_within_one_batch_is_seen_and_a_slow_one_is_not(
    geo: httpx.AsyncClient, walk: Walk
) -> None:
    lines = [
        body(
            kind="background",
            subject=walk.who,
            latitude=north(metres),
            occurred_at=(walk.now - timedelta(seconds=seconds)).isoformat(),
        )
        for seconds, metres in ((900, -400), (860, 400), (500, -400))
    ]
    answer = await geo.post(f"{PATH}/batch", json=lines, headers=walk.headers)
    matches = [orjson.loads(line)["matches"] for line in answer.content.splitlines()]
    assert [[m["transition"] for m in of_line] for of_line in matches] == [[], ["cross"], []]


async def test_nothing_is_crossed_where_a_check_in_without_a_place_lies_between(
    walk: Walk,
) -> None:
    await walk.at(60, latitude=north(-400))
    await walk.at(40, latitude=north(-300), location_grade="fuzzy")
    assert (await walk.at(20, latitude=north(400)))["matches"] == []


async def test_a_late_fix_crosses_nothing_where_another_lies_between(
    geo: httpx.AsyncClient, walk: Walk
) -> None:
    await walk.at(60, latitude=north(2_000))
    await walk.at(30, latitude=north(4_000))
    lines = [
        body(
            kind="background",
            subject=walk.who,
            latitude=north(metres),
            occurred_at=(walk.now - timedelta(seconds=seconds)).isoformat(),
        )
        for seconds, metres in ((80, -400), (45, 400))
    ]
    answer = await geo.post(f"{PATH}/batch", json=lines, headers=walk.headers)
    matches = [orjson.loads(line)["matches"] for line in answer.content.splitlines()]
    assert matches == [[], []]


async def test_a_long_stay_is_told_once_and_taken_back_when_it_turns_out_shorter(
    walk: Walk, database_urls: DatabaseUrls
) -> None:
    for seconds in (1_500, 1_000, 900, 800):
        await walk.at(seconds)
    [told] = await news(database_urls, "visit_dwelled")
    assert datetime.fromisoformat(told["time"]) == walk.now - timedelta(seconds=900)
    assert (told["store_id"], told["data"]["dwell_s"], told["retracted"]) == ("s1", 600, False)
    await walk.at(950, latitude=north(500))
    told, retracted = await news(database_urls, "visit_dwelled")
    assert (told["id"], retracted["retracted"]) == (retracted["id"], True)
    assert [
        row["dwelled"] for row in await rows(database_urls, "SELECT dwelled FROM geo.visits")
    ] == [
        [],
        [],
    ]


async def test_a_visit_that_its_store_ended_is_amended_by_earlier_fixes_only(
    geo: httpx.AsyncClient, geo_app: FastAPI, walk: Walk, database_urls: DatabaseUrls
) -> None:
    await walk.at(300)
    await walk.at(240)
    assert (await geo.delete("/v1/stores/s1", headers=walk.headers)).is_success
    await until(lambda: not fences(geo_app))
    query = "SELECT state, closed_by, left_at, revision FROM geo.visits"
    [before] = await rows(database_urls, query)
    assert before["closed_by"] == "store_closed"
    for seconds, accuracy_m in ((270, 10), (120, 10), (60, 5_000), (250, 5_000)):
        assert (await walk.at(seconds, accuracy_m=accuracy_m))["visits"] == []
    assert await rows(database_urls, query) == [before]


async def test_a_fix_that_comes_a_week_after_its_neighbours_is_kept_and_changes_no_visit(
    walk: Walk, database_urls: DatabaseUrls
) -> None:
    await walk.at(1_200)
    await walk.at(600)
    older = "UPDATE geo.check_ins SET received_at = received_at - interval '8 days'"
    await rows(database_urls, older)
    query = "SELECT state, entered_at, last_inside_at FROM geo.visits"
    before = await rows(database_urls, query)
    assert (await walk.at(900, latitude=north(500)))["visits"] == []
    assert await rows(database_urls, query) == before
    counted = await rows(
        database_urls, "SELECT counts, rule FROM geo.check_ins ORDER BY occurred_at"
    )
    assert [(row["counts"], row["rule"]) for row in counted] == [
        (counts, DEFAULT_RULE.name) for counts in (True, False, True)
    ]
    assert len(await news(database_urls, "check_in")) == 3


async def test_the_last_fix_is_sealed_and_gone_with_the_key_of_its_day(
    geo_app: FastAPI, walk: Walk, database_urls: DatabaseUrls
) -> None:
    await walk.at(60, latitude=north(5), accuracy_m=12)
    await walk.at(90, latitude=north(300))
    [row] = await rows(database_urls, "SELECT * FROM geo.subjects")
    assert str(LON)[:7].encode() not in row["last_exact"]
    database, storage = geo_app.state.database, geo_app.state.keys.storage
    async with database.begin() as connection:
        [state] = await subjects.read(connection, [UUID(str(row["subject_id"]))])
    [known] = (await last_fixes([state], DayKeys(database, storage))).values()
    assert known.spot == Fix(LON, north(5), 12)
    assert known.at == walk.now - timedelta(seconds=60)
    async with database.begin() as connection:
        await connection.execute(text("UPDATE geo.day_keys SET wrapped_key = NULL"))
    assert await last_fixes([state], DayKeys(database, storage)) == {}


async def test_the_explanation_tells_every_fence_considered_and_why(walk: Walk) -> None:
    sent = body(kind="background", subject=walk.who, **AT_EDGE)
    response = await walk.geo.post(PATH, params={"explain": True}, json=sent, headers=walk.headers)
    explained = response.json()
    assert (explained["rule"], explained["clear_beyond_m"]) == (DEFAULT_RULE.name, 80)
    [considered] = explained["considered"]
    [match] = explained["matches"]
    same = ("store_id", "geofence_id", "geofence_version", "distance_m", "overlap", "confidence")
    assert [considered[name] for name in same] == [match[name] for name in same]
    assert (considered["standing"], considered["reason"]) == ("tentative", "overlap_too_small")
    assert considered["overlap"] < considered["least_overlap"] == 0.75
    assert (await walk.at(-1, latitude=north(170), accuracy_m=60))["matches"] == []
