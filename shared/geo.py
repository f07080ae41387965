"""Points and shapes on the earth: WGS 84 degrees, longitude first.

A shape is a circle on the ellipsoid or an outline whose edges are straight in longitude and
latitude, as RFC 7946 has them. Outlines are kept in the canonical form of ``shared.rings``.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import shapely
from shapely import MultiPolygon, Point, Polygon

from shared.boundary import Boundary, inradius_m
from shared.datum import Datum, to_wgs84, to_wgs84_as_at
from shared.errors import FieldFault, Malformed
from shared.lonlat import (
    POLE_DEG,
    WGS84,
    LonLat,
    check_position,
    distance_m,
    distances_m,
    position_fault,
)
from shared.rings import MAX_RINGS, MAX_VERTICES, POLE_MARGIN_DEG, json_number, read_polygons

__all__ = [
    "MAX_RADIUS_M",
    "MAX_RINGS",
    "MAX_VERTICES",
    "MIN_RADIUS_M",
    "SRID",
    "WGS84",
    "Area",
    "Circle",
    "LonLat",
    "Shape",
    "check_position",
    "distance_m",
    "distances_m",
    "parse_geometry",
    "shape_from_wkb",
    "to_ewkb",
    "to_geojson",
]

SRID = 4326
MIN_RADIUS_M = 1
MAX_RADIUS_M = 100_000


@dataclass(frozen=True, slots=True)
class Circle:
    """All points within ``radius_m`` geodesic metres of the centre, the edge included."""

    center: LonLat
    radius_m: float

    @property
    def inradius_m(self) -> float:
        return self.radius_m


class Area:
    """A canonical Polygon or MultiPolygon (see ``shared.rings``), the edge included.

    Kept as WKB, which takes half the memory of a geometry, since an index may hold a million.
    """

    __slots__ = ("_boundary", "_inradius_m", "wkb")

    def __init__(self, geometry: Polygon | MultiPolygon) -> None:
        self._keep(shapely.to_wkb(geometry, byte_order=1))

    @classmethod
    def of_wkb(cls, wkb: bytes) -> "Area":
        """The area of a stored Polygon or MultiPolygon in WGS 84 without an SRID, read when asked."""
        area = cls.__new__(cls)
        area._keep(wkb)  # noqa: SLF001 - it is this class
        return area

    def _keep(self, wkb: bytes) -> None:
        self.wkb = wkb
        self._boundary: Boundary | None = None
        self._inradius_m: float | None = None

    @property
    def geometry(self) -> Polygon | MultiPolygon:
        """Made anew at each call."""
        geometry = shapely.from_wkb(self.wkb)
        assert isinstance(geometry, Polygon | MultiPolygon)  # noqa: S101 - nothing else is kept
        return geometry

    @property
    def boundary(self) -> Boundary:
        """Its edges, worked out at the first question and kept with the area."""
        if self._boundary is None:
            self._boundary = Boundary.of(self.geometry)
        return self._boundary

    @property
    def inradius_m(self) -> float:
        """Radius of the largest circle within, in metres; worked out once, as ``boundary`` is."""
        if self._inradius_m is None:
            self._inradius_m = inradius_m(self.geometry)
        return self._inradius_m

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Area) and self.wkb == other.wkb

    def __hash__(self) -> int:
        return hash(self.wkb)

    def __repr__(self) -> str:
        return f"Area({shapely.to_wkt(self.geometry)})"


Shape = Circle | Area


def parse_geometry(geojson: Mapping[str, Any], *, datum: Datum, at: str = "/geometry") -> Shape:
    """The shape of a geofence from its wire form, in WGS 84.

    Known are ``{"type": "Circle", "coordinates": [lon, lat], "radius_m": 100}`` and GeoJSON
    Polygons and MultiPolygons with holes. Positions are degrees in ``datum``; each vertex is
    converted by itself. An altitude is dropped.

    Raises Malformed with JSON Pointers below ``at``: positions out of range or swapped, open
    rings, no area, self-intersections with their place, too many rings or vertices, poles.
    """
    kind = geojson.get("type")
    if kind == "Circle":
        return _parse_circle(geojson, datum, at)
    if kind in ("Polygon", "MultiPolygon"):
        return Area(read_polygons(geojson, _Conversion(datum), at))
    raise Malformed(FieldFault(f"{at}/type", "must be Circle, Polygon or MultiPolygon"))


def to_geojson(shape: Shape) -> dict[str, Any]:
    """The wire form of a shape, in WGS 84; the inverse of ``parse_geometry``."""
    if isinstance(shape, Circle):
        center = [shape.center.lon, shape.center.lat]
        return {"type": "Circle", "coordinates": center, "radius_m": shape.radius_m}
    if isinstance(shape.geometry, Polygon):
        return {"type": "Polygon", "coordinates": _rings(shape.geometry)}
    parts = [_rings(part) for part in shape.geometry.geoms]
    return {"type": "MultiPolygon", "coordinates": parts}


def to_ewkb(shape: Shape) -> bytes:
    """For a column ``geometry(Geometry, 4326)``: the outline, or a circle's centre as a point.

    Binary, since text does not keep every digit; PostGIS reads its hex form as a geometry.
    """
    return bytes(shapely.to_wkb(_located(shape), include_srid=True))


def shape_from_wkb(wkb: bytes | str, radius_m: float | None = None) -> Shape:
    """The shape of a stored geometry (bytes or hex); a point is the centre of a circle.

    Raises ValueError for a point without a radius and for any other kind of geometry.
    """
    geometry = shapely.from_wkb(wkb)
    if isinstance(geometry, Point) and radius_m is not None:
        return Circle(LonLat(geometry.x, geometry.y), radius_m)
    if isinstance(geometry, Polygon | MultiPolygon):
        return Area(geometry)
    raise ValueError(f"no shape of a geofence: {geometry.geom_type}, radius {radius_m}")


def _parse_circle(geojson: Mapping[str, Any], datum: Datum, at: str) -> Circle:
    coordinates = geojson.get("coordinates")
    if not isinstance(coordinates, list | tuple) or len(coordinates) not in (2, 3):
        detail = "must be a position [longitude, latitude]"
        raise Malformed(FieldFault(f"{at}/coordinates", detail))
    lon, lat = (json_number(coordinates[axis], f"{at}/coordinates/{axis}") for axis in (0, 1))
    fault = position_fault(lon, lat)
    if fault is not None:
        axis = int(fault.axis == "latitude")
        raise Malformed(FieldFault(f"{at}/coordinates/{axis}", fault.detail))
    radius_m = json_number(geojson.get("radius_m"), f"{at}/radius_m")
    if not MIN_RADIUS_M <= radius_m <= MAX_RADIUS_M:
        detail = f"must lie from {MIN_RADIUS_M} to {MAX_RADIUS_M} metres"
        raise Malformed(FieldFault(f"{at}/radius_m", detail))
    center = to_wgs84(lon, lat, datum)
    _refuse_pole(center, radius_m, at)
    return Circle(center, radius_m)


def _refuse_pole(center: LonLat, radius_m: float, at: str) -> None:
    brink = LonLat(center.lon, math.copysign(POLE_DEG - POLE_MARGIN_DEG, center.lat))
    if abs(center.lat) >= abs(brink.lat) or distance_m(center, brink) < radius_m:
        detail = f"the circle comes within {POLE_MARGIN_DEG}° of a pole"
        raise Malformed(FieldFault(f"{at}/coordinates/1", detail))


class _Conversion:
    """Brings the vertices of one geometry to WGS 84, all as its first one asks for."""

    def __init__(self, datum: Datum) -> None:
        self._datum = datum
        self._convert: Callable[[float, float], LonLat] | None = None

    def __call__(self, lon: float, lat: float) -> tuple[float, float]:
        if self._convert is None:
            self._convert = to_wgs84_as_at(lon, lat, self._datum)
        position = self._convert(lon, lat)
        return position.lon, position.lat


def _located(shape: Shape) -> Point | Polygon | MultiPolygon:
    if isinstance(shape, Circle):
        return shapely.set_srid(Point(shape.center.lon, shape.center.lat), SRID)
    return shapely.set_srid(shape.geometry, SRID)


def _rings(polygon: Polygon) -> list[list[list[float]]]:
    rings = (polygon.exterior, *polygon.interiors)
    return [shapely.get_coordinates(ring).tolist() for ring in rings]
