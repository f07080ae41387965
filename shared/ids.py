"""Identifiers: UUIDv7 for what the server makes, UUIDv5 for what can be derived."""

import hashlib
import os
import re
import time
from typing import Annotated
from uuid import UUID, uuid5

from asyncpg.pgproto import pgproto
from pydantic import StringConstraints

SUBJECT_NAMESPACE = UUID("6f1b8a52-5c0e-5d6e-9d3e-0a4c3a1f7b10")
"""Namespace of subject ids. Frozen: changing it makes strangers of everybody."""

PERSON_NAMESPACE = UUID("d2a1b9f6-2b86-5b0f-8a57-4f0f6f0e4c21")
"""Namespace of the person id that each subject has by birth."""

EVENT_NAMESPACE = UUID("3c9c1f0e-7d4b-5a8c-b1a6-52d1c7e5f832")
"""Namespace of event ids: the same fact told twice has the same id."""

SLUG_PATTERN = r"^[A-Za-z0-9._:-]{1,64}$"
Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN)]
"""The caller's own id of a store, geofence or offer: 1 to 64 of ``A-Z a-z 0-9 . _ : -``."""

_SLUG = re.compile(SLUG_PATTERN)


def is_slug(text: str) -> bool:
    return _SLUG.fullmatch(text) is not None


def uuid7(unix_ms: int | None = None) -> UUID:
    """A new UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    return UUID(bytes=swift_uuid7(unix_ms).bytes)


def swift_uuid7(unix_ms: int | None = None) -> UUID:
    """The same of the database driver's own kind, which is made, compared and written in C.

    It is a ``UUID`` like any other, but orjson writes it only where it is given ``default=str``.
    """
    milliseconds = time.time_ns() // 1_000_000 if unix_ms is None else unix_ms
    return _of_version(7, milliseconds.to_bytes(6, "big") + os.urandom(10))


def named_uuid(namespace: UUID, name: str) -> UUID:
    """UUIDv5 (RFC 9562, section 5.5), of the driver's own kind."""
    digest = hashlib.sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()
    return _of_version(5, digest[:16])


def event_id(subject_id: UUID | None, kind: str, natural_key: str) -> UUID:
    """The id of a fact, the same whenever and wherever it is told."""
    return named_uuid(EVENT_NAMESPACE, f"{subject_id}|{kind}|{natural_key}")


def birth_person_id(subject_id: UUID) -> UUID:
    """The person a subject is while nothing joins it to another."""
    return uuid5(PERSON_NAMESPACE, str(subject_id))


def _of_version(version: int, raw: bytes) -> UUID:
    """``raw`` (16 bytes) with the bits of version and variant set (RFC 9562, sections 4.1, 4.2)."""
    octets = bytearray(raw)
    octets[6] = octets[6] & 0x0F | version << 4
    octets[8] = octets[8] & 0x3F | 0x80
    return pgproto.UUID(bytes(octets))
