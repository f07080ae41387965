"""Logins, phone numbers, messages and codes, as the calling account meets them."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.wechat_sandbox.conftest import Api, Phone
from wechat_sandbox.accounts import Kind
from wechat_sandbox.clock import Clock
from wechat_sandbox.example import COUPON_TEMPLATE, MINI, SERVICE
from wechat_sandbox.world import World

PHONE = "/wxa/business/getuserphonenumber"
SUBSCRIBE = "/cgi-bin/message/subscribe/send"
CUSTOM = "/cgi-bin/message/custom/send"
GOOD = {"thing1": {"value": "5 off"}, "thing2": {"value": "Harbour Café"},
        "time3": {"value": "2026-11-24 21:00"}}  # fmt: skip


async def test_a_login_code_gives_the_same_openid_and_unionid_and_a_new_session_key(
    phone: Phone, api: Api
) -> None:
    codes = [(await phone("mei", "open", MINI))["code"] for _ in range(2)]
    first, second = [await api.login(code) for code in codes]
    assert first["openid"] == second["openid"]
    assert first["unionid"] == second["unionid"]
    assert first["session_key"] != second["session_key"]
    assert "access_token" not in first
    other = await api.login((await phone("ada", "open", MINI))["code"])
    assert other["openid"] != first["openid"]


async def test_the_unionid_is_one_for_all_bound_accounts_and_no_other(
    phone: Phone, api: Api, world: World, wechat: httpx.AsyncClient
) -> None:
    told = await api.login((await phone("mei", "open", MINI))["code"])
    fan = (await wechat.get(f"/sandbox/people/mei/at/{SERVICE}")).json()
    assert fan["unionid"] == told["unionid"]
    assert fan["openid"] != told["openid"]
    world.put_account(MINI, bound=False)
    assert "unionid" not in await api.login((await phone("mei", "open", MINI))["code"])


async def test_a_login_code_is_spent_by_its_first_use_and_old_after_five_minutes(
    phone: Phone, api: Api, clock: Clock
) -> None:
    spent = (await phone("mei", "open", MINI))["code"]
    assert "openid" in await api.login(spent)
    assert (await api.login(spent))["errcode"] == 40163
    old = (await phone("mei", "open", MINI))["code"]
    clock.advance(300)
    assert (await api.login(old))["errcode"] == 40029
    assert (await api.login("made up"))["errcode"] == 40029
    assert (await api.login(""))["errcode"] == 41008


async def test_a_code_of_one_mini_program_or_purpose_is_none_of_another(
    phone: Phone, api: Api, world: World
) -> None:
    world.put_account("other-mini", kind=Kind.MINI_PROGRAM)
    code = (await phone("mei", "open", MINI))["code"]
    assert (await api.login(code, "other-mini"))["errcode"] == 40029
    assert (await api.post(PHONE, MINI, code=code))["errcode"] == 40029
    shared = (await phone("mei", "share_phone", MINI))["code"]
    assert (await api.login(shared))["errcode"] == 40029


async def test_a_blocked_person_and_one_who_logs_in_too_often_are_refused(
    phone: Phone, api: Api, clock: Clock
) -> None:
    await phone("mei", "block", MINI)
    assert (await api.login((await phone("mei", "open", MINI))["code"]))["errcode"] == 40226
    for _ in range(100):
        assert "openid" in await api.login((await phone("ada", "open", MINI))["code"])
    code = (await phone("ada", "open", MINI))["code"]
    assert (await api.login(code))["errcode"] == 45011
    clock.advance(60)
    assert "openid" in await api.login(code)


@pytest.mark.parametrize(
    ("name", "number", "country"), [("mei", "13800000001", "86"), ("ada", "+12025550101", "1")]
)
async def test_a_phone_code_gives_the_number_once(
    phone: Phone, api: Api, name: str, number: str, country: str
) -> None:
    shared = await phone(name, "share_phone", MINI)
    told = await api.post(PHONE, MINI, code=shared["code"], openid=shared["openid"])
    info = told["phone_info"]
    assert (info["phoneNumber"], info["countryCode"]) == (number, country)
    assert info["purePhoneNumber"] == number.removeprefix("+1")
    again = await api.post(PHONE, MINI, code=shared["code"], openid=shared["openid"])
    assert again["errcode"] == 40029


async def test_a_phone_code_of_somebody_else_is_refused_and_not_spent(
    phone: Phone, api: Api, clock: Clock
) -> None:
    shared = await phone("mei", "share_phone", MINI)
    other = (await phone("ada", "open", MINI))["openid"]
    assert (await api.post(PHONE, MINI, code=shared["code"], openid=other))["errcode"] == 40029
    assert "phone_info" in await api.post(PHONE, MINI, code=shared["code"])
    old = (await phone("mei", "share_phone", MINI))["code"]
    clock.advance(300)
    assert (await api.post(PHONE, MINI, code=old))["errcode"] == 40029


async def accepted(phone: Phone, times: int = 1) -> str:
    """The openid of somebody who has accepted the coupon's message."""
    for _ in range(times):
        answers = {COUPON_TEMPLATE: "accept"}
        openid = (await phone("mei", "answer_subscriptions", MINI, answers=answers))["openid"]
    return str(openid)


