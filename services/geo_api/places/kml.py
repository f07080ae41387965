"""Placemarks of a KML file as GeoJSON features.

Known are Point, Polygon with holes, and MultiGeometry of these; names, addresses, and the values
of ExtendedData (Data and SimpleData). Styles, descriptions and links are passed over. The file may
hold no DTD and no entities of its own, which is how an XML file can grow without end or read others.
Source: OGC KML 2.3 (12-007r2).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from shared.errors import FieldFault, Malformed

MAX_DEPTH = 64
_GEOMETRIES = {
    "Point", "Polygon", "MultiGeometry", "LineString", "LinearRing", "Model", "Track", "MultiTrack",
}  # fmt: skip
_KEPT_TEXTS = {"name", "address", "value", "SimpleData", "coordinates"}


@dataclass(slots=True)
class _Element:
    name: str
    attributes: dict[str, str]
    children: list["_Element"] = field(default_factory=list)
    text: str = ""

    def all(self, name: str) -> Iterator["_Element"]:
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.all(name)

    def own(self, name: str) -> "_Element | None":
        return next((child for child in self.children if child.name == name), None)


@dataclass(slots=True)
class _Placemarks:
    """Collects each placemark as it ends; whatever lies around them is forgotten at once."""

    found: list[dict[str, Any]] = field(default_factory=list)
    most: int = 0
    _open: list[_Element] = field(default_factory=list)
    _depth: int = 0
    _is_kml: bool = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(" ")[2]
        if self._depth == 0 and name != "kml":
            raise Malformed(FieldFault("", "is no KML: the document must begin with <kml>"))
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Malformed(FieldFault("", "is nested too deeply"))
        if not self._open and name != "Placemark":
            return
        element = _Element(name, attributes)
        if self._open:
            self._open[-1].children.append(element)
        self._open.append(element)

    def text(self, text: str) -> None:
        if self._open and self._open[-1].name in _KEPT_TEXTS:
            self._open[-1].text += text

    def end(self, _name: str) -> None:
        self._depth -= 1
        if self._open:
            element = self._open.pop()
            if not self._open and len(self.found) <= self.most:
                self.found.append(_feature(element))

    def refuse(self, *_: object) -> None:
        raise Malformed(FieldFault("", "holds a DTD or entities, which a KML file does not need"))


def features(data: bytes, most: int) -> list[dict[str, Any]]:
    """The placemarks in order, no more than one over ``most``.

    A geometry that is not known has the type that KML gives it, and is refused by its row.
    Raises Malformed for what is no KML.
    """
    placemarks = _Placemarks(most=most)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = placemarks.start
    parser.EndElementHandler = placemarks.end
    parser.CharacterDataHandler = placemarks.text
    parser.StartDoctypeDeclHandler = placemarks.refuse
    parser.EntityDeclHandler = placemarks.refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        detail = f"is not XML: {expat.ErrorString(error.code)} in line {error.lineno}"
        raise Malformed(FieldFault("", detail)) from None
    return placemarks.found


def _feature(placemark: _Element) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for name in ("name", "address"):
        element = placemark.own(name)
        if element is not None:
            properties[name] = element.text.strip()
    for data in placemark.all("Data"):
        value = data.own("value")
        properties[data.attributes.get("name", "")] = "" if value is None else value.text.strip()
    for simple in placemark.all("SimpleData"):
        properties[simple.attributes.get("name", "")] = simple.text.strip()
    if "id" in placemark.attributes:
        properties.setdefault("id", placemark.attributes["id"])
    return {"type": "Feature", "properties": properties, **_geometry(placemark)}


def _geometry(placemark: _Element) -> dict[str, Any]:
    """``geometry``, and for an outline with a point beside it the ``point``."""
    leaves = [*_leaves(placemark)]
    other = next((leaf for leaf in leaves if leaf.name not in ("Point", "Polygon")), None)
    if other is not None:
        return {"geometry": {"type": other.name}}
    polygons = [_polygon(leaf) for leaf in leaves if leaf.name == "Polygon"]
    points = [_positions(leaf) for leaf in leaves if leaf.name == "Point"]
    point = {"type": "Point", "coordinates": (points[0] or [None])[0]} if points else None
    if not polygons:
        return {"geometry": point}
    if len(polygons) == 1:
        return {"geometry": {"type": "Polygon", "coordinates": polygons[0]}, "point": point}
    return {"geometry": {"type": "MultiPolygon", "coordinates": polygons}, "point": point}


def _leaves(element: _Element) -> Iterator[_Element]:
    for child in element.children:
        if child.name == "MultiGeometry":
            yield from _leaves(child)
        elif child.name in _GEOMETRIES:
            yield child


def _polygon(polygon: _Element) -> list[Any]:
    shells = [_positions(ring) for ring in polygon.all("outerBoundaryIs")]
    holes = [_positions(ring) for ring in polygon.all("innerBoundaryIs")]
    return [*shells, *holes]


def _positions(element: _Element) -> list[Any]:
    """``lon,lat[,altitude]`` by white space; what is no number stays as the text it is."""
    coordinates = next(element.all("coordinates"), None)
    texts = [] if coordinates is None else coordinates.text.split()
    return [[_number(part) for part in text.split(",")] for text in texts]


def _number(text: str) -> float | str:
    try:
        return text if "_" in text else float(text)
    except ValueError:
        return text
