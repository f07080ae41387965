"""From a poster to a member by way of WeChat, against its stand-in: told right at each step."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from tests.conftest import Tokens
from tests.geo_api.checkins.helpers import LAT, LON, open_store
from tests.geo_api.wechat.stand_in import MINI, SERVICE, Rehearsal
from tests.journeys.test_main_job import OFFER, drained, timeline, until
from wechat_sandbox.example import COUPON_TEMPLATE, SCENE

POSTER = {"store_id": "s1", "campaign": "autumn", "kol": "lin"}
OUTREACH = {
    "enabled": True,
    "per_person_per_day": 1,
    "coupon": {
        "template_id": COUPON_TEMPLATE,
        "page": "pages/coupon/index",
        "data": {"thing1": "{title}", "thing2": "{store}", "time3": "{valid_until}"},
        "text": None,
    },
}


@dataclass(frozen=True)
class Journey:
    """One person, mei, between WeChat, geo_api and member_api (``apps``)."""

    rehearsal: Rehearsal
    member: httpx.AsyncClient
    apps: tuple[FastAPI, FastAPI]

    @property
    def server(self) -> dict[str, str]:
        return self.rehearsal.server

    async def act(self, act: str, account: str = MINI, **fields: Any) -> Any:
        """Let mei do something, until all that comes of it is told."""
        done = await self.rehearsal.act("mei", act, account, **fields)
        assert await self.rehearsal.world.pusher.settle(10)
        return done

    async def profile(self, account: str) -> dict[str, Any]:
        """Of whoever mei is at the account, once nothing waits any more."""
        await drained(*self.apps)
        known = self.rehearsal.world.accounts[account]
        who = {
            "namespace": "wechat_openid",
            "issuer": known.app_id,
            "value": self.rehearsal.world.fan("mei", known).openid,
        }
        answer = await self.member.get("/v1/people", params=who, headers=self.server)
        return answer.json() if answer.status_code == 200 else {}

    async def until(self, account: str, holds: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The profile, once what is said of it holds."""
        found: dict[str, Any] = {}

        async def _holds() -> bool:
            found.clear()
            found.update(await self.profile(account))
            return bool(found) and bool(holds(found))

        try:
            await until(_holds)
        except TimeoutError:
            raise AssertionError(json.dumps(found, indent=1)) from None
        return found

    async def types(self, profile: dict[str, Any]) -> list[str]:
        items = await timeline(self.member, self.server, profile["person_id"])
        return [item["type"] for item in reversed(items)]


@pytest.fixture
async def journey(
    rehearsal: Rehearsal, member: httpx.AsyncClient, geo_app: FastAPI, member_app: FastAPI
) -> Journey:
    """A store with a poster and an offer; a service account and a mini-program that tells coupons."""
    geo, server, world = rehearsal.geo, rehearsal.server, rehearsal.world
    await open_store(geo, geo_app, server)
    for account_id in (SERVICE, MINI):
        callback = f"http://geo/v1/wechat/{account_id}/callback"
        world.put_account(account_id, callback_url=callback)
        await rehearsal.connect(account_id, outreach=OUTREACH)
    world.send_takes_s = 0.0
    put = await geo.put(f"/v1/wechat/{SERVICE}/scenes/{SCENE}", json=POSTER, headers=server)
    assert put.status_code == 201, put.text
    assert (await geo.put("/v1/offers/coffee", json=OFFER, headers=server)).status_code == 201
    assert (await geo.post("/v1/offers/coffee/activate", headers=server)).status_code == 200
    await until(_loaded(geo_app))
    return Journey(rehearsal, member, (geo_app, member_app))


def _loaded(geo_app: FastAPI) -> Callable[[], Awaitable[bool]]:
    async def loaded() -> bool:
        return bool(geo_app.state.offers.current.offers)

    return loaded


