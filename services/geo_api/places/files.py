"""Files of stores as people have them, CSV, GeoJSON or KML, into rows of named fields.

Columns are found by their usual names, in any case, or by what the caller maps. Nothing is
judged here but the form of the file.
"""

import codecs
import csv
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.geo_api.places import kml
from shared.errors import FieldFault, Malformed, TooLarge
from shared.wire import parse_json

MAX_ROWS = 50_000

USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "store_id", "store_number", "store_no", "@id", "ref", "code"),
    "name": ("name", "store_name", "title"),
    "brand": ("brand", "brand_name"),
    "address": ("address", "street_address", "addr:full", "addr:street"),
    "latitude": ("lat", "latitude", "y"),
    "longitude": ("lon", "lng", "long", "longitude", "x"),
    "timezone": ("timezone", "tz", "time_zone"),
    "tags": ("tags", "labels"),
    "radius_m": ("radius_m", "radius"),
    "geofence_id": ("geofence_id",),
    "center_latitude": ("center_latitude",),
    "center_longitude": ("center_longitude",),
    "outline": ("wkt",),
    "hours": ("solomo_hours",),
    "schedule": ("solomo_schedule",),
    "dwell_s": ("dwell_s",),
}
"""Our fields, and what others call them; the first that a file has counts."""

_NEEDED_COLUMNS = ("id", "latitude", "longitude")
_BREAKS = re.compile(r"\s*[\t\r\n\v\f]\s*")
_DELIMITERS = ",;\t"
_MAX_CELL = 4 * 1024 * 1024
csv.field_size_limit(_MAX_CELL)
"""An outline of 10,000 vertices fits into one cell."""

_WGS84_LIKE = re.compile(r"(CRS84|EPSG:{1,2}(4326|4269|4258))$")
"""Also NAD83 and ETRS89, which differ from WGS 84 by a metre or two."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row by our field names; ``outline`` is a GeoJSON geometry other than a point.

    ``fault`` says why the row cannot be read at all. ``named`` are the fields that the file has a
    place for, also where this row leaves it empty.
    """

    line: int
    fields: Mapping[str, Any]
    outline: Any = None
    fault: FieldFault | None = None
    named: frozenset[str] = frozenset()


def inflate(data: bytes, most: int) -> bytes:
    """Undo gzip, up to ``most`` bytes. Raises TooLarge beyond that, Malformed for no gzip."""
    parts: list[bytes] = []
    room = most
    while data:
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(data, room + 1)
        except zlib.error:
            raise Malformed(FieldFault("", "is not gzip, as Content-Encoding says")) from None
        room -= len(part)
        if room < 0:
            raise TooLarge(f"The file is over {most} bytes once unpacked.", limit_bytes=most)
        if not member.eof:
            raise Malformed(FieldFault("", "is cut off: the gzip does not end"))
        parts.append(part)
        data = member.unused_data
    return b"".join(parts)


def read_csv(data: bytes, mapping: Mapping[str, str]) -> list[RawRow]:
    """The rows of a CSV with a header; parted by comma, semicolon or tab, in UTF-8.

    ``mapping`` gives the column of a field where it has no usual name. Within a text, tabs and
    line breaks become a space. Raises Malformed for what is no such file, TooLarge beyond 50,000 rows.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        detail = f"is not UTF-8 at byte {error.start}: save the file as UTF-8"
        raise Malformed(FieldFault("", detail)) from None
    delimiter = max(_DELIMITERS, key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = next(reader, [])
    columns = _columns(header, mapping)
    for field in _NEEDED_COLUMNS:
        if field not in columns:
            raise Malformed(FieldFault("/1", _missing_column(field)))
    rows: list[RawRow] = []
    try:
        for line, values in _numbered(reader):
            _count(rows)
            rows.append(_csv_row(line, values, header, columns))
    except csv.Error as error:
        raise Malformed(FieldFault(f"/{reader.line_num}", f"cannot be read: {error}")) from None
    return rows


def read_geojson(data: bytes, mapping: Mapping[str, str]) -> list[RawRow]:
    """The features of a FeatureCollection, in the datum that the caller names; a mark of UTF-8 may lead.

    Raises Malformed for anything else, TooLarge beyond 50,000 features.
    """
    document = parse_json(data.removeprefix(codecs.BOM_UTF8))
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise Malformed(FieldFault("/features", "must be the list of a FeatureCollection"))
    _check_crs(document.get("crs"))
    rows: list[RawRow] = []
    for line, feature in enumerate(features, start=1):
        _count(rows)
        rows.append(_feature_row(line, feature, mapping))
    return rows


def read_kml(data: bytes, mapping: Mapping[str, str]) -> list[RawRow]:
    """The placemarks of a KML; the values of ExtendedData are its fields.

    Raises Malformed for anything else, TooLarge beyond 50,000 placemarks.
    """
    rows: list[RawRow] = []
    for line, feature in enumerate(kml.features(data, MAX_ROWS), start=1):
        _count(rows)
        row = _feature_row(line, feature, mapping)
        if feature.get("point") is not None:
            row = replace(row, fields=_at(feature["point"]["coordinates"]) | dict(row.fields))
        rows.append(row)
    if not rows:
        raise Malformed(FieldFault("", "holds no Placemark"))
    return rows


def _columns(header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, int]:
    """Which column holds which field. Raises Malformed where a mapped column is not there."""
    known = {name.strip().casefold(): index for index, name in reversed([*enumerate(header)])}
    columns: dict[str, int] = {}
    for field, usual in USUAL_NAMES.items():
        wanted = (mapping[field],) if field in mapping else usual
        found = next((n.casefold() for n in wanted if n.casefold() in known), None)
        if found is not None:
            columns[field] = known[found]
        elif field in mapping:
            raise Malformed(FieldFault("?map", f"the file has no column {mapping[field]}"))
    return columns


def _missing_column(field: str) -> str:
    names = ", ".join(USUAL_NAMES[field])
    return f"has no column for {field} ({names}): map it with ?map={field}=COLUMN"


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, with the line that each begins in."""
    before = reader.line_num
    for values in reader:
        if values:
            yield before + 1, values
        before = reader.line_num


