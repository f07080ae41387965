"""Ids and secrets in the forms that WeChat gives them, derived from a seed.

The same seed gives the same values again, so that an installation stays connected when the
stand-in is started anew. They protect nothing: there is nothing behind them.
"""

import base64
import hashlib
import string
from dataclasses import dataclass, field

_MIXED = string.ascii_letters + string.digits
_NAME = string.ascii_letters + string.digits + "_-"
_HEX = "0123456789abcdef"


@dataclass(slots=True)
class Maker:
    """What ``seed`` and a purpose derive; ``next_*`` are different each time."""

    seed: str = "1"
    _count: int = field(default=0, init=False)

    def app_id(self, account_id: str) -> str:
        return "wx" + self._text(_HEX, 16, "app", account_id)

    def app_secret(self, account_id: str) -> str:
        return self._text(_HEX, 32, "secret", account_id)

    def original_id(self, account_id: str) -> str:
        return "gh_" + self._text(_HEX, 12, "original", account_id)

    def push_token(self, account_id: str) -> str:
        return self._text(_MIXED, 24, "token", account_id)

    def aes_key(self, account_id: str) -> str:
        """An EncodingAESKey: 43 characters, whose last has stray low bits as most have."""
        return self._text(_MIXED, 43, "aes", account_id)

    def openid(self, app_id: str, person: str) -> str:
        return "o" + self._text(_NAME, 27, "openid", app_id, person)

    def unionid(self, person: str) -> str:
        return "o" + self._text(_NAME, 27, "unionid", person)

    def platform_id(self) -> str:
        """From whom privacy events come."""
        return "o" + self._text(_NAME, 27, "platform")

    def next_text(self, purpose: str, length: int) -> str:
        self._count += 1
        return self._text(_MIXED, length, purpose, str(self._count))

    def next_number(self) -> int:
        """A message id: a 64-bit integer that grows."""
        self._count += 1
        return 24_000_000_000_000_000 + self._count

    def next_session_key(self) -> str:
        """16 bytes in base64."""
        self._count += 1
        return base64.b64encode(self._bytes("session", str(self._count))[:16]).decode()

    def next_rid(self) -> str:
        """Such as ``65f1a2b3-0c1d2e3f-4a5b6c7d``, by which WeChat's support finds a call."""
        self._count += 1
        digits = self._text(_HEX, 24, "rid", str(self._count))
        return f"{digits[:8]}-{digits[8:16]}-{digits[16:]}"

    def next_chance(self) -> float:
        """A number from 0 up to 1, evenly."""
        self._count += 1
        return int.from_bytes(self._bytes("chance", str(self._count))[:7], "big") / 2**56

    def _text(self, alphabet: str, length: int, *purpose: str) -> str:
        data = b"".join(self._bytes(*purpose, str(part)) for part in range(length // 32 + 1))
        return "".join(alphabet[byte % len(alphabet)] for byte in data[:length])

    def _bytes(self, *purpose: str) -> bytes:
        return hashlib.sha256("\0".join((self.seed, *purpose)).encode()).digest()
