from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from services.geo_api.evidence.codes import CodeForm, StoreCode, code_key, period_of, write_code
from services.geo_api.wechat.pushes.domain import body_context
from services.geo_api.wechat.pushes.handling.batch import Handler
from shared.datum import Datum
from shared.direct import OwnConnection
from shared.wechat.callback import Format
from tests.conftest import Tokens
from tests.geo_api.checkins.audience import MemberVoice, consent, facts
from tests.geo_api.checkins.helpers import LAT, LON, open_store
from tests.geo_api.wechat.pushes.phone import Phone, WeChat

pytestmark = pytest.mark.slow

CHECK_INS = "SELECT count(*) FROM geo.check_ins"


@pytest.fixture
async def shop(wechat: WeChat, geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens) -> WeChat:
    """The account, whose people consent by sharing, and a store."""
    await open_store(geo, geo_app, tokens("server"))
    return await wechat.connect(consent_version="2026-11")


@pytest.fixture
def member_api(geo: httpx.AsyncClient, installation_keys: Path) -> MemberVoice:
    return MemberVoice(geo, installation_keys)


async def test_a_reported_location_is_a_check_in_like_any_other(shop: WeChat) -> None:
    await shop.push(Phone().reports(LAT, LON, 10))

    columns = "kind, evidence, datum, accuracy_m, source, consent_purpose, consent_version"
    [row] = await shop.rows(f"SELECT {columns} FROM geo.check_ins")
    assert row == ("background", "gps", "wgs84", 10, "wechat", "visit_history", "2026-11")
    [push] = await shop.rows("SELECT push_id FROM geo.wechat_pushes")
    assert await shop.rows("SELECT check_in_id FROM geo.check_ins") == [push]
    told = [fact["type"] for fact in await shop.facts()]
    assert told.count("check_in") == 1
    assert not [kind for kind in told if kind.startswith("social")]


async def test_the_datum_of_reports_is_the_account_s_and_that_of_messages_is_gcj_02(
    shop: WeChat,
) -> None:
    await shop.connect(consent_version="2026-11", location_datum=Datum.GCJ02)
    await shop.push(Phone("oA").reports(31.2304, 121.4737), Phone("oB").sends_place(31.23, 121.47))
    rows = await shop.rows("SELECT kind, datum, evidence FROM geo.check_ins ORDER BY kind")
    assert rows == [("background", "gcj02", "gps"), ("manual", "gcj02", "chosen")]


@pytest.mark.parametrize("form", Format)
async def test_without_any_consent_no_coordinate_is_kept_anywhere(
    wechat: WeChat, geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens, form: Format
) -> None:
    await open_store(geo, geo_app, tokens("server"))
    wechat = await replace(wechat, callback=replace(wechat.callback, format=form)).connect()
    phone = Phone()
    storage = geo_app.state.keys.storage
    async with wechat.held():
        for document in (
            phone.reports(LAT, LON),
            phone.sends_place(LAT, LON),
            phone.selects(LAT, LON),
            phone.event("brand_new_place", Latitude=LAT, Longitude=LON),
        ):
            await wechat.deliver(document)
        bodies = await wechat.rows("SELECT account_id, push_id, body FROM geo.wechat_pushes")
        assert len(bodies) == 4
        for account_id, push_id, body in bodies:
            said = storage.decrypt(body, body_context(account_id, push_id)).decode()
            assert str(LAT)[:5] not in said
            assert "Square" not in said

    assert await wechat.ask(CHECK_INS) == 0
    assert await wechat.ask("SELECT count(*) FROM geo.check_in_receipts") == 0
    kinds = {fact["type"] for fact in await wechat.facts()} - {"store_changed"}
    assert kinds == {"identity_observed", "social_message_received", "social_menu_used"}


async def test_a_recorded_consent_is_enough_and_a_refusal_beats_what_sharing_implies(
    shop: WeChat, wechat: WeChat, member_api: MemberVoice
) -> None:
    refusing, granting = Phone("oRefuses"), Phone("oGrants")
    at = datetime.now(UTC) - timedelta(days=1)
    for phone, state in ((refusing, "denied"), (granting, "granted")):
        subject = shop.subject(phone.openid)
        assert await member_api.tell(facts(subject, **consent(state, at))) == ["applied"]
    await shop.push(refusing.reports(LAT, LON))
    assert await shop.ask(CHECK_INS) == 0

    await shop.connect(consent_version=None)
    await shop.push(granting.reports(LAT, LON), Phone("oSilent").reports(LAT, LON))
    assert await shop.rows("SELECT subject_id FROM geo.check_ins") == [(shop.subject("oGrants"),)]


async def test_a_refusal_that_comes_between_keeping_and_handling_counts(
    shop: WeChat, member_api: MemberVoice
) -> None:
    async with shop.held():
        await shop.deliver(Phone().reports(LAT, LON))
        assert await shop.ask("SELECT count(*) FROM geo.wechat_pushes") == 1
        withdrawn = consent("withdrawn", datetime.now(UTC))
        await member_api.tell(facts(shop.subject(Phone().openid), **withdrawn))
    assert await shop.ask(CHECK_INS) == 0
    assert await shop.facts("check_in") == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("together", [True, False])
