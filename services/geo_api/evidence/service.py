"""Use cases of codes and beacons."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.evidence import repository
from services.geo_api.evidence.codes import (
    PERIOD,
    CodeForm,
    StoreCode,
    period_of,
    start_of,
    write_code,
    write_member_code,
)
from services.geo_api.evidence.domain import Beacon, BeaconTaken, BeaconUnknown, EditionChanged
from services.geo_api.places import repository as places
from services.geo_api.places.domain import StoreClosed, StoreUnknown


@dataclass(frozen=True, slots=True)
class Shown:
    """A code's text. A printed one has an ``edition`` and no end; the others two moments.

    ``shown_until`` is when to ask again, ``accepted_until`` one period later.
    """

    text: str
    shown_from: datetime
    shown_until: datetime | None = None
    accepted_until: datetime | None = None
    edition: int | None = None


async def code_of(
    connection: AsyncConnection, key: bytes, store_id: str, form: CodeForm, now: datetime
) -> Shown:
    """The code that a store shows now. Raises StoreUnknown and StoreClosed."""
    edition = await _edition(connection, store_id)
    if form is CodeForm.PRINTED:
        return Shown(write_code(key, StoreCode(form, store_id, edition)), now, edition=edition)
    period = period_of(now)
    return _rotating(write_code(key, StoreCode(form, store_id, period)), period)


def code_of_member(key: bytes, subject_id: UUID, now: datetime) -> Shown:
    period = period_of(now)
    return _rotating(write_member_code(key, subject_id, period), period)


async def revoke_edition(connection: AsyncConnection, store_id: str, edition: int) -> int:
    """Put the next edition of the printed code in force; the same request again changes nothing.

    Raises StoreUnknown, StoreClosed, and EditionChanged if ``edition`` was not the last one.
    """
    held = await places.lock_index(connection)
    present = await _edition(connection, store_id)
    if present == edition + 1:
        return present
    if present != edition:
        raise EditionChanged(f"Edition {present} is in force.", edition=present)
    await repository.set_edition(connection, store_id, edition + 1, held + 1)
    await places.publish(connection, held + 1)
    return edition + 1


async def put_beacon(connection: AsyncConnection, beacon: Beacon, now: datetime) -> bool:
    """Create or change a beacon; True if it is new.

    Raises StoreUnknown, StoreClosed, and BeaconTaken.
    """
    await _edition(connection, beacon.store_id)
    try:
        return await repository.put(connection, beacon, now)
    except IntegrityError as error:
        raise BeaconTaken("Another beacon has this uuid, major and minor.") from error


async def read_beacon(connection: AsyncConnection, beacon_id: str) -> Beacon:
    """Raises BeaconUnknown."""
    beacon = await repository.find(connection, beacon_id)
    if beacon is None:
        raise _no_beacon(beacon_id)
    return beacon


async def delete_beacon(connection: AsyncConnection, beacon_id: str) -> None:
    """Raises BeaconUnknown."""
    if not await repository.delete(connection, beacon_id):
        raise _no_beacon(beacon_id)


async def _edition(connection: AsyncConnection, store_id: str) -> int:
    found = await repository.edition(connection, store_id)
    if found is None:
        raise StoreUnknown(f"There is no store {store_id}.")
    edition, closed_at = found
    if closed_at is not None:
        raise StoreClosed(f"Store {store_id} is closed for good.")
    return edition


def _rotating(text: str, period: int) -> Shown:
    shown_until = start_of(period + 1)
    return Shown(text, start_of(period), shown_until, shown_until + PERIOD)


def _no_beacon(beacon_id: str) -> BeaconUnknown:
    return BeaconUnknown(f"There is no beacon {beacon_id}.")
