"""What a fuzzer feeds: each target takes any bytes, and fails by raising.

Nothing but NotAuthentic and UnreadablePush may come of a push, and reading never fails.
"""

import base64
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from shared.wechat.callback import (
    CallbackAccount,
    CallbackQuery,
    Format,
    Mode,
    NotAuthentic,
    UnreadablePush,
    verify_url,
)
from shared.wechat.crypto import open_user_data
from shared.wechat.documents import read_json, read_xml, write_json, write_xml
from shared.wechat.pushes import read_push
from tests.shared.wechat.push_cases import EVENTS, HEAD, MESSAGES
from tests.shared.wechat.pushing import (
    APP_ID,
    MESSAGE,
    TIMESTAMP,
    account,
    encrypted_as_is,
    opened,
    pushed,
    signed_envelope,
)
from tests.shared.wechat.test_documents import REFUSED_JSON, REFUSED_XML

_ACCOUNTS = {(mode, form): account(mode, form) for mode in Mode for form in Format}
_PLAIN_QUERY = pushed(_ACCOUNTS[Mode.PLAIN, Format.XML])[0]
_SESSION_KEY = base64.b64encode(bytes(range(16))).decode()
_SESSION = Cipher(AES(bytes(range(16))), CBC(bytes(range(16))))
_BLOCK = 16
_MAX_SEED = 4096


def documents_in_xml(data: bytes) -> None:
    document = read_xml(data)
    repr(read_push(document))
    try:
        write_xml(document)
    except ValueError as refused:
        if "name of an element" not in str(refused):
            raise


def documents_in_json(data: bytes) -> None:
    document = read_json(data)
    repr(read_push(document))
    if read_json(write_json(document)) != document:
        raise AssertionError("it reads otherwise when it is written again")


def plain_pushes(data: bytes) -> None:
    form = Format.JSON if data[:1] == b"{" else Format.XML
    repr(read_push(opened(_ACCOUNTS[Mode.PLAIN, form], _PLAIN_QUERY, data)))


def forged_pushes(data: bytes) -> None:
    """Of a body that nobody signed, nothing is ever opened."""
    for mode in (Mode.COMPATIBLE, Mode.SECURE):
        for form in Format:
            to = _ACCOUNTS[mode, form]
            _refused(to, pushed(to)[0], data)


def forged_queries(data: bytes) -> None:
    texts = data.decode("utf-8", "surrogateescape").split("\n")
    query = CallbackQuery(*texts[:6])
    for to in _ACCOUNTS.values():
        _refused(to, query, b"<xml><Encrypt>AAAA</Encrypt></xml>")
        try:
            verify_url(to, query)
        except NotAuthentic:
            continue
        raise AssertionError("a signature was guessed")


def _refused(to: CallbackAccount, query: CallbackQuery, body: bytes) -> None:
    try:
        opened(to, query, body)
    except NotAuthentic:
        return
    raise AssertionError("something forged was opened")


def sealed_messages(data: bytes) -> None:
    """What is encrypted and signed reads as it does in clear."""
    form = Format.JSON if data[:1] == b"{" else Format.XML
    to = _ACCOUNTS[Mode.SECURE, form]
    query, body = signed_envelope(to, to.cipher.encrypt(data))
    document = opened(to, query, body)
    if document != (read_json(data) if form is Format.JSON else read_xml(data)):
        raise AssertionError("it reads otherwise when it was encrypted")
    repr(read_push(document))


def frames(data: bytes) -> None:
    """Plain text of the cipher, whatever its padding, length and appid."""
    plain = data + bytes(-len(data) % _BLOCK)
    message = _ACCOUNTS[Mode.SECURE, Format.XML].cipher.decrypt(encrypted_as_is(plain))
    if message not in data:
        raise AssertionError("a message that was not in there")


def signed_texts(data: bytes) -> None:
    """Anything in the place of what is encrypted, under a signature that holds."""
    to = _ACCOUNTS[Mode.SECURE, Format.JSON]
    opened(to, *signed_envelope(to, data.decode("utf-8", "replace")))


def user_data(data: bytes) -> None:
    plain = data + bytes(-len(data) % _BLOCK)
    encryptor = _SESSION.encryptor()
    sealed = base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()
    for iv in (_SESSION_KEY, data.decode("latin-1")):
        try:
            open_user_data(_SESSION_KEY, sealed, iv, APP_ID)
        except NotAuthentic:
            continue


TARGETS: tuple[Callable[[bytes], None], ...] = (
    documents_in_xml,
    documents_in_json,
    plain_pushes,
    forged_pushes,
    forged_queries,
    sealed_messages,
    frames,
    signed_texts,
    user_data,
)


def feed(data: bytes) -> None:
    """The first byte chooses the target, the others are for it."""
    if not data:
        return
    try:
        TARGETS[data[0] % len(TARGETS)](data[1:])
    except (NotAuthentic, UnreadablePush):
        return


def seeds() -> list[bytes]:
    """For every target a push of each kind in both formats, what is refused, and what is its own."""
    said: list[dict[str, Any]] = [dict(MESSAGE)]
    said += [{**HEAD, "MsgType": case[0], **case[1]} for case in MESSAGES.values()]
    said += [{**HEAD, "MsgType": "event", "Event": case[0], **case[1]} for case in EVENTS.values()]
    bodies = [write(document) for document in said for write in (write_xml, write_json)]
    bodies += [*REFUSED_XML.values(), *REFUSED_JSON.values()]
    frame = bytes(16) + (6).to_bytes(4, "big") + b"<xml/>" + APP_ID.encode()
    bodies.append(frame + bytes([64 - len(frame)]) * (64 - len(frame)))
    watermark = b'{"watermark":{"appid":"' + APP_ID.encode() + b'","timestamp":1}}'
    missing = _BLOCK - len(watermark) % _BLOCK
    bodies.append(watermark + bytes([missing]) * missing)
    bodies.append(f"{'0' * 40}\n{TIMESTAMP}\n1320562132\n123\n{'0' * 40}\naes".encode())
    short = [body for body in bodies if len(body) <= _MAX_SEED]
    return [bytes([choice]) + body for choice in range(len(TARGETS)) for body in short]


def words() -> list[bytes]:
    """What a fuzzer would take long to find by itself."""
    marks = "<xml>|</xml>|<![CDATA[|]]>|<!DOCTYPE|<!ENTITY|<!--|-->|<?xml|&#x|&amp;|List|\\ud83d"
    names = {name.encode() for case in EVENTS.values() for name in (case[0], *case[1])}
    return [*(mark.encode() for mark in marks.split("|")), *sorted(names), APP_ID.encode()]
