"""What somebody may try who has seen an address, or holds another account of the installation."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from shared.wechat.callback import Format, Mode, NotAuthentic
from tests.shared.wechat.pushing import (
    ENCRYPTED,
    MESSAGE,
    account,
    opened,
    pushed,
    signed_envelope,
    written,
)

encrypted_modes = pytest.mark.parametrize("mode", ENCRYPTED)
formats = pytest.mark.parametrize("form", Format)


@formats
@encrypted_modes
def test_leaving_the_encryption_away_is_refused(mode: Mode, form: Format) -> None:
    """A plain push to an account in an encrypted mode, with a signature that holds."""
    to = account(mode, form)
    query, body = pushed(account(Mode.PLAIN, form))
    for weaker in (query, replace(query, encrypt_type="raw"), replace(query, encrypt_type="aes")):
        for signed in (weaker, replace(weaker, msg_signature=query.signature)):
            with pytest.raises(NotAuthentic):
                opened(to, signed, body)


@formats
@encrypted_modes
def test_an_encrypted_body_without_its_signature_is_refused(mode: Mode, form: Format) -> None:
    to = account(mode, form)
    query, body = pushed(to)
    for encrypt_type in ("", "raw", "aes"):
        weaker = replace(query, encrypt_type=encrypt_type, msg_signature="")
        with pytest.raises(NotAuthentic, match="not encrypted"):
            opened(to, weaker, body)


@formats
@encrypted_modes
def test_the_mode_is_not_taken_from_the_query(mode: Mode, form: Format) -> None:
    to = account(mode, form)
    query, body = pushed(to)
    for encrypt_type in ("", "raw", "none"):
        assert opened(to, replace(query, encrypt_type=encrypt_type), body) == MESSAGE


@formats
@encrypted_modes
def test_an_encrypted_push_to_a_plain_account_is_refused(mode: Mode, form: Format) -> None:
    query, body = pushed(account(mode, form))
    with pytest.raises(NotAuthentic, match="plain mode"):
        opened(account(Mode.PLAIN, form), query, body)


@formats
def test_the_clear_part_of_a_compatible_push_is_not_read(form: Format) -> None:
    to = account(Mode.COMPATIBLE, form)
    query, body = pushed(to)
    altered = body.replace(b"oSLM_user_0001", b"oSLM_user_6666")
    assert altered != body
    assert opened(to, query, altered) == MESSAGE


@formats
@encrypted_modes
def test_an_altered_body_is_refused_wherever_it_is_altered(mode: Mode, form: Format) -> None:
    to = account(mode, form)
    query, body = signed_envelope(to, encrypted := to.cipher.encrypt(written(form, MESSAGE)))
    assert opened(to, query, body) == MESSAGE
    for place in range(0, len(encrypted), 7):
        other = "A" if encrypted[place] != "A" else "B"
        altered = encrypted[:place] + other + encrypted[place + 1 :]
        with pytest.raises(NotAuthentic, match="msg_signature"):
            opened(to, query, body.replace(encrypted.encode(), altered.encode()))


@formats
@encrypted_modes
def test_a_push_for_another_appid_is_refused(mode: Mode, form: Format) -> None:
    """Two accounts may share a Token and a key; what is for one is not for the other."""
    to = account(mode, form)
    query, body = pushed(account(mode, form, app_id="wx7766554433221100"))
    with pytest.raises(NotAuthentic, match="appid"):
        opened(to, query, body)


@formats
@encrypted_modes
def test_a_push_under_another_key_is_refused(mode: Mode, form: Format) -> None:
    query, body = pushed(replace(account(mode, form), aes_key="B" * 43))
    with pytest.raises(NotAuthentic, match="key"):
        opened(account(mode, form), query, body)


@formats
@encrypted_modes
def test_what_is_signed_and_truncated_is_refused(mode: Mode, form: Format) -> None:
    to = account(mode, form)
    whole = base64.b64decode(to.cipher.encrypt(written(form, MESSAGE)))
    for end in range(len(whole)):
        query, body = signed_envelope(to, base64.b64encode(whole[:end]).decode())
        with pytest.raises(NotAuthentic):
            opened(to, query, body)


@formats
@encrypted_modes
@pytest.mark.parametrize("encrypted", ["", "AAAA", "not base64", "é", "=", "A" * 44, "[1]", "1"])
def test_what_is_signed_and_nothing_encrypted_is_refused(
    mode: Mode, form: Format, encrypted: str
) -> None:
    to = account(mode, form)
    with pytest.raises(NotAuthentic):
        opened(to, *signed_envelope(to, encrypted))


@formats
@encrypted_modes
def test_an_envelope_with_more_than_one_part_is_refused(mode: Mode, form: Format) -> None:
    to = account(mode, form)
    query, body = pushed(to)
    doubled = {
        Format.XML: body.replace(b"</xml>", b"<Encrypt>AAAA</Encrypt></xml>"),
        Format.JSON: body.replace(b"{", b'{"Encrypt":"AAAA",', 1),
    }
    with pytest.raises(NotAuthentic, match="twice"):
        opened(to, query, doubled[form])
    nested: dict[Format, dict[str, Any]] = {
        Format.XML: {"Encrypt": {"a": "b"}},
        Format.JSON: {"Encrypt": ["AAAA"]},
    }
    with pytest.raises(NotAuthentic, match="not encrypted"):
        opened(to, query, written(form, nested[form]))
