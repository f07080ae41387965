"""WeChat's signatures and ciphers: of pushes, of replies and of a mini-program's user data.

The formats are WeChat's own and older than authenticated encryption: a message is only as
trustworthy as the signature that was checked before it was decrypted.
Source: WeChat's documentation of message push and of WXBizMsgCrypt; of open data (signature,
encryptedData) for mini-programs.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

AES_KEY_PATTERN: Final = r"^[A-Za-z0-9+/]{43}$"
"""An EncodingAESKey. The last character may have stray low bits: most keys do."""

_AES_KEY = re.compile(AES_KEY_PATTERN)
_DIGEST = re.compile(r"[0-9a-f]{40}", re.ASCII)
_MESSAGE_BLOCK = 32
_AES_BLOCK = 16
_RANDOM = 16
_HEAD = _RANDOM + 4


class NotAuthentic(Exception):  # noqa: N818 - named as a whole phrase, like every refusal here
    """It is not shown that this comes from WeChat, for this account, and now.

    ``reason`` is for the operator's log. It holds nothing of the message and never tells the
    ways apart in which decryption fails; a caller from outside is told nothing at all.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def signature(token: str, *parts: str) -> str:
    """Hexadecimal SHA-1 of the token and the parts, sorted bytewise and joined by nothing."""
    texts = sorted(part.encode("utf-8", "surrogatepass") for part in (token, *parts))
    return hashlib.sha1(b"".join(texts), usedforsecurity=False).hexdigest()


def is_signed(given: str, token: str, *parts: str) -> bool:
    """Whether ``given`` is the signature of these parts; the time it takes does not tell."""
    return _equal(given, signature(token, *parts))


def raw_data_is_signed(raw: str, session_key: str, given: str) -> bool:
    """Whether a mini-program's ``rawData``, exactly as it came, was signed under the session key."""
    text = (raw + session_key).encode("utf-8", "surrogatepass")
    return _equal(given, hashlib.sha1(text, usedforsecurity=False).hexdigest())


def _equal(given: str, expected: str) -> bool:
    return _DIGEST.fullmatch(given) is not None and hmac.compare_digest(given, expected)


class MessageCipher:
    """The cipher of an account's pushes and replies: AES-256-CBC under its EncodingAESKey.

    The plain text is 16 random bytes, the length of the message in bytes (32 bits, big-endian),
    the message and the appid, padded to a multiple of 32 with bytes that say how many they are.
    """

    __slots__ = ("_app_id", "_cipher")

    def __init__(self, aes_key: str, app_id: str) -> None:
        """Raises ValueError where ``aes_key`` is not 43 characters of base64, or there is no appid."""
        if _AES_KEY.fullmatch(aes_key) is None:
            raise ValueError("an EncodingAESKey is 43 letters, digits, + or /")
        if not app_id:
            raise ValueError("without an appid, messages of other accounts would open too")
        key = base64.b64decode(aes_key + "=")
        self._cipher = Cipher(AES(key), CBC(key[:_AES_BLOCK]))
        self._app_id = app_id.encode()

    def encrypt(self, message: bytes, *, random: bytes | None = None) -> str:
        """The message as base64. ``random`` are its 16 bytes, for tests with known answers."""
        head = secrets.token_bytes(_RANDOM) if random is None else random
        if len(head) != _RANDOM:
            raise ValueError("the random part is 16 bytes")
        plain = b"".join((head, len(message).to_bytes(4, "big"), message, self._app_id))
        missing = _MESSAGE_BLOCK - len(plain) % _MESSAGE_BLOCK
        encryptor = self._cipher.encryptor()
        sealed = encryptor.update(plain + bytes([missing]) * missing) + encryptor.finalize()
        return base64.b64encode(sealed).decode("ascii")

    def decrypt(self, encrypted: str) -> bytes:
        """The message in base64 text whose signature has been checked.

        Raises NotAuthentic, always in the same words.
        """
        plain = _unpadded(
            _decrypted(self._cipher, _decoded(encrypted), _MESSAGE_BLOCK), _MESSAGE_BLOCK
        )
        end = _HEAD + int.from_bytes(plain[_RANDOM:_HEAD], "big")
        if not hmac.compare_digest(plain[end:], self._app_id):
            raise _does_not_open()
        return plain[_HEAD:end]


def open_user_data(
    session_key: str, encrypted: str, iv: str, app_id: str, *, not_before: datetime | None = None
) -> dict[str, Any]:
    """The user data that a mini-program got encrypted (AES-128-CBC) and handed over.

    ``session_key`` and ``iv`` are base64 of 16 bytes. The watermark must name ``app_id`` and,
    where ``not_before`` is given, be no older. Nothing signs this data.

    Raises NotAuthentic; mostly the session key is stale then and the person logs in again.
    """
    key, vector = _decoded(session_key), _decoded(iv)
    if len(key) != _AES_BLOCK or len(vector) != _AES_BLOCK:
        raise _does_not_open()
    cipher = Cipher(AES(key), CBC(vector))
    plain = _unpadded(_decrypted(cipher, _decoded(encrypted), _AES_BLOCK), _AES_BLOCK)
    data = _json_object(plain)
    watermark = data.get("watermark")
    if not isinstance(watermark, dict) or watermark.get("appid") != app_id:
        raise _does_not_open()
    made_at = watermark.get("timestamp")
    if not_before is not None and (
        not isinstance(made_at, int) or made_at < not_before.timestamp()
    ):
        raise NotAuthentic("the user data is too old")
    return data


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise _does_not_open() from None


def _decrypted(cipher: Cipher[CBC], sealed: bytes, block: int) -> bytes:
    if not sealed or len(sealed) % block:
        raise _does_not_open()
    decryptor = cipher.decryptor()
    return decryptor.update(sealed) + decryptor.finalize()


def _unpadded(plain: bytes, block: int) -> bytes:
    """Without its PKCS#7 padding to ``block`` bytes, every byte of which is checked."""
    count = plain[-1]
    if not 1 <= count <= block or not hmac.compare_digest(plain[-count:], bytes([count]) * count):
        raise _does_not_open()
    return plain[:-count]


def _json_object(plain: bytes) -> dict[str, Any]:
    try:
        data = json.loads(plain.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _does_not_open() from None
    if not isinstance(data, dict):
        raise _does_not_open()
    return data


def _does_not_open() -> NotAuthentic:
    return NotAuthentic("what was encrypted does not open under this account's key and appid")
