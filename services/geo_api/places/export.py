"""Stores with their geofences as files: GeoJSON, CSV and KML, a row for each geofence.

Positions are WGS 84, whatever datum they came in. Every number has all its digits, and the names of
the fields are those of the import, so that an export imported again changes nothing. What is closed
for good is left out.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol
from xml.sax.saxutils import escape, quoteattr

import orjson

from services.geo_api.places.domain import Geofence, Store
from services.geo_api.places.hours_json import encode_hours, encode_schedule
from services.geo_api.places.rows import NO_GEOFENCE
from services.geo_api.places.texts import write_outline
from shared.datum import Datum
from shared.geo import Circle, to_geojson

Rows = Sequence[tuple[Store, Geofence | None]]

COLUMNS = (
    "id", "name", "brand", "address", "timezone", "tags", "latitude", "longitude", "radius_m",
    "geofence_id", "center_latitude", "center_longitude", "wkt", "solomo_hours",
    "solomo_schedule", "dwell_s",
)  # fmt: skip
_IN_KML_ITSELF = ("name", "address")


class Format(StrEnum):
    GEOJSON = "geojson"
    CSV = "csv"
    KML = "kml"


class Writer(Protocol):
    """Writes a file in parts: its head, rows by the portion, its end."""

    media_type: str

    def head(self) -> str: ...
    def rows(self, rows: Rows) -> str: ...
    def end(self) -> str: ...


def writer(wanted: Format) -> Writer:
    if wanted is Format.GEOJSON:
        return GeoJson()
    return Csv() if wanted is Format.CSV else Kml()


class GeoJson:
    media_type = "application/geo+json"

    def __init__(self) -> None:
        self._is_first = True

    def head(self) -> str:
        return '{"type":"FeatureCollection","features":[\n'

    def rows(self, rows: Rows) -> str:
        parts = []
        for store, geofence in rows:
            properties, outline = _fields(store, geofence)
            if outline is None:
                position = [properties.pop("longitude"), properties.pop("latitude")]
                outline = {"type": "Point", "coordinates": position}
            feature = {"type": "Feature", "geometry": outline, "properties": properties}
            parts.append(("" if self._is_first else ",\n") + orjson.dumps(feature).decode())
            self._is_first = False
        return "".join(parts)

    def end(self) -> str:
        return "\n]}\n"


class Csv:
    media_type = "text/csv; charset=utf-8"

    def head(self) -> str:
        return ",".join(COLUMNS) + "\n"

    def rows(self, rows: Rows) -> str:
        out = io.StringIO(newline="")
        written = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        for store, geofence in rows:
            fields, outline = _fields(store, geofence)
            texts = {name: _text(value) for name, value in fields.items()}
            written.writerow(texts | {"wkt": "" if outline is None else write_outline(outline)})
        return out.getvalue()

    def end(self) -> str:
        return ""


class Kml:
    media_type = "application/vnd.google-earth.kml+xml"

    def head(self) -> str:
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<kml xmlns="http://www.opengis.net/kml/2.2"><Document><name>Stores</name>\n'
        )

    def rows(self, rows: Rows) -> str:
        return "".join(_placemark(store, geofence) for store, geofence in rows)

    def end(self) -> str:
        return "</Document></kml>\n"


def _fields(store: Store, geofence: Geofence | None) -> tuple[dict[str, Any], Any]:
    """By the import's names, and the outline where it is not a circle."""
    content = store.content
    fields: dict[str, Any] = {
        "id": store.store_id,
        "name": content.name,
        "brand": content.brand,
        "address": content.address,
        "timezone": content.timezone,
        "tags": list(content.tags),
        "latitude": content.position.lat,
        "longitude": content.position.lon,
        "solomo_hours": None if content.hours is None else encode_hours(content.hours),
    }
    if geofence is None:
        return fields | {"radius_m": NO_GEOFENCE}, None
    schedule, shape = geofence.content.schedule, geofence.content.shape
    fields |= {
        "geofence_id": geofence.geofence_id,
        "solomo_schedule": None if schedule is None else encode_schedule(schedule),
        "dwell_s": list(geofence.content.dwell_s),
    }
    if not isinstance(shape, Circle):
        return fields, _outline(geofence)
    fields["radius_m"] = shape.radius_m
    if shape.center != content.position:
        fields |= {"center_latitude": shape.center.lat, "center_longitude": shape.center.lon}
    return fields, None


def _outline(geofence: Geofence) -> Mapping[str, Any]:
    """As it was received, if in WGS 84; so that a single polygon is not made one of several."""
    content = geofence.content
    return content.received if content.datum is Datum.WGS84 else to_geojson(content.shape)


def _text(value: Any) -> str:
    """As one cell: lists by semicolons, unless a member has one; floats by all their digits."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return orjson.dumps(value).decode()
    if isinstance(value, list):
        members = [str(member) for member in value]
        is_plain = not any(";" in member or member.startswith("[") for member in members)
        return ";".join(members) if is_plain else orjson.dumps(value).decode()
    return repr(value) if isinstance(value, float) else str(value)


def _placemark(store: Store, geofence: Geofence | None) -> str:
    fields, outline = _fields(store, geofence)
    data = "".join(
        f"<Data name={quoteattr(name)}><value>{escape(_text(value))}</value></Data>"
        for name, value in fields.items()
        if name not in _IN_KML_ITSELF
    )
    texts = "".join(
        f"<{name}>{escape(fields[name])}</{name}>" for name in _IN_KML_ITSELF if fields[name]
    )
    shown = _kml_outline(outline) if outline else _kml_point(fields)
    return f"<Placemark>{texts}<ExtendedData>{data}</ExtendedData>{shown}</Placemark>\n"


def _kml_point(fields: Mapping[str, Any]) -> str:
    return (
        f"<Point><coordinates>{fields['longitude']!r},{fields['latitude']!r}</coordinates></Point>"
    )


def _kml_outline(outline: Mapping[str, Any]) -> str:
    if outline["type"] == "Polygon":
        return "".join(_kml_polygon(outline["coordinates"]))
    parts = "".join(part for rings in outline["coordinates"] for part in _kml_polygon(rings))
    return f"<MultiGeometry>{parts}</MultiGeometry>"


def _kml_polygon(rings: Sequence[Sequence[Sequence[float]]]) -> Iterator[str]:
    yield "<Polygon>"
    for number, ring in enumerate(rings):
        place = "innerBoundaryIs" if number else "outerBoundaryIs"
        positions = " ".join(f"{position[0]!r},{position[1]!r}" for position in ring)
        yield f"<{place}><LinearRing><coordinates>{positions}</coordinates></LinearRing></{place}>"
    yield "</Polygon>"
