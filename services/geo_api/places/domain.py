"""Stores and geofences: what they are, and what becomes of them when a caller says something new.

Both are versioned: every change counts up ``version``, closing included. Closing is for good: a
closed id is never given to another thing, so a check-in of last year still names its store.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.geo_api.places.hours import Hours
from services.geo_api.places.schedules import Schedule
from shared.datum import Datum
from shared.errors import Conflict, FieldFault, NotFound, PreconditionFailed
from shared.geo import LonLat, Shape

MAX_TAGS = 50
MAX_TAG_LENGTH = 64
MAX_DWELLS = 5
MAX_DWELL_S = 86_400


class StoreUnknown(NotFound):
    slug = "store-unknown"
    title = "There is no such store"


class GeofenceUnknown(NotFound):
    slug = "geofence-unknown"
    title = "There is no such geofence"


class StoreClosed(Conflict):
    """Closing is for good. Open the new store under an id that was never used."""

    slug = "store-closed"
    title = "The store is closed for good"


class GeofenceClosed(Conflict):
    """Closing is for good. Draw the new geofence under an id that was never used."""

    slug = "geofence-closed"
    title = "The geofence is closed for good"


class GeofenceOfAnotherStore(Conflict):
    """A geofence never changes its store. Close it and draw another under a new id."""

    slug = "geofence-of-another-store"
    title = "The geofence belongs to another store"


class VersionChanged(PreconditionFailed):
    """The present version is not the one that the request was made for."""

    slug = "version-changed"
    title = "This was changed in the meantime"


class VisitsEnd(StrEnum):
    """Why the visits at a store are ended though nobody was seen to leave."""

    STORE_CLOSED = "store_closed"
    FENCE_REMOVED = "fence_removed"
    FENCE_EXPIRED = "fence_expired"


class Outcome(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class ReceivedPosition:
    """The pair as it came, in degrees of its ``datum``."""

    latitude: float
    longitude: float
    datum: Datum


@dataclass(frozen=True, slots=True)
class StoreContent:
    """What a caller says of a store. ``position`` follows from ``received`` and is WGS 84.

    ``hours`` None: nothing was said of them, and the store counts as open.
    """

    name: str
    brand: str | None
    address: str | None
    timezone: str
    tags: tuple[str, ...]
    received: ReceivedPosition
    position: LonLat = field(compare=False)
    hours: Hours | None = None


@dataclass(frozen=True, slots=True)
class Store:
    store_id: str
    version: int
    content: StoreContent
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class GeofenceContent:
    """What a caller says of a geofence. ``shape`` follows from ``received`` and is WGS 84.

    ``received`` is the geometry in its wire form and ``datum``. ``dwell_s`` are the seconds,
    ascending, after which a stay counts as a dwell.
    """

    store_id: str
    received: Mapping[str, Any]
    datum: Datum
    shape: Shape = field(compare=False)
    schedule: Schedule | None = None
    dwell_s: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Geofence:
    geofence_id: str
    version: int
    content: GeofenceContent
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """A row of an import: a store with one of its geofences, or with none.

    ``named`` are the fields that the file has a place for. What it has none for stays as it is.
    """

    line: int
    store_id: str
    store: StoreContent
    geofence_id: str
    geofence: GeofenceContent | None
    named: frozenset[str]


@dataclass(frozen=True, slots=True)
class RowRefused:
    """``line`` is that of a CSV with its header, or the number of a feature, from 1."""

    line: int
    store_id: str | None
    faults: tuple[FieldFault, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Which present version a change was made for (RFC 9110, section 13).

    ``versions`` are those of If-Match, ``exists`` stands for ``If-Match: *``, ``is_new`` for
    ``If-None-Match: *``. Nothing set: whatever there is.
    """

    versions: frozenset[int] | None = None
    exists: bool = False
    is_new: bool = False

    def check(self, version: int | None) -> None:
        """``version`` is the present one, None where there is nothing yet. Raises VersionChanged."""
        if self.is_new and version is not None:
            raise VersionChanged(
                "If-None-Match: * allows creation only, and it exists already.", version=version
            )
        if (self.exists or self.versions is not None) and version is None:
            raise VersionChanged("If-Match was sent, but there is nothing yet.")
        if self.versions is not None and version not in self.versions:
            raise VersionChanged(
                f'The present version is "{version}": read it again and decide anew.',
                version=version,
            )


ANY = Condition()


def put_store(
    store_id: str,
    current: Store | None,
    content: StoreContent,
    at: datetime,
    condition: Condition = ANY,
) -> tuple[Store, Outcome]:
    """The store once ``content`` counts. The same content again makes no version.

    Raises StoreClosed and VersionChanged.
    """
    if current is not None and current.closed_at is not None:
        raise StoreClosed(
            f"Store {store_id} closed at {current.closed_at.isoformat()}; its id stays with it."
            " Use a new id.",
            closed_at=current.closed_at,
        )
    condition.check(current.version if current else None)
    if current is None:
        return Store(store_id, 1, content, at, at, None), Outcome.CREATED
    if current.content == content:
        return current, Outcome.UNCHANGED
    version = current.version + 1
    return replace(current, version=version, content=content, updated_at=at), Outcome.UPDATED


def put_geofence(
    geofence_id: str,
    current: Geofence | None,
    content: GeofenceContent,
    at: datetime,
    condition: Condition = ANY,
) -> tuple[Geofence, Outcome]:
    """The geofence once ``content`` counts. The same outline again makes no version.

    Raises GeofenceClosed, GeofenceOfAnotherStore and VersionChanged.
    """
    if current is not None and current.closed_at is not None:
        raise GeofenceClosed(
            f"Geofence {geofence_id} closed at {current.closed_at.isoformat()}; its id stays"
            " with it. Use a new id.",
            closed_at=current.closed_at,
        )
    if current is not None and current.content.store_id != content.store_id:
        raise GeofenceOfAnotherStore(
            f"Geofence {geofence_id} belongs to store {current.content.store_id}."
            " Close it, or use a new id.",
            pointer="/store_id",
        )
    condition.check(current.version if current else None)
    if current is None:
        return Geofence(geofence_id, 1, content, at, at, None), Outcome.CREATED
    if current.content == content:
        return current, Outcome.UNCHANGED
    version = current.version + 1
    return replace(current, version=version, content=content, updated_at=at), Outcome.UPDATED


def require_open(store_id: str, store: Store | None) -> None:
    """A geofence needs a store to belong to. Raises StoreUnknown and StoreClosed."""
    if store is None:
        raise StoreUnknown(
            f"There is no store {store_id}: create it first with PUT /v1/stores/{store_id}.",
            pointer="/store_id",
        )
    if store.closed_at is not None:
        raise StoreClosed(
            f"Store {store_id} closed at {store.closed_at.isoformat()}.", pointer="/store_id"
        )


def close_store(store: Store, at: datetime, condition: Condition = ANY) -> Store:
    """Closed from ``at`` on; a closed one stays as it is. Raises VersionChanged."""
    if store.closed_at is not None:
        return store
    condition.check(store.version)
    return replace(store, version=store.version + 1, updated_at=at, closed_at=at)


def close_geofence(geofence: Geofence, at: datetime, condition: Condition = ANY) -> Geofence:
    """Closed from ``at`` on; a closed one stays as it is. Raises VersionChanged."""
    if geofence.closed_at is not None:
        return geofence
    condition.check(geofence.version)
    return replace(geofence, version=geofence.version + 1, updated_at=at, closed_at=at)
