"""Answers of WeChat as typed values. What lacks what it must have raises WeChatUnreachable."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from shared.wechat.answers import FetchedToken, Login, QrCode, WeChatUnreachable
from shared.wechat.calling import Answer

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def token(answer: Answer) -> FetchedToken:
    document = _document(answer)
    return FetchedToken(_text(document, "access_token"), _seconds(document, "expires_in"))


def login(answer: Answer) -> Login:
    document = _document(answer)
    unionid = document.get("unionid")
    return Login(
        _text(document, "openid"),
        _text(document, "session_key"),
        str(unionid) if unionid else None,
    )


def phone_number(answer: Answer, app_id: str) -> str:
    """E.164. The watermark, where there is one, must name this app."""
    info = _document(answer).get("phone_info")
    if not isinstance(info, dict):
        raise _lacks("phone_info")
    watermark = info.get("watermark")
    if isinstance(watermark, dict) and watermark.get("appid", app_id) != app_id:
        raise WeChatUnreachable("the number is another app's", maybe_done=True)
    number = f"+{info.get('countryCode', '')}{info.get('purePhoneNumber', '')}"
    if not _E164.fullmatch(number):
        raise _lacks("a phone number with its country")
    return number


def unionids(answer: Answer) -> dict[str, str | None]:
    told = _document(answer).get("user_info_list")
    if not isinstance(told, list):
        raise _lacks("user_info_list")
    followers = [one for one in told if isinstance(one, dict) and one.get("subscribe") == 1]
    return {_text(one, "openid"): one.get("unionid") or None for one in followers}


def message_id(answer: Answer) -> str | None:
    document = _document(answer)
    told = document.get("msgid", document.get("msgId"))
    return str(told) if told else None


def qr_code(answer: Answer, now: datetime) -> QrCode:
    document = _document(answer)
    expires_at = None
    if document.get("expire_seconds"):
        expires_at = now + timedelta(seconds=_seconds(document, "expire_seconds"))
    return QrCode(_text(document, "ticket"), str(document.get("url", "")), expires_at)


def image(answer: Answer) -> bytes:
    if answer.document is not None:
        raise _lacks("a picture")
    return answer.content


def addresses(answer: Answer) -> tuple[str, ...]:
    told = _document(answer).get("ip_list")
    if not isinstance(told, list):
        raise _lacks("ip_list")
    return tuple(str(one) for one in told)


def _document(answer: Answer) -> Mapping[str, Any]:
    if answer.document is None:
        raise _lacks("a document")
    return answer.document


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise _lacks(name)
    return value


def _seconds(document: Mapping[str, Any], name: str) -> int:
    try:
        return int(document[name])
    except (KeyError, TypeError, ValueError):
        raise _lacks(name) from None


def _lacks(name: str) -> WeChatUnreachable:
    return WeChatUnreachable(f"the answer lacks {name}", maybe_done=True)
