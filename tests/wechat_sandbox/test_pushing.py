import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import httpx
import pytest

from tests.wechat_sandbox.conftest import NOON, Callback, Phone, response
from wechat_sandbox.accounts import Account
from wechat_sandbox.clock import Clock
from wechat_sandbox.example import SERVICE
from wechat_sandbox.world import World

Connect = Callable[..., Account]
BUSY = response(b"busy", "503 Service Unavailable")


async def settled(world: World) -> None:
    assert await world.pusher.settle(60)


def states(world: World) -> list[str]:
    return [push.state for push in world.pusher.pushes]


async def test_what_is_acknowledged_is_not_sent_again(
    world: World, phone: Phone, callback: Callback, connected: Connect
) -> None:
    account = connected()
    told = await phone("mei", "follow")
    await settled(world)
    assert states(world) == ["acknowledged"]
    (received,) = callback.received
    document = received.opened(account)
    assert (document["Event"], document["FromUserName"]) == ("subscribe", told["openid"])
    assert (received.query["timestamp"], document["CreateTime"]) == (str(int(NOON)),) * 2


async def test_a_refused_push_is_sent_three_times_with_the_same_parameters_and_body(
    world: World, phone: Phone, callback: Callback, connected: Connect
) -> None:
    connected()
    callback.answers = [BUSY, BUSY, BUSY]
    await phone("mei", "follow")
    await settled(world)
    assert states(world) == ["failed"]
    first, *others = callback.received
    assert len(others) == 2
    assert all((one.query, one.body) == (first.query, first.body) for one in others)
    gaps = [after.at - before.at for before, after in pairwise(callback.received)]
    assert all(0.045 < gap < 5 for gap in gaps)


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [(5.0, "timeout"), (None, "RemoteProtocolError"), (b"HTTP/1.1 200 OK\r\n", "RemoteProtocolError"),
     (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsuc", "RemoteProtocolError"), (BUSY, None),
     (response(b"", "301 Moved"), None)],
)  # fmt: skip
async def test_a_slow_cutting_failing_or_redirecting_callback_is_asked_again(
    world: World,
    phone: Phone,
    callback: Callback,
    connected: Connect,
    answer: float | bytes | None,
    trouble: str | None,
) -> None:
    connected()
    if isinstance(answer, float):
        world.pusher.settings.total_s = 1.0
    callback.answers = [answer]
    await phone("mei", "follow")
    await settled(world)
    (push,) = world.pusher.pushes
    assert push.state == "acknowledged"
    assert [attempt.trouble for attempt in push.attempts] == [trouble, None]
    assert push.attempts[0].took_s < 5.0  # it did not wait for the slow one


async def test_a_callback_that_is_down_is_asked_three_times(
    world: World, phone: Phone, connected: Connect
) -> None:
    connected()
    world.put_account(SERVICE, callback_url="http://127.0.0.1:9/")
    await phone("mei", "follow")
    await settled(world)
    (push,) = world.pusher.pushes
    assert [attempt.trouble for attempt in push.attempts] == ["ConnectError"] * 3


async def test_an_html_page_raises_the_alarm_of_an_illegal_reply(
    world: World, phone: Phone, callback: Callback, connected: Connect
) -> None:
    connected()
    callback.answers = [response(b"<html><body>hello</body></html>"), response(b"")]
    await phone("mei", "follow")
    await settled(world)
    await phone("mei", "unfollow")
    await settled(world)
    assert [push.alarm for push in world.pusher.pushes] == ["illegal reply", None]
    assert states(world) == ["acknowledged", "acknowledged"]


async def test_a_reply_is_kept_to_look_at(
    world: World, phone: Phone, callback: Callback, connected: Connect
) -> None:
    connected()
    reply = b"<xml><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hi]]></Content></xml>"
    callback.answers = [response(reply)]
    await phone("mei", "follow")
    await settled(world)
    assert (world.pusher.pushes[0].reply, world.pusher.pushes[0].alarm) == (reply, None)


