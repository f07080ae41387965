"""Structured values as one text, as a cell of a CSV holds them: outlines as WKT, others as JSON.

Numbers are written with every digit, so that a file read again is the same to the last bit.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import shapely
import shapely.geometry

from shared.errors import FieldFault, Malformed

_BY_NESTING = {"Polygon": "POLYGON", "MultiPolygon": "MULTIPOLYGON"}


def read_document(value: Any, at: str) -> Any:
    """JSON from its text; what is no text stays. Raises Malformed at ``at``."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise Malformed(FieldFault(at, "is not JSON")) from None


def read_outline(text: Any) -> Mapping[str, Any] | None:
    """A GeoJSON geometry from WKT or from its own text; None for none. Raises Malformed."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise Malformed(FieldFault("/outline", "must be WKT"))
    if text.startswith("{"):
        read = read_document(text, "/outline")
        return read if isinstance(read, dict) else {}
    try:
        geometry = shapely.from_wkt(text)
    except shapely.errors.GEOSException:
        raise Malformed(FieldFault("/outline", "is not WKT, such as POLYGON ((...))")) from None
    read = orjson.loads(orjson.dumps(shapely.geometry.mapping(geometry)))
    return read if isinstance(read, dict) else {}


def write_outline(geometry: Mapping[str, Any]) -> str:
    """The WKT of a GeoJSON Polygon or MultiPolygon, altitudes left out."""
    return f"{_BY_NESTING[geometry['type']]} {_nested(geometry['coordinates'])}"


def _nested(coordinates: Sequence[Any]) -> str:
    parts = [
        _nested(part) if isinstance(part[0], Sequence) else f"{float(part[0])!r} {float(part[1])!r}"
        for part in coordinates
    ]
    return f"({', '.join(parts)})"