async def test_a_place_from_the_menu_and_its_message_are_one_check_in(
    shop: WeChat, order: tuple[int, int], together: bool
) -> None:
    phone = Phone()
    both = [phone.selects(LAT, LON, ago_s=1), phone.sends_place(LAT, LON)]
    said = [both[place] for place in order]
    if together:
        await shop.push(*said)
    else:
        for one in said:
            await shop.push(one)
    assert await shop.ask(CHECK_INS) == 1
    told = [fact["type"] for fact in await shop.facts()]
    assert told.count("social_menu_used") == told.count("social_message_received") == 1


async def test_places_that_are_far_apart_in_time_or_of_one_kind_are_check_ins_of_their_own(
    shop: WeChat,
) -> None:
    phone = Phone()
    await shop.push(
        phone.selects(LAT, LON, ago_s=300),
        phone.sends_place(LAT, LON, ago_s=200),
        phone.sends_place(LAT, LON, ago_s=1),
        phone.sends_place(LAT, LON),
    )
    assert await shop.ask(CHECK_INS) == 4


async def test_absurd_places_are_no_check_ins_and_stop_nothing(shop: WeChat) -> None:
    phone = Phone()
    await shop.push(
        phone.reports(127.84, 31.2),
        phone.reports(0, 0),
        phone.event("LOCATION", Latitude="", Longitude="x", Precision="-1"),
        phone.event("LOCATION"),
        phone.reports(89.9, 10),
        phone.reports(LAT, LON),
    )
    assert await shop.ask(CHECK_INS) == 1
    assert await shop.ask("SELECT count(*) FROM geo.wechat_pushes WHERE state = 'handled'") == 6


async def test_only_a_code_that_we_signed_proves_a_store(shop: WeChat, geo_app: FastAPI) -> None:
    def scan(result: str) -> dict[str, Any]:
        info = {"ScanType": "qrcode", "ScanResult": result}
        return Phone().event("scancode_push", EventKey="S", ScanCodeInfo=info)

    key = code_key(geo_app.state.keys.storage)
    now = datetime.now(UTC)
    screen = write_code(key, StoreCode(CodeForm.SCREEN, "s1", period_of(now)))
    old = write_code(key, StoreCode(CodeForm.SCREEN, "s1", period_of(now) - 9))
    await shop.push(scan("https://example.com/t/9f2c"), scan(old), scan("A" * 40), scan(screen))

    rows = await shop.rows("SELECT kind, evidence, source FROM geo.check_ins")
    assert rows == [("store_qr", "store_qr", "wechat")]
    menu = await shop.facts("social_menu_used")
    assert len(menu) == 4
    assert screen not in str(menu)


async def test_a_registered_beacon_is_a_check_in_and_another_one_is_not(
    shop: WeChat, geo: httpx.AsyncClient, tokens: Tokens
) -> None:
    uuid = str(uuid4())
    beacon = {"store_id": "s1", "uuid": uuid, "major": 10, "minor": 42}
    put = await geo.put("/v1/beacons/b1", json=beacon, headers=tokens("server"))
    assert put.status_code == 201, put.text

    def shakes(minor: int) -> dict[str, Any]:
        chosen = {"Uuid": uuid.upper(), "Major": 10, "Minor": minor, "Distance": 0.8}
        return Phone().event("ShakearoundUserShake", ChosenBeacon=chosen)

    await shop.push(shakes(42), shakes(43), shakes(99_999_999))
    assert await shop.rows("SELECT kind, evidence FROM geo.check_ins") == [("beacon", "beacon")]
    assert len(await shop.facts("social_event")) == 3


async def test_a_check_in_is_made_once_however_often_its_push_is_handled(
    shop: WeChat, geo_app: FastAPI
) -> None:
    worker = geo_app.state.pushes.on_kept.__self__
    handler = worker.handler

    class Broken(Handler):
        async def write(self, *_: Any) -> Any:
            raise RuntimeError("ended between the check-in and all else")

    async with shop.held():
        await shop.deliver(Phone().reports(LAT, LON))
    assert await shop.ask(CHECK_INS) == 1

    async with shop.held():
        await shop.deliver(Phone("oOther").reports(LAT, LON))
        worker.handler = Broken(handler.tools, handler.committer, handler.fences)
        lane = OwnConnection(worker.url)
        assert await worker.turn(lane) == 1
        await lane.close()
        worker.handler = handler
        assert await shop.ask(CHECK_INS) == 2
        waiting = await shop.rows(
            "SELECT state, attempts, reason FROM geo.wechat_pushes WHERE state = 'waiting'"
        )
        assert waiting == [("waiting", 1, "RuntimeError")]
        await shop.rows("UPDATE geo.wechat_pushes SET due_at = now()")
    assert await shop.ask(CHECK_INS) == 2
    assert len(await shop.facts("check_in")) == 2
