"""Lists of stores and geofences by pages, and the stores nearest to a point."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.places.domain import Geofence, Store
from services.geo_api.places.records import (
    GEOFENCE_COLUMNS,
    STORE_COLUMNS,
    read_geofence,
    read_store,
)
from services.geo_api.places.repository import GEOFENCE_TABLES, rows
from shared.geo import LonLat

_LIST_STORES = text(f"""
    SELECT {STORE_COLUMNS} FROM geo.stores
    WHERE store_id > :after
      AND (CAST(:tag AS text) IS NULL OR tags @> ARRAY[CAST(:tag AS text)])
      AND (CAST(:brand AS text) IS NULL OR brand = :brand)
      AND (CAST(:closed AS boolean) IS NULL OR (closed_at IS NOT NULL) = :closed)
      AND (CAST(:q AS text) IS NULL
           OR name ILIKE :q OR brand ILIKE :q OR address ILIKE :q OR store_id ILIKE :q)
    ORDER BY store_id
    LIMIT :most
""")

_LIST_GEOFENCES = text(f"""
    SELECT {GEOFENCE_COLUMNS} FROM {GEOFENCE_TABLES}
    WHERE g.geofence_id > :after
      AND (CAST(:store_id AS text) IS NULL OR g.store_id = :store_id)
      AND (CAST(:closed AS boolean) IS NULL OR (g.closed_at IS NOT NULL) = :closed)
    ORDER BY g.geofence_id
    LIMIT :most
""")

_HERE = "ST_SetSRID(ST_MakePoint(CAST(:lon AS float8), CAST(:lat AS float8)), 4326)::geography"

NEARBY = text(f"""
    WITH nearest AS MATERIALIZED (
        SELECT location FROM geo.stores
        WHERE closed_at IS NULL
        ORDER BY location <-> {_HERE}
        LIMIT :most
    ), bound AS MATERIALIZED (
        SELECT max(ST_Distance(location, {_HERE})) + 0.001 AS metres FROM nearest
    )
    SELECT {STORE_COLUMNS}, ST_Distance(location, {_HERE}) AS distance_m
    FROM bound JOIN geo.stores ON ST_DWithin(location, {_HERE}, bound.metres)
    WHERE closed_at IS NULL
    ORDER BY distance_m, store_id
    LIMIT :most
""")
"""The index orders by distance on a sphere, which may put two stores the wrong way round. So it
only finds as many as are wanted: the farthest of these bounds what the ellipsoid then orders."""


@dataclass(frozen=True, slots=True)
class StoreFilter:
    """``q`` is looked for in name, brand, address and id; ``closed`` None means both."""

    tag: str | None = None
    brand: str | None = None
    q: str | None = None
    closed: bool | None = False


@dataclass(frozen=True, slots=True)
class Nearby:
    """``distance_m`` in geodesic metres."""

    store: Store
    distance_m: float


async def list_stores(
    connection: AsyncConnection, wanted: StoreFilter, after: str, most: int
) -> list[Store]:
    """The next ``most`` stores by id after ``after``."""
    found = await rows(
        connection,
        _LIST_STORES,
        after=after,
        most=most,
        tag=wanted.tag,
        brand=wanted.brand,
        closed=wanted.closed,
        q=None if wanted.q is None else f"%{_literal(wanted.q)}%",
    )
    return [read_store(row) for row in found]


async def list_geofences(
    connection: AsyncConnection,
    store_id: str | None,
    *,
    closed: bool | None,
    after: str,
    most: int,
) -> list[Geofence]:
    """The next ``most`` geofences by id after ``after``; ``closed`` None means both."""
    found = await rows(
        connection, _LIST_GEOFENCES, after=after, most=most, store_id=store_id, closed=closed
    )
    return [read_geofence(row) for row in found]


async def nearby(connection: AsyncConnection, here: LonLat, most: int) -> list[Nearby]:
    """The ``most`` open stores nearest to ``here`` (WGS 84), by geodesic distance, then by id."""
    found: Sequence[Any] = await rows(connection, NEARBY, lon=here.lon, lat=here.lat, most=most)
    return [Nearby(read_store(row), row["distance_m"]) for row in found]


def _literal(wanted: str) -> str:
    """The text with LIKE's own signs taken literally."""
    return wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
