"""Rows of an import judged one by one: a store and its geofence, or every fault of the row."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import shapely
from pydantic import ValidationError

from services.geo_api.places.domain import GeofenceContent, PlaceRow, RowRefused, StoreContent
from services.geo_api.places.files import RawRow
from services.geo_api.places.schemas import GEOMETRY_MEMBERS, StoreIn
from shared.datum import Datum, from_wgs84
from shared.errors import FieldFault, Malformed
from shared.geo import Area, Shape, parse_geometry
from shared.ids import is_slug
from shared.problems import malformed

DEFAULT_RADIUS_M = 100.0
"""Source: Android's guide to geofencing, which asks for 100 to 150 m at least."""

_NUMBERS = ("latitude", "longitude", "radius_m")
_OSM_ID = re.compile(r"(node|way|relation)/(\d+)")
_INFORMAL_ZONES = {"Asia/Beijing": "Asia/Shanghai", "Asia/New_Delhi": "Asia/Kolkata"}
"""Names that directories use and IANA does not know."""
_BETWEEN_TAGS = ";"
_COORDINATE_DIGITS = 7
"""Decimals of a point that we choose within an outline: about a centimetre."""


@dataclass(frozen=True, slots=True)
class RowDefaults:
    """What holds where a row does not say otherwise; ``datum`` is the whole file's.

    A row without any time zone gets that of its place.
    """

    datum: Datum = Datum.WGS84
    radius_m: float = DEFAULT_RADIUS_M
    timezone: str | None = None


@dataclass(frozen=True, slots=True)
class JudgedRows:
    received: int
    rows: list[PlaceRow]
    refused: list[RowRefused]


def judge(raw: Sequence[RawRow], defaults: RowDefaults) -> JudgedRows:
    """What can be stored of a file, and what cannot and why. A bad row harms no other.

    An id that stands in several rows is refused in each, since any choice would be a guess.
    """
    lines: defaultdict[str, list[int]] = defaultdict(list)
    for row in raw:
        lines[_text(row.fields.get("id"))].append(row.line)
    rows: list[PlaceRow] = []
    refused: list[RowRefused] = []
    for row in raw:
        store_id = _store_id(row.fields.get("id"))
        try:
            same = lines[_text(row.fields.get("id"))]
            rows.append(_judge(row, store_id, same, defaults))
        except Malformed as error:
            refused.append(RowRefused(row.line, store_id or None, error.faults))
    return JudgedRows(len(raw), rows, refused)


def _judge(row: RawRow, store_id: str, same: Sequence[int], defaults: RowDefaults) -> PlaceRow:
    """Raises Malformed with every fault of the row."""
    if row.fault is not None:
        raise Malformed(row.fault)
    faults = [*_id_faults(store_id, same)]
    try:
        store, shape, received = _store(row, defaults)
    except Malformed as error:
        raise Malformed(*faults, *error.faults) from None
    if faults:
        raise Malformed(*faults)
    geofence = GeofenceContent(store_id, received, defaults.datum, shape)
    return PlaceRow(row.line, store_id, store, geofence)


def _store(row: RawRow, defaults: RowDefaults) -> tuple[StoreContent, Shape, Mapping[str, Any]]:
    """The store, its outline in WGS 84 and as received. Raises Malformed."""
    fields = dict(_read(row.fields, defaults))
    if row.outline is not None:
        received = {k: row.outline[k] for k in GEOMETRY_MEMBERS if k in row.outline}
        shape = parse_geometry(received, datum=defaults.datum)
        return _content(_placed_within(fields, shape, defaults.datum)), shape, received
    radius_m = fields.pop("radius_m", defaults.radius_m)
    store = _content(fields)
    center = [store.received.longitude, store.received.latitude]
    circle = {"type": "Circle", "coordinates": center, "radius_m": radius_m}
    return store, parse_geometry(circle, datum=defaults.datum, at=""), circle


def _content(fields: Mapping[str, Any]) -> StoreContent:
    document = {name: value for name, value in fields.items() if name not in ("id", "radius_m")}
    try:
        return StoreIn.model_validate(document).content()
    except ValidationError as error:
        raise malformed(error, document) from None


def _read(fields: Mapping[str, Any], defaults: RowDefaults) -> dict[str, Any]:
    """Texts of a CSV as what they stand for; the brand stands in for a missing name."""
    read = dict(fields) | {"datum": defaults.datum}
    for name in _NUMBERS:
        if isinstance(read.get(name), str):
            read[name] = _number(read[name])
    if "name" not in read and "brand" in read:
        read["name"] = read["brand"]
    if isinstance(read.get("tags"), str):
        read["tags"] = [tag for tag in map(str.strip, read["tags"].split(_BETWEEN_TAGS)) if tag]
    zone = read.get("timezone", defaults.timezone)
    if zone is not None:
        read["timezone"] = _zone_name(zone)
    return read


def _zone_name(zone: Any) -> Any:
    """The IANA part of a zone: some directories write ``GMT+1:00 Europe/Andorra``."""
    words = zone.split() if isinstance(zone, str) else []
    return _INFORMAL_ZONES.get(words[-1], words[-1]) if words else zone


def _placed_within(fields: Mapping[str, Any], shape: Shape, datum: Datum) -> dict[str, Any]:
    """With a position: the row's own, else a point within the outline."""
    if "latitude" in fields and "longitude" in fields:
        return dict(fields)
    if isinstance(shape, Area):
        within = shapely.point_on_surface(shape.geometry)
        point = from_wgs84(within.x, within.y, datum)
    else:
        point = from_wgs84(shape.center.lon, shape.center.lat, datum)
    return dict(fields) | {
        "latitude": round(point.lat, _COORDINATE_DIGITS),
        "longitude": round(point.lon, _COORDINATE_DIGITS),
    }


def _number(text: str) -> float | str:
    """A decimal number, or the text as it was, which then is refused under its field's name."""
    try:
        return text if "_" in text else float(text)
    except ValueError:
        return text


def _id_faults(store_id: str, same: Sequence[int]) -> list[FieldFault]:
    if not store_id:
        return [FieldFault("/id", "is needed")]
    if not is_slug(store_id):
        return [FieldFault("/id", "must be 1 to 64 of A-Z a-z 0-9 . _ : -")]
    if len(same) > 1:
        numbers = ", ".join(map(str, same))
        return [FieldFault("/id", f"stands in several rows: lines {numbers}")]
    return []


def _store_id(value: Any) -> str:
    """The id as ours: OpenStreetMap's ``way/123`` becomes ``way:123``."""
    text = _text(value)
    osm = _OSM_ID.fullmatch(text)
    return f"{osm[1]}:{osm[2]}" if osm else text


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value).strip()
