"""Stores and geofences as rows of their tables, both ways."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import shapely
from shapely import MultiPolygon
from sqlalchemy import RowMapping

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

BETWEEN_TAGS = "\x1f"
"""Parts tags on their way into an array; no text on the wire may hold a control character."""

STORE_COLUMNS = """store_id, version, name, brand, address, timezone, tags, hours::text AS hours,
    ST_X(location::geometry) AS lon, ST_Y(location::geometry) AS lat,
    received_latitude, received_longitude, datum, created_at, updated_at, closed_at"""

GEOFENCE_COLUMNS = """g.geofence_id, g.store_id, g.version, v.datum, v.received::text AS received,
    v.radius_m, ST_AsBinary(COALESCE(v.center::geometry, v.area)) AS outline,
    v.schedule::text AS schedule, v.dwell_s,
    g.created_at, g.updated_at, g.closed_at"""


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


def store_record(store: Store) -> dict[str, Any]:
    """What a store is written as, by the names of the columns."""
    content = store.content
    return {
        "store_id": store.store_id,
        "version": store.version,
        "name": content.name,
        "brand": content.brand,
        "address": content.address,
        "timezone": content.timezone,
        "tags": BETWEEN_TAGS.join(content.tags),
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


def geofence_record(geofence: Geofence) -> dict[str, Any]:
    """What a geofence and its version are written as, by the names of the columns."""
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


def columns_of(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as one list per column, which is what ``unnest`` takes."""
    return {name: [record[name] for record in records] for name in records[0]}
