from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

from services.geo_api.wechat.accounts.schemas import ACCOUNT_EXAMPLE
from shared.wechat.callback import CallbackAccount, CallbackQuery, Format, Mode, verify_url
from tests.conftest import Switchboard, Tokens
from tests.geo_api.wechat.pretending import API_HOSTS, PretendedWeChat

pytestmark = pytest.mark.slow

URL = "/v1/wechat/accounts"
Findings = dict[str, dict[str, Any]]


@pytest.fixture
def wechat(switchboard: Switchboard) -> PretendedWeChat:
    wechat = PretendedWeChat()
    switchboard.apps |= dict.fromkeys(API_HOSTS, wechat.app)
    return wechat


class Checker:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def __call__(self, **said: Any) -> Findings:
        """The findings, by name, of the account of the example with ``said`` changed."""
        put = await self.client.put(f"{URL}/tea", json=ACCOUNT_EXAMPLE | said)
        assert put.status_code in (200, 201), put.text
        checked = await self.client.post(f"{URL}/tea/check")
        assert checked.status_code == 200, checked.text
        document = checked.json()
        wrong = [f for f in document["findings"] if f["verdict"] == "wrong"]
        assert document["ok"] == (not wrong)
        assert document["findings"][: len(wrong)] == wrong
        return {finding["name"]: finding for finding in document["findings"]}


@pytest.fixture
def check(geo: httpx.AsyncClient, tokens: Tokens) -> Checker:
    geo.headers.update(tokens("server"))
    return Checker(geo)


def verdicts(findings: Findings) -> dict[str, str]:
    return {name: finding["verdict"] for name, finding in findings.items()}


async def test_an_account_that_is_set_up_well_has_nothing_wrong(
    check: Checker, wechat: PretendedWeChat
) -> None:
    found = await check()
    assert set(verdicts(found).values()) <= {"ok", "unknown"}
    assert found["access_token"]["verdict"] == found["calls"]["verdict"] == "ok"
    assert found["callback"]["do"] == "Set SOLOMO_GEO_PUBLIC_URL."
    assert wechat.asked == ["/cgi-bin/stable_token", "/cgi-bin/getcallbackip"]


@pytest.mark.parametrize(
    ("errcode", "errmsg", "name", "says"),
    [
        (40125, "invalid appsecret rid: 6925-ab12", "access_token", "not this AppID's"),
        (40013, "invalid appid rid: 6925-ab12", "access_token", "no such AppID"),
        (40243, "AppSecret frozen rid: 6925-ab12", "access_token", "frozen"),
        (
            40164,
            "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 6925-ab12",
            "address",
            "203.0.113.7",
        ),
        (61004, "access clientip is not registered rid: 6925-ab12", "address", "Our own address"),
        (89503, "need admin confirm rid: 6925-ab12", "address", "allowed addresses"),
        (45009, "reach max api daily quota limit rid: 6925-ab12", "access_token", "quota"),
    ],
)
async def test_what_wechat_refuses_is_told_in_words_with_a_next_step(
    check: Checker, wechat: PretendedWeChat, errcode: int, errmsg: str, name: str, says: str
) -> None:
    wechat.answers["/cgi-bin/stable_token"] = {"errcode": errcode, "errmsg": errmsg}

    finding = (await check())[name]

    assert finding["verdict"] == "wrong"
    assert says in finding["says"]
    assert (finding["errcode"], finding["rid"]) == (errcode, "6925-ab12")
    assert finding["do"] or errcode == 45009


async def test_a_call_that_the_kind_may_not_make_is_told(
    check: Checker, wechat: PretendedWeChat
) -> None:
    wechat.answers["/cgi-bin/getcallbackip"] = {"errcode": 48001, "errmsg": "api unauthorized"}
    found = await check()
    assert found["calls"]["verdict"] == "wrong"
    assert "not available for an account of this kind" in found["calls"]["says"]


async def test_without_a_way_to_wechat_it_is_said_that_it_is_not_known(check: Checker) -> None:
    found = await check()
    assert found["access_token"]["verdict"] == "unknown"
    assert "not reached" in found["access_token"]["says"]