def _csv_row(
    line: int, values: Sequence[str], header: Sequence[str], columns: Mapping[str, int]
) -> RawRow:
    fields = {
        field: _BREAKS.sub(" ", values[index]).strip()
        for field, index in columns.items()
        if index < len(values) and values[index].strip()
    }
    if len(values) == len(header):
        return RawRow(line, fields, named=frozenset(columns))
    detail = f"has {len(values)} fields where the header has {len(header)}"
    return RawRow(line, fields, fault=FieldFault("", detail))


def _feature_row(line: int, feature: Any, mapping: Mapping[str, str]) -> RawRow:
    if not isinstance(feature, dict) or not isinstance(feature.get("properties") or {}, dict):
        return RawRow(line, {}, fault=FieldFault("", "must be a GeoJSON Feature"))
    properties = {str(k).casefold(): v for k, v in (feature.get("properties") or {}).items()}
    fields: dict[str, Any] = {}
    named: set[str] = set()
    for field, usual in USUAL_NAMES.items():
        names = (mapping[field],) if field in mapping else usual
        named |= {field} if any(name.casefold() in properties for name in names) else set()
        values = (properties.get(name.casefold()) for name in names)
        value = next((value for value in values if value not in (None, "")), None)
        if value is not None:
            fields[field] = value
    if feature.get("id") is not None and "id" not in mapping:
        fields["id"] = feature["id"]
    row = _with_geometry(line, fields, feature.get("geometry"))
    return replace(row, named=frozenset(named))


def _with_geometry(line: int, fields: dict[str, Any], geometry: Any) -> RawRow:
    if geometry is None:
        return RawRow(line, fields)
    if not isinstance(geometry, dict):
        return RawRow(line, fields, fault=FieldFault("/geometry", "must be a GeoJSON geometry"))
    if geometry.get("type") != "Point":
        return RawRow(line, fields, outline=geometry)
    position = geometry.get("coordinates")
    if not isinstance(position, list) or len(position) not in (2, 3):
        detail = "must be a position [longitude, latitude]"
        return RawRow(line, fields, fault=FieldFault("/geometry/coordinates", detail))
    return RawRow(line, fields | _at(position))


def _at(position: Sequence[Any]) -> dict[str, Any]:
    return {"longitude": position[0], "latitude": position[1]}


def _check_crs(crs: Any) -> None:
    """GeoJSON of 2008 could name another system; RFC 7946 knows WGS 84 only. Raises Malformed."""
    if crs is None:
        return
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if not isinstance(name, str) or not _WGS84_LIKE.search(name):
        detail = "is a system other than WGS 84: convert the file to EPSG:4326 first"
        raise Malformed(FieldFault("/crs", detail))


def _count(rows: Sequence[RawRow]) -> None:
    if len(rows) >= MAX_ROWS:
        raise TooLarge(f"A file may have at most {MAX_ROWS} rows; split it.", limit=MAX_ROWS)
