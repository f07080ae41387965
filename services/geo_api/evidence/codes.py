"""Codes to be scanned: at a store's screen, on its door, or on a member's phone.

A code is 40 symbols of base 32 (53 for a member's), which a small QR code holds in its
alphanumeric mode::

    form (1 byte) | name (8 or 16) | number (4) | seal (12)

``name`` is a hash of the store's id, or the subject id; ``number`` counts periods of 30 seconds,
or is the edition of a printed code. The seal is an HMAC-SHA-256, cut to 96 bits, over all of it
and the store's whole id, under a key derived from the storage key. So a code is checked without
any table, and holds nothing that was secret.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.geo_api.evidence.domain import (
    AT_CODE,
    CodeExpired,
    CodeRevoked,
    Evidence,
    Proof,
)
from shared.errors import FieldFault, Malformed
from shared.sealing import StorageKey

PERIOD = timedelta(seconds=30)
"""So long a code stands on a screen; it is accepted for one more period after it."""

MAX_SKEW = timedelta(minutes=5)
"""So far the device's clock may lie from the time at which a code was shown."""

MAX_CODE = 60
"""Characters; both forms are shorter."""

_NAME_BYTES, _NUMBER_BYTES, _SEAL_BYTES = 8, 4, 12
_MEMBER = 3


class CodeForm(StrEnum):
    SCREEN = "screen"
    PRINTED = "printed"


_FORMS = {CodeForm.SCREEN: 1, CodeForm.PRINTED: 2}
_EVIDENCE = {CodeForm.SCREEN: Evidence.STORE_QR, CodeForm.PRINTED: Evidence.PRINTED_QR}


@dataclass(frozen=True, slots=True)
class StoreCode:
    """A genuine code. ``number`` is the period in which it is shown, or the printed edition."""

    form: CodeForm
    store_id: str
    number: int

    @property
    def proof(self) -> Proof:
        return Proof(self.store_id, _EVIDENCE[self.form])

    def fault(self, occurred_at: datetime, received_at: datetime, edition: int) -> Malformed | None:
        """Why it proves nothing any more for a check-in, if so.

        A screen's code counts by our clock, so that a photograph is worth nothing a minute later;
        and the check-in must have occurred about when the code was shown. ``edition`` is that of
        the printed codes in force.
        """
        if self.form is CodeForm.PRINTED:
            gone = self.number != edition
            return CodeRevoked(FieldFault(AT_CODE, _REVOKED)) if gone else None
        if not 0 <= period_of(received_at) - self.number <= 1:
            return CodeExpired(FieldFault(AT_CODE, _EXPIRED))
        if abs(occurred_at - start_of(self.number)) > MAX_SKEW:
            return CodeExpired(FieldFault(AT_CODE, _NOT_SHOWN_THEN))
        return None


_REVOKED = "was replaced by a newer edition: scan the one that hangs at the store now"
_EXPIRED = "is no longer shown: scan the code that stands on the screen now"
_NOT_SHOWN_THEN = "was not shown when this is said to have occurred: set the device's clock"


def period_of(moment: datetime) -> int:
    """The number of the period of 30 seconds since 1970 that ``moment`` falls into."""
    return int(moment.timestamp() // PERIOD.total_seconds())


def start_of(period: int) -> datetime:
    return datetime.fromtimestamp(period * PERIOD.total_seconds(), UTC)


def code_key(storage: StorageKey) -> bytes:
    """The key that seals codes, derived from the service's storage key."""
    return hmac.digest(storage.key, b"solomo store code v1", hashlib.sha256)


def name_of(store_id: str) -> bytes:
    """The 8 bytes that stand for a store in its codes; no secret."""
    return hashlib.blake2b(store_id.encode(), digest_size=_NAME_BYTES).digest()


def write_code(key: bytes, code: StoreCode) -> str:
    number = code.number.to_bytes(_NUMBER_BYTES)
    body = bytes((_FORMS[code.form],)) + name_of(code.store_id) + number
    return _text(body + _seal(key, body, code.store_id.encode()))


def read_code(
    key: bytes, text: str, store_named: Callable[[bytes], str | None]
) -> StoreCode | None:
    """The code that ``text`` is, None if it is none of ours or of no open store.

    ``store_named`` finds an open store by the 8 bytes of ``name_of``.
    """
    parts = _parts(text, _NAME_BYTES)
    if parts is None:
        return None
    body, seal = parts
    form = next((form for form, byte in _FORMS.items() if byte == body[0]), None)
    store_id = store_named(body[1 : 1 + _NAME_BYTES])
    if form is None or store_id is None:
        return None
    if not hmac.compare_digest(seal, _seal(key, body, store_id.encode())):
        return None
    return StoreCode(form, store_id, int.from_bytes(body[-_NUMBER_BYTES:]))


def write_member_code(key: bytes, subject_id: UUID, period: int) -> str:
    """What a member's phone shows to staff; it rotates as a screen's code does."""
    body = bytes((_MEMBER,)) + subject_id.bytes + period.to_bytes(_NUMBER_BYTES)
    return _text(body + _seal(key, body, b""))


def read_member_code(key: bytes, text: str) -> tuple[UUID, int] | None:
    """(subject_id, period), or None if it is none of ours."""
    parts = _parts(text, 16)
    if parts is None or parts[0][0] != _MEMBER:
        return None
    body, seal = parts
    if not hmac.compare_digest(seal, _seal(key, body, b"")):
        return None
    return UUID(bytes=body[1:17]), int.from_bytes(body[-_NUMBER_BYTES:])


def _seal(key: bytes, body: bytes, whole_name: bytes) -> bytes:
    return hmac.digest(key, body + whole_name, hashlib.sha256)[:_SEAL_BYTES]


def _text(code: bytes) -> str:
    return base64.b32encode(code).decode().rstrip("=")


def _parts(text: str, name_bytes: int) -> tuple[bytes, bytes] | None:
    """(body, seal) of what has the right length; upper and lower case are one."""
    try:
        code = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        return None
    if len(code) != 1 + name_bytes + _NUMBER_BYTES + _SEAL_BYTES:
        return None
    return code[:-_SEAL_BYTES], code[-_SEAL_BYTES:]
