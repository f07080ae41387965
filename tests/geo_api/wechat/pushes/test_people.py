import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.geo_api.wechat.accounts.domain import AccountKind
from services.geo_api.wechat.users.repository import openid_context
from services.member_api.timeline import social_facts
from tests.conftest import Tokens
from tests.geo_api.checkins.audience import MemberVoice, erasure
from tests.geo_api.checkins.helpers import LAT, LON, open_store
from tests.geo_api.wechat.pushes.phone import Phone, WeChat

pytestmark = pytest.mark.slow

SUBJECT = "SELECT {} FROM geo.{} WHERE subject_id = $1"


def types(told: Sequence[dict[str, Any]]) -> list[str]:
    return [fact["type"] for fact in told]


async def test_a_follower_is_known_by_an_encrypted_openid_and_told_of_once(
    wechat: WeChat, geo_app: FastAPI
) -> None:
    phone = Phone()
    await wechat.push(phone.follows())
    await wechat.push(phone.says(), phone.event("CLICK", EventKey="MENU1"))

    subject = wechat.subject(phone.openid)
    [(found, openid, follows)] = await wechat.rows(
        "SELECT subject_id, openid, follows FROM geo.wechat_users"
    )
    assert (found, follows) == (subject, True)
    assert phone.openid.encode() not in openid
    opened = geo_app.state.keys.storage.decrypt(openid, openid_context(subject))
    assert opened == phone.openid.encode()
    assert (
        types(await wechat.facts())
        == [
            "identity_observed",
            "social_followed",
            *sorted(["social_message_received", "social_menu_used"], reverse=True),
        ]
        or types(await wechat.facts()).count("identity_observed") == 1
    )
    assert phone.openid not in str(await wechat.facts())


