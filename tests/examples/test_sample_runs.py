"""The sample's own code, run by Node against both services and the stand-in."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI

from shared.auth import Role
from tests.conftest import Tokens
from tests.examples.sample import PHONE, SAMPLE, Phone
from tests.geo_api.checkins.helpers import LAT, LON, open_store
from tests.geo_api.wechat.stand_in import MINI, Rehearsal
from tests.journeys.test_main_job import OFFER, drained

NODE = shutil.which("node")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(NODE is None, reason="Node is not installed")]

SCENE = "s=s1&c=autumn"
HERE = {"latitude": LAT, "longitude": LON, "horizontalAccuracy": 10, "speed": 0}


@pytest.fixture
async def phone(
    rehearsal: Rehearsal, member: httpx.AsyncClient, tokens: Tokens
) -> AsyncIterator[Phone]:
    """The phone of Mei, who has opened nothing yet; a store with an offer and a poster is there."""
    geo, server = rehearsal.geo, rehearsal.server
    await open_store(geo, rehearsal.app, server)
    await geo.put("/v1/offers/coffee", json=OFFER, headers=server)
    assert (await geo.post("/v1/offers/coffee/activate", headers=server)).status_code == 200
    poster = {"store_id": "s1", "campaign": "autumn", "kol": "lin"}
    address = f"/v1/wechat/{MINI}/scenes/{quote(SCENE, safe='')}"
    assert (await geo.put(address, json=poster, headers=server)).status_code == 201
    async with asyncio.timeout(10):
        while not rehearsal.app.state.offers.current.offers:
            await asyncio.sleep(0.02)

    async def login_code() -> str:
        return str((await rehearsal.act("mei", "open"))["code"])

    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        NODE or "node", str(PHONE), str(SAMPLE), stdin=pipe, stdout=pipe, limit=2**24
    )
    one = Phone(process, {"geo": geo, "member": member}, login_code, dict(HERE))
    values = {
        "geoUrl": "http://geo",
        "memberUrl": "http://member",
        "accountId": MINI,
        "templates": ["tpl"],
    }
    await one("config", values=values)
    yield one
    process.kill()
    await process.wait()
    process._transport.close()  # type: ignore[attr-defined]  # else it warns when it is collected


async def allow(phone: Phone, *granted: bool) -> None:
    """Answer the questions of the consent page."""
    await phone("open", page="consent")
    for at, value in enumerate(granted):
        event = {"currentTarget": {"dataset": {"at": at}}, "detail": {"value": value}}
        await phone("tap", handler="toggle", event=event)
    await phone("tap", handler="save")


async def profile_of(member: httpx.AsyncClient, rehearsal: Rehearsal, number: str) -> Any:
    who = {"namespace": "phone", "value": number}
    found = await member.get("/v1/people", params=who, headers=rehearsal.server)
    assert found.status_code == 200, found.text
    return found.json()


async def test_from_the_poster_to_the_member(
    phone: Phone,
    rehearsal: Rehearsal,
    member: httpx.AsyncClient,
    member_app: FastAPI,
    tokens: Tokens,
) -> None:
    await phone("launch", query={"scene": quote(SCENE, safe="")})
    await phone("open", page="home")
    assert (phone.went, phone.sent) == (["/pages/consent/index"], [])
    for handler in ("onShow", "checkIn", "scanCode"):
        await phone("tap", handler=handler)
    await phone("open", page="coupon")
    assert (phone.sent, phone.asked) == ([], [])
    assert phone.went == ["/pages/consent/index"] * 3

    await allow(phone, True, True)
    home = await phone("open", page="home")
    assert home["store"] == {"store_id": "s1", "name": "Store", "address": None}

    home = await phone("tap", handler="checkIn")
    assert (home["notice"], home["busy"]) == ("You are checked in", False)
    assert [coupon["title"] for coupon in home["coupons"]] == ["A coffee on us"]
    await phone("tap", handler="remindMe")
    assert [asked.get("type") or asked.get("tmplIds") for asked in phone.asked] == [
        "wgs84",
        ["tpl"],
    ]

    await phone("open", page="coupon")
    event = {"currentTarget": {"dataset": {"at": 0}}}
    shown = await phone("tap", handler="show", event=event)
    assert shown["picture"].startswith("data:image/png;base64,iVBOR")
    code = shown["open"]["code"]
    await phone("tap", handler="close")
    assert phone.brightness == [1, 0.4]
    till = {"code": code, "store_id": "s1", "order_amount_minor": 4200,
            "currency": "CNY"}  # fmt: skip
    key = {"Idempotency-Key": "receipt-1"}
    redeemed = await rehearsal.geo.post(
        "/v1/redemptions", json=till, headers=tokens("staff", store_id="s1") | key
    )
    assert redeemed.status_code == 201, redeemed.text

    await phone("open", page="join")
    code = (await rehearsal.act("mei", "share_phone"))["code"]
    joined = await phone("tap", handler="withPhone", event={"detail": {"code": code}})
    assert (joined["joined"], joined["phone"]) == ("Welcome", "+86138****0001")

    await drained(rehearsal.app, member_app)
    person = await profile_of(member, rehearsal, "+8613800000001")
    assert person["lifecycle"] == "member"
    assert {identity["namespace"] for identity in person["identities"]} == {
        "wechat_openid",
        "wechat_unionid",
        "phone",
    }
    assert person["traits"]["redemptions"] == 1
    items = await member.get(f"/v1/people/{person['person_id']}/timeline", headers=rehearsal.server)
    signed_up = next(item for item in items.json()["items"] if item["type"] == "signed_up")
    assert (signed_up["data"]["campaign"], signed_up["data"]["kol"]) == ("autumn", "lin")
    types = {item["type"] for item in items.json()["items"]}
    assert {"social_scanned", "check_in", "visit_entered", "coupon_redeemed"} <= types


async def test_whoever_allows_nothing_is_asked_for_no_more_and_kept_nowhere(
    phone: Phone, rehearsal: Rehearsal
) -> None:
    await phone("launch", query={})
    await allow(phone, False, False)
    await phone("open", page="home")
    home = await phone("tap", handler="checkIn")
    assert home["notice"].startswith("You did not allow visits to be kept")
    async with rehearsal.tools.database.begin() as connection:
        kept = await connection.exec_driver_sql("SELECT count(*) FROM geo.check_ins")
        assert kept.scalar() == 0


async def test_a_check_in_without_a_network_is_sent_later_and_counts_once(
    phone: Phone, rehearsal: Rehearsal
) -> None:
    await phone("launch", query={})
    await allow(phone, True, True)
    await phone("open", page="home")
    phone.online = False
    home = await phone("tap", handler="checkIn")
    assert home["notice"].startswith("There is no network")
    assert await phone("waiting") == 1
    phone.online, phone.lose_answers = True, 1
    await phone("flush")
    assert await phone("waiting") == 1
    await phone("flush")
    assert await phone("waiting") == 0
    sent = [status for _, path, status in phone.sent if path == "/v1/check-ins"]
    ids = {body["id"] for body in phone.bodies if "location_grade" in body}
    assert (sent, len(ids)) == ([201, 200], 1)


async def test_without_a_position_the_stores_code_will_do(
    phone: Phone, rehearsal: Rehearsal, tokens: Tokens
) -> None:
    await phone("launch", query={})
    await allow(phone, True, True)
    await phone("open", page="home")
    phone.position = {}
    refused = await phone("tap", handler="checkIn")
    assert refused["needsSettings"]
    code = await rehearsal.geo.get(
        "/v1/stores/s1/check-in-code", headers=tokens("staff", store_id="s1")
    )
    phone.scanned = code.json()["code"]
    await phone("tap", handler="scanCode")
    async with asyncio.timeout(10):
        while not (home := await phone("data"))["notice"]:
            await asyncio.sleep(0.02)
    assert home["notice"] == "You are checked in"


async def test_a_coarse_position_is_said_to_be_one(phone: Phone) -> None:
    await phone("launch", query={})
    await allow(phone, True, True)
    await phone("config", values={"location": "fuzzy"})
    await phone("open", page="home")
    await phone("tap", handler="checkIn")
    assert phone.asked[-1]["how"] == "fuzzy"
    sent = phone.bodies[-1]
    assert (sent["location_grade"], sent["datum"]) == ("fuzzy", "wgs84")


async def test_a_withdrawal_is_written_down_and_an_expired_token_renewed(
    phone: Phone, rehearsal: Rehearsal
) -> None:
    await phone("launch", query={})
    await allow(phone, True, True)
    await allow(phone, False, True)
    states = [body["state"] for body in phone.bodies if "purpose" in body]
    assert states == ["granted", "granted", "withdrawn"]
    verifier = rehearsal.app.state.verifier
    refusals = iter([True, False])
    genuine = type(verifier).verify

    def verify(token: str) -> Any:
        principal = genuine(verifier, token)
        if principal.role is Role.MEMBER and next(refusals, False):  # not the feed's own
            return genuine(verifier, "no.such.token")
        return principal

    rehearsal.app.state.verifier = type("Once", (), {"verify": staticmethod(verify)})()
    coupons = await phone("open", page="coupon")
    assert coupons["loaded"]
    assert [status for _, path, status in phone.sent if path == "/v1/coupons"] == [401, 200]
