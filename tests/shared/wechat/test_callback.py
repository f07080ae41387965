"""What the callback takes for WeChat's, in both formats and every mode, and what it does not."""

import dataclasses
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wechat.callback import (
    WINDOW_S,
    CallbackAccount,
    CallbackQuery,
    Format,
    Mode,
    NotAuthentic,
    UnreadablePush,
    open_push,
    seal_push,
    seal_reply,
    verify_url,
)
from shared.wechat.crypto import signature
from tests.shared.wechat.pushing import (
    AES_KEY,
    APP_ID,
    DOCUMENTS,
    ENCRYPTED,
    MESSAGE,
    NONCE,
    NOW,
    TIMESTAMP,
    TOKEN,
    account,
    opened,
    pushed,
    signed_envelope,
)

modes = pytest.mark.parametrize("mode", Mode)
encrypted_modes = pytest.mark.parametrize("mode", ENCRYPTED)
formats = pytest.mark.parametrize("form", Format)


@given(document=DOCUMENTS, mode=st.sampled_from(Mode), form=st.sampled_from(Format))
def test_what_is_pushed_is_opened(document: dict[str, Any], mode: Mode, form: Format) -> None:
    to = account(mode, form)
    assert opened(to, *pushed(to, document)) == document


@formats
def test_a_secure_push_shows_nothing_but_its_addressee(form: Format) -> None:
    _, body = pushed(account(Mode.SECURE, form))
    assert b"oSLM" not in body
    assert b"gh_51a2b3c4d5e6" in body
    _, body = pushed(account(Mode.COMPATIBLE, form))
    assert b"oSLM_user_0001" in body


@formats
@modes
def test_a_push_is_taken_within_the_window_only(mode: Mode, form: Format) -> None:
    to = account(mode, form)
    query, body = pushed(to)
    for offset in (-WINDOW_S, 0, WINDOW_S):
        assert open_push(to, query, body, NOW + timedelta(seconds=offset)) == MESSAGE
    for offset in (-WINDOW_S - 1, WINDOW_S + 1, 86_400, -86_400 * 9_000):
        with pytest.raises(NotAuthentic, match="300 s"):
            open_push(to, query, body, NOW + timedelta(seconds=offset))


@formats
@modes
@pytest.mark.parametrize(
    "timestamp",
    ["", "0", "176000000", "17600000000", "1760000000.0", " 1760000000", "1760000000\n",
     "+176000000", "-176000000", "1_760_0000", "\uff11760000000", "1e9", "nan"],
)  # fmt: skip
def test_a_timestamp_has_ten_digits(mode: Mode, form: Format, timestamp: str) -> None:
    to = account(mode, form)
    query, body = pushed(to)
    signed = replace(
        query, timestamp=timestamp, signature=signature(to.token, timestamp, query.nonce)
    )
    with pytest.raises(NotAuthentic, match="timestamp"):
        opened(to, signed, body)


@formats
@modes
@pytest.mark.parametrize("nonce", ["", "a b", "é", "\0", "1" * 129])
def test_a_nonce_is_a_short_printable_word(mode: Mode, form: Format, nonce: str) -> None:
    to = account(mode, form)
    query, body = pushed(to)
    signed = replace(query, nonce=nonce, signature=signature(to.token, query.timestamp, nonce))
    with pytest.raises(NotAuthentic, match="nonce"):
        opened(to, signed, body)


@formats
@modes
def test_each_signed_part_is_covered(mode: Mode, form: Format) -> None:
    to = account(mode, form)
    query, body = pushed(to)
    forged = [
        replace(query, timestamp=str(TIMESTAMP + 1)),
        replace(query, nonce=NONCE + "1"),
        replace(query, signature="0" * 40, msg_signature="0" * 40),
        replace(query, signature="", msg_signature=""),
        replace(query, signature=query.msg_signature, msg_signature=query.signature),
        replace(
            query, signature=query.signature.upper(), msg_signature=query.msg_signature.upper()
        ),
    ]
    for other in forged:
        with pytest.raises(NotAuthentic):
            opened(to, other, body)
    with pytest.raises(NotAuthentic):
        opened(account(mode, form, token="another"), query, body)


HOSTILE = {
    Format.XML: [
        b"<!DOCTYPE xml><xml><MsgType>text</MsgType></xml>",
        b'<!DOCTYPE xml [<!ENTITY a "b">]><xml><MsgType>&a;</MsgType></xml>',
        b"<xml><MsgType>text</MsgType><MsgType>event</MsgType></xml>",
        b"<xml>" + b"<a>" * 5_000,
        b"<xml><Content>\xff</Content></xml>",
        b'{"MsgType": "text"}',
        b"",
    ],
    Format.JSON: [
        b'{"MsgType": "text", "MsgType": "event"}',
        b'{"CreateTime": NaN}',
        b'{"a":' * 5_000,
        b'{"a":' + b"[" * 40_000,
        b'{"Content": "\xff"}',
        b"<xml><MsgType>text</MsgType></xml>",
        b"",
    ],
}