async def test_from_the_poster_to_the_member(
    journey: Journey, geo: httpx.AsyncClient, member: httpx.AsyncClient, tokens: Tokens
) -> None:
    # mei scans the poster of the store and so follows the account: a fan, owed to poster and KOL.
    await journey.act("scan", SERVICE, scene=SCENE)
    fan = await journey.until(SERVICE, lambda p: p["traits"]["follows"])
    assert (fan["lifecycle"], fan["traits"]["visits"]) == ("fan", 0)
    arrival = fan["traits"]["acquisition"]
    assert {key: arrival[key] for key in ("channel", "account_id", *POSTER)} == {
        "channel": "wechat", "account_id": SERVICE, **POSTER
    }  # fmt: skip

    # She opens the mini-program: another openid, and the same person by her unionid.
    phone = await journey.rehearsal.member("mei")
    same = await journey.until(MINI, lambda p: len(p["subjects"]) == 3)
    assert same["traits"]["acquisition"] == arrival
    assert (await journey.profile(SERVICE))["person_id"] == same["person_id"]

    # She allows one message, and the history of her visits; then shares where she is.
    await journey.act("answer_subscriptions", answers={COUPON_TEMPLATE: "accept"})
    allowed = await member.post(
        "/v1/consents",
        json={"purpose": "visit_history", "version": "2026-11", "channel": "mini-program"},
        headers={**phone, "Idempotency-Key": uuid4().hex},
    )
    assert allowed.status_code == 201, allowed.text
    check_in = {
        "id": str(uuid4()), "kind": "manual", "latitude": LAT, "longitude": LON,
        "datum": "wgs84", "accuracy_m": 15, "occurred_at": datetime.now(UTC).isoformat(),
        "consent_receipt": allowed.json()["receipt"],
    }  # fmt: skip
    arrived = await geo.post("/v1/check-ins", json=check_in, headers=phone)
    assert arrived.status_code == 201, arrived.text
    [coupon] = arrived.json()["coupons"]
    own = await geo.get("/v1/coupons", headers=phone)
    assert [one["code"] for one in own.json()["items"]] == [coupon["code"]]
    visitor = await journey.until(MINI, lambda p: p["traits"]["coupons_granted"] == 1)
    assert visitor["traits"]["visits_by_store"] == {"s1": 1}

    # The coupon reaches her by the one message that she allowed.
    reached = await journey.until(MINI, lambda p: p["traits"]["messages"].get("delivered") == 1)
    world = journey.rehearsal.world
    [received] = world.fan("mei", world.accounts[MINI]).inbox
    assert received["data"]["thing1"] == "A coffee on us"
    assert reached["lifecycle"] == "fan"

    # At the till it is redeemed: a customer.
    redeemed = await geo.post(
        "/v1/redemptions",
        json={
            "code": coupon["code"], "store_id": "s1",
            "order_amount_minor": 4200, "currency": "CNY",
        },
        headers={**tokens("staff", store_id="s1"), "Idempotency-Key": uuid4().hex},
    )  # fmt: skip
    assert redeemed.status_code == 201, redeemed.text
    customer = await journey.until(MINI, lambda p: p["lifecycle"] == "customer")
    assert customer["traits"]["spend_minor"] == {"CNY": 4200}

    # She gives her number by WeChat's button, and joins by the invitation of her check-in.
    code = (await journey.act("share_phone"))["code"]
    given = await geo.post(f"/v1/wechat/{MINI}/phone", json={"code": code}, headers=phone)
    assert given.status_code == 200, given.text
    assert "3800000" not in given.text
    joined = await member.post(
        "/v1/sign-ups",
        json={"invitation": arrived.json()["invitation"]["token"], "identities": []},
        headers={"Idempotency-Key": uuid4().hex},
    )
    assert joined.status_code == 201, joined.text
    found = await journey.until(
        MINI, lambda p: p["lifecycle"] == "member" and len(p["subjects"]) == 4
    )
    assert {one["namespace"] for one in found["identities"]} == {
        "wechat_openid", "wechat_unionid", "phone"
    }  # fmt: skip
    assert found["traits"]["acquisition"] == arrival
    assert (await journey.profile(SERVICE))["person_id"] == found["person_id"]
    assert sorted(await journey.types(found)) == [
        "check_in", "consent_changed", "coupon_granted", "coupon_redeemed", "invitation_shown",
        "signed_up", "social_followed", "social_message_sent", "social_subscription_changed",
        "visit_entered",
    ]  # fmt: skip


@pytest.mark.slow
async def test_taking_the_location_permission_back_forgets_where_she_was(
    journey: Journey, geo: httpx.AsyncClient
) -> None:
    await journey.act("scan", SERVICE, scene=SCENE)
    await journey.act("report_location", SERVICE, latitude=LAT, longitude=LON)
    stayed = await journey.until(SERVICE, lambda p: p["traits"]["visits_by_store"] == {"s1": 1})
    assert stayed["traits"]["check_ins"] == 1

    phone = await journey.rehearsal.member("mei")
    await journey.until(MINI, lambda p: len(p["subjects"]) == 3)
    await asyncio.sleep(1.1)  # WeChat's times are whole seconds
    await journey.act("revoke", MINI, info="13")
    gone = await journey.until(MINI, lambda p: p["traits"]["check_ins"] == 0)
    assert gone["traits"]["visits_by_store"] == {}
    assert gone["traits"]["follows"][0]["follows"] is True
    assert not {"check_in", "visit_entered"} & {*await journey.types(gone)}

    again = {
        "id": str(uuid4()), "kind": "manual", "latitude": LAT, "longitude": LON,
        "accuracy_m": 15, "occurred_at": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    refused = await geo.post("/v1/check-ins", json=again, headers=phone)
    assert refused.json()["check_in"]["status"] == "not_recorded"


@pytest.mark.slow
async def test_closing_her_wechat_account_erases_her(journey: Journey) -> None:
    await journey.act("scan", SERVICE, scene=SCENE)
    await journey.rehearsal.member("mei")
    await journey.until(MINI, lambda p: len(p["subjects"]) == 3)
    await asyncio.sleep(1.1)
    await journey.act("cancel", MINI)

    async def nobody() -> bool:
        return await journey.profile(MINI) == {} and await journey.profile(SERVICE) == {}

    await until(nobody)
