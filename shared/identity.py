"""Who someone is: identities, their normal form, and the subject id derived from it.

The normaliser is version 1 and frozen: a change would give known people new subject ids.
Its vectors stand in ``shared/contracts/identity_v1.json``.
"""

import functools
import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import orjson

from shared.errors import FieldFault, Malformed
from shared.ids import SUBJECT_NAMESPACE, named_uuid

NORMALISER_VERSION = 1
MAX_LENGTH = 200


class Namespace(StrEnum):
    WECHAT_OPENID = "wechat_openid"
    WECHAT_UNIONID = "wechat_unionid"
    PHONE = "phone"
    APP_USER = "app_user"
    DEVICE = "device"
    MEMBER_NO = "member_no"
    EMAIL = "email"


WITHOUT_ISSUER = frozenset({Namespace.PHONE, Namespace.MEMBER_NO, Namespace.EMAIL})
"""Namespaces that are one for the whole installation; the others name who gave the value out."""

_REFUSED_VALUES = frozenset(
    {"anonymous", "guest", "null", "none", "undefined", "nil", "true", "false", "nan",
     "id", "email", "unknown", "distinct_id", "[object object]"}
)  # fmt: skip
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_PHONE_PUNCTUATION = re.compile(r"[\s\-.()/]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True, slots=True)
class Identity:
    """A normalised identity; make one with :func:`normalise`."""

    namespace: Namespace
    issuer: str
    value: str


def normalise(namespace: Namespace, issuer: str, value: str, *, at: str = "") -> Identity:
    """Bring an identity into the one form under which it is known.

    All parts are NFC without surrounding white space. A phone becomes E.164 (``+`` and 7 to
    15 digits; a leading ``00`` is read as ``+``; a number without its country is refused).
    An e-mail address is lower-cased. Values that programs send when they know nobody
    (``null``, ``anonymous``, zeros, ...) are refused, since they would join strangers.

    Raises Malformed; ``at`` is the JSON Pointer of the identity in the caller's body.
    Source of the refused values: research on PostHog's and Segment's lists; RFC 3966 / E.164.
    """
    issuer, value = _clean(issuer), _clean(value)
    if namespace in WITHOUT_ISSUER and issuer:
        raise Malformed(FieldFault(f"{at}/issuer", f"must be empty for {namespace}"))
    if namespace not in WITHOUT_ISSUER and not issuer:
        raise Malformed(FieldFault(f"{at}/issuer", f"is needed for {namespace}: who gave the id"))
    if not value or len(value) > MAX_LENGTH or len(issuer) > MAX_LENGTH:
        raise Malformed(FieldFault(f"{at}/value", f"must have 1 to {MAX_LENGTH} characters"))
    if value.lower() in _REFUSED_VALUES or not value.strip("0-"):
        raise Malformed(FieldFault(f"{at}/value", "names nobody: send a real id"))
    return Identity(namespace, issuer, _NORMAL_VALUE.get(namespace, _as_it_is)(value, at))


def subject_id(key: bytes, identity: Identity) -> UUID:
    """The subject of a normalised identity: UUIDv5 over an HMAC-SHA-256 under the identity key.

    Both services compute it alone, and nobody without the key can go from a phone number to it.
    The message is the three parts as a JSON array: UTF-8, no spaces, nothing escaped needlessly.
    """
    mac = _begun(key).copy()
    mac.update(orjson.dumps([str(identity.namespace), identity.issuer, identity.value]))
    return named_uuid(SUBJECT_NAMESPACE, mac.hexdigest())


@functools.lru_cache(maxsize=8)
def _begun(key: bytes) -> hmac.HMAC:
    """Only to be copied: half of the work for a short message lies in taking up the key."""
    return hmac.new(key, digestmod=hashlib.sha256)


def _clean(text: str) -> str:
    return text.strip() if text.isascii() else unicodedata.normalize("NFC", text).strip()


def _as_it_is(value: str, _at: str) -> str:
    return value


def _phone(value: str, at: str) -> str:
    number = _PHONE_PUNCTUATION.sub("", unicodedata.normalize("NFKC", value))
    number = f"+{number[2:]}" if number.startswith("00") else number
    if not _E164.fullmatch(number):
        detail = "must be a number with its country, such as +8613800138000"
        raise Malformed(FieldFault(f"{at}/value", detail))
    return number


def _email(value: str, at: str) -> str:
    address = value.lower()
    if not _EMAIL.fullmatch(address):
        raise Malformed(FieldFault(f"{at}/value", "must be an address such as a@example.org"))
    return address


_NORMAL_VALUE = {Namespace.PHONE: _phone, Namespace.EMAIL: _email}
