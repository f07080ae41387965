"""Stores and geofences one by one or by the thousand, and the version of the fence index.

Every writer first takes the index version's row, so that writers of places go one after another
and the versions are committed in their order.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.places.domain import Geofence, Store
from services.geo_api.places.records import (
    BETWEEN_TAGS,
    GEOFENCE_COLUMNS,
    STORE_COLUMNS,
    columns_of,
    geofence_record,
    read_geofence,
    read_store,
    store_record,
)

CHANNEL = "solomo_fences"
"""NOTIFY says that the fence index has a new version; the row itself is what counts."""

GEOFENCE_TABLES = """geo.geofences AS g
    JOIN geo.geofence_versions AS v ON v.geofence_id = g.geofence_id AND v.version = g.version"""

_LOCK_INDEX = text("""
    INSERT INTO geo.fence_index_version AS i (id, version) VALUES (1, 0)
    ON CONFLICT (id) DO UPDATE SET version = i.version
    RETURNING version
""")

_PUBLISH = text("UPDATE geo.fence_index_version SET version = :version WHERE id = 1")

_NOTIFY = text("SELECT pg_notify(:channel, CAST(:version AS text))")

_STORES = text(f"SELECT {STORE_COLUMNS} FROM geo.stores WHERE store_id = ANY(:ids)")

_GEOFENCES = text(
    f"SELECT {GEOFENCE_COLUMNS} FROM {GEOFENCE_TABLES} WHERE g.geofence_id = ANY(:ids)"
)

_OPEN_GEOFENCES_OF = text(f"""
    SELECT {GEOFENCE_COLUMNS} FROM {GEOFENCE_TABLES}
    WHERE g.store_id = ANY(:store_ids) AND g.closed_at IS NULL
    ORDER BY g.geofence_id
""")

_WRITE_STORES = text("""
    INSERT INTO geo.stores AS s (store_id, version, name, brand, address, timezone, tags, hours,
        next_closure_at, location, received_latitude, received_longitude, datum, created_at,
        updated_at, closed_at, index_version)
    SELECT store_id, version, name, brand, address, timezone,
        string_to_array(tags, CAST(:between AS text)), hours::jsonb, next_closure_at,
        ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography,
        received_latitude, received_longitude, datum, created_at, updated_at, closed_at,
        CAST(:index_version AS bigint)
    FROM unnest(
        CAST(:store_id AS text[]), CAST(:version AS integer[]), CAST(:name AS text[]),
        CAST(:brand AS text[]), CAST(:address AS text[]), CAST(:timezone AS text[]),
        CAST(:tags AS text[]), CAST(:hours AS text[]), CAST(:next_closure_at AS timestamptz[]),
        CAST(:lon AS float8[]), CAST(:lat AS float8[]), CAST(:received_latitude AS float8[]),
        CAST(:received_longitude AS float8[]), CAST(:datum AS text[]),
        CAST(:created_at AS timestamptz[]), CAST(:updated_at AS timestamptz[]),
        CAST(:closed_at AS timestamptz[]))
      AS n (store_id, version, name, brand, address, timezone, tags, hours, next_closure_at,
        lon, lat, received_latitude, received_longitude, datum, created_at, updated_at, closed_at)
    ON CONFLICT (store_id) DO UPDATE SET
        version = EXCLUDED.version, name = EXCLUDED.name, brand = EXCLUDED.brand,
        address = EXCLUDED.address, timezone = EXCLUDED.timezone, tags = EXCLUDED.tags,
        hours = EXCLUDED.hours,
        next_closure_at = CASE
            WHEN EXCLUDED.closed_at IS NULL
                AND s.hours -> 'closures' IS NOT DISTINCT FROM EXCLUDED.hours -> 'closures'
            THEN s.next_closure_at ELSE EXCLUDED.next_closure_at END,
        location = EXCLUDED.location, received_latitude = EXCLUDED.received_latitude,
        received_longitude = EXCLUDED.received_longitude, datum = EXCLUDED.datum,
        updated_at = EXCLUDED.updated_at, closed_at = EXCLUDED.closed_at,
        index_version = EXCLUDED.index_version