async def subscribe(api: Api, openid: str, **changes: Any) -> Any:
    asked = {"touser": openid, "template_id": COUPON_TEMPLATE, "page": "pages/coupon/index",
             "data": GOOD}  # fmt: skip
    return await api.post(SUBSCRIBE, MINI, **{**asked, **changes})


async def test_each_acceptance_permits_one_message(
    phone: Phone, api: Api, wechat: httpx.AsyncClient
) -> None:
    openid = await accepted(phone, times=2)
    sent = [await subscribe(api, openid) for _ in range(3)]
    assert [one["errcode"] for one in sent] == [0, 0, 43101]
    inbox = (await wechat.get("/sandbox/people/mei/inbox", params={"account": MINI})).json()
    assert [item["message_id"] for item in inbox["items"]] == [str(s["msgid"]) for s in sent[:2]]
    assert inbox["items"][0]["data"]["thing1"] == "5 off"


async def test_rejecting_permits_nothing_and_refusing_takes_acceptances_back(
    phone: Phone, api: Api
) -> None:
    answers = {COUPON_TEMPLATE: "reject"}
    openid = (await phone("mei", "answer_subscriptions", MINI, answers=answers))["openid"]
    assert (await subscribe(api, openid))["errcode"] == 43101
    await accepted(phone)
    await phone("mei", "refuse_subscriptions", MINI, templates=[COUPON_TEMPLATE])
    assert (await subscribe(api, openid))["errcode"] == 43101


@pytest.mark.parametrize(
    ("changes", "expected", "words"),
    [
        ({"touser": "o_nobody"}, 40003, "openid"),
        ({"template_id": "another"}, 40037, "template_id"),
        ({"page": "/pages/coupon/index"}, 41030, "page"),
        ({"page": "pages/none/index"}, 41030, "page"),
        ({"data": {**GOOD, "thing1": {"value": "x" * 21}}}, 47003, "data.thing1.value invalid"),
        ({"data": {**GOOD, "thing2": {"value": "a\nb"}}}, 47003, "data.thing2.value invalid"),
        ({"data": {**GOOD, "time3": {"value": "soon"}}}, 47003, "data.time3.value invalid"),
        ({"data": {"thing1": {"value": "a"}}}, 47003, "data.thing2.value is empty"),
        ({"data": "text"}, 47001, "data format"),
        ({"miniprogram_state": "beta"}, 47003, "miniprogram_state"),
        ({"lang": "de_DE"}, 47003, "lang"),
        ({"lang": ["zh_CN"]}, 47003, "lang"),
        ({"template_id": ["another"]}, 40037, "template_id"),
        ({"data": {**GOOD, "thing1": "text"}}, 47003, "data.thing1.value is empty"),
    ],
)
async def test_a_message_that_cannot_be_sent_says_why_and_spends_nothing(
    phone: Phone, api: Api, changes: dict[str, Any], expected: int, words: str
) -> None:
    openid = await accepted(phone)
    refused = await subscribe(api, openid, **changes)
    assert refused["errcode"] == expected
    assert words in refused["errmsg"]
    assert (await subscribe(api, openid))["errcode"] == 0


async def test_what_the_template_does_not_name_is_left_out(
    phone: Phone, api: Api, wechat: httpx.AsyncClient
) -> None:
    openid = await accepted(phone)
    assert (await subscribe(api, openid, data={**GOOD, "thing9": "text"}))["errcode"] == 0
    (item,) = (await wechat.get("/sandbox/people/mei/inbox")).json()["items"]
    assert set(item["data"]) == set(GOOD)


