"""Subscribe messages and customer-service messages: to whom, and when, they may be sent."""

import asyncio
import re
from collections.abc import Collection, Mapping
from typing import Any

from wechat_sandbox import events
from wechat_sandbox.accounts import Account, Kind
from wechat_sandbox.calls import OK, Answer, ApiCall
from wechat_sandbox.people import Fan
from wechat_sandbox.quotas import DAY_S
from wechat_sandbox.refusals import Refused

_FORMS = {
    "thing": re.compile(r"[^\r\n]{1,20}"),
    "number": re.compile(r"[\d.,+-]{1,32}"),
    "letter": re.compile(r"[A-Za-z]{1,32}"),
    "symbol": re.compile(r"[^\w\s]{1,5}"),
    "character_string": re.compile(r"[\x20-\x7e]{1,32}"),
    "time": re.compile(r"[^\r\n]*\d[^\r\n]*"),
    "date": re.compile(r"[^\r\n]*\d[^\r\n]*"),
    "amount": re.compile(r"[^\d\s]?\d{1,10}(\.\d+)?元?"),
    "phone_number": re.compile(r"[\d+ ()-]{1,17}"),
    "car_number": re.compile(r"\S{1,8}"),
    "name": re.compile(r"[^\r\n]{1,20}"),
    "phrase": re.compile(r"[\u4e00-\u9fff]{1,5}"),
    "const": re.compile(r"[^\r\n]{1,20}"),
}
"""What a value may be, by the letters its key begins with (WeChat's table of parameter kinds)."""

_LANGUAGES = ("zh_CN", "en_US", "zh_HK", "zh_TW")
_STATES = ("developer", "trial", "formal")
_A_DAY, _CUSTOM_A_DAY = 10_000_000, 500_000
_TEXT_MOST_BYTES = 2_048


async def send_from_mini_program(call: ApiCall) -> Answer:
    """Raises Refused 48001 for an official account, which has an address of its own."""
    account, asked = call.account_by_token(), call.json()
    if account.is_official:
        raise Refused(48001)
    if asked.get("miniprogram_state", "formal") not in _STATES:
        raise Refused(47003, "miniprogram_state")
    if asked.get("lang", "zh_CN") not in _LANGUAGES:
        raise Refused(47003, "lang")
    return await _send(call, account, asked)


async def send_from_official_account(call: ApiCall) -> Answer:
    account, asked = call.account_by_token(), call.json()
    if account.kind is not Kind.SERVICE or not account.verified:
        raise Refused(48001)
    return await _send(call, account, asked)


async def _send(call: ApiCall, account: Account, asked: Mapping[str, Any]) -> Answer:
    """Two at once to one person are one too many; the acceptance is spent with the message."""
    fan = call.world.by_openid(account, asked.get("touser"))
    _check_subscribe(account, asked)
    call.world.quotas.take(("subscribe", account.account_id), _A_DAY, DAY_S)
    if fan.sending:
        raise Refused(43108)
    fan.sending = True
    try:
        await asyncio.sleep(call.world.send_takes_s)
        fan.take_grant(asked["template_id"])
    finally:
        fan.sending = False
    return {**OK, "msgid": _deliver(call, account, fan, asked)}


async def send_custom_message(call: ApiCall) -> Answer:
    account, asked = call.account_by_token(), call.json()
    if account.is_official and not account.verified:
        raise Refused(48001)
    fan = call.world.by_openid(account, asked.get("touser"))
    kind = asked.get("msgtype")
    if kind not in ("text", "image", "link", "miniprogrampage", "news"):
        raise Refused(40008)
    content = asked.get(kind)
    if not isinstance(content, dict) or not content:
        raise Refused(44004)
    if kind == "text":
        _check_text(content.get("content"))
    call.world.quotas.take(("custom", account.account_id), _CUSTOM_A_DAY, DAY_S)
    fan.take_from_window(call.world.clock.now())
    fan.inbox.append({**content, "kind": "custom", "at": call.world.clock.stamp(), "type": kind})
    return OK


def _check_text(text: object) -> None:
    if not isinstance(text, str) or not text:
        raise Refused(44004)
    if len(text.encode()) > _TEXT_MOST_BYTES:
        raise Refused(45002)


def _check_subscribe(account: Account, asked: Mapping[str, Any]) -> None:
    template = account.templates.get(str(asked.get("template_id")))
    if template is None:
        raise Refused(40037)
    check_page(account.pages, str(asked.get("page") or ""))
    data = asked.get("data")
    if not isinstance(data, dict):
        raise Refused(47001)
    for key in template:
        _check_value(key, data.get(key))


def check_page(published: Collection[str], page: str) -> None:
    """Raises Refused 41030 for a page that is not among those ``published``, if there are any."""
    path = page.partition("?")[0]
    if path.startswith("/") or (path and published and path not in published):
        raise Refused(41030)


def _check_value(key: str, item: object) -> None:
    """Raises Refused 47003, which names the key, for a value that is missing or not of its kind."""
    value = item.get("value") if isinstance(item, dict) else None
    if value is None or value == "":
        raise Refused(47003, f"data.{key}.value is empty")
    form = _FORMS[key.rstrip("0123456789")]
    if form.fullmatch(str(value)) is None:
        raise Refused(47003, f"data.{key}.value invalid")


def _deliver(call: ApiCall, account: Account, fan: Fan, asked: Mapping[str, Any]) -> int:
    """Into the person's inbox, and the result of it to the account."""
    world, template = call.world, str(asked["template_id"])
    number = world.maker.next_number()
    at = world.clock.stamp()
    values = {key: asked["data"][key]["value"] for key in account.templates[template]}
    fan.inbox.append(
        {"kind": "subscribe", "at": at, "template_id": template, "page": asked.get("page"),
         "data": values, "message_id": str(number)}
    )  # fmt: skip
    item = {"TemplateId": template, "MsgID": str(number), "ErrorCode": "0",
            "ErrorStatus": "success"}  # fmt: skip
    world.push(account, events.subscriptions(account, fan.openid, at, "sent", [item]))
    return number
