from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from shared.wechat.answers import (
    Credentials,
    MiniCode,
    SubscribeMessage,
    TokenApi,
    WeChatRefused,
    WeChatUnreachable,
)
from shared.wechat.client import WeChatClient
from shared.wechat.errcodes import Trouble
from tests.shared.wechat.fake import NOW, PNG, TEA, TOKEN, Fake


@pytest.fixture
def wechat() -> Fake:
    return Fake()


@pytest.fixture
async def client(wechat: Fake) -> AsyncIterator[WeChatClient]:
    client = WeChatClient(
        ("https://a.example",),
        mp_base="https://mp.example",
        transport=httpx.MockTransport(wechat),
        clock=lambda: NOW,
    )
    yield client
    await client.close()


async def test_a_stable_token_is_asked_for_in_the_body_and_forced_on_demand(
    client: WeChatClient, wechat: Fake
) -> None:
    fetched = await client.fetch_stable_token(TEA, True)

    assert (fetched.access_token, fetched.expires_in) == ("the-access-token-0001", 7200)
    assert wechat.last.url.query == b""
    assert wechat.body == {
        "grant_type": "client_credential",
        "appid": TEA.app_id,
        "secret": TEA.app_secret,
        "force_refresh": True,
    }


async def test_a_classic_token_is_asked_for_at_its_own_address(
    client: WeChatClient, wechat: Fake
) -> None:
    wechat.answers = {"/cgi-bin/token": TOKEN}
    classic = Credentials("tea", TEA.app_id, TEA.app_secret, TokenApi.CLASSIC)
    assert (await client.fetch_token(classic)).expires_in == 7200


async def test_a_login_needs_no_token(client: WeChatClient, wechat: Fake) -> None:
    wechat.answers = {"/sns/jscode2session": {"openid": "o1", "session_key": "k=="}}
    login = await client.code_to_session(TEA, "0a1b")

    assert (login.openid, login.session_key, login.unionid) == ("o1", "k==", None)
    assert dict(wechat.last.url.params) == {
        "appid": TEA.app_id,
        "secret": TEA.app_secret,
        "js_code": "0a1b",
        "grant_type": "authorization_code",
    }


async def test_a_phone_number_becomes_e_164_and_is_this_app_s(
    client: WeChatClient, wechat: Fake
) -> None:
    path = "/wxa/business/getuserphonenumber"
    info = {"phoneNumber": "13580006666", "purePhoneNumber": "13580006666", "countryCode": 86}
    wechat.answers[path] = {"errcode": 0, "phone_info": info}
    assert await client.phone_number(TEA, "c1", "o1") == "+8613580006666"
    assert wechat.body == {"code": "c1", "openid": "o1"}
    assert wechat.last.url.params["access_token"] == "the-access-token-0001"

    other = {**info, "watermark": {"appid": "wx7766554433221100", "timestamp": 1}}
    wechat.answers[path] = {"errcode": 0, "phone_info": other}
    with pytest.raises(WeChatUnreachable):
        await client.phone_number(TEA, "c1")


async def test_a_subscribe_message_says_what_its_template_asks(
    client: WeChatClient, wechat: Fake
) -> None:
    wechat.answers["/cgi-bin/message/subscribe/send"] = {"errcode": 0, "msgid": 294402298110051942}
    wechat.answers["/cgi-bin/message/subscribe/bizsend"] = {"errcode": 0}
    message = SubscribeMessage("o1", "t1", {"thing1": "茶"}, "pages/coupon/index")

    assert await client.send_subscribe_message(TEA, message) == "294402298110051942"
    assert wechat.body == {
        "touser": "o1",
        "template_id": "t1",
        "page": "pages/coupon/index",
        "data": {"thing1": {"value": "茶"}},
        "miniprogram_state": "formal",
        "lang": "zh_CN",
    }
    assert "茶" in wechat.last.content.decode()

    official = SubscribeMessage("o1", "t1", {"thing1": "茶"}, from_official_account=True)
    assert await client.send_subscribe_message(TEA, official) is None
    assert "page" not in wechat.body


async def test_a_text_goes_into_the_window(client: WeChatClient, wechat: Fake) -> None:
    wechat.answers["/cgi-bin/message/custom/send"] = {"errcode": 0, "errmsg": "ok"}
    await client.send_custom_text(TEA, "o1", "你好")
    assert wechat.body == {"touser": "o1", "msgtype": "text", "text": {"content": "你好"}}