async def test_two_messages_to_one_person_at_once_are_one_too_many(
    phone: Phone, api: Api, world: World
) -> None:
    openid = await accepted(phone, times=3)
    world.send_takes_s = 0.1
    sent = await asyncio.gather(subscribe(api, openid), subscribe(api, openid))
    assert sorted(one["errcode"] for one in sent) == [0, 43108]
    assert (await subscribe(api, openid))["errcode"] == 0


async def custom(api: Api, openid: str, account: str = SERVICE) -> int:
    asked = {"touser": openid, "msgtype": "text", "text": {"content": "hello"}}
    return int((await api.post(CUSTOM, account, **asked))["errcode"])


async def test_a_message_from_the_person_opens_twenty_answers_for_two_days(
    phone: Phone, api: Api, clock: Clock, wechat: httpx.AsyncClient
) -> None:
    openid = (await phone("mei", "follow"))["openid"]
    await phone("mei", "say", text="hello")
    clock.advance(61)
    assert [await custom(api, openid) for _ in range(21)] == [0] * 20 + [45047]
    assert len((await wechat.get("/sandbox/people/mei/inbox")).json()["items"]) == 20
    await phone("mei", "say", text="once more")
    clock.advance(48 * 3_600)
    assert await custom(api, openid) == 45015


@pytest.mark.parametrize(
    ("act", "fields"),
    [("menu", {"key": "CHECKIN"}), ("scan", {"scene": "store-1"}),
     ("menu", {"key": "S", "type": "scancode_push", "result": "x"})],
)  # fmt: skip
async def test_a_touch_opens_three_answers_for_a_minute(
    phone: Phone, api: Api, clock: Clock, act: str, fields: dict[str, Any]
) -> None:
    openid = (await phone("mei", "follow"))["openid"]
    clock.advance(61)
    assert await custom(api, openid) == 45015
    await phone("mei", act, **fields)
    assert [await custom(api, openid) for _ in range(4)] == [0, 0, 0, 45047]
    await phone("mei", act, **fields)
    clock.advance(60)
    assert await custom(api, openid) == 45015


@pytest.mark.parametrize(
    ("act", "fields"),
    [("report_location", {"latitude": 40.7, "longitude": -74}),
     ("menu", {"key": "https://shop.example", "type": "VIEW"})],
)  # fmt: skip
async def test_a_location_report_and_a_link_open_nothing(
    phone: Phone, api: Api, clock: Clock, act: str, fields: dict[str, Any]
) -> None:
    openid = (await phone("mei", "follow"))["openid"]
    clock.advance(61)
    await phone("mei", act, **fields)
    assert await custom(api, openid) == 45015


async def test_a_mini_program_has_five_answers_to_a_message_and_two_on_entering(
    phone: Phone, api: Api
) -> None:
    openid = (await phone("mei", "enter_chat", MINI))["openid"]
    assert [await custom(api, openid, MINI) for _ in range(3)] == [0, 0, 45047]
    await phone("mei", "say", MINI, text="hello")
    assert [await custom(api, openid, MINI) for _ in range(6)] == [0] * 5 + [45047]


async def test_nothing_reaches_who_left_or_from_an_account_that_is_not_verified(
    phone: Phone, api: Api, world: World
) -> None:
    openid = (await phone("mei", "follow"))["openid"]
    await phone("mei", "unfollow")
    assert await custom(api, openid) == 45015
    await phone("mei", "follow")
    world.put_account(SERVICE, verified=False)
    assert await custom(api, openid) == 48001
    world.put_account(SERVICE, verified=True)
    await phone("mei", "cancel")
    assert await custom(api, openid) == 40003
    assert "closed the WeChat account" in await phone.refused("mei", "follow")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"msgtype": "song"}, 40008), ({"text": {}}, 44004), ({"text": {"content": ""}}, 44004),
     ({"text": {"content": "长" * 683}}, 45002), ({"touser": "o_nobody"}, 40003)],
)  # fmt: skip
async def test_an_answer_without_content_is_refused(
    phone: Phone, api: Api, changes: dict[str, Any], expected: int
) -> None:
    openid = (await phone("mei", "follow"))["openid"]
    asked = {"touser": openid, "msgtype": "text", "text": {"content": "hello"}, **changes}
    assert (await api.post(CUSTOM, **asked))["errcode"] == expected
