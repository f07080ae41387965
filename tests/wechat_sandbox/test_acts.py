"""What each act pushes, read by the library that the services read it with."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.wechat import pushes
from shared.wechat.callback import Format, Mode
from shared.wechat.push_types import Position
from shared.wechat.pushes import read_push
from tests.wechat_sandbox.conftest import Api, Callback, Phone
from wechat_sandbox.accounts import Account
from wechat_sandbox.example import COUPON_TEMPLATE, MINI, SERVICE
from wechat_sandbox.world import World

Connect = Callable[..., Account]
HERE = {"latitude": 31.230416, "longitude": 121.4737}


class Wire:
    """Lets somebody act and gives what the callback got of it."""

    def __init__(self, world: World, callback: Callback, phone: Phone, account: Account) -> None:
        self._world, self._callback, self._phone = world, callback, phone
        self.account = account

    async def __call__(self, act: str, **fields: Any) -> list[Any]:
        self._callback.received.clear()
        await self._phone("mei", act, self.account.account_id, **fields)
        assert await self._world.pusher.settle(60)
        return [read_push(one.opened(self.account)) for one in self._callback.received]


@pytest.fixture(params=[(mode, form) for mode in Mode for form in Format], ids="-".join)
def wired(
    world: World,
    callback: Callback,
    phone: Phone,
    connected: Connect,
    request: pytest.FixtureRequest,
) -> Callable[[str], Wire]:
    """Connects an account in each mode and format in turn."""
    mode, form = request.param

    def wire(account_id: str) -> Wire:
        return Wire(world, callback, phone, connected(account_id, mode=mode, format=form))

    return wire


@pytest.fixture
def service(wired: Callable[[str], Wire]) -> Wire:
    return wired(SERVICE)


@pytest.fixture
def mini(wired: Callable[[str], Wire]) -> Wire:
    return wired(MINI)


async def test_following_scanning_and_leaving(service: Wire) -> None:
    (followed,) = await service("scan", scene="store-1")
    assert isinstance(followed, pushes.Subscribed)
    assert followed.scene == "store-1"
    (scanned,) = await service("scan", scene="store-1")
    assert isinstance(scanned, pushes.Scanned)
    assert scanned.scene == "store-1"
    (left,) = await service("unfollow")
    assert isinstance(left, pushes.Unsubscribed)
    (followed,) = await service("follow")
    assert isinstance(followed, pushes.Subscribed)
    assert followed.scene is None


async def test_chatting_and_tapping_the_menu(service: Wire) -> None:
    await service("follow")
    (text,) = await service("say", text="]]> 你好")
    assert isinstance(text, pushes.TextMessage)
    assert text.text == "]]> 你好"
    assert text.envelope.message_id is not None
    (image,) = await service("send_image")
    assert isinstance(image, pushes.MediaMessage)
    (clicked,) = await service("menu", key="CHECKIN")
    assert isinstance(clicked, pushes.MenuClicked)
    (viewed,) = await service("menu", key="https://shop.example/", type="VIEW")
    assert isinstance(viewed, pushes.MenuViewed)
    (code,) = await service("menu", key="S", type="scancode_waitmsg", result="https://x.example")
    assert isinstance(code, pushes.CodeScanned)


async def test_places(service: Wire) -> None:
    await service("follow")
    (sent,) = await service("send_location", **HERE, label="People's Square")
    assert isinstance(sent, pushes.LocationMessage)
    (reported,) = await service("report_location", **HERE, precision_m=0.5)
    assert isinstance(reported, pushes.LocationReport)
    selected = await service("select_location", **HERE)
    kinds = {type(push) for push in selected}
    assert kinds == {pushes.LocationSelected, pushes.LocationMessage}
    for push in (sent, reported, *selected):
        assert push.position == Position(121.4737, 31.230416)


async def test_subscriptions(mini: Wire, world: World) -> None:
    second = "another_template"
    both = {COUPON_TEMPLATE: ("thing1",), second: ("thing1",)}
    mini.account = world.put_account(MINI, templates=both)
    (one,) = await mini("answer_subscriptions", answers={COUPON_TEMPLATE: "accept"})
    assert isinstance(one, pushes.SubscriptionsAnswered)
    assert [answer.template_id for answer in one.answers] == [COUPON_TEMPLATE]
    (two,) = await mini(
        "answer_subscriptions", answers={COUPON_TEMPLATE: "accept", second: "reject"}
    )
    assert [answer.status for answer in two.answers] == ["accept", "reject"]
    (changed,) = await mini("refuse_subscriptions", templates=[second])
    assert isinstance(changed, pushes.SubscriptionsChanged)


async def test_what_came_of_a_message_is_told(
    mini: Wire, callback: Callback, api: Api, world: World
) -> None:
    await mini("answer_subscriptions", answers={COUPON_TEMPLATE: "accept"})
    callback.received.clear()
    values = {"thing1": "5 off", "thing2": "Café", "time3": "21:00"}
    sent = await api.post(
        "/cgi-bin/message/subscribe/send",
        MINI,
        touser=world.fan("mei", mini.account).openid,
        template_id=COUPON_TEMPLATE,
        data={key: {"value": value} for key, value in values.items()},
    )
    assert await world.pusher.settle(60)
    told = read_push(callback.received[0].opened(mini.account))
    assert isinstance(told, pushes.SubscriptionsSent)
    assert [result.message_id for result in told.results] == [str(sent["msgid"])]
    assert told.results[0].error_code == 0


async def test_permissions(mini: Wire) -> None:
    (revoked,) = await mini("revoke", info="13")
    assert isinstance(revoked, pushes.PermissionRevoked)
    (modified,) = await mini("modify")
    assert isinstance(modified, pushes.UserInfoModified)
    (entered,) = await mini("enter_chat", session_from="menu")
    assert isinstance(entered, pushes.EnteredChat)
    (cancelled,) = await mini("cancel")
    assert isinstance(cancelled, pushes.AccountCancelled)
    people = {push.envelope.openid for push in (revoked, modified, entered, cancelled)}
    assert len(people) == 1
