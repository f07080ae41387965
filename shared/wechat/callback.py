"""WeChat's callback: is a request from WeChat, for this account and now, and what does it say.

What a request is checked by comes from the account's record, never from the request itself: one
that leaves its encryption away is refused, not read as a plain one.
Source: WeChat's documentation of message push (access, modes, worked examples).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, Self

from shared.wechat.crypto import MessageCipher, NotAuthentic, is_signed, signature
from shared.wechat.documents import UnreadablePush, read_json, read_xml, write_json, write_xml

__all__ = [
    "TOKEN_PATTERN",
    "WINDOW_S",
    "CallbackAccount",
    "CallbackQuery",
    "Format",
    "Mode",
    "NotAuthentic",
    "UnreadablePush",
    "open_push",
    "seal_push",
    "seal_reply",
    "verify_url",
]

WINDOW_S: Final = 300
"""Seconds that a push may be signed before or after our time; WeChat's repeats span 15."""

TOKEN_PATTERN: Final = r"^[A-Za-z0-9]{3,32}$"  # noqa: S105 - what one looks like
"""A Token, as WeChat's form takes it."""

_TIMESTAMP = re.compile(r"[0-9]{10}")
_NONCE = re.compile(r"[!-~]{1,128}")
_ECHO = re.compile(r"[A-Za-z0-9_=+/-]{1,256}")
_BLANKS = b" \t\r\n"


class Mode(StrEnum):
    """How an account's pushes are protected. Plain ones sign the time and not the body."""

    PLAIN = "plain"
    COMPATIBLE = "compatible"
    SECURE = "secure"


class Format(StrEnum):
    """What an account's pushes are written in."""

    XML = "xml"
    JSON = "json"


@dataclass(frozen=True)
class CallbackAccount:
    """What an account's pushes are checked by; ``aes_key`` may be None in plain mode only.

    Raises ValueError for a key that is missing or malformed.
    """

    app_id: str
    token: str = field(repr=False)
    aes_key: str | None = field(repr=False)
    mode: Mode
    format: Format

    def __post_init__(self) -> None:
        if self.mode is not Mode.PLAIN:
            _ = self.cipher

    @cached_property
    def cipher(self) -> MessageCipher:
        """Raises ValueError where there is no key."""
        if self.aes_key is None:
            raise ValueError(f"{self.mode} mode needs an EncodingAESKey")
        return MessageCipher(self.aes_key, self.app_id)


@dataclass(frozen=True, slots=True)
class CallbackQuery:
    """The query of a request to the callback; what is missing is empty."""

    signature: str = ""
    timestamp: str = ""
    nonce: str = ""
    echostr: str = ""
    msg_signature: str = ""
    encrypt_type: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        return cls(**{name: query.get(name, "") for name in cls.__slots__})


def verify_url(account: CallbackAccount, query: CallbackQuery) -> str:
    """What to answer WeChat's GET with, as ``text/plain``: its ``echostr``, in every mode.

    Raises NotAuthentic. No signature covers the ``echostr``, so it must look like one.
    """
    if not is_signed(query.signature, account.token, query.timestamp, query.nonce):
        raise NotAuthentic("the signature does not hold: compare the Token")
    if _ECHO.fullmatch(query.echostr) is None:
        raise NotAuthentic("there is no echostr, or it is not one of WeChat's")
    return query.echostr


def open_push(
    account: CallbackAccount, query: CallbackQuery, body: bytes, now: datetime
) -> dict[str, Any]:
    """The document that WeChat pushed, out of a request that is shown to come from it.

    Checked are the time of signing, the signature of the account's mode (in the encrypted ones
    that of the encrypted part, the only one that is then read), the appid and the format.

    Raises NotAuthentic, or UnreadablePush for what is authentic and yet cannot be read.
    """
    _check_freshness(query, now)
    if account.mode is not Mode.PLAIN:
        return _read(account.format, _decrypted(account, query, body))
    if query.encrypt_type not in {"", "raw"}:
        raise NotAuthentic("the push is encrypted, and the account is set to plain mode")
    if not is_signed(query.signature, account.token, query.timestamp, query.nonce):
        raise NotAuthentic("the signature does not hold: compare the Token")
    return _read(account.format, body)


