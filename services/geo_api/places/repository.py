"""Stores and geofences one by one or by the thousand, and the version of the fence index.

Every writer first takes the index version's row, so that writers of places go one after another
and the versions are committed in their order.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import shapely
from shapely import MultiPolygon
from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.places.domain import (
    Geofence,
    GeofenceContent,
    ReceivedPosition,
    Store,
    StoreContent,
)
from services.geo_api.places.hours import next_closure
from services.geo_api.places.hours_json import (
    decode_hours,
    decode_schedule,
    encode_hours,
    encode_schedule,
)
from shared.datum import Datum
from shared.geo import Circle, LonLat, Shape, shape_from_wkb

CHANNEL = "solomo_fences"
"""NOTIFY says that the fence index has a new version; the row itself is what counts."""

_BETWEEN_TAGS = "\x1f"
"""Parts tags on their way into an array; no text on the wire may hold a control character."""

STORE_COLUMNS = """store_id, version, name, brand, address, timezone, tags, hours::text AS hours,
    ST_X(location::geometry) AS lon, ST_Y(location::geometry) AS lat,
    received_latitude, received_longitude, datum, created_at, updated_at, closed_at"""

GEOFENCE_COLUMNS = """g.geofence_id, g.store_id, g.version, v.datum, v.received::text AS received,
    v.radius_m, ST_AsBinary(COALESCE(v.center::geometry, v.area)) AS outline,
    v.schedule::text AS schedule, v.dwell_s,
    g.created_at, g.updated_at, g.closed_at"""

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
    columns = _columns([_store_row(store) for store in changed])
    columns |= {"between": _BETWEEN_TAGS, "index_version": index_version}
    await connection.execute(_WRITE_STORES, columns)


async def write_geofences(
    connection: AsyncConnection, changed: Sequence[Geofence], by: str, index_version: int
) -> None:
    """Insert or replace, and keep each one's new version beside the earlier ones."""
    columns = _columns([_geofence_row(geofence) for geofence in changed])
    await connection.execute(_WRITE_GEOFENCES, columns | {"index_version": index_version})
    await connection.execute(_WRITE_GEOFENCE_VERSIONS, columns | {"created_by": by})


async def rows(
    connection: AsyncConnection, statement: TextClause, **values: Any
) -> Sequence[RowMapping]:
    return (await connection.execute(statement, values)).mappings().all()


def read_store(row: RowMapping) -> Store:
    """A store from ``STORE_COLUMNS``."""
    received = ReceivedPosition(
        row["received_latitude"], row["received_longitude"], Datum(row["datum"])
    )
    content = StoreContent(
        name=row["name"],
        brand=row["brand"],
        address=row["address"],
        timezone=row["timezone"],
        tags=tuple(row["tags"]),
        received=received,
        position=LonLat(row["lon"], row["lat"]),
        hours=None if row["hours"] is None else decode_hours(orjson.loads(row["hours"])),
    )
    return Store(
        row["store_id"],
        row["version"],
        content,
        row["created_at"],
        row["updated_at"],
        row["closed_at"],
    )


def read_geofence(row: RowMapping) -> Geofence:
    """A geofence from ``GEOFENCE_COLUMNS``."""
    return Geofence(
        row["geofence_id"],
        row["version"],
        read_geofence_content(row),
        row["created_at"],
        row["updated_at"],
        row["closed_at"],
    )


def read_geofence_content(row: RowMapping) -> GeofenceContent:
    """The columns of ``GEOFENCE_COLUMNS`` that a caller said."""
    schedule = row["schedule"]
    return GeofenceContent(
        store_id=row["store_id"],
        received=orjson.loads(row["received"]),
        datum=Datum(row["datum"]),
        shape=shape_from_wkb(row["outline"], row["radius_m"]),
        schedule=None if schedule is None else decode_schedule(orjson.loads(schedule)),
        dwell_s=tuple(row["dwell_s"]),
    )


def _store_row(store: Store) -> dict[str, Any]:
    content = store.content
    return {
        "store_id": store.store_id,
        "version": store.version,
        "name": content.name,
        "brand": content.brand,
        "address": content.address,
        "timezone": content.timezone,
        "tags": _BETWEEN_TAGS.join(content.tags),
        "hours": None if content.hours is None else _json(encode_hours(content.hours)),
        "next_closure_at": _next_closure_at(store),
        "lon": content.position.lon,
        "lat": content.position.lat,
        "received_latitude": content.received.latitude,
        "received_longitude": content.received.longitude,
        "datum": content.received.datum.value,
        "created_at": store.created_at,
        "updated_at": store.updated_at,
        "closed_at": store.closed_at,
    }


def _next_closure_at(store: Store) -> datetime | None:
    return None if store.closed_at else next_closure(store.content.hours, store.updated_at)


def _geofence_row(geofence: Geofence) -> dict[str, Any]:
    content = geofence.content
    schedule = content.schedule
    until = None if schedule is None else schedule.valid_until
    return {
        "geofence_id": geofence.geofence_id,
        "store_id": content.store_id,
        "version": geofence.version,
        "ends_at": until if geofence.closed_at is None else None,
        "received": _json(content.received),
        "datum": content.datum.value,
        "schedule": None if schedule is None else _json(encode_schedule(schedule)),
        "dwell_s": ",".join(map(str, content.dwell_s)),
        "created_at": geofence.created_at,
        "updated_at": geofence.updated_at,
        "closed_at": geofence.closed_at,
        **_outline(content.shape),
    }


def _outline(shape: Shape) -> Mapping[str, Any]:
    if isinstance(shape, Circle):
        center = shape.center
        return {"lon": center.lon, "lat": center.lat, "radius_m": shape.radius_m, "area": None}
    parts = MultiPolygon(shapely.get_parts(shape.geometry).tolist())
    return {"lon": None, "lat": None, "radius_m": None, "area": shapely.to_wkb(parts)}


def _json(document: Mapping[str, Any]) -> str:
    return orjson.dumps(document).decode()


def _columns(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as one list per column, which is what ``unnest`` takes."""
    return {name: [record[name] for record in records] for name in records[0]}
