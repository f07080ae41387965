"""SOLOMO's own client of WeChat against the stand-in: each believes what the other says."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI

from shared.wechat.answers import (
    Credentials,
    MiniCode,
    SubscribeMessage,
    WeChatRefused,
    WeChatUnreachable,
)
from shared.wechat.client import WeChatClient
from shared.wechat.errcodes import Trouble
from tests.wechat_sandbox.conftest import Phone
from wechat_sandbox.app import InProcess
from wechat_sandbox.clock import Clock
from wechat_sandbox.example import COUPON_TEMPLATE, MINI, SERVICE
from wechat_sandbox.world import World

BASE = "http://127.0.0.1:8010"
VALUES = {"thing1": "5 off", "thing2": "Harbour Café", "time3": "2026-11-24 21:00"}


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[WeChatClient]:
    def now() -> datetime:
        return datetime.fromtimestamp(app.state.world.clock.now(), UTC)

    one = WeChatClient((BASE,), mp_base=BASE, transport=InProcess(app), clock=now)
    try:
        yield one
    finally:
        await one.close()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[WeChatClient]:
    async with client_of(app) as one:
        yield one


@pytest.fixture
def known(world: World) -> Callable[[str], Credentials]:
    def credentials(account_id: str) -> Credentials:
        account = world.accounts[account_id]
        return Credentials(account_id, account.app_id, account.app_secret)

    return credentials


Known = Callable[[str], Credentials]


async def test_a_login_and_a_phone_number(
    client: WeChatClient, known: Known, phone: Phone, world: World
) -> None:
    login = await client.code_to_session(known(MINI), (await phone("mei", "open", MINI))["code"])
    account = world.accounts[MINI]
    assert login.openid == world.fan("mei", account).openid
    assert login.unionid == world.unionid("mei", account)
    for name, number in (("mei", "+8613800000001"), ("ada", "+12025550101")):
        shared = await phone(name, "share_phone", MINI)
        assert await client.phone_number(known(MINI), shared["code"], shared["openid"]) == number


@pytest.mark.parametrize("account_id", [MINI, SERVICE])
async def test_a_subscribe_message_within_a_grant(
    client: WeChatClient, known: Known, phone: Phone, world: World, account_id: str
) -> None:
    answers = {COUPON_TEMPLATE: "accept"}
    openid = (await phone("mei", "answer_subscriptions", account_id, answers=answers))["openid"]
    message = SubscribeMessage(
        openid, COUPON_TEMPLATE, VALUES, from_official_account=account_id == SERVICE
    )
    number = await client.send_subscribe_message(known(account_id), message)
    (received,) = world.fan("mei", world.accounts[account_id]).inbox
    assert (received["message_id"], received["data"]) == (number, VALUES)
    with pytest.raises(WeChatRefused) as refused:
        await client.send_subscribe_message(known(account_id), message)
    assert refused.value.trouble is Trouble.REFUSED_BY_USER
    assert refused.value.rid == world.calls[-1].rid


async def test_the_way_of_one_kind_of_account_is_closed_to_the_other(
    client: WeChatClient, known: Known, phone: Phone
) -> None:
    answers = {COUPON_TEMPLATE: "accept"}
    for account_id, official in ((SERVICE, False), (MINI, True)):
        openid = (await phone("mei", "answer_subscriptions", account_id, answers=answers))["openid"]
        message = SubscribeMessage(openid, COUPON_TEMPLATE, VALUES, from_official_account=official)
        with pytest.raises(WeChatRefused) as refused:
            await client.send_subscribe_message(known(account_id), message)
        assert refused.value.trouble is Trouble.NOT_PERMITTED


async def test_a_text_within_a_window(
    client: WeChatClient, known: Known, phone: Phone, clock: Clock, world: World
) -> None:
    openid = (await phone("mei", "follow"))["openid"]
    await client.send_custom_text(known(SERVICE), openid, "welcome")
    assert world.fan("mei", world.accounts[SERVICE]).inbox[0]["content"] == "welcome"
    clock.advance(60)
    with pytest.raises(WeChatRefused) as refused:
        await client.send_custom_text(known(SERVICE), openid, "too late")
    assert refused.value.trouble is Trouble.WINDOW_CLOSED


async def test_codes_with_their_pictures(
    client: WeChatClient, known: Known, phone: Phone, clock: Clock
) -> None:
    code = await client.make_qr_code(known(SERVICE), "till-7", timedelta(minutes=10))
    assert code.expires_at == datetime.fromtimestamp(clock.now(), UTC) + timedelta(minutes=10)
    assert (await client.make_qr_code(known(SERVICE), "store-9")).expires_at is None
    assert (await client.qr_code_image(code.ticket)).startswith(b"\x89PNG")
    await phone("mei", "scan", ticket=code.ticket)
    mini = MiniCode("s=store-1", "pages/index/index")
    assert (await client.make_mini_code(known(MINI), mini)).startswith(b"\x89PNG")


async def test_a_revoked_token_is_replaced_once_and_the_call_succeeds(
    client: WeChatClient, known: Known, world: World
) -> None:
    assert "127.0.0.1" in await client.callback_ips(known(SERVICE))
    world.tokens.revoke(SERVICE)
    assert await client.callback_ips(known(SERVICE))
    codes = [(call.path.rsplit("/", 1)[1], call.errcode) for call in world.calls]
    assert codes == [("stable_token", 0), ("getcallbackip", 0), ("getcallbackip", 40001),
                     ("stable_token", 0), ("getcallbackip", 0)]  # fmt: skip


async def test_the_clients_clock_is_compared_with_the_stand_ins(
    app: FastAPI, known: Known, clock: Clock
) -> None:
    async with client_of(app) as client:
        clock.advance(30)
        await client.callback_ips(known(SERVICE))
        assert client.skew_s == 30


async def test_a_lost_answer_is_told_as_maybe_done(
    client: WeChatClient, known: Known, phone: Phone, wechat: httpx.AsyncClient, world: World
) -> None:
    openid = (await phone("mei", "follow"))["openid"]
    await client.callback_ips(known(SERVICE))
    await wechat.post("/sandbox/faults", json={"kind": "cut", "handled": True})
    with pytest.raises(WeChatUnreachable) as lost:
        await client.send_custom_text(known(SERVICE), openid, "hello")
    assert lost.value.maybe_done
    assert len(world.fan("mei", world.accounts[SERVICE]).inbox) == 1
