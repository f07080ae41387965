"""The ciphers, and what does not open."""

import base64
import json
import secrets
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given
from hypothesis import strategies as st

from shared.wechat.crypto import (
    MessageCipher,
    NotAuthentic,
    is_signed,
    open_user_data,
    raw_data_is_signed,
    signature,
)
from tests.shared.wechat.pushing import AES_KEY, AES_KEYS, APP_ID, APP_IDS, encrypted_as_is

SESSION_KEY = base64.b64encode(bytes(range(16))).decode()
IV = base64.b64encode(bytes(16)).decode()
RANDOM = b"0123456789abcdef"


@given(aes_key=AES_KEYS, app_id=APP_IDS, message=st.binary(max_size=300))
def test_what_is_encrypted_is_decrypted(aes_key: str, app_id: str, message: bytes) -> None:
    cipher = MessageCipher(aes_key, app_id)
    encrypted = cipher.encrypt(message)
    assert len(base64.b64decode(encrypted)) % 32 == 0
    assert cipher.decrypt(encrypted) == message


@given(message=st.binary(max_size=200), place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_message_for_another_appid_does_not_open(message: bytes, place: int, bit: int) -> None:
    other = bytearray(APP_ID.encode())
    other[place % len(other)] ^= 1 << bit
    encrypted = MessageCipher(AES_KEY, other.decode("latin-1")).encrypt(message)
    with pytest.raises(NotAuthentic):
        MessageCipher(AES_KEY, APP_ID).decrypt(encrypted)


def test_one_message_is_never_encrypted_alike_twice() -> None:
    cipher = MessageCipher(AES_KEY, APP_ID)
    assert cipher.encrypt(b"same") != cipher.encrypt(b"same")


@pytest.mark.parametrize("aes_key", ["", AES_KEY[:-1], AES_KEY + "=", AES_KEY[:-1] + "_", "é" * 43])
def test_a_malformed_key_is_refused_when_it_is_set(aes_key: str) -> None:
    with pytest.raises(ValueError, match="EncodingAESKey"):
        MessageCipher(aes_key, APP_ID)


def test_no_cipher_is_made_without_an_appid() -> None:
    with pytest.raises(ValueError, match="appid"):
        MessageCipher(AES_KEY, "")


def test_the_random_part_has_its_length() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        MessageCipher(AES_KEY, APP_ID).encrypt(b"x", random=b"short")


def framed(message: bytes, length: int | None = None, app_id: str = APP_ID) -> bytes:
    size = len(message) if length is None else length
    return RANDOM + size.to_bytes(4, "big") + message + app_id.encode()


def padded(plain: bytes, block: int = 32) -> bytes:
    count = block - len(plain) % block
    return plain + bytes([count]) * count


ALIGNED = framed(b"m" * (64 - 20 - len(APP_ID)))
"""64 bytes, so that the padding is a whole block of its own."""

DAMAGED = {
    "padding of no byte": ALIGNED[:-1] + b"\0",
    "padding of 33": framed(b"m" * (63 - 20 - len(APP_ID))) + b"\x21" * 33,
    "padding of 64": ALIGNED + b"\x40" * 64,
    "padding of 255": ALIGNED + b"\xff" * 32,
    "padding that differs": ALIGNED + b"\x1f" + b"\x20" * 31,
    "padding longer than all": b"\x20" * 31 + b"\x21",
    "nothing but padding": b"\x20" * 32,
    "too short for a head": padded(b"r" * 19),
    "a length beyond the end": padded(framed(b"m" * 20, 21)),
    "a length of four gigabytes": padded(framed(b"m" * 20, 0xFFFFFFFF)),
    "a length that reaches into the appid": padded(framed(b"m" * 20, 20 + len(APP_ID))),
    "a length too short": padded(framed(b"m" * 20, 19)),
    "no appid": padded(framed(b"m" * 20, app_id="")),
    "another appid": padded(framed(b"m" * 20, app_id="wx1111111111111111")),
    "an appid with more behind it": padded(framed(b"m" * 20, app_id=APP_ID + "0")),
    "padding to 16": framed(b"m" * (48 - 20 - len(APP_ID) - 1)) + b"\x01",
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_damaged_inside_does_not_open(case: str) -> None:
    with pytest.raises(NotAuthentic):
        MessageCipher(AES_KEY, APP_ID).decrypt(encrypted_as_is(DAMAGED[case]))


def test_the_same_frames_open_when_they_are_whole() -> None:
    cipher = MessageCipher(AES_KEY, APP_ID)
    assert cipher.decrypt(encrypted_as_is(padded(framed(b"m" * 20)))) == b"m" * 20
    assert cipher.decrypt(encrypted_as_is(ALIGNED + b"\x20" * 32)) == ALIGNED[20 : -len(APP_ID)]
    assert cipher.decrypt(encrypted_as_is(padded(framed(b"")))) == b""


def test_all_that_does_not_open_is_refused_in_the_same_words() -> None:
    cipher = MessageCipher(AES_KEY, APP_ID)
    whole = cipher.encrypt(b"m" * 100)
    raw = base64.b64decode(whole)
    texts = [encrypted_as_is(plain) for plain in DAMAGED.values()]
    texts += [base64.b64encode(raw[:end]).decode() for end in range(len(raw))]
    texts += [
        whole[:-1],
        whole + "=",
        whole + "AAAA",
        whole.replace("A", "-"),
        "",
        "é",
        whole + "\n",
    ]
    texts.append(MessageCipher("A" * 43, APP_ID).encrypt(b"m"))
    reasons = set()
    for text in texts:
        with pytest.raises(NotAuthentic) as refused:
            cipher.decrypt(text)
        reasons.add(refused.value.reason)
        assert refused.value.__cause__ is None
    assert len(reasons) == 1


@given(given_signature=st.text(max_size=45))
def test_what_is_no_signature_signs_nothing(given_signature: str) -> None:
    assert not is_signed(given_signature, "token", "1760000000", "1")
    assert not raw_data_is_signed("{}", SESSION_KEY, given_signature)


def test_a_signature_holds_as_it_is_written_only() -> None:
    signed = signature("token", "1760000000", "1")
    assert is_signed(signed, "token", "1760000000", "1")
    for other in (signed.upper(), f" {signed}", f"{signed}\n", signed[:-1], f"{signed}0", ""):
        assert not is_signed(other, "token", "1760000000", "1")


def user_data(data: object, session_key: str = SESSION_KEY, iv: str = IV, block: int = 16) -> str:
    encryptor = Cipher(AES(base64.b64decode(session_key)), CBC(base64.b64decode(iv))).encryptor()
    plain = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.b64encode(encryptor.update(padded(plain, block)) + encryptor.finalize()).decode()


PHONE = {"phoneNumber": "13580006666", "watermark": {"appid": APP_ID, "timestamp": 1_760_000_000}}


def test_user_data_is_opened_while_it_is_recent() -> None:
    made_at = datetime.fromtimestamp(1_760_000_000, UTC)
    late = datetime.fromtimestamp(1_760_000_001, UTC)
    sealed = user_data(PHONE)
    assert open_user_data(SESSION_KEY, sealed, IV, APP_ID) == PHONE
    assert open_user_data(SESSION_KEY, sealed, IV, APP_ID, not_before=made_at) == PHONE
    with pytest.raises(NotAuthentic, match="too old"):
        open_user_data(SESSION_KEY, sealed, IV, APP_ID, not_before=late)
    undated = user_data({"watermark": {"appid": APP_ID}})
    with pytest.raises(NotAuthentic, match="too old"):
        open_user_data(SESSION_KEY, undated, IV, APP_ID, not_before=made_at)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[]",
        b"null",
        b"[" * 50_000,
        b'{"watermark": []}',
        b'{"watermark": {"appid": ["' + APP_ID.encode() + b'"]}}',
        {"watermark": {"appid": "wx1111111111111111"}},
        {},
    ],
)
def test_user_data_that_is_none_or_for_another_does_not_open(data: object) -> None:
    with pytest.raises(NotAuthentic):
        open_user_data(SESSION_KEY, user_data(data), IV, APP_ID)


def test_user_data_is_padded_to_16() -> None:
    """Padding as in pushes is refused: 17 bytes and more are none of AES's."""
    data = json.dumps(PHONE).encode()
    assert len(padded(data, 32)) - len(data) > 16
    with pytest.raises(NotAuthentic):
        open_user_data(SESSION_KEY, user_data(data, block=32), IV, APP_ID)


def test_user_data_under_a_stale_session_key_does_not_open() -> None:
    sealed = user_data(PHONE)
    for _ in range(300):
        stale = base64.b64encode(secrets.token_bytes(16)).decode()
        with pytest.raises(NotAuthentic):
            open_user_data(stale, sealed, IV, APP_ID)


@pytest.mark.parametrize("key", ["", "AAAA", base64.b64encode(bytes(32)).decode(), "é", "A" * 22])
def test_keys_and_vectors_of_user_data_are_of_16_bytes(key: str) -> None:
    for session_key, iv in ((key, IV), (SESSION_KEY, key)):
        with pytest.raises(NotAuthentic):
            open_user_data(session_key, user_data(PHONE), iv, APP_ID)