@formats
@modes
def test_what_is_authentic_and_hostile_is_unreadable(mode: Mode, form: Format) -> None:
    to = account(mode, form)
    for message in HOSTILE[form]:
        if mode is Mode.PLAIN:
            query, body = pushed(to)[0], message
        else:
            query, body = signed_envelope(to, to.cipher.encrypt(message))
        with pytest.raises(UnreadablePush):
            opened(to, query, body)


@formats
@encrypted_modes
def test_a_hostile_envelope_is_not_authentic(mode: Mode, form: Format) -> None:
    to = account(mode, form)
    query, body = pushed(to)
    for envelope in [*HOSTILE[form], body + b"x" * 65_536]:
        with pytest.raises(NotAuthentic, match="envelope"):
            opened(to, query, envelope)


@modes
def test_the_format_is_the_accounts(mode: Mode) -> None:
    for mine, other in ((Format.XML, Format.JSON), (Format.JSON, Format.XML)):
        query, body = pushed(account(mode, other))
        with pytest.raises((NotAuthentic, UnreadablePush), match=f"begin like {mine.upper()}"):
            opened(account(mode, mine), query, body)


@formats
def test_blanks_before_a_body_do_no_harm(form: Format) -> None:
    to = account(Mode.PLAIN, form)
    query, body = pushed(to)
    assert opened(to, query, b" \r\n\t" + body) == MESSAGE


@given(
    mode=st.sampled_from(Mode),
    form=st.sampled_from(Format),
    fields=st.dictionaries(
        st.sampled_from([field.name for field in dataclasses.fields(CallbackQuery)]),
        st.text(max_size=45) | st.just(str(TIMESTAMP)),
    ),
    body=st.binary(max_size=200),
)
def test_nothing_but_the_two_refusals_comes_of_anything(
    mode: Mode, form: Format, fields: dict[str, str], body: bytes
) -> None:
    to = account(mode, form)
    for query in (CallbackQuery.of(fields), pushed(to)[0]):
        try:
            opened(to, query, body)
        except (NotAuthentic, UnreadablePush):
            continue
        assert mode is Mode.PLAIN


def test_the_url_is_verified_by_the_signature_alone() -> None:
    for mode in Mode:
        to = account(mode)
        query = replace(pushed(to)[0], echostr="4375120948345356249")
        assert verify_url(to, query) == "4375120948345356249"
        for forged in (
            replace(query, signature="0" * 40),
            replace(query, signature=""),
            replace(query, nonce="1"),
            replace(query, timestamp="1"),
        ):
            with pytest.raises(NotAuthentic, match="Token"):
                verify_url(to, forged)


@pytest.mark.parametrize("echo", ["", "<script>", "a b", "é", "1\n", "1" * 257])
def test_an_echostr_that_is_none_is_not_sent_back(echo: str) -> None:
    with pytest.raises(NotAuthentic, match="echostr"):
        verify_url(account(), replace(pushed(account())[0], echostr=echo))


def test_an_account_that_encrypts_has_a_key() -> None:
    for mode in ENCRYPTED:
        with pytest.raises(ValueError, match="needs an EncodingAESKey"):
            CallbackAccount(APP_ID, TOKEN, None, mode, Format.XML)
        with pytest.raises(ValueError, match="43 letters"):
            CallbackAccount(APP_ID, TOKEN, "short", mode, Format.XML)
    to = CallbackAccount(APP_ID, TOKEN, None, Mode.PLAIN, Format.XML)
    assert opened(to, *pushed(to)) == MESSAGE


def test_no_secret_is_shown_with_an_account() -> None:
    shown = repr(account())
    assert APP_ID in shown
    assert AES_KEY not in shown
    assert TOKEN not in shown


@formats
@modes
def test_a_push_names_its_person_in_the_query(mode: Mode, form: Format) -> None:
    query, _ = seal_push(account(mode, form), MESSAGE, timestamp=TIMESTAMP, nonce=NONCE)
    assert query["openid"] == "oSLM_user_0001"
    assert ("encrypt_type" in query) == ("msg_signature" in query) == (mode is not Mode.PLAIN)


def test_a_reply_in_plain_mode_is_clear() -> None:
    reply = {"MsgType": "transfer_customer_service"}
    to = account(Mode.PLAIN, Format.JSON)
    body = seal_reply(to, reply, timestamp=TIMESTAMP, nonce=NONCE)
    assert body == b'{"MsgType":"transfer_customer_service"}'


def test_a_reply_has_the_time_as_a_number() -> None:
    body = seal_reply(account(form=Format.JSON), MESSAGE, timestamp=TIMESTAMP, nonce=NONCE)
    assert b'"TimeStamp":1760000000,"Nonce":"1320562132"' in body
    body = seal_reply(account(), MESSAGE, timestamp=TIMESTAMP, nonce=NONCE)
    assert b"<TimeStamp>1760000000</TimeStamp>" in body
