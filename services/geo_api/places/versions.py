"""The versions of a geofence: what it was, from when on, and who said so."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.places.domain import GeofenceContent, GeofenceUnknown
from services.geo_api.places.records import read_geofence_content
from services.geo_api.places.repository import rows
from shared.errors import NotFound

FIRST_PAGE = 2**31 - 1
"""Above every version."""

_STAMP = """v.version, v.received ->> 'type' AS shape, v.created_at, v.created_by,
    g.closed_at IS NOT NULL AND v.version = g.version AS closes"""

_OF_GEOFENCE = """geo.geofences AS g
    JOIN geo.geofence_versions AS v ON v.geofence_id = g.geofence_id
    WHERE g.geofence_id = :geofence_id"""

_LIST = text(f"""
    SELECT {_STAMP} FROM {_OF_GEOFENCE} AND v.version < :before
    ORDER BY v.version DESC
    LIMIT :most
""")

_ONE = text(f"""
    SELECT {_STAMP}, g.store_id, v.datum, v.received::text AS received, v.radius_m,
        ST_AsBinary(COALESCE(v.center::geometry, v.area)) AS outline,
        v.schedule::text AS schedule, v.dwell_s
    FROM {_OF_GEOFENCE} AND v.version = :version
""")


class GeofenceVersionUnknown(NotFound):
    slug = "geofence-version-unknown"
    title = "The geofence has no such version"


@dataclass(frozen=True, slots=True)
class Stamp:
    """One version: who said it and when. ``closes``: the geofence ended with it.

    ``shape`` is Circle, Polygon or MultiPolygon; ``created_by`` a role and the name of its key.
    """

    version: int
    shape: str
    created_at: datetime
    created_by: str
    closes: bool


async def stamps(
    connection: AsyncConnection, geofence_id: str, *, before: int, most: int
) -> list[Stamp]:
    """The latest versions below ``before``, newest first. Raises GeofenceUnknown where all lack."""
    found = await rows(connection, _LIST, geofence_id=geofence_id, before=before, most=most)
    if not found and before == FIRST_PAGE:
        raise GeofenceUnknown(f"There is no geofence {geofence_id}.")
    return [_stamp(row) for row in found]


async def read(
    connection: AsyncConnection, geofence_id: str, version: int
) -> tuple[Stamp, GeofenceContent]:
    """A version with its outline. Raises GeofenceVersionUnknown."""
    found: Any = await rows(connection, _ONE, geofence_id=geofence_id, version=version)
    if not found:
        raise GeofenceVersionUnknown(f"There is no version {version} of geofence {geofence_id}.")
    return _stamp(found[0]), read_geofence_content(found[0])


def _stamp(row: RowMapping) -> Stamp:
    return Stamp(row["version"], row["shape"], row["created_at"], row["created_by"], row["closes"])
