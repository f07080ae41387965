"""Wire shapes of stores and geofences."""

from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from services.geo_api.places.domain import (
    MAX_DWELL_S,
    MAX_DWELLS,
    MAX_TAG_LENGTH,
    MAX_TAGS,
    Geofence,
    GeofenceContent,
    ReceivedPosition,
    Store,
    StoreContent,
)
from services.geo_api.places.hours_schemas import (
    HOURS_EXAMPLE,
    SCHEDULE_EXAMPLE,
    HoursBody,
    ScheduleBody,
)
from services.geo_api.places.zones import zone_at
from shared.datum import Datum, to_wgs84
from shared.geo import check_position, parse_geometry, to_geojson
from shared.ids import Slug
from shared.pagination import MAX_LIMIT
from shared.wire import Integer, Number, WireModel


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


def _ascending(dwell_s: list[int]) -> list[int]:
    if any(later <= earlier for earlier, later in pairwise(dwell_s)):
        raise PydanticCustomError("ascending", "must ascend, each longer than the one before")
    return dwell_s


GEOMETRY_MEMBERS = ("type", "coordinates", "radius_m")

Zone = Annotated[str, AfterValidator(_known_zone)]
TIMEZONE_TEXT = "IANA name; without one, the time zone of the place is taken"
Named = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Tag = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TAG_LENGTH)
]
DwellTimes = Annotated[
    list[Annotated[Integer, Field(ge=1, le=MAX_DWELL_S)]],
    Field(max_length=MAX_DWELLS),
    AfterValidator(_ascending),
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
    "hours": HOURS_EXAMPLE,
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
            "dwell_s": [300, 900],
        }
    },
    "a circle for a season": {
        "value": {
            "store_id": "demo-madison-square",
            "geometry": {"type": "Circle", "coordinates": [-73.9893, 40.7419], "radius_m": 250},
            "schedule": SCHEDULE_EXAMPLE,
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
    timezone: Annotated[Zone | None, Field(description=TIMEZONE_TEXT)] = None
    tags: Tags = Field(default_factory=list)
    hours: HoursBody | None = None

    def content(self) -> StoreContent:
        """Raises Malformed where the pair is no position of a store."""
        received = check_position(self.latitude, self.longitude)
        position = to_wgs84(received.lon, received.lat, self.datum)
        return StoreContent(
            name=self.name,
            brand=self.brand,
            address=self.address,
            timezone=self.timezone or zone_at(position),
            tags=tuple(self.tags),
            received=ReceivedPosition(self.latitude, self.longitude, self.datum),
            position=position,
            hours=None if self.hours is None else self.hours.hours(),
        )


class GeofenceIn(WireModel):
    """``geometry`` is a Circle with ``radius_m``, or a GeoJSON Polygon or MultiPolygon.

    Positions are [longitude, latitude] in degrees of ``datum``. ``dwell_s`` are up to 5 lengths
    of a stay, in seconds, that count as a dwell; ``schedule`` says when the geofence is in force.
    """

    store_id: Slug
    datum: Datum = Datum.WGS84
    geometry: dict[str, Any]
    schedule: ScheduleBody | None = None
    dwell_s: DwellTimes = Field(default_factory=list)

    def content(self) -> GeofenceContent:
        """Raises Malformed for a geometry that is no outline of a place."""
        shape = parse_geometry(self.geometry, datum=self.datum)
        received = {name: self.geometry[name] for name in GEOMETRY_MEMBERS if name in self.geometry}
        schedule = None if self.schedule is None else self.schedule.schedule()
        return GeofenceContent(
            self.store_id, received, self.datum, shape, schedule, tuple(self.dwell_s)
        )


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
    hours: HoursBody | None
    wgs84: PointOut
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, store: Store) -> "StoreOut":
        return cls(**store_fields(store))


class NearbyOut(StoreOut):
    """``distance_m``: geodesic metres from the point asked about, rounded to the millimetre.

    ``open_now`` is by the opening hours; a store whose hours are not known counts as open.
    """

    distance_m: float
    open_now: bool


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
    schedule: ScheduleBody | None
    dwell_s: list[int]
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
            schedule=ScheduleBody.of(geofence.content.schedule),
            dwell_s=list(geofence.content.dwell_s),
            created_at=geofence.created_at,
            updated_at=geofence.updated_at,
            closed_at=geofence.closed_at,
        )


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
        "hours": HoursBody.of(content.hours),
        "wgs84": PointOut(latitude=content.position.lat, longitude=content.position.lon),
        "created_at": store.created_at,
        "updated_at": store.updated_at,
        "closed_at": store.closed_at,
    }
