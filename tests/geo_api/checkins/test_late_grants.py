"""Grants and late fixes: once per visit, also where a late fix joins two visits into one."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from tests.geo_api.checkins.helpers import ago, body, person
from tests.geo_api.offers.helpers import store_offer

pytestmark = pytest.mark.slow

PATH = "/v1/check-ins"


@pytest.fixture
async def server(geo_app: FastAPI, server: dict[str, str]) -> dict[str, str]:
    """With an offer besides."""
    await store_offer(geo_app.state.database)
    async with asyncio.timeout(5):
        while not geo_app.state.offers.current.offers:
            await asyncio.sleep(0.01)
    return server


async def test_a_fix_that_joins_two_visits_is_granted_nothing_more(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    """The later visit has won; the late fix, itself in time, makes both one visit."""
    visits, reasons = [], []
    for minutes in (38, 0, 9):
        sent = body(subject=person("a"), occurred_at=ago(minutes=minutes))
        answer = await geo.post(PATH, params={"explain": True}, json=sent, headers=server)
        told = answer.json()
        visits.append({visit["id"]: visit["state"] for visit in told["visits"]})
        [decision] = told["decisions"]
        reasons.append(decision["reason"])
    first, second = visits[0].keys(), visits[1].keys() - visits[0].keys()
    assert visits[2] == {**dict.fromkeys(second, "retracted"), **dict.fromkeys(first, "open")}
    assert reasons == ["too_late", None, "already_granted"]


async def test_a_visit_is_found_under_the_ids_that_it_once_had(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    ids: list[str] = []
    for minutes in (70, 35, 0, 52, 17):
        sent = body(subject=person("a"), occurred_at=ago(minutes=minutes))
        told = (await geo.post(PATH, json=sent, headers=server)).json()
        ids += [visit["id"] for visit in told["visits"] if visit["id"] not in ids]
    assert len(ids) == 3

    found = [await geo.get(f"/v1/visits/{one}", params=person("a"), headers=server) for one in ids]

    assert {answer.json()["id"] for answer in found} == {ids[0]}
    [listed] = (await geo.get("/v1/visits", headers=server)).json()["items"]
    assert [answer.json() for answer in found] == [listed] * 3
    stranger = await geo.get(f"/v1/visits/{ids[1]}", params=person("b"), headers=server)
    assert stranger.status_code == 404
    assert stranger.json()["type"] == "/problems/visit-unknown"


async def test_a_batch_that_joins_two_visits_grants_once(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    for minutes in (38, 2):
        sent = body(subject=person("a"), occurred_at=ago(minutes=minutes))
        await geo.post(PATH, json=sent, headers=server)
    lines = [body(subject=person("a"), occurred_at=ago(minutes=minutes)) for minutes in (9, 1, 0)]
    answer = await geo.post(f"{PATH}/batch", json=lines, headers=server)
    assert answer.text.count('"http_status":201') == 3
    assert answer.text.count('"coupons":[]') == 3
