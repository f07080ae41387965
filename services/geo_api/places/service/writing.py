"""What every write of places does: rows, news for member_api, and a new version of the index."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.feeding import tell
from services.geo_api.places import repository
from services.geo_api.places.domain import Geofence, Outcome, Store, VisitsEnd
from shared.contracts.events import EventType
from shared.feed.outbox import PreparedEvent, enqueue
from shared.feed.tables import FeedTables

Kept = TypeVar("Kept", Store, Geofence)


class ClosesVisits(Protocol):
    """Ends the open visits at a store, in the transaction of ``connection``; visits know how."""

    async def __call__(
        self, connection: AsyncConnection, store_id: str, at: datetime, why: VisitsEnd, /
    ) -> object: ...


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, when, and where the news goes."""

    by: str
    at: datetime
    feed_tables: FeedTables
    close_visits: ClosesVisits


@dataclass(slots=True)
class Changes:
    """What one transaction changes, each in its new version."""

    stores: list[Store] = field(default_factory=list)
    geofences: list[Geofence] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.stores or self.geofences)


async def write(
    connection: AsyncConnection, writer: Writer, changes: Changes, index_version: int
) -> None:
    """Store the changes under ``index_version`` and tell member_api of the stores."""
    if changes.stores:
        await repository.write_stores(connection, changes.stores, index_version)
        news = [store_changed(store, writer.at) for store in changes.stores]
        await enqueue(connection, writer.feed_tables, news)
    if changes.geofences:
        await repository.write_geofences(connection, changes.geofences, writer.by, index_version)


async def write_and_publish(
    connection: AsyncConnection, writer: Writer, changes: Changes, held_version: int
) -> None:
    """The same as a new version of the index; ``held_version`` is what ``lock_index`` gave."""
    if changes:
        await write(connection, writer, changes, held_version + 1)
        await repository.publish(connection, held_version + 1)


async def keep(
    connection: AsyncConnection, writer: Writer, decided: tuple[Kept, Outcome], held_version: int
) -> tuple[Kept, Outcome]:
    """Write and publish what a PUT came to, unless it changed nothing; gives back ``decided``."""
    kept, outcome = decided
    changes = Changes()
    if outcome is not Outcome.UNCHANGED and isinstance(kept, Store):
        changes.stores.append(kept)
    elif outcome is not Outcome.UNCHANGED:
        changes.geofences.append(kept)
    await write_and_publish(connection, writer, changes, held_version)
    return decided


def store_changed(store: Store, at: datetime) -> PreparedEvent:
    """The fact that tells member_api what a store is now; its revision is the store's version."""
    content = store.content
    return tell(
        EventType.STORE_CHANGED,
        None,
        store.store_id,
        time=store.updated_at,
        received_at=at,
        store_id=store.store_id,
        revision=store.version,
        data={
            "store_id": store.store_id,
            "name": content.name,
            "brand": content.brand,
            "address": content.address,
            "timezone": content.timezone,
            "tags": content.tags,
            "closed": store.closed_at is not None,
        },
    )
