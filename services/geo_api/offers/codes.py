"""Coupon codes: easy to read out, hard to guess, checked before anything is looked up.

A code has four groups of four symbols, ``7KQH-2MPD-…``: three drawn at random and a check symbol
each. The alphabet of 29 has no vowels, so that no word comes of it, and neither S nor Z, which
look like 5 and 2. The twelve random symbols hold 58 bits: with 100,000 codes alive, one guess in
3.5 * 10**12 hits.
"""

import hashlib
import hmac
import re
import secrets
import unicodedata

from shared.sealing import StorageKey

ALPHABET = "0123456789BCDFGHJKLMNPQRTVWXY"
GROUPS = 4
GROUP_SYMBOLS = 4

_RANDOM_SYMBOLS = GROUPS * (GROUP_SYMBOLS - 1)
_CODES = len(ALPHABET) ** _RANDOM_SYMBOLS
_VALUES = {symbol: value for value, symbol in enumerate(ALPHABET)}
_LOOK_ALIKES = str.maketrans({"O": "0", "I": "1", "S": "5", "Z": "2"})
_SEPARATORS = re.compile(r"[\s\-_.·]")
_STEP = 19


def new_code() -> str:
    """A code from the operating system's random source, asked once for all its symbols."""
    number = secrets.randbelow(_CODES)
    drawn = ""
    for _ in range(_RANDOM_SYMBOLS):
        number, value = divmod(number, len(ALPHABET))
        drawn += ALPHABET[value]
    size = _RANDOM_SYMBOLS // GROUPS
    parts = [drawn[at : at + size] for at in range(0, _RANDOM_SYMBOLS, size)]
    return "-".join(part + _check(part, place) for place, part in enumerate(parts))


def read_code(text: str) -> str | None:
    """The code that somebody typed, in its one form; None if it cannot be one of ours.

    Case, spaces, dashes and full-width letters do not matter; O, I, S and Z are read as the
    digits they look like. Each group's check symbol finds any one wrong symbol in it, and any
    two neighbours exchanged.
    """
    plain = _SEPARATORS.sub("", unicodedata.normalize("NFKC", text)).upper()
    plain = plain.translate(_LOOK_ALIKES)
    if len(plain) != GROUPS * GROUP_SYMBOLS or not _VALUES.keys() >= set(plain):
        return None
    parts = [plain[at : at + GROUP_SYMBOLS] for at in range(0, len(plain), GROUP_SYMBOLS)]
    if any(_check(part[:-1], place) != part[-1] for place, part in enumerate(parts)):
        return None
    return "-".join(parts)


def lookup_key(storage: StorageKey) -> bytes:
    """The key under which codes are looked up, derived from the service's storage key."""
    return hmac.digest(storage.key, b"solomo coupon code v1", hashlib.sha256)


def code_hash(key: bytes, code: str) -> bytes:
    """HMAC-SHA-256 of a code in its one form: the table of codes gives none of them away."""
    return hmac.digest(key, code.encode(), hashlib.sha256)


def _check(part: str, place: int) -> str:
    """Horner's scheme modulo 29, a prime; it begins with the group's place, so groups differ."""
    total = place + 1
    for symbol in part:
        total = total * _STEP + _VALUES[symbol]
    return ALPHABET[total % len(ALPHABET)]
