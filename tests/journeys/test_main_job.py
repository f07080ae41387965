"""The main job through both services: near a store, visit, offer, member, all remembered."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from tests.conftest import Tokens
from tests.geo_api.checkins.helpers import LON, ago, body, north, open_store, person

WHO = {"namespace": "app_user", "issuer": "demo"}
OFFER = {
    "title": "A coffee on us",
    "trigger": {"type": "enter"},
    "stores": {"all": True},
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": "2099-01-01T00:00:00Z",
    "caps": {"total": 100, "per_person": 1},
    "benefit": {"type": "amount", "value_minor": 500, "currency": "CNY"},
    "coupon": {"valid_for_s": 86_400},
}


@pytest.fixture
async def server(
    geo: httpx.AsyncClient, geo_app: FastAPI, member_app: FastAPI, tokens: Tokens
) -> dict[str, str]:
    """Both services run, one store is open, one offer is active."""
    headers = tokens("server")
    await open_store(geo, geo_app, headers)
    offered = await geo.put("/v1/offers/coffee", json=OFFER, headers=headers)
    assert offered.status_code == 201, offered.text
    assert (await geo.post("/v1/offers/coffee/activate", headers=headers)).status_code == 200
    await until(lambda: _true(geo_app.state.offers.current.offers))
    return headers


async def _true(value: object) -> bool:
    return bool(value)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the feed has brought about what is asked for."""
    async with asyncio.timeout(15):
        while not await holds():
            await asyncio.sleep(0.02)


async def profile(member: httpx.AsyncClient, headers: dict[str, str], value: str) -> dict[str, Any]:
    response = await member.get("/v1/people", params={**WHO, "value": value}, headers=headers)
    if response.status_code == 404:
        return {}
    found: dict[str, Any] = response.json()
    return found["items"][0] if "items" in found else found


async def timeline(
    member: httpx.AsyncClient, headers: dict[str, str], person_id: str
) -> list[dict[str, Any]]:
    response = await member.get(
        f"/v1/people/{person_id}/timeline", params={"limit": 500}, headers=headers
    )
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def drained(geo_app: FastAPI, member_app: FastAPI) -> None:
    """Wait until both services have heard everything."""
    from sqlalchemy import text  # noqa: PLC0415 - used here only

    async def empty() -> bool:
        for app, schema in ((geo_app, "geo"), (member_app, "member")):
            async with app.state.database.begin() as connection:
                if await connection.scalar(text(f"SELECT count(*) FROM {schema}.outbox")):
                    return False
        return True

    await until(empty)


async def test_from_the_pavement_to_the_profile(
    geo: httpx.AsyncClient,
    member: httpx.AsyncClient,
    geo_app: FastAPI,
    member_app: FastAPI,
    server: dict[str, str],
    tokens: Tokens,
) -> None:
    arrived = await geo.post("/v1/check-ins", json=body(subject=person("7")), headers=server)
    answer = arrived.json()
    assert arrived.status_code == 201
    [coupon] = answer["coupons"]
    assert (coupon["offer_id"], coupon["title"]) == ("coffee", "A coffee on us")

    await drained(geo_app, member_app)
    before = await profile(member, server, "7")
    assert before["lifecycle"] == "fan"
    assert before["traits"]["visits_by_store"] == {"s1": 1}

    joined = await member.post(
        "/v1/sign-ups",
        json={"invitation": answer["invitation"]["token"], "identities": [], "consents": []},
        headers={"Idempotency-Key": uuid4().hex},
    )
    assert joined.status_code == 201, joined.text

    redeemed = await geo.post(
        "/v1/redemptions",
        json={
            "code": coupon["code"],
            "store_id": "s1",
            "order_amount_minor": 4200,
            "currency": "CNY",
        },
        headers={**tokens("staff", store_id="s1"), "Idempotency-Key": uuid4().hex},
    )
    assert redeemed.status_code == 201, redeemed.text

    await drained(geo_app, member_app)
    after = await profile(member, server, "7")
    assert after["person_id"] == before["person_id"]
    assert after["lifecycle"] == "member"
    assert after["traits"]["redemptions"] == 1
    assert after["traits"]["spend_minor"] == {"CNY": 4200}
    types = [item["type"] for item in await timeline(member, server, after["person_id"])]
    assert sorted(types) == [
        "check_in", "coupon_granted", "coupon_redeemed",
        "invitation_shown", "signed_up", "visit_entered",
    ]  # fmt: skip

    again = await geo.post(
        "/v1/check-ins", json=body(subject=person("7"), latitude=north(600)), headers=server
    )
    back = await geo.post("/v1/check-ins", json=body(subject=person("7")), headers=server)
    assert again.json()["visits"][0]["state"] == "exited"
    assert back.json()["invitation"] is None
    assert back.json()["coupons"] == []