async def test_a_scene_tells_store_campaign_and_kol_and_opens_no_visit(
    wechat: WeChat, geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    await open_store(geo, geo_app, tokens("server"))
    await wechat.rows(
        "INSERT INTO geo.wechat_scenes (account_id, scene, kind, store_id, campaign, kol,"
        " created_at, created_by) VALUES ('tea', 'poster', 'qr', 's1', 'spring', 'mei', now(), 't')"
    )
    await wechat.push(
        Phone().follows("poster", ago_s=9), Phone().scans("poster"), Phone().scans("unheard-of")
    )
    [followed] = await wechat.facts("social_followed")
    known, unknown = sorted(
        await wechat.facts("social_scanned"), key=lambda fact: fact["store_id"] is None
    )
    touch = {"channel": "wechat", "account_id": "tea", "scene": "poster"}
    for fact in (followed, known):
        assert fact["store_id"] == "s1"
        assert fact["data"] == touch | {"campaign": "spring", "kol": "mei"}
    assert unknown["store_id"] is None
    assert unknown["data"] == touch | {"scene": "unheard-of", "campaign": None, "kol": None}
    assert await wechat.ask("SELECT count(*) FROM geo.visits") == 0


async def test_what_a_message_says_is_told_to_nobody(wechat: WeChat) -> None:
    await wechat.push(Phone().says("my secret"))
    [fact] = await wechat.facts("social_message_received")
    assert fact["data"]["kind"] == "text"
    assert "secret" not in str(await wechat.facts())


async def test_each_kind_opens_the_window_that_wechat_s_rules_give(wechat: WeChat) -> None:
    phone = Phone()
    await wechat.push(
        phone.says(),
        phone.follows(),
        phone.scans("x"),
        phone.event("CLICK", EventKey="M"),
        phone.event("VIEW", EventKey="https://example.com"),
        phone.reports(LAT, LON),
        phone.event("user_enter_tempsession", SessionFrom="x"),
    )
    columns = "trigger, allowed, extract(epoch FROM closes_at - opened_at)::int"
    rows = await wechat.rows(f"SELECT {columns} FROM geo.wechat_windows ORDER BY 1")
    assert rows == [("follow", 3, 60), ("menu", 3, 60), ("message", 20, 172_800), ("scan", 3, 60)]


async def test_a_mini_program_has_its_own_rules(wechat: WeChat) -> None:
    await wechat.connect(kind=AccountKind.MINI_PROGRAM)
    await wechat.push(Phone().says(), Phone().event("user_enter_tempsession", SessionFrom="x"))
    rows = await wechat.rows("SELECT trigger, allowed FROM geo.wechat_windows ORDER BY 1")
    assert rows == [("chat_entered", 2), ("message", 5)]


async def test_each_acceptance_permits_a_message_until_it_is_refused(wechat: WeChat) -> None:
    phone = Phone()
    await wechat.push(
        phone.answers(tpl_A="accept", tpl_B="reject", ago_s=30),
        phone.answers(tpl_A="accept", tpl_C="accept", ago_s=20),
        phone.refuses("tpl_A", ago_s=10),
        phone.answers(tpl_A="accept", ago_s=5),
    )
    rows = await wechat.rows(
        "SELECT template_id, count(*) FROM geo.wechat_grants WHERE state = 'open' GROUP BY 1"
        " ORDER BY 1"
    )
    assert rows == [("tpl_A", 1), ("tpl_C", 1)]
    told = await wechat.facts("social_subscription_changed")
    statuses = sorted((fact["data"]["template_id"], fact["data"]["status"]) for fact in told)
    assert statuses == [
        *[("tpl_A", "accept")] * 3,
        ("tpl_A", "reject"),
        ("tpl_B", "reject"),
        ("tpl_C", "accept"),
    ]


STATE = {
    "users": "SELECT follows, follows_since FROM geo.wechat_users",
    "grants": "SELECT template_id, state, granted_at, closed_at FROM geo.wechat_grants ORDER BY 1, 3",
    "windows": "SELECT trigger, opened_at, closes_at, used FROM geo.wechat_windows ORDER BY 1",
    "facts": "SELECT type, payload::json->>'time', payload::json->>'store_id' FROM geo.outbox"
    " WHERE type LIKE 'social%' ORDER BY 1, 2",
    "check_ins": "SELECT occurred_at, kind FROM geo.check_ins ORDER BY 1, 2",
    "visits": "SELECT store_id, state, entered_at FROM geo.visits ORDER BY 1, 3",
}


async def test_the_same_pushes_in_any_order_and_with_repeats_give_the_same_state(
    wechat: WeChat, geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    await open_store(geo, geo_app, tokens("server"))
    await wechat.connect(consent_version="2026-11")
    draw = random.Random(11)
    states = []
    for run in range(6):
        phone = Phone(f"oRun{run}", now=datetime.now(UTC).replace(microsecond=0))
        said = [
            phone.follows(ago_s=100),
            phone.unfollows(ago_s=90),
            phone.follows(ago_s=80),
            phone.unfollows(ago_s=70),
            phone.answers(tpl_A="accept", ago_s=60),
            phone.refuses("tpl_A", ago_s=55),
            phone.answers(tpl_A="accept", ago_s=50),
            phone.says("a", ago_s=45),
            phone.scans("x", ago_s=40),
            phone.scans("y", ago_s=30),
            phone.reports(LAT, LON, ago_s=25),
            phone.reports(LAT, LON, 11, ago_s=20),
            phone.reports(LAT + 0.05, LON, ago_s=5),
        ]
        order = said if run == 0 else draw.sample(said, len(said))
        repeated = [*order, *draw.sample(said, 4)]
        parts = 1 if run % 2 else 4
        for start in range(0, len(repeated), -(-len(repeated) // parts)):
            await wechat.push(*repeated[start : start + -(-len(repeated) // parts)])
        states.append(await _relative(wechat, phone))
        await wechat.rows(
            "TRUNCATE geo.wechat_users, geo.wechat_grants, geo.wechat_windows, geo.outbox,"
            " geo.check_ins, geo.visits"
        )
    assert states[1:] == states[:1] * 5
    assert states[0]["users"] == [(False, 70)]


async def _relative(wechat: WeChat, phone: Phone) -> dict[str, list[tuple[Any, ...]]]:
    """The state, with times as seconds before now."""

    def ago(value: Any) -> Any:
        if isinstance(value, str) and value[:2] == "20":
            value = datetime.fromisoformat(value)
        return round((phone.now - value).total_seconds()) if isinstance(value, datetime) else value

    return {
        name: [tuple(map(ago, row)) for row in await wechat.rows(query)]
        for name, query in STATE.items()
    }


async def test_unknown_events_are_kept_and_can_be_handled_when_they_are_known(
    wechat: WeChat, tokens: Tokens
) -> None:
    await wechat.push(Phone().event("brand_new_event", Thing="x"))
    [(state, body)] = await wechat.rows("SELECT state, body FROM geo.wechat_pushes")
    assert state == "unknown"
    assert body
    assert await wechat.facts() == []
    [push] = await wechat.rows("SELECT push_id::text FROM geo.wechat_pushes")
    path = f"/v1/wechat/{wechat.account_id}/pushes/replay"
    answer = await wechat.geo.post(path, json={"ids": [push[0]]}, headers=tokens("server"))
    assert answer.json() == {"replayed": 1}


async def test_a_cleaned_profile_is_noted_whether_or_not_wechat_says_whose(wechat: WeChat) -> None:
    named = Phone().privacy("user_info_modified")
    nameless = {k: v for k, v in named.items() if k != "OpenID"}
    await wechat.push(named, nameless)
    rows = await wechat.rows("SELECT kind FROM geo.wechat_notices ORDER BY 1")
    assert rows == [("profile_cleaned",), ("push_incomplete",)]


async def test_other_things_are_told_as_events(wechat: WeChat) -> None:
    phone = Phone()
    await wechat.push(
        phone.event("user_get_card", CardId="pC1", UserCardCode="1", IsGiveByFriend=0, OuterStr=""),
        phone.event("WifiConnected", PlaceId="1234", DeviceNo="00:1f:7a:ad:5c:a8", VendorId="3"),
        phone.event("submit_membercard_user_info", CardId="pC1", UserCardCode="1"),
    )
    told = sorted(fact["data"]["event"] for fact in await wechat.facts("social_event"))
    assert told == ["submit_membercard_user_info", "user_get_card", "wificonnected"]


async def test_what_happened_before_an_erasure_is_not_kept_and_joining_anew_is(
    wechat: WeChat, installation_keys: Path
) -> None:
    phone = Phone()
    subject = wechat.subject(phone.openid)
    await wechat.push(phone.follows(ago_s=100))
    member_api = MemberVoice(wechat.geo, installation_keys)

    await member_api.tell(erasure(subject, phone.now - timedelta(seconds=50)))
    for table in ("wechat_users", "wechat_pushes", "outbox"):
        await wechat.rows(f"DELETE FROM geo.{table}")
    await wechat.push(phone.says(ago_s=60))
    assert await wechat.ask("SELECT count(*) FROM geo.wechat_pushes") == 0
    assert await wechat.ask("SELECT count(*) FROM geo.subjects") == 0
    assert await wechat.facts() == []

    await wechat.push(phone.follows(ago_s=10))
    assert types(await wechat.facts()) == ["identity_observed", "social_followed"]
    assert await wechat.ask(SUBJECT.format("erased_at IS NOT NULL", "subjects"), subject)


async def test_what_nobody_can_be_told_is_left_out_of_what_is_told(wechat: WeChat) -> None:
    """member_api refuses texts that are empty or too long, and what it refuses would lie there."""
    item = {"TemplateId": "t", "SubscribeStatusString": "accept"}
    items = [item, {"TemplateId": "silent"}, {**item, "TemplateId": "t" * 201}]
    name = "subscribe_msg_popup_event"
    popup = Phone().event(name, SubscribeMsgPopupEvent={"List": items})
    await wechat.push(Phone().follows("s" * 201), Phone().scans("s" * 201), popup)

    told = [fact for fact in await wechat.facts() if fact["type"].startswith("social_")]
    for fact in told:
        social_facts.check(fact["type"], fact["data"])
    assert sorted(types(told)) == [
        "social_followed",
        "social_scanned",
        "social_subscription_changed",
    ]
    assert await wechat.ask("SELECT count(*) FROM geo.wechat_grants") == 1
