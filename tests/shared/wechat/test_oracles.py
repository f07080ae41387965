"""Two other implementations, wechatpy and WeRoBot: what they encrypt we read, and they what we do."""

from typing import Any

import xmltodict
from hypothesis import given
from hypothesis import strategies as st
from wechatpy.crypto import WeChatCrypto
from wechatpy.utils import check_signature
from werobot.crypto import MessageCrypt
from werobot.utils import get_signature

from shared.wechat.callback import (
    CallbackAccount,
    CallbackQuery,
    Format,
    Mode,
    seal_push,
    seal_reply,
)
from shared.wechat.crypto import signature
from shared.wechat.documents import read_json, read_xml, write_xml
from tests.shared.wechat.pushing import (
    AES_KEYS,
    APP_IDS,
    DOCUMENTS,
    NONCES,
    TIMESTAMP,
    TOKENS,
    opened,
    written,
)

ACCOUNTS = st.builds(
    CallbackAccount,
    APP_IDS,
    TOKENS,
    AES_KEYS,
    st.sampled_from([Mode.COMPATIBLE, Mode.SECURE]),
    st.sampled_from(Format),
)
STAMP = str(TIMESTAMP)


def theirs(account: CallbackAccount) -> tuple[Any, Any]:
    names = account.token, account.aes_key, account.app_id
    return WeChatCrypto(*names), MessageCrypt(*names)


def read(account: CallbackAccount, message: str | bytes) -> dict[str, Any]:
    body = message.encode() if isinstance(message, str) else message
    return read_xml(body) if account.format is Format.XML else read_json(body)


def as_sent(account: CallbackAccount, reply: str) -> tuple[CallbackQuery, bytes]:
    """The query and body of a push, out of a library's encrypted answer."""
    said = xmltodict.parse(reply)["xml"]
    query = CallbackQuery(
        timestamp=said["TimeStamp"], nonce=said["Nonce"], msg_signature=said["MsgSignature"]
    )
    envelope = {"ToUserName": "gh_1", "Encrypt": said["Encrypt"]}
    return query, written(account.format, envelope)


@given(account=ACCOUNTS, document=DOCUMENTS, nonce=NONCES)
def test_what_wechatpy_encrypts_is_opened(
    account: CallbackAccount, document: dict[str, Any], nonce: str
) -> None:
    message = written(account.format, document).decode()
    reply = theirs(account)[0].encrypt_message(message, nonce, STAMP)
    assert opened(account, *as_sent(account, reply)) == document


@given(account=ACCOUNTS, document=DOCUMENTS, nonce=NONCES)
def test_what_werobot_encrypts_is_opened(
    account: CallbackAccount, document: dict[str, Any], nonce: str
) -> None:
    message = written(account.format, document).decode()
    reply = theirs(account)[1].encrypt_message(message, STAMP, nonce)
    assert opened(account, *as_sent(account, reply)) == document


@given(account=ACCOUNTS, document=DOCUMENTS, nonce=NONCES)
def test_both_open_what_we_push(
    account: CallbackAccount, document: dict[str, Any], nonce: str
) -> None:
    query, body = seal_push(account, document, timestamp=TIMESTAMP, nonce=nonce)
    signed = query["msg_signature"]
    envelope = read(account, body)
    wechatpy, werobot = theirs(account)
    whole = body if account.format is Format.XML else envelope
    message = wechatpy.decrypt_message(whole, signed, STAMP, nonce)
    assert read(account, message) == document
    message = werobot.decrypt_message(STAMP, nonce, signed, envelope["Encrypt"])
    assert read(account, message) == document


@given(account=ACCOUNTS, document=DOCUMENTS, nonce=NONCES)
def test_both_open_what_we_reply(
    account: CallbackAccount, document: dict[str, Any], nonce: str
) -> None:
    reply = read(account, seal_reply(account, document, timestamp=TIMESTAMP, nonce=nonce))
    assert (reply["TimeStamp"], reply["Nonce"]) == (STAMP, nonce)
    wechatpy, werobot = theirs(account)
    message = wechatpy.decrypt_message(reply, reply["MsgSignature"], STAMP, nonce)
    assert read(account, message) == document
    message = werobot.decrypt_message(STAMP, nonce, reply["MsgSignature"], reply["Encrypt"])
    assert read(account, message) == document


@given(token=TOKENS, nonce=st.text(max_size=20))
def test_all_three_sign_alike(token: str, nonce: str) -> None:
    signed = signature(token, STAMP, nonce)
    assert get_signature(token, STAMP, nonce) == signed
    check_signature(token, signed, STAMP, nonce)


@given(document=DOCUMENTS)
def test_our_xml_is_read_alike_by_xmltodict(document: dict[str, Any]) -> None:
    body = write_xml(document)
    parsed = xmltodict.parse(body)["xml"]
    assert with_empty_texts(parsed) == read_xml(body)


def with_empty_texts(parsed: Any) -> Any:
    """xmltodict says None for an empty element."""
    if isinstance(parsed, dict):
        return {name: with_empty_texts(value) for name, value in parsed.items()}
    if isinstance(parsed, list):
        return [with_empty_texts(value) for value in parsed]
    return parsed or ""
