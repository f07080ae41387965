"""Every query of beacons and of the editions of printed codes."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.evidence.domain import Beacon, Sighting

_EDITION = text("SELECT code_edition, closed_at FROM geo.stores WHERE store_id = :store_id")

_SET_EDITION = text("""
    UPDATE geo.stores SET code_edition = :edition, index_version = :index_version
    WHERE store_id = :store_id
""")

_BEACON = text("""
    SELECT beacon_id, store_id, uuid, major, minor FROM geo.beacons WHERE beacon_id = :beacon_id
""")

_PUT_BEACON = text("""
    INSERT INTO geo.beacons AS b (beacon_id, store_id, uuid, major, minor, created_at, updated_at)
    VALUES (:beacon_id, :store_id, :uuid, :major, :minor, :now, :now)
    ON CONFLICT (beacon_id) DO UPDATE SET store_id = EXCLUDED.store_id, uuid = EXCLUDED.uuid,
        major = EXCLUDED.major, minor = EXCLUDED.minor, updated_at = EXCLUDED.updated_at
    RETURNING b.xmax = 0 AS is_new
""")

_DELETE_BEACON = text("DELETE FROM geo.beacons WHERE beacon_id = :beacon_id RETURNING beacon_id")

_STORES_OF = text("""
    SELECT b.uuid, b.major, b.minor, b.store_id
    FROM unnest(CAST(:uuids AS uuid[]), CAST(:majors AS int[]), CAST(:minors AS int[]))
        AS seen (uuid, major, minor)
    JOIN geo.beacons AS b USING (uuid, major, minor)
    JOIN geo.stores AS s USING (store_id)
    WHERE s.closed_at IS NULL
""")


async def edition(connection: AsyncConnection, store_id: str) -> tuple[int, datetime | None] | None:
    """(edition of its printed codes, when it closed for good) of a store; None: unknown."""
    row = (await connection.execute(_EDITION, {"store_id": store_id})).first()
    return None if row is None else (row.code_edition, row.closed_at)


async def set_edition(
    connection: AsyncConnection, store_id: str, edition: int, index_version: int
) -> None:
    """The processes learn of it as of any change to the store: by ``index_version``."""
    values = {"store_id": store_id, "edition": edition, "index_version": index_version}
    await connection.execute(_SET_EDITION, values)


async def find(connection: AsyncConnection, beacon_id: str) -> Beacon | None:
    row = (await connection.execute(_BEACON, {"beacon_id": beacon_id})).first()
    if row is None:
        return None
    return Beacon(row.beacon_id, row.store_id, Sighting(row.uuid, row.major, row.minor))


async def put(connection: AsyncConnection, beacon: Beacon, now: datetime) -> bool:
    """Write a beacon; True if it is new. Raises IntegrityError where another sends the same."""
    values = {"beacon_id": beacon.beacon_id, "store_id": beacon.store_id, "now": now}
    done = await connection.execute(_PUT_BEACON, values | beacon.sighting._asdict())
    return bool(done.scalar_one())


async def delete(connection: AsyncConnection, beacon_id: str) -> bool:
    """Whether there was one."""
    done = await connection.execute(_DELETE_BEACON, {"beacon_id": beacon_id})
    return done.first() is not None


async def stores_of(
    connection: AsyncConnection, sightings: Sequence[Sighting]
) -> dict[Sighting, str]:
    """The open stores at which beacons stand, by what they send."""
    uuids, majors, minors = zip(*sightings, strict=True)
    values = {"uuids": [*uuids], "majors": [*majors], "minors": [*minors]}
    rows = await connection.execute(_STORES_OF, values)
    return {Sighting(row.uuid, row.major, row.minor): row.store_id for row in rows}