@pytest.mark.parametrize(
    ("ahead_s", "verdict"), [(0, "ok"), (-60, "warning"), (60, "warning"), (-900, "wrong")]
)
async def test_a_clock_that_differs_from_wechat_s_is_told(
    check: Checker, wechat: PretendedWeChat, ahead_s: int, verdict: str
) -> None:
    wechat.ahead = timedelta(seconds=ahead_s)
    assert (await check())["clock"]["verdict"] == verdict


@pytest.mark.parametrize(
    ("said", "name", "verdict"),
    [
        ({"mode": "plain"}, "mode", "warning"),
        ({"mode": "compatible"}, "mode", "warning"),
        ({"format": "json"}, "format", "warning"),
        ({"location_datum": None}, "location_datum", "warning"),
        ({"consent_version": None}, "consent_version", "warning"),
        ({"original_id": None}, "original_id", "warning"),
        ({"app_id": "demo-app"}, "app_id", "warning"),
        ({"app_secret": "z" * 32}, "app_secret", "warning"),
        ({"outreach": {"enabled": True}}, "outreach", "wrong"),
        ({"outreach": {"enabled": False}}, "outreach", "ok"),
        (
            {
                "outreach": {
                    "enabled": True,
                    "coupon": {"template_id": "t1", "data": {"thing1": "a"}},
                }
            },
            "template_id",
            "warning",
        ),
        (
            {
                "outreach": {
                    "enabled": True,
                    "coupon": {"template_id": "t1", "data": {"title": "a"}},
                }
            },
            "template_data",
            "warning",
        ),
    ],
)
@pytest.mark.usefixtures("wechat")
async def test_what_the_record_alone_shows_is_told(
    check: Checker, said: dict[str, Any], name: str, verdict: str
) -> None:
    assert (await check(**said))[name]["verdict"] == verdict


async def test_an_account_without_a_secret_calls_nobody(
    check: Checker, wechat: PretendedWeChat
) -> None:
    found = await check(app_secret=None)
    assert found["app_secret"]["verdict"] == "warning"
    assert wechat.asked == []


async def test_a_closed_account_is_told_to_be_one(check: Checker, wechat: PretendedWeChat) -> None:
    await check()
    wechat.asked.clear()
    await check.client.delete(f"{URL}/tea")
    checked = (await check.client.post(f"{URL}/tea/check")).json()
    assert [finding["name"] for finding in checked["findings"]] == ["account"]
    assert not checked["ok"]
    assert wechat.asked == []


def callback(how: str) -> FastAPI:
    """A proxy before the callback that does as ``how`` says."""
    app = FastAPI()
    example = ACCOUNT_EXAMPLE
    account = CallbackAccount(
        example["app_id"], example["token"], example["aes_key"], Mode.SECURE, Format.XML
    )

    @app.get("/v1/wechat/tea/callback")
    async def answer(request: Request) -> Response:
        if how == "redirects":
            return RedirectResponse("/elsewhere")
        if how == "quotes":
            return PlainTextResponse(f'"{request.query_params["echostr"]}"')
        return PlainTextResponse(verify_url(account, CallbackQuery.of(request.query_params)))

    return app


@pytest.mark.parametrize(
    ("how", "verdict", "says"),
    [
        ("well", "ok", "answers under its public address"),
        ("redirects", "wrong", "redirects"),
        ("quotes", "wrong", "something else"),
        ("absent", "wrong", "no connection"),
    ],
)
@pytest.mark.usefixtures("wechat")
async def test_the_callback_is_asked_as_wechat_asks_it(
    check: Checker,
    geo_app: FastAPI,
    switchboard: Switchboard,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    verdict: str,
    says: str,
) -> None:
    settings = geo_app.state.settings.model_copy(update={"geo_public_url": "https://shop.example"})
    monkeypatch.setattr(geo_app.state, "settings", settings)
    if how != "absent":
        switchboard.apps["shop.example"] = callback(how)

    finding = (await check())["callback"]

    assert finding["verdict"] == verdict
    assert says in finding["says"]
    shown = (await check.client.get(f"{URL}/tea")).json()
    assert shown["callback_url"] == "https://shop.example/v1/wechat/tea/callback"


async def test_a_check_shows_no_secret(check: Checker, wechat: PretendedWeChat) -> None:
    secret = ACCOUNT_EXAMPLE["app_secret"]
    wechat.answers["/cgi-bin/stable_token"] = {"errcode": 99, "errmsg": f"odd secret {secret}"}
    assert secret not in str(await check())
