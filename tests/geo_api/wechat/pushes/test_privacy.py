import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.conftest import Tokens
from tests.geo_api.checkins.audience import MemberVoice, facts
from tests.geo_api.checkins.helpers import LAT as CENTRE
from tests.geo_api.checkins.helpers import LON, body, open_store
from tests.geo_api.wechat.pushes.phone import Phone, WeChat

pytestmark = pytest.mark.slow

LAT = CENTRE + 0.0001234
WHEREABOUTS = ("check_ins", "check_in_receipts", "visits", "fix_sightings")


@pytest.fixture
async def shop(wechat: WeChat, geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens) -> WeChat:
    await open_store(geo, geo_app, tokens("server"))
    return await wechat.connect(consent_version="2026-11")


async def left(wechat: WeChat) -> dict[str, int]:
    return {table: await wechat.ask(f"SELECT count(*) FROM geo.{table}") for table in WHEREABOUTS}


@pytest.mark.parametrize("number", ["13", "18", "206", "301"])
async def test_a_revoked_permission_forgets_where_somebody_was(shop: WeChat, number: str) -> None:
    phone, other = Phone(), Phone("oSomebodyElse")
    await shop.push(
        phone.reports(LAT, LON, ago_s=60),
        phone.reports(LAT, LON, ago_s=40),
        other.reports(LAT, LON),
    )
    assert min((await left(shop)).values()) >= 1
    await shop.push(phone.revokes("8", number, ago_s=20))

    assert await left(shop) == {
        "check_ins": 1,
        "check_in_receipts": 1,
        "visits": 1,
        "fix_sightings": 1,
    }
    subject = shop.subject(phone.openid)
    last = "last_exact IS NULL AND last_occurred_at IS NULL AND whereabouts_revoked_at IS NOT NULL"
    assert await shop.ask(f"SELECT {last} FROM geo.subjects WHERE subject_id = $1", subject)
    untold = {fact["subject"] for fact in await shop.facts("check_in")}
    assert untold == {str(shop.subject(other.openid))}
    rows = await shop.rows("SELECT lane FROM geo.outbox WHERE type = 'whereabouts_revoked'")
    assert rows == [(0,)]


async def test_what_happened_before_a_revocation_is_not_recorded_after_it(shop: WeChat) -> None:
    phone = Phone()
    await shop.push(phone.revokes("13", ago_s=20))
    await shop.push(phone.reports(LAT, LON, ago_s=30), phone.reports(LAT, LON, ago_s=5))
    # Before it, and after it: sharing implies nothing any more until somebody says so anew.
    assert await left(shop) == dict.fromkeys(WHEREABOUTS, 0)


async def test_an_app_is_told_that_the_consent_was_withdrawn(
    shop: WeChat, geo: httpx.AsyncClient, tokens: Tokens
) -> None:
    phone = Phone()
    await shop.push(phone.revokes("13", ago_s=20))
    who = {"namespace": "wechat_openid", "issuer": "wx0011223344556677", "value": phone.openid}

    async def check_in(ago_s: float, given_ago_s: float) -> tuple[str, str | None]:
        said = body(
            subject=who,
            occurred_at=(phone.now - timedelta(seconds=ago_s)).isoformat(),
            consent={
                "purpose": "visit_history",
                "version": "2026-11",
                "given_at": (phone.now - timedelta(seconds=given_ago_s)).isoformat(),
            },
        )
        answer = await geo.post("/v1/check-ins", json=said, headers=tokens("server"))
        told = answer.json()["check_in"]
        return told["status"], told["reason"]

    assert await check_in(30, 100) == ("not_recorded", "consent_withdrawn")
    assert await check_in(5, 100) == ("not_recorded", "consent_withdrawn")
    assert await check_in(5, 10) == ("accepted", None)


async def test_a_revocation_reaches_all_subjects_of_the_person(
    shop: WeChat, geo: httpx.AsyncClient, tokens: Tokens, installation_keys: Path
) -> None:
    phone = Phone()
    app_user = {"namespace": "app_user", "issuer": "demo", "value": "42"}
    answer = await geo.post("/v1/check-ins", json=body(subject=app_user), headers=tokens("server"))
    assert answer.status_code == 201
    await shop.push(phone.reports(LAT, LON, ago_s=30))
    subjects = [row[0] for row in await shop.rows("SELECT subject_id FROM geo.subjects")]
    siblings: dict[str, Any] = {"siblings": [str(subject) for subject in sorted(subjects)]}
    voice = MemberVoice(geo, installation_keys)
    await voice.tell(*(facts(subject, **siblings) for subject in subjects))

    await shop.push(Phone(now=phone.now + timedelta(seconds=2)).revokes("13"))
    assert await left(shop) == dict.fromkeys(WHEREABOUTS, 0)


async def test_other_permissions_are_noted_and_forget_nothing(shop: WeChat) -> None:
    phone = Phone()
    await shop.push(phone.reports(LAT, LON, ago_s=30), phone.revokes("8", ago_s=1))
    assert (await left(shop))["check_ins"] == 1
    rows = await shop.rows("SELECT kind FROM geo.wechat_notices")
    assert rows == [("permission_revoked",)]
    assert await shop.facts("whereabouts_revoked") == []


async def test_the_order_of_locations_and_their_revocation_does_not_matter(shop: WeChat) -> None:
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)):
        phone = Phone(f"oRun{order}")
        said = [
            phone.reports(LAT, LON, ago_s=30),
            phone.revokes("13", ago_s=20),
            phone.says(ago_s=10),
        ]
        for place in order:
            await shop.push(said[place])
        assert await left(shop) == dict.fromkeys(WHEREABOUTS, 0)


async def test_a_cancelled_account_asks_for_the_person_s_erasure(shop: WeChat) -> None:
    phone = Phone()
    await shop.push(phone.says(ago_s=30))
    await shop.push(phone.privacy("user_authorization_cancellation"))
    rows = await shop.rows(
        "SELECT lane, subject_id FROM geo.outbox WHERE type = $1", "erasure_requested"
    )
    assert rows == [(0, shop.subject(phone.openid))]


async def test_what_was_acknowledged_is_obeyed_though_its_account_is_closed_meanwhile(
    shop: WeChat, tokens: Tokens
) -> None:
    path = f"/v1/wechat/accounts/{shop.account_id}"
    async with shop.held():
        await shop.deliver(Phone().privacy("user_authorization_cancellation"))
        assert (await shop.geo.delete(path, headers=tokens("server"))).status_code == 204
        async with asyncio.timeout(5):
            while (await shop.deliver(Phone().says())).status_code != 404:
                await asyncio.sleep(0.05)

    assert await shop.ask("SELECT count(*) FROM geo.outbox WHERE type = 'erasure_requested'") == 1
    pushes = await shop.geo.get(f"/v1/wechat/{shop.account_id}/pushes", headers=tokens("server"))
    assert {one["state"] for one in pushes.json()["items"]} == {"handled"}


async def test_a_privacy_event_of_another_app_touches_nobody_here(shop: WeChat) -> None:
    phone = Phone()
    await shop.push(phone.reports(LAT, LON, ago_s=30))
    name = "user_authorization_revoke"
    await shop.push(phone.privacy(name, RevokeInfo="13", AppID="wx7766554433221100"))
    assert (await left(shop))["check_ins"] == 1
    assert await shop.rows("SELECT kind FROM geo.wechat_notices") == [("push_incomplete",)]
