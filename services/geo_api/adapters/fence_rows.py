"""Stores and geofences of the database as the objects that deciding needs.

Rows become objects portion by portion, so that those of a million fences are never held at once.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import asyncpg
import orjson

from services.geo_api.places.hours import Hours, status
from services.geo_api.places.hours_json import decode_hours, decode_schedule
from services.geo_api.presence.matching import Fence
from shared.geo import Area, Circle, LonLat, Shape

QUERY_TIMEOUT_S = 3.0
_LOAD_TIMEOUT_S = 60.0
_ROWS_AT_ONCE = 5_000

VERSION = "SELECT COALESCE((SELECT version FROM geo.fence_index_version WHERE id = 1), 0)"

_CHANGED_STORES = """
    SELECT store_id, name, brand, timezone, tags, hours::text AS hours, code_edition,
        ST_X(location::geometry) AS lon, ST_Y(location::geometry) AS lat,
        closed_at IS NOT NULL AS closed
    FROM geo.stores
    WHERE index_version > $1 AND (closed_at IS NULL OR $1 >= 0)
"""

_CHANGED_GEOFENCES = """
    SELECT g.geofence_id, g.store_id, g.version, g.closed_at IS NOT NULL AS closed, v.radius_m,
        v.schedule::text AS schedule, v.dwell_s,
        ST_X(v.center::geometry) AS lon, ST_Y(v.center::geometry) AS lat,
        ST_AsBinary(v.area) AS area
    FROM geo.geofences AS g
    JOIN geo.geofence_versions AS v ON v.geofence_id = g.geofence_id AND v.version = g.version
    WHERE g.index_version > $1 AND (g.closed_at IS NULL OR $1 >= 0)
"""

Row = asyncpg.Record
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What deciding needs to know of a store that is not closed for good.

    ``position`` is (longitude, latitude) in WGS 84; ``code_edition`` is that of its printed codes.
    """

    store_id: str
    name: str
    brand: str | None
    timezone: str
    tags: frozenset[str]
    hours: Hours | None = None
    position: tuple[float, float] = (0.0, 0.0)
    code_edition: int = 1

    def is_open(self, at: datetime) -> bool:
        """Whether its opening hours let it be open at ``at``; unknown ones do."""
        return status(self.hours, self.timezone, at).open


@dataclass(frozen=True, slots=True)
class Changed:
    """What the database has beyond the version held; ``closed`` and ``gone`` are ids."""

    version: int
    stores: Sequence[StoreInfo]
    closed: Sequence[str]
    fences: Sequence[Fence]
    gone: Sequence[str]


async def read_changed(
    connection: "asyncpg.Connection[asyncpg.Record]", held_version: int
) -> Changed:
    """All that is newer than ``held_version``, as of one moment."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        version = await connection.fetchval(VERSION, timeout=QUERY_TIMEOUT_S)
        stores, closed = await _fetch(connection, _CHANGED_STORES, held_version, _store)
        fences, gone = await _fetch(connection, _CHANGED_GEOFENCES, held_version, _fence)
    return Changed(version, stores, closed, fences, gone)


async def _fetch(
    connection: "asyncpg.Connection[asyncpg.Record]",
    query: str,
    held_version: int,
    make: Callable[[Row], Made],
) -> tuple[list[Made], list[str]]:
    """What is open, and the ids, in the first column, of what is closed.

    In portions, so that other requests have their turn in between.
    """
    made: list[Made] = []
    closed: list[str] = []
    async with asyncio.timeout(_LOAD_TIMEOUT_S):
        cursor = await connection.cursor(query, held_version)
        while portion := await cursor.fetch(_ROWS_AT_ONCE):
            closed += [row[0] for row in portion if row["closed"]]
            still_open = [row for row in portion if not row["closed"]]
            made += await asyncio.to_thread(list, map(make, still_open))
    return made, closed


def _store(row: Row) -> StoreInfo:
    hours = row["hours"]
    return StoreInfo(
        row["store_id"],
        row["name"],
        row["brand"],
        row["timezone"],
        frozenset(row["tags"]),
        None if hours is None else decode_hours(orjson.loads(hours)),
        (row["lon"], row["lat"]),
        row["code_edition"],
    )


def _fence(row: Row) -> Fence:
    shape: Shape
    if row["area"] is None:
        shape = Circle(LonLat(row["lon"], row["lat"]), row["radius_m"])
    else:
        shape = Area.of_wkb(row["area"])
    schedule = row["schedule"]
    return Fence(
        row["geofence_id"],
        row["store_id"],
        row["version"],
        shape,
        None if schedule is None else decode_schedule(orjson.loads(schedule)),
        tuple(row["dwell_s"]),
    )
