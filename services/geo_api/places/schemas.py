"""Wire shapes of stores and geofences."""

from datetime import datetime
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from services.geo_api.places.domain import (
    MAX_TAG_LENGTH,
    MAX_TAGS,
    Geofence,
    GeofenceContent,
    ReceivedPosition,
    RowRefused,
    Store,
    StoreContent,
)
from shared.datum import Datum, to_wgs84
from shared.geo import check_position, parse_geometry, to_geojson
from shared.ids import Slug
from shared.pagination import MAX_LIMIT
from shared.wire import Number, WireModel


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise PydanticCustomError("zone", "must be an IANA time zone, such as Asia/Shanghai")
    return name


def _distinct(tags: list[str]) -> list[str]:
    """In the order given, the first of equal ones."""
    return list(dict.fromkeys(tags))


GEOMETRY_MEMBERS = ("type", "coordinates", "radius_m")

Zone = Annotated[str, AfterValidator(_known_zone)]
Named = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Tag = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TAG_LENGTH)
]
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(_distinct)]

STORE_EXAMPLE: dict[str, Any] = {
    "name": "Madison Square Park",
    "brand": "Demo Coffee",
    "latitude": 40.7419,
    "longitude": -73.9893,
    "datum": "wgs84",
    "timezone": "America/New_York",
    "address": "Madison Ave & E 23rd St, New York",
    "tags": ["flagship", "manhattan"],
}
NEARBY_EXAMPLE: dict[str, Any] = {
    "latitude": 40.7419,
    "longitude": -73.9893,
    "datum": "wgs84",
    "limit": 5,
}
GEOFENCE_EXAMPLES: dict[str, Any] = {
    "a circle": {
        "value": {
            "store_id": "demo-madison-square",
            "datum": "wgs84",
            "geometry": {"type": "Circle", "coordinates": [-73.9893, 40.7419], "radius_m": 100},
        }
    },
    "an outline": {
        "value": {
            "store_id": "demo-madison-square",
            "datum": "wgs84",
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    [
                        [-73.9897, 40.7417],
                        [-73.9889, 40.7417],
                        [-73.9889, 40.7421],
                        [-73.9897, 40.7421],
                        [-73.9897, 40.7417],
                    ]
                ],
            },
        }
    },
}


class PointIn(WireModel):
    """A position in degrees of its datum."""

    latitude: Number
    longitude: Number
    datum: Datum = Datum.WGS84


class NearbyIn(PointIn):
    model_config = ConfigDict(json_schema_extra={"examples": [NEARBY_EXAMPLE]})

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 20


class StoreIn(PointIn):
    model_config = ConfigDict(json_schema_extra={"examples": [STORE_EXAMPLE]})

    name: Named
    brand: Named | None = None
    address: Named | None = None
    timezone: Zone
    tags: Tags = Field(default_factory=list)

    def content(self) -> StoreContent:
        """Raises Malformed where the pair is no position of a store."""
        received = check_position(self.latitude, self.longitude)
        return StoreContent(
            name=self.name,
            brand=self.brand,
            address=self.address,
            timezone=self.timezone,
            tags=tuple(self.tags),
            received=ReceivedPosition(self.latitude, self.longitude, self.datum),
            position=to_wgs84(received.lon, received.lat, self.datum),
        )


class GeofenceIn(WireModel):
    """``geometry`` is a Circle with ``radius_m``, or a GeoJSON Polygon or MultiPolygon.

    Positions are [longitude, latitude] in degrees of ``datum``.
    """

    store_id: Slug
    datum: Datum = Datum.WGS84
    geometry: dict[str, Any]

    def content(self) -> GeofenceContent:
        """Raises Malformed for a geometry that is no outline of a place."""
        shape = parse_geometry(self.geometry, datum=self.datum)
        received = {name: self.geometry[name] for name in GEOMETRY_MEMBERS if name in self.geometry}
        return GeofenceContent(self.store_id, received, self.datum, shape)


class PointOut(BaseModel):
    latitude: float
    longitude: float


class StoreOut(BaseModel):
    """``latitude`` and ``longitude`` as received in ``datum``; ``wgs84`` is what counts inside."""

    store_id: str
    version: int
    name: str
    brand: str | None
    latitude: float
    longitude: float
    datum: Datum
    timezone: str
    address: str | None
    tags: list[str]
    wgs84: PointOut
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, store: Store) -> "StoreOut":
        return cls(**store_fields(store))


class NearbyOut(StoreOut):
    """``distance_m``: geodesic metres from the point asked about, rounded to the millimetre."""

    distance_m: float


class NearbyStores(BaseModel):
    """Nearest first."""

    items: list[NearbyOut]


class GeofenceOut(BaseModel):
    """``geometry`` as received in ``datum``; ``wgs84`` is what counts inside."""

    geofence_id: str
    store_id: str
    version: int
    datum: Datum
    geometry: dict[str, Any]
    wgs84: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, geofence: Geofence) -> "GeofenceOut":
        return cls(
            geofence_id=geofence.geofence_id,
            store_id=geofence.content.store_id,
            version=geofence.version,
            datum=geofence.content.datum,
            geometry=dict(geofence.content.received),
            wgs84=to_geojson(geofence.content.shape),
            created_at=geofence.created_at,
            updated_at=geofence.updated_at,
            closed_at=geofence.closed_at,
        )


class RowFault(BaseModel):
    pointer: str
    detail: str


class RefusedRow(BaseModel):
    """``line`` counts from 1: lines of a CSV with its header, features of a GeoJSON collection."""

    line: int
    store_id: str | None
    errors: list[RowFault]

    @classmethod
    def of(cls, row: RowRefused) -> "RefusedRow":
        faults = [RowFault(pointer=f.pointer, detail=f.detail) for f in row.faults]
        return cls(line=row.line, store_id=row.store_id, errors=faults)


class ImportReport(BaseModel):
    """``refused`` shows the first 1,000 refused rows, ``refused_count`` counts all."""

    received: int
    created: int
    updated: int
    unchanged: int
    refused: list[RefusedRow]
    refused_count: int
    dry_run: bool


def store_fields(store: Store) -> dict[str, Any]:
    content, received = store.content, store.content.received
    return {
        "store_id": store.store_id,
        "version": store.version,
        "name": content.name,
        "brand": content.brand,
        "latitude": received.latitude,
        "longitude": received.longitude,
        "datum": received.datum,
        "timezone": content.timezone,
        "address": content.address,
        "tags": list(content.tags),
        "wgs84": PointOut(latitude=content.position.lat, longitude=content.position.lon),
        "created_at": store.created_at,
        "updated_at": store.updated_at,
        "closed_at": store.closed_at,
    }