async def test_geo_api_answers_and_loses_nothing_while_member_api_is_down(
    geo: httpx.AsyncClient,
    member: httpx.AsyncClient,
    geo_app: FastAPI,
    member_app: FastAPI,
    server: dict[str, str],
    switchboard: Any,
) -> None:
    cut_off = switchboard.apps.pop("member")
    answered = await geo.post("/v1/check-ins", json=body(subject=person("8")), headers=server)
    assert answered.status_code == 201
    assert len(answered.json()["coupons"]) == 1
    assert await profile(member, server, "8") == {}
    switchboard.apps["member"] = cut_off
    await drained(geo_app, member_app)
    assert (await profile(member, server, "8"))["traits"]["check_ins"] == 1


async def test_a_withdrawal_ends_keeping_and_a_new_grant_resumes_it(
    geo: httpx.AsyncClient,
    member: httpx.AsyncClient,
    geo_app: FastAPI,
    member_app: FastAPI,
    server: dict[str, str],
) -> None:
    async def consent(state: str) -> None:
        response = await member.post(
            "/v1/consents",
            json={
                "subject": person("9"),
                "purpose": "visit_history",
                "state": state,
                "version": "1",
                "given_at": ago(seconds=1),
            },
            headers={**server, "Idempotency-Key": uuid4().hex},
        )
        assert response.status_code == 201, response.text
        await drained(geo_app, member_app)

    async def status() -> str:
        sent = body(subject=person("9"), consent=None)
        response = await geo.post("/v1/check-ins", json=sent, headers=server)
        return str(response.json()["check_in"]["status"])

    assert await status() == "not_recorded"
    await consent("granted")
    assert await status() == "accepted"
    await consent("withdrawn")
    assert await status() == "not_recorded"
    vouched = await geo.post("/v1/check-ins", json=body(subject=person("9")), headers=server)
    assert vouched.json()["check_in"]["status"] == "not_recorded"
    await consent("granted")
    assert await status() == "accepted"


async def test_erasure_leaves_nothing_in_either_service_and_late_facts_stay_out(
    geo: httpx.AsyncClient,
    member: httpx.AsyncClient,
    geo_app: FastAPI,
    member_app: FastAPI,
    server: dict[str, str],
    database_urls: Any,
) -> None:
    from tests.geo_api.checkins.tables import rows  # noqa: PLC0415 - used here only

    sent = body(subject=person("erase-me"))
    await geo.post("/v1/check-ins", json=sent, headers=server)
    await drained(geo_app, member_app)
    found = await profile(member, server, "erase-me")
    subject = found["subjects"][0]
    subject_id = subject["subject_id"] if isinstance(subject, dict) else subject
    assert subject_id in str(await rows(database_urls, whole=True))
    gone = await member.delete(
        f"/v1/people/{found['person_id']}",
        headers={**server, "Idempotency-Key": uuid4().hex},
    )
    assert gone.status_code in (200, 202, 204), gone.text
    await drained(geo_app, member_app)
    assert subject_id not in str(await rows(database_urls, whole=True))
    late = body(subject=person("erase-me"), occurred_at=ago(minutes=30))
    answer = (await geo.post("/v1/check-ins", json=late, headers=server)).json()
    forgotten = {"id": late["id"], "status": "not_recorded", "reason": "erased", "trust": None}
    assert answer["check_in"] == forgotten
    assert subject_id not in str(await rows(database_urls, whole=True))


@pytest.mark.slow
async def test_the_same_fixes_in_any_order_give_the_same_visits_and_timeline(
    geo: httpx.AsyncClient,
    member: httpx.AsyncClient,
    geo_app: FastAPI,
    member_app: FastAPI,
    server: dict[str, str],
) -> None:
    day = [
        (minute, latitude)
        for minute, latitude in zip(
            range(600, 0, -17),
            [north(m) for m in (0, 20, 115, 0, 500, 0, 0, 110, 400) * 4],
            strict=False,
        )
    ]
    start = ago(minutes=600)
    seen = []
    for seed in range(4):
        who = person(f"walker-{seed}")
        order = Random(seed)
        fixes = [
            body(subject=who, latitude=latitude, longitude=LON, occurred_at=_at(start, minute))
            for minute, latitude in day
        ]
        if seed:
            order.shuffle(fixes)
        while fixes:
            part = [fixes.pop() for _ in range(min(len(fixes), order.randint(1, 9)))]
            response = await geo.post("/v1/check-ins/batch", json=part, headers=server)
            assert response.text.count('"http_status":201') == len(part)
        await drained(geo_app, member_app)
        found = await profile(member, server, f"walker-{seed}")
        items = await timeline(member, server, found["person_id"])
        seen.append(
            (
                sorted(
                    (i["type"], i["occurred_at"], i["store_id"])
                    for i in items
                    if i["type"] != "coupon_granted" and i["type"] != "invitation_shown"
                ),
                found["traits"]["visits"],
                found["traits"]["visits_by_store"],
                found["traits"]["first_seen_at"],
            )
        )
    assert seen[1:] == seen[:1] * 3


def _at(start: str, minutes_before: int) -> str:
    from datetime import datetime, timedelta  # noqa: PLC0415 - used here only

    return (datetime.fromisoformat(start) + timedelta(minutes=600 - minutes_before)).isoformat()