def _check_freshness(query: CallbackQuery, now: datetime) -> None:
    if _TIMESTAMP.fullmatch(query.timestamp) is None or _NONCE.fullmatch(query.nonce) is None:
        raise NotAuthentic("the timestamp or nonce is missing or malformed")
    if abs(now.timestamp() - int(query.timestamp)) > WINDOW_S:
        raise NotAuthentic(f"it was signed more than {WINDOW_S} s before or after our time")


def _decrypted(account: CallbackAccount, query: CallbackQuery, body: bytes) -> bytes:
    try:
        encrypted = _read(account.format, body).get("Encrypt")
    except UnreadablePush as unreadable:
        raise NotAuthentic(f"the envelope cannot be read: {unreadable.reason}") from None
    if not isinstance(encrypted, str) or not encrypted or not query.msg_signature:
        raise NotAuthentic(f"the push is not encrypted, and the account is in {account.mode} mode")
    parts = (query.timestamp, query.nonce, encrypted)
    if not is_signed(query.msg_signature, account.token, *parts):
        raise NotAuthentic("the msg_signature does not hold: compare the Token")
    return account.cipher.decrypt(encrypted)


def _read(form: Format, body: bytes) -> dict[str, Any]:
    expected = b"<" if form is Format.XML else b"{"
    if body.lstrip(_BLANKS)[:1] != expected:
        raise UnreadablePush(f"the body does not begin like {form.upper()}")
    return read_xml(body) if form is Format.XML else read_json(body)


def seal_push(
    account: CallbackAccount, document: Mapping[str, Any], *, timestamp: int, nonce: str
) -> tuple[dict[str, str], bytes]:
    """WeChat's half of ``open_push``: the query and the body of a push of ``document``.

    ``timestamp`` is in Unix seconds. As WeChat does, the query names the person (``openid``),
    which nothing signs.
    """
    stamp = str(timestamp)
    query = {
        "signature": signature(account.token, stamp, nonce),
        "timestamp": stamp,
        "nonce": nonce,
        "openid": str(document.get("FromUserName", "")),
    }
    if account.mode is Mode.PLAIN:
        return query, _written(account.format, document)
    encrypted = account.cipher.encrypt(_written(account.format, document))
    query["encrypt_type"] = "aes"
    query["msg_signature"] = signature(account.token, stamp, nonce, encrypted)
    shown = document if account.mode is Mode.COMPATIBLE else _addressee(document)
    return query, _written(account.format, {**shown, "Encrypt": encrypted})


def seal_reply(
    account: CallbackAccount,
    document: Mapping[str, Any],
    *,
    timestamp: int,
    nonce: str,
    random: bytes | None = None,
) -> bytes:
    """The body of an answer that says more than ``success``, encrypted unless the mode is plain.

    ``timestamp`` (Unix seconds) and ``nonce`` are the answer's own and are signed with it;
    ``random`` is that of ``MessageCipher.encrypt``.
    """
    message = _written(account.format, document)
    if account.mode is Mode.PLAIN:
        return message
    encrypted = account.cipher.encrypt(message, random=random)
    reply = {
        "Encrypt": encrypted,
        "MsgSignature": signature(account.token, str(timestamp), nonce, encrypted),
        "TimeStamp": timestamp,
        "Nonce": nonce,
    }
    return _written(account.format, reply)


def _addressee(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"ToUserName": document["ToUserName"]} if "ToUserName" in document else {}


def _written(form: Format, document: Mapping[str, Any]) -> bytes:
    return write_xml(document) if form is Format.XML else write_json(document)
