"""All that a run writes, logs of libraries at their loudest included, searched for its secrets."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import structlog

from services.geo_api.wechat.accounts.schemas import ACCOUNT_EXAMPLE
from services.geo_api.wechat.tools import WeChatTools
from shared.logs import configure_logging
from shared.wechat.answers import Credentials, WeChatRefused, WeChatUnreachable
from tests.conftest import Switchboard, Tokens
from tests.geo_api.wechat.pretending import API_HOSTS, PretendedWeChat

pytestmark = pytest.mark.slow

SECRETS = {
    "callback token": ACCOUNT_EXAMPLE["token"],
    "aes key": ACCOUNT_EXAMPLE["aes_key"],
    "app secret": ACCOUNT_EXAMPLE["app_secret"],
    "access token": "68_access-token-that-nobody-may-see-0001",
    "login code": "0a1LoginCode2b3",
    "session key": "c2Vzc2lvbiBrZXkhIQ==",
    "openid": "oSLM_openid_of_a_person_01",
    "unionid": "oUNION_of_a_person_00001",
    "phone": "13580006666",
    "ticket": "gQH_ticket_of_a_poster_1",
}


@contextmanager
def loudly() -> Iterator[None]:
    """Everything is logged, by libraries too, as a careless setting or handler would have it."""
    configure_logging("debug", "json")
    loggers = [logging.getLogger(name) for name in (None, "httpx", "httpcore", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def pretended() -> PretendedWeChat:
    ok: dict[str, Any] = {"errcode": 0, "errmsg": "ok"}
    phone = {"purePhoneNumber": SECRETS["phone"], "countryCode": "86"}
    return PretendedWeChat(
        answers={
            "/cgi-bin/stable_token": {
                "access_token": SECRETS["access token"],
                "expires_in": 7200,
            },
            "/sns/jscode2session": {
                "openid": SECRETS["openid"],
                "session_key": SECRETS["session key"],
                "unionid": SECRETS["unionid"],
            },
            "/wxa/business/getuserphonenumber": ok | {"phone_info": phone},
            "/cgi-bin/qrcode/create": {
                "ticket": SECRETS["ticket"],
                "url": "http://weixin.qq.com/q",
            },
            "/cgi-bin/message/custom/send": {
                "errcode": 40003,
                "errmsg": f"invalid openid {SECRETS['openid']} {SECRETS['access token']} rid: 1-2-3-4",
            },
        }
    )


async def _use(tools: WeChatTools, credentials: Credentials, failures: list[Exception]) -> None:
    """Every kind of call, the refused and the unanswered too, told as code may tell them."""
    client, openid = tools.client, SECRETS["openid"]
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: client.code_to_session(credentials, SECRETS["login code"]),
        lambda: client.phone_number(credentials, SECRETS["login code"], openid),
        lambda: client.make_qr_code(credentials, "store42"),
        lambda: client.qr_code_image(SECRETS["ticket"]),
        lambda: client.send_custom_text(credentials, openid, "hello"),
    ]
    for call in calls:
        try:
            answer = await call()
            told = None if isinstance(answer, str | bytes) else answer
            structlog.get_logger().info("called", answer=told, credentials=credentials)
        except (WeChatRefused, WeChatUnreachable) as failure:
            structlog.get_logger().exception("failed", why=failure, text=str(failure))
            failures.append(failure)


async def _run(
    geo: httpx.AsyncClient, switchboard: Switchboard, server: dict[str, str]
) -> list[Exception]:
    """What the calls of a run failed of, those with WeChat and those without."""
    await geo.put("/v1/wechat/accounts/tea", json=ACCOUNT_EXAMPLE, headers=server)
    await geo.post("/v1/wechat/accounts/tea/check", headers=server)
    await geo.get("/v1/wechat/accounts/tea", headers=server)
    tools: WeChatTools = geo._transport.app.state.wechat  # type: ignore[attr-defined]
    credentials = Credentials("tea", ACCOUNT_EXAMPLE["app_id"], SECRETS["app secret"])
    failures: list[Exception] = []
    await _use(tools, credentials, failures)
    switchboard.apps.clear()
    await _use(tools, credentials, failures)
    url = f"https://api.weixin.qq.com/x?access_token={SECRETS['access token']}&a=1"
    structlog.get_logger().info(f"calling {url}", at={"deep": [url]})
    logging.getLogger("httpcore.connection").debug("request %s", url)
    logging.getLogger("uvicorn.error").info("GET %s", url)
    return failures


async def test_no_secret_of_a_run_stands_in_a_log_or_an_exception(
    geo: httpx.AsyncClient,
    tokens: Tokens,
    switchboard: Switchboard,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    wechat = pretended()
    switchboard.apps |= dict.fromkeys(API_HOSTS, wechat.app)
    with loudly():
        failures = await _run(geo, switchboard, tokens("server"))

    captured = capfd.readouterr()
    told = [captured.out, captured.err, *(repr(failure) for failure in failures)]
    told += [f"{failure.__context__!r}" for failure in failures]
    told += [record.getMessage() for record in caplog.records if record.name == "httpx"]
    assert len(failures) == 1 + 1 + 5
    assert "wechat_refused" in captured.out
    assert "HTTP Request: GET https://api.weixin.qq.com/sns/jscode2session" in "".join(told)
    for name, secret in SECRETS.items():
        assert not [text for text in told if secret in text], name
