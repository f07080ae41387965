"""The exact place of a fix: kept encrypted under the key of the day on which it was received.

Destroying a day's key deletes that day's coordinates everywhere, backups of the table included.
"""

import struct
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from h3.api.basic_int import latlng_to_cell
from sqlalchemy import text

from services.geo_api.checkins.domain import CheckIn
from shared.db import Database
from shared.sealing import StorageKey

CELL_RESOLUTION = 7
"""H3 resolution of the coarse cell: an edge of about 1.4 km (h3geo.org, table of cell areas)."""

_MAKE = text("""
    INSERT INTO geo.day_keys (day, wrapped_key) VALUES (:day, :wrapped)
    ON CONFLICT (day) DO NOTHING
""")
_READ = text("SELECT wrapped_key FROM geo.day_keys WHERE day = :day")


class KeyDestroyed(Exception):  # noqa: N818 - says what happened
    """What was encrypted on that day cannot be read, nor anything be added."""


@dataclass(slots=True)
class DayKeys:
    """Makes, unwraps and remembers day keys. ``storage`` wraps them in the table."""

    database: Database
    storage: StorageKey
    _known: dict[date, StorageKey | None] = field(default_factory=dict)

    async def prepare(self, day: date) -> StorageKey:
        """The key of ``day``, made on first use in a transaction of its own.

        Raises KeyDestroyed.
        """
        key = await self.find(day)
        if key is None:
            raise KeyDestroyed(f"the key of {day} was destroyed")
        return key

    async def find(self, day: date) -> StorageKey | None:
        """The key of ``day``, made on first use; None if it was destroyed."""
        if day not in self._known:
            wrapped = self.storage.encrypt(AESGCM.generate_key(256), _context_of(day))
            async with self.database.begin() as connection:
                await connection.execute(_MAKE, {"day": day, "wrapped": wrapped})
                stored = await connection.scalar(_READ, {"day": day})
            self._known[day] = unwrapped(self.storage, day, stored) if stored else None
        return self._known[day]

    def forget_before(self, day: date) -> None:
        self._known = {known: key for known, key in self._known.items() if known >= day}


def unwrapped(storage: StorageKey, day: date, wrapped: bytes) -> StorageKey:
    """The key of ``day`` as it stands in the table of day keys."""
    return StorageKey(storage.decrypt(wrapped, _context_of(day)))


def _context_of(day: date) -> bytes:
    return day.isoformat().encode()


class ExactPlace(NamedTuple):
    """A fix to the last digit: the pair as received, and in WGS 84 with its accuracy and time.

    Degrees, metres and seconds since 1970; the received pair is in the datum it came in.
    """

    received_latitude: float
    received_longitude: float
    lon: float
    lat: float
    accuracy_m: float
    occurred_s: float


_FORM = struct.Struct("<6d")
"""Of an ``ExactPlace``, in its order."""


def seal_exact(check_in: CheckIn, key: StorageKey) -> bytes | None:
    """The place of a fix, bound to its check-in; None where evidence came without coordinates."""
    fix, received = check_in.fix, check_in.received
    if fix is None or received is None:
        return None
    place = _FORM.pack(*received, *fix, check_in.occurred_at.timestamp())
    return key.encrypt(place, exact_context(check_in.subject_id, check_in.check_in_id))


def open_exact(sealed: bytes, key: StorageKey, subject_id: UUID, check_in_id: UUID) -> ExactPlace:
    """What ``seal_exact`` sealed.

    Raises ``cryptography.exceptions.InvalidTag`` for another key or another check-in.
    """
    return ExactPlace(*_FORM.unpack(key.decrypt(sealed, exact_context(subject_id, check_in_id))))


def exact_context(subject_id: UUID, check_in_id: UUID) -> bytes:
    return subject_id.bytes + check_in_id.bytes


def coarse_cell(check_in: CheckIn) -> int | None:
    """The H3 cell of the fix (WGS 84) at ``CELL_RESOLUTION``; None without one."""
    fix = check_in.fix
    if fix is None:
        return None
    return int(latlng_to_cell(fix.lat, fix.lon, CELL_RESOLUTION))