async def test_a_qr_code_expires_or_stays(client: WeChatClient, wechat: Fake) -> None:
    wechat.answers["/cgi-bin/qrcode/create"] = {"ticket": "gQH", "url": "http://weixin.qq.com/q/1"}
    stays = await client.make_qr_code(TEA, "store42")
    assert (stays.ticket, stays.expires_at) == ("gQH", None)
    assert wechat.body["action_name"] == "QR_LIMIT_STR_SCENE"

    wechat.answers["/cgi-bin/qrcode/create"] = {"ticket": "gQH", "url": "u", "expire_seconds": 3600}
    expires = await client.make_qr_code(TEA, "store42", timedelta(hours=1))
    assert expires.expires_at == NOW + timedelta(hours=1)
    assert wechat.body == {
        "expire_seconds": 3600,
        "action_name": "QR_STR_SCENE",
        "action_info": {"scene": {"scene_str": "store42"}},
    }

    wechat.answers["/cgi-bin/showqrcode"] = PNG
    assert await client.qr_code_image("g/Q=") == PNG
    assert wechat.last.url.host == "mp.example"
    assert wechat.last.url.query == b"ticket=g%2FQ%3D"


async def test_a_mini_code_is_a_picture_or_an_error(client: WeChatClient, wechat: Fake) -> None:
    path = "/wxa/getwxacodeunlimit"
    wechat.answers[path] = PNG
    assert await client.make_mini_code(TEA, MiniCode("s=42", "/pages/index")) == PNG
    assert (wechat.body["scene"], wechat.body["page"]) == ("s=42", "pages/index")

    wechat.answers[path] = {"errcode": 41030, "errmsg": "invalid page rid: 1-2-3-4"}
    with pytest.raises(WeChatRefused) as caught:
        await client.make_mini_code(TEA, MiniCode("s=42"))
    assert (caught.value.trouble, caught.value.rid) == (Trouble.BAD_VALUE, "1-2-3-4")

    wechat.answers[path] = {"errcode": 0}
    with pytest.raises(WeChatUnreachable):
        await client.make_mini_code(TEA, MiniCode("s=42"))


@pytest.mark.parametrize("scene", ["", "a" * 33, "a%b", "a b", "店"])
async def test_a_scene_that_no_mini_code_carries_is_refused_here(
    client: WeChatClient, wechat: Fake, scene: str
) -> None:
    with pytest.raises(ValueError, match="32"):
        await client.make_mini_code(TEA, MiniCode(scene))
    assert wechat.asked == []


async def test_a_call_whose_token_is_refused_is_tried_once_more_and_then_no_more(
    client: WeChatClient, wechat: Fake
) -> None:
    wechat.answers["/cgi-bin/getcallbackip"] = {"errcode": 42001, "errmsg": "expired"}
    with pytest.raises(WeChatRefused):
        await client.callback_ips(TEA)
    paths = [request.url.path for request in wechat.asked]
    assert paths.count("/cgi-bin/getcallbackip") == 2
    assert paths.count("/cgi-bin/stable_token") == 3  # at first, again, and by force


@pytest.mark.parametrize(("errcode", "trouble"), [(43101, "refused_by_user"), (-1, "busy")])
async def test_a_message_that_is_refused_is_not_sent_again(
    client: WeChatClient, wechat: Fake, errcode: int, trouble: str
) -> None:
    wechat.answers["/cgi-bin/message/custom/send"] = {"errcode": errcode, "errmsg": "no"}
    with pytest.raises(WeChatRefused) as caught:
        await client.send_custom_text(TEA, "o1", "a")
    assert caught.value.trouble == trouble
    assert [r.url.path for r in wechat.asked].count("/cgi-bin/message/custom/send") == 1


async def test_what_may_be_repeated_is_asked_once_more_of_a_busy_wechat(
    client: WeChatClient, wechat: Fake
) -> None:
    answers = iter([{"errcode": -1, "errmsg": "system error"}, {"ip_list": ["1.2.3.4"]}])
    wechat.answers["/cgi-bin/getcallbackip"] = lambda _: httpx.Response(200, json=next(answers))
    assert await client.callback_ips(TEA) == ("1.2.3.4",)


async def test_a_call_that_was_refused_has_not_been_done_though_no_other_token_came(
    client: WeChatClient, wechat: Fake
) -> None:
    """The message was not sent: whoever sends it may send it again."""
    await client.tokens.current(TEA)
    wechat.answers |= {
        "/cgi-bin/stable_token": b"half an ans",
        "/cgi-bin/message/custom/send": {"errcode": 40001, "errmsg": "invalid credential"},
    }
    with pytest.raises(WeChatUnreachable) as failure:
        await client.send_custom_text(TEA, "oSLM_1", "hello")
    assert not failure.value.maybe_done
