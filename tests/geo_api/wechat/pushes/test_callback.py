from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from shared.wechat.callback import Format, Mode, seal_push
from shared.wechat.crypto import signature
from tests.conftest import DatabaseUrls
from tests.geo_api.wechat.factories import TOKEN
from tests.geo_api.wechat.pushes.phone import Phone, WeChat, unix

pytestmark = pytest.mark.slow

COUNT = "SELECT count(*) FROM geo.wechat_pushes"


async def test_wechat_s_question_is_answered_with_its_echo(wechat: WeChat) -> None:
    signed = signature(TOKEN, "1760000000", "n")
    query = {"signature": signed, "timestamp": "1760000000", "nonce": "n", "echostr": "4815162342"}
    answer = await wechat.geo.get(wechat.path, params=query)
    assert (answer.status_code, answer.text) == (200, "4815162342")
    assert answer.headers["content-type"].startswith("text/plain")

    forged = await wechat.geo.get(wechat.path, params=query | {"nonce": "m"})
    assert (forged.status_code, forged.content) == (403, b"")


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("form", Format)
async def test_a_push_is_kept_encrypted_and_acknowledged_in_each_mode_and_format(
    wechat: WeChat, mode: Mode, form: Format
) -> None:
    wechat = replace(wechat, callback=replace(wechat.callback, mode=mode, format=form))
    await wechat.connect()
    await wechat.push(Phone().says("a secret"))

    [row] = await wechat.rows("SELECT kind, state, subject_id FROM geo.wechat_pushes")
    assert row == ("text", "handled", wechat.subject("oSLM_user_0001"))
    assert (await wechat.rows("SELECT body FROM geo.wechat_pushes"))[0] == (None,)


async def test_what_is_not_from_wechat_is_refused_without_a_word(wechat: WeChat) -> None:
    query, body = seal_push(
        wechat.callback, Phone().says(), timestamp=unix(datetime.now(UTC)), nonce="n"
    )
    old = datetime.now(UTC) - timedelta(minutes=6)
    stale = seal_push(wechat.callback, Phone().says(), timestamp=unix(old), nonce="n")
    wrong = query | {"msg_signature": "0" * 40}
    plain = {name: query[name] for name in ("signature", "timestamp", "nonce")}
    for asked, sent in ((wrong, body), (plain, b"<xml><a>1</a></xml>"), stale, ({}, body)):
        answer = await wechat.send(asked, sent)
        assert (answer.status_code, answer.content) == (403, b"")
    assert await wechat.ask(COUNT) == 0
    assert await wechat.ask("SELECT count(*) FROM geo.wechat_nonces") == 0


async def test_an_account_that_is_not_there_is_404(wechat: WeChat) -> None:
    answer = await wechat.geo.post("/v1/wechat/coffee/callback", content=b"<xml/>")
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/wechat-account-unknown"


async def test_a_body_over_the_limit_is_refused_unread(wechat: WeChat) -> None:
    assert (await wechat.send({}, b"<" * 65_537)).status_code == 413


async def test_a_request_that_is_cut_off_is_answered_to_nobody_and_is_no_error_of_ours(
    wechat: WeChat, capsys: pytest.CaptureFixture[str]
) -> None:
    coming: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"<xml>", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": wechat.path, "headers": []}
    await wechat.app({**scope, "query_string": b"", "raw_path": b""}, receive, send)

    assert sent == []
    assert "unexpected" not in capsys.readouterr().out


async def test_a_repeat_of_wechat_s_is_acknowledged_and_kept_once(wechat: WeChat) -> None:
    document = Phone().says()
    for _ in range(3):
        assert (await wechat.deliver(document, nonce="same")).text == "success"
    assert (await wechat.deliver(document, nonce="other")).text == "success"
    event = Phone().follows()
    for _ in range(2):  # encrypted anew each time
        assert (await wechat.deliver(event, nonce="again")).text == "success"
    await wechat.settled()

    assert await wechat.ask(COUNT) == 2
    assert [fact["type"] for fact in await wechat.facts()] == [
        "identity_observed",
        "social_message_received",
        "social_followed",
    ]


async def test_in_plain_mode_known_parameters_are_a_repeat_whatever_the_body_says(
    wechat: WeChat,
) -> None:
    callback = replace(wechat.callback, mode=Mode.PLAIN, aes_key=None)
    wechat = await replace(wechat, callback=callback).connect()
    at = datetime.now(UTC)
    await wechat.deliver(Phone().says("first"), nonce="n", at=at)
    forged = await wechat.deliver(Phone("oSomebodyElse").says("forged"), nonce="n", at=at)
    assert (forged.status_code, forged.text) == (200, "success")
    assert await wechat.ask(COUNT) == 1


async def test_what_wechat_pushes_and_nobody_can_read_is_noted_and_acknowledged(
    wechat: WeChat,
) -> None:
    callback = replace(wechat.callback, mode=Mode.PLAIN, aes_key=None)
    wechat = await replace(wechat, callback=callback).connect()
    query, _ = seal_push(callback, Phone().says(), timestamp=unix(datetime.now(UTC)), nonce="n")
    for _ in range(2):
        answer = await wechat.send(query, b"<!DOCTYPE xml><xml><a>1</a></xml>")
        assert (answer.status_code, answer.text) == (200, "success")
    assert await wechat.rows("SELECT account_id, kind, count FROM geo.wechat_notices") == [
        ("tea", "push_unreadable", 1)
    ]
    assert await wechat.ask(COUNT) == 0


async def test_without_a_database_wechat_is_told_quickly_to_come_again(
    geo: httpx.AsyncClient, geo_app: FastAPI, database_urls: DatabaseUrls, wechat: WeChat
) -> None:
    await wechat.rows("ALTER TABLE geo.wechat_pushes RENAME TO gone")
    answer = await wechat.deliver(Phone().says(), nonce="n")
    assert answer.status_code == 503
    await wechat.rows("ALTER TABLE geo.gone RENAME TO wechat_pushes")
    assert (await wechat.deliver(Phone().says(), nonce="n")).text == "success"
    await wechat.settled()
    assert await wechat.ask(COUNT) == 1


async def test_an_operator_sees_pushes_without_what_they_say(
    wechat: WeChat, tokens: object
) -> None:
    assert callable(tokens)
    headers = tokens("server")
    await wechat.push(Phone().says("secret"), Phone().event("brand_new_event", Secret="x"))
    path = f"/v1/wechat/{wechat.account_id}/pushes"
    page = (await wechat.geo.get(path, headers=headers)).json()
    assert {(one["kind"], one["state"]) for one in page["items"]} == {
        ("text", "handled"),
        ("event:brand_new_event", "unknown"),
    }
    assert "secret" not in str(page)
    assert "oSLM" not in str(page)
    unknown = (await wechat.geo.get(path, headers=headers, params={"state": "unknown"})).json()
    assert len(unknown["items"]) == 1
