"""Accounts, and pushes as WeChat would send them, right or wrong at one point each."""

import base64
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import strategies as st

from shared.wechat.callback import (
    CallbackAccount,
    CallbackQuery,
    Format,
    Mode,
    open_push,
    seal_push,
)
from shared.wechat.crypto import signature
from shared.wechat.documents import write_json, write_xml

TIMESTAMP = 1_760_000_000
NOW = datetime.fromtimestamp(TIMESTAMP, UTC)
NONCE = "1320562132"
APP_ID = "wx0011223344556677"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
TOKEN = "spamtest"
ENCRYPTED = [Mode.COMPATIBLE, Mode.SECURE]
MESSAGE = {
    "ToUserName": "gh_51a2b3c4d5e6",
    "FromUserName": "oSLM_user_0001",
    "CreateTime": str(TIMESTAMP),
    "MsgType": "text",
    "Content": "你好 <b>&]]>",
    "MsgId": "24000000000000001",
}

_ALNUM = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
AES_KEYS = st.text(_ALNUM + "+/", min_size=43, max_size=43)
APP_IDS = st.text("0123456789abcdef", min_size=16, max_size=16).map("wx{}".format)
TOKENS = st.text(_ALNUM, min_size=3, max_size=32)
NONCES = st.text("0123456789", min_size=4, max_size=12)

_NAMES = st.text("aBc_7", max_size=5).map("N{}".format)
_TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20
).map(str.strip)
_LEAVES = st.dictionaries(_NAMES, _TEXTS, min_size=1, max_size=3)
DOCUMENTS = st.dictionaries(
    _NAMES, _TEXTS | _LEAVES | st.lists(_LEAVES, min_size=2, max_size=3), min_size=1, max_size=5
)
"""What both formats can say alike."""


def account(
    mode: Mode = Mode.SECURE, form: Format = Format.XML, *, app_id: str = APP_ID, token: str = TOKEN
) -> CallbackAccount:
    return CallbackAccount(app_id, token, AES_KEY, mode, form)


def pushed(
    to: CallbackAccount, message: dict[str, Any] | None = None
) -> tuple[CallbackQuery, bytes]:
    document = MESSAGE if message is None else message
    query, body = seal_push(to, document, timestamp=TIMESTAMP, nonce=NONCE)
    return CallbackQuery.of(query), body


def opened(to: CallbackAccount, query: CallbackQuery, body: bytes) -> dict[str, Any]:
    return open_push(to, query, body, NOW)


def written(form: Format, document: dict[str, Any]) -> bytes:
    return write_xml(document) if form is Format.XML else write_json(document)


def signed_envelope(to: CallbackAccount, encrypted: str) -> tuple[CallbackQuery, bytes]:
    """A push whose signature holds, whatever is encrypted or not in it."""
    stamp = str(TIMESTAMP)
    query = CallbackQuery(
        signature=signature(to.token, stamp, NONCE),
        timestamp=stamp,
        nonce=NONCE,
        msg_signature=signature(to.token, stamp, NONCE, encrypted),
        encrypt_type="aes",
    )
    return query, written(to.format, {"ToUserName": "gh_1", "Encrypt": encrypted})


def encrypted_as_is(plain: bytes, aes_key: str = AES_KEY) -> str:
    """Encrypted without any padding or frame; ``plain`` is a multiple of 16 bytes."""
    key = base64.b64decode(aes_key + "=")
    encryptor = Cipher(AES(key), CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()