async def test_after_many_failures_the_callback_gets_nothing_for_a_minute(
    world: World,
    phone: Phone,
    callback: Callback,
    connected: Connect,
    clock: Clock,
    wechat: httpx.AsyncClient,
) -> None:
    connected()
    world.pusher.settings.mark_fail_after = 6
    callback.answers = [BUSY] * 6
    for act in ("follow", "unfollow"):
        await phone("mei", act)
    await settled(world)
    assert states(world) == ["failed", "failed"]
    await phone("mei", "follow")
    await settled(world)
    assert states(world)[-1] == "lost"
    assert len(callback.received) == 6
    assert SERVICE in (await wechat.get("/sandbox/pushes")).json()["paused"]
    clock.advance(61)
    await phone("mei", "unfollow")
    await settled(world)
    assert states(world)[-1] == "acknowledged"


async def test_shuffled_pushes_overtake_each_other_and_some_come_twice(
    world: World, phone: Phone, callback: Callback, connected: Connect, wechat: httpx.AsyncClient
) -> None:
    connected()
    await phone("mei", "follow")
    await settled(world)
    callback.received.clear()
    changed = {"shuffle_s": 0.3, "repeat_share": 0.5}
    told = await wechat.patch("/sandbox/push-settings", json=changed)
    assert told.json().items() >= changed.items()
    await asyncio.gather(*(phone("mei", "say", text=f"word {n}") for n in range(12)))
    answer = await wechat.post("/sandbox/pushes/settled", params={"within_s": 60})
    assert answer.json() == {"settled": True}
    account = world.accounts[SERVICE]
    numbers = [int(one.opened(account)["MsgId"]) for one in callback.received]
    assert len(set(numbers)) == 12
    assert set(Counter(numbers).values()) == {1, 2}
    first_seen = list(dict.fromkeys(numbers))
    assert first_seen != sorted(first_seen)


async def test_a_repeat_may_be_encrypted_anew_under_the_same_nonce(
    world: World, phone: Phone, callback: Callback, connected: Connect
) -> None:
    account = connected()
    world.pusher.settings.reencrypt = True
    callback.answers = [BUSY]
    await phone("mei", "follow")
    await settled(world)
    first, second = callback.received
    assert first.body != second.body
    assert first.query["msg_signature"] != second.query["msg_signature"]
    assert first.query["nonce"] == second.query["nonce"]
    assert first.opened(account) == second.opened(account)


async def test_a_push_can_be_sent_once_more_and_another_signed_in_the_past(
    world: World, phone: Phone, callback: Callback, connected: Connect, wechat: httpx.AsyncClient
) -> None:
    connected()
    (number,) = (await phone("mei", "follow"))["pushes"]
    await settled(world)
    assert (await wechat.post(f"/sandbox/pushes/{number}/repetition")).status_code == 200
    assert (await wechat.post("/sandbox/pushes/99/repetition")).status_code == 409
    document = {"ToUserName": "gh_1", "MsgType": "event", "Event": "WifiConnected"}
    await wechat.post(
        "/sandbox/pushes",
        json={"account": SERVICE, "document": document, "signed_at": NOON - 301},
    )
    await settled(world)
    first, again, old = callback.received
    assert (first.query, first.body) == (again.query, again.body)
    assert old.query["timestamp"] == str(int(NOON - 301))


@pytest.mark.parametrize("document", [{"MsgType": None}, {"<": "text"}, {"List": [[1]]}])
async def test_what_no_push_can_say_is_refused(
    wechat: httpx.AsyncClient, connected: Connect, document: dict[str, object]
) -> None:
    connected()
    body = {"account": SERVICE, "document": document}
    answer = await wechat.post("/sandbox/pushes", json=body)
    assert answer.status_code == 409
    assert "cannot be written as xml" in answer.json()["detail"]


async def test_the_console_verifies_a_callback_by_its_echo(
    wechat: httpx.AsyncClient, callback: Callback, connected: Connect, world: World
) -> None:
    connected()
    path = f"/sandbox/accounts/{SERVICE}/verification"
    assert (await wechat.post(path)).json() == {
        "verified": False,
        "why": "it did not answer the echostr alone",
    }
    callback.answers = [response(b"", "403 Forbidden"), None]
    assert (await wechat.post(path)).json()["why"] == "it answered status 403"
    assert (await wechat.post(path)).json()["why"].startswith("RemoteProtocolError")
    assert callback.received[0].method == "GET"
    world.put_account(SERVICE, callback_url=None)
    assert (await wechat.post(path)).status_code == 409
