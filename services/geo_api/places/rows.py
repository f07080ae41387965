"""Rows of an import judged one by one: a store and its geofence, or every fault of the row."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import shapely
from pydantic import Field, ValidationError

from services.geo_api.places.domain import GeofenceContent, PlaceRow, RowRefused, StoreContent
from services.geo_api.places.files import RawRow
from services.geo_api.places.hours_schemas import ScheduleBody
from services.geo_api.places.schemas import GEOMETRY_MEMBERS, DwellTimes, StoreIn
from services.geo_api.places.texts import read_document, read_outline
from shared.datum import Datum, from_wgs84
from shared.errors import FieldFault, Malformed
from shared.geo import Area, Shape, parse_geometry
from shared.ids import is_slug
from shared.problems import malformed
from shared.wire import WireModel

DEFAULT_RADIUS_M = 100.0
"""Source: Android's guide to geofencing, which asks for 100 to 150 m at least."""

NO_GEOFENCE = "none"
"""As ``radius_m``: the row is of a store without a geofence."""

_NUMBERS = ("latitude", "longitude", "radius_m", "center_latitude", "center_longitude")
_OF_STORE = frozenset({"datum", *StoreIn.model_fields})
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

    A store may stand in several rows, one for each of its geofences, that say the same of it. A
    geofence that stands in several rows is refused in each, since any choice would be a guess.
    """
    lines: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for row in raw:
        lines[_ids(row)].append(row.line)
    rows: list[PlaceRow] = []
    refused: list[RowRefused] = []
    for row in raw:
        store_id, _ = _ids(row)
        try:
            rows.append(_judge(row, lines[_ids(row)], defaults))
        except Malformed as error:
            refused.append(RowRefused(row.line, store_id or None, error.faults))
    agreed, disagreed = _agreeing(rows)
    return JudgedRows(len(raw), agreed, refused + disagreed)


def _agreeing(rows: Sequence[PlaceRow]) -> tuple[list[PlaceRow], list[RowRefused]]:
    """Rows of stores of which all rows say the same, and the others refused."""
    first: dict[str, PlaceRow] = {}
    for row in rows:
        first.setdefault(row.store_id, row)
    doubtful = {row.store_id for row in rows if row.store != first[row.store_id].store}
    detail = "the rows of this store say different things of it"
    refused = [
        RowRefused(row.line, row.store_id, (FieldFault("/id", detail),))
        for row in rows
        if row.store_id in doubtful
    ]
    return [row for row in rows if row.store_id not in doubtful], refused


def _judge(row: RawRow, same: Sequence[int], defaults: RowDefaults) -> PlaceRow:
    """Raises Malformed with every fault of the row."""
    if row.fault is not None:
        raise Malformed(row.fault)
    store_id, geofence_id = _ids(row)
    faults = [*_id_faults("/id", store_id, same)]
    if geofence_id != store_id:
        faults += _id_faults("/geofence_id", geofence_id, ())
    try:
        store, outline = _store(row, defaults)
        further = _further(row.fields)
    except Malformed as error:
        raise Malformed(*faults, *error.faults) from None
    if faults:
        raise Malformed(*faults)
    geofence = None
    if outline is not None:
        schedule = None if further.schedule is None else further.schedule.schedule()
        geofence = GeofenceContent(
            store_id, outline.received, defaults.datum, outline.shape, schedule,
            tuple(further.dwell_s),
        )  # fmt: skip
    return PlaceRow(row.line, store_id, store, geofence_id, geofence, row.named)


class _Outline(NamedTuple):
    """As received, and in WGS 84."""

    received: Mapping[str, Any]
    shape: Shape


def _store(row: RawRow, defaults: RowDefaults) -> tuple[StoreContent, _Outline | None]:
    """The store and its outline, if it has one. Raises Malformed."""
    fields = dict(_read(row.fields, defaults))
    drawn = row.outline if row.outline is not None else read_outline(fields.get("outline"))
    if drawn is not None:
        received = {k: drawn[k] for k in GEOMETRY_MEMBERS if k in drawn}
        shape = parse_geometry(received, datum=defaults.datum)
        return _content(_placed_within(fields, shape, defaults.datum)), _Outline(received, shape)
    radius_m = fields.pop("radius_m", defaults.radius_m)
    store = _content(fields)
    if radius_m == NO_GEOFENCE:
        return store, None
    center = [
        fields.get("center_longitude", store.received.longitude),
        fields.get("center_latitude", store.received.latitude),
    ]
    circle = {"type": "Circle", "coordinates": center, "radius_m": radius_m}
    return store, _Outline(circle, parse_geometry(circle, datum=defaults.datum, at=""))


def _content(fields: Mapping[str, Any]) -> StoreContent:
    document = {name: value for name, value in fields.items() if name in _OF_STORE}
    try:
        return StoreIn.model_validate(document).content()
    except ValidationError as error:
        raise malformed(error, document) from None


def _further(fields: Mapping[str, Any]) -> "_Further":
    """What a row says of its geofence beside the outline. Raises Malformed."""
    document = {name: fields[name] for name in ("schedule", "dwell_s") if name in fields}
    dwell_s = document.get("dwell_s")
    if isinstance(dwell_s, str):
        document["dwell_s"] = [_whole(part) for part in dwell_s.split(_BETWEEN_TAGS)]
    if "schedule" in document:
        document["schedule"] = read_document(document["schedule"], "/schedule")
    try:
        return _Further.model_validate(document)
    except ValidationError as error:
        raise malformed(error, document) from None


class _Further(WireModel):
    schedule: ScheduleBody | None = None
    dwell_s: DwellTimes = Field(default_factory=list)


def _read(fields: Mapping[str, Any], defaults: RowDefaults) -> dict[str, Any]:
    """Texts of a CSV as what they stand for; the brand stands in for a missing name."""
    read = dict(fields) | {"datum": defaults.datum}
    for name in _NUMBERS:
        if isinstance(read.get(name), str):
            read[name] = _number(read[name])
    if "name" not in read and "brand" in read:
        read["name"] = read["brand"]
    if isinstance(read.get("tags"), str):
        read["tags"] = _tags(read["tags"])
    if "hours" in read:
        read["hours"] = read_document(read["hours"], "/hours")
    zone = read.get("timezone", defaults.timezone)
    if zone is not None:
        read["timezone"] = _zone_name(zone)
    return read


def _tags(text: str) -> Any:
    """Parted by semicolons, or a JSON array where one has a semicolon within."""
    if text.startswith("["):
        return read_document(text, "/tags")
    return [tag for tag in map(str.strip, text.split(_BETWEEN_TAGS)) if tag]


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


def _whole(text: str) -> int | str:
    return int(text) if text.strip().isdecimal() else text


def _id_faults(at: str, name: str, same: Sequence[int]) -> list[FieldFault]:
    if not name:
        return [FieldFault(at, "is needed")]
    if not is_slug(name):
        return [FieldFault(at, "must be 1 to 64 of A-Z a-z 0-9 . _ : -")]
    if len(same) > 1:
        numbers = ", ".join(map(str, same))
        return [FieldFault(at, f"stands in several rows: lines {numbers}")]
    return []


def _ids(row: RawRow) -> tuple[str, str]:
    """Of the store, and of its geofence, which is the same where the row names none."""
    store_id = _our_id(row.fields.get("id"))
    return store_id, _our_id(row.fields.get("geofence_id")) or store_id


def _our_id(value: Any) -> str:
    """OpenStreetMap's ``way/123`` becomes ``way:123``."""
    text = _text(value)
    osm = _OSM_ID.fullmatch(text)
    return f"{osm[1]}:{osm[2]}" if osm else text


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value).strip()