""")

"""A closing that has ended visits already does not do so again because the store is renamed."""

_WRITE_GEOFENCES = text("""
    INSERT INTO geo.geofences
        (geofence_id, store_id, version, ends_at, created_at, updated_at, closed_at, index_version)
    SELECT *, CAST(:index_version AS bigint) FROM unnest(
        CAST(:geofence_id AS text[]), CAST(:store_id AS text[]), CAST(:version AS integer[]),
        CAST(:ends_at AS timestamptz[]), CAST(:created_at AS timestamptz[]),
        CAST(:updated_at AS timestamptz[]), CAST(:closed_at AS timestamptz[]))
    ON CONFLICT (geofence_id) DO UPDATE SET
        version = EXCLUDED.version, ends_at = EXCLUDED.ends_at,
        updated_at = EXCLUDED.updated_at, closed_at = EXCLUDED.closed_at,
        index_version = EXCLUDED.index_version
""")

_WRITE_GEOFENCE_VERSIONS = text("""
    INSERT INTO geo.geofence_versions
        (geofence_id, version, center, radius_m, area, received, datum, schedule, dwell_s,
        created_at, created_by)
    SELECT geofence_id, version, ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography, radius_m,
        ST_GeomFromWKB(area, 4326), received::jsonb, datum, schedule::jsonb,
        string_to_array(dwell_s, ',')::integer[], created_at, CAST(:created_by AS text)
    FROM unnest(
        CAST(:geofence_id AS text[]), CAST(:version AS integer[]), CAST(:lon AS float8[]),
        CAST(:lat AS float8[]), CAST(:radius_m AS float8[]), CAST(:area AS bytea[]),
        CAST(:received AS text[]), CAST(:datum AS text[]), CAST(:schedule AS text[]),
        CAST(:dwell_s AS text[]), CAST(:updated_at AS timestamptz[]))
      AS v (geofence_id, version, lon, lat, radius_m, area, received, datum, schedule, dwell_s,
        created_at)
""")


async def lock_index(connection: AsyncConnection) -> int:
    """Take the writers' lock until the end of the transaction; gives the present version."""
    return int((await connection.execute(_LOCK_INDEX)).scalar_one())


async def publish(connection: AsyncConnection, version: int) -> None:
    """Make ``version`` the present one and wake whoever follows, both at the commit."""
    await connection.execute(_PUBLISH, {"version": version})
    await connection.execute(_NOTIFY, {"channel": CHANNEL, "version": str(version)})


async def stores(connection: AsyncConnection, store_ids: Sequence[str]) -> dict[str, Store]:
    """Those that exist, closed ones too."""
    found = await rows(connection, _STORES, ids=list(store_ids))
    return {row["store_id"]: read_store(row) for row in found}


async def geofences(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, Geofence]:
    """Those that exist, closed ones too, each in its present version."""
    found = await rows(connection, _GEOFENCES, ids=list(ids))
    return {row["geofence_id"]: read_geofence(row) for row in found}


async def open_geofences_of(connection: AsyncConnection, *store_ids: str) -> list[Geofence]:
    found = await rows(connection, _OPEN_GEOFENCES_OF, store_ids=list(store_ids))
    return [read_geofence(row) for row in found]


async def write_stores(
    connection: AsyncConnection, changed: Sequence[Store], index_version: int
) -> None:
    """Insert or replace by one statement."""
    columns = columns_of([store_record(store) for store in changed])
    columns |= {"between": BETWEEN_TAGS, "index_version": index_version}
    await connection.execute(_WRITE_STORES, columns)


async def write_geofences(
    connection: AsyncConnection, changed: Sequence[Geofence], by: str, index_version: int
) -> None:
    """Insert or replace, and keep each one's new version beside the earlier ones."""
    columns = columns_of([geofence_record(geofence) for geofence in changed])
    await connection.execute(_WRITE_GEOFENCES, columns | {"index_version": index_version})
    await connection.execute(_WRITE_GEOFENCE_VERSIONS, columns | {"created_by": by})


async def rows(
    connection: AsyncConnection, statement: TextClause, **values: Any
) -> Sequence[RowMapping]:
    return (await connection.execute(statement, values)).mappings().all()
