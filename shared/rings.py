"""Polygons as callers send them: checked, explained, and brought into one canonical form.

The canonical form is a valid Polygon or MultiPolygon in WGS 84 degrees within ±180, shells
counter-clockwise, without altitudes, and cut at ±180 where it crosses the antimeridian. On the
way in a crossing may be cut already (RFC 7946, section 3.1.9) or be a ring that simply goes on,
170 to -170: two neighbouring vertices more than 180° of longitude apart are read as the short
way round. An edge that is really longer than 180° needs a vertex in between.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import shapely
from shapely import MultiPolygon, Polygon
from shapely.affinity import translate

from shared.errors import FieldFault, Malformed
from shared.lonlat import ANTIMERIDIAN_DEG, POLE_DEG, looks_swapped, range_fault

MAX_VERTICES = 10_000
MAX_RINGS = 250
POLE_MARGIN_DEG = 0.01
MAX_WIDTH_DEG = 180
"""A wider polygon holds more than it leaves out, and mostly is a slip of the sign."""

LEAST_AREA_DEG2 = 1e-12
"""About 0.01 m² at the equator: less is a line, not a place."""

Vertex = tuple[float, float]
Ring = list[Vertex]
Convert = Callable[[float, float], Vertex]

_CLOSED_TRIANGLE = 4
_POSITION_LENGTHS = (2, 3)
_SWAPPED = (
    "every vertex is off any inhabited coast: positions are [longitude, latitude], "
    "these are probably swapped"
)
_WHERE = re.compile(r"(.*)\[(\S+) (\S+)\]")


@dataclass(slots=True)
class _Budget:
    """What one geometry may still spend, so that a huge one is refused before it is built."""

    vertices: int = MAX_VERTICES
    rings: int = MAX_RINGS
    positions: list[Vertex] = field(default_factory=list)


def read_polygons(geometry: Mapping[str, Any], convert: Convert, at: str) -> Polygon | MultiPolygon:
    """A GeoJSON Polygon or MultiPolygon in canonical form, each vertex put through ``convert``.

    Raises Malformed with pointers below ``at``, which is where ``geometry`` stands in the body.
    """
    at = f"{at}/coordinates"
    coordinates = geometry.get("coordinates")
    several = geometry["type"] == "MultiPolygon"
    budget = _Budget()
    polygons = _members(coordinates, at) if several else [(at, coordinates)]
    parts = [_read_polygon(rings, budget, pointer) for pointer, rings in polygons]
    if all(looks_swapped(*position) for position in budget.positions):
        raise _fault(at, _SWAPPED)
    _explain_if_invalid(_assemble(parts), at)
    converted = [[[convert(*vertex) for vertex in ring] for ring in rings] for rings in parts]
    canonical = _assemble(converted)
    _explain_if_invalid(canonical, at)
    return canonical


def _read_polygon(rings: Any, budget: _Budget, at: str) -> list[Ring]:
    read = [_read_ring(ring, budget, pointer) for pointer, ring in _members(rings, at)]
    unwrapped = [_unwrap(ring, f"{at}/{index}") for index, ring in enumerate(read)]
    if _width(unwrapped[0]) > MAX_WIDTH_DEG:
        detail = f"is over {MAX_WIDTH_DEG}° of longitude wide: draw it in several polygons"
        raise _fault(f"{at}/0", detail)
    middle = _middle(unwrapped[0])
    return [_shifted_near(ring, middle) for ring in unwrapped]


def _read_ring(ring: Any, budget: _Budget, at: str) -> Ring:
    positions = _members(ring, at)
    budget.rings -= 1
    budget.vertices -= len(positions)
    if budget.rings < 0:
        raise _fault(at, f"a geometry may have at most {MAX_RINGS} rings")
    if budget.vertices < 0:
        raise _fault(at, f"a geometry may have at most {MAX_VERTICES} vertices: simplify it")
    vertices = [_read_position(position, pointer) for pointer, position in positions]
    budget.positions += vertices
    if len(vertices) < _CLOSED_TRIANGLE:
        raise _fault(at, "a ring needs at least 4 positions, the last one equal to the first")
    if vertices[0] != vertices[-1]:
        raise _fault(at, "the ring is not closed: its last position must equal its first")
    return vertices


def _read_position(position: Any, at: str) -> Vertex:
    if not _is_list(position) or len(position) not in _POSITION_LENGTHS:
        raise _fault(at, "must be a position [longitude, latitude]")
    lon, lat = (json_number(position[axis], f"{at}/{axis}") for axis in (0, 1))
    fault = range_fault(lon, lat)
    if fault is not None:
        raise _fault(f"{at}/{int(fault.axis == 'latitude')}", fault.detail)
    if abs(lat) > POLE_DEG - POLE_MARGIN_DEG:
        raise _fault(f"{at}/1", f"an outline may not come within {POLE_MARGIN_DEG}° of a pole")
    return lon, lat


def json_number(value: Any, at: str) -> float:
    """A JSON number; NaN and infinities pass and are left to the range checks."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _fault(at, "must be a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _members(value: Any, at: str) -> list[tuple[str, Any]]:
    if not _is_list(value) or not value:
        raise _fault(at, "must be a list that is not empty")
    return [(f"{at}/{index}", member) for index, member in enumerate(value)]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _unwrap(ring: Ring, at: str) -> Ring:
    """Longitudes that go on past ±180 instead of jumping.

    Raises Malformed where the ring does not come back to where it began: it goes round a pole.
    """
    turns = 0
    unwrapped = [ring[0]]
    for (before, _), (lon, lat) in pairwise(ring):
        turns += (before - lon > ANTIMERIDIAN_DEG) - (lon - before > ANTIMERIDIAN_DEG)
        unwrapped.append((lon + 2 * ANTIMERIDIAN_DEG * turns, lat))
    if turns != 0:
        raise _fault(at, "the ring goes round a pole, which an outline may not hold")
    return unwrapped


def _width(ring: Ring) -> float:
    lons = [lon for lon, _ in ring]
    return max(lons) - min(lons)


def _middle(ring: Ring) -> float:
    lons = [lon for lon, _ in ring]
    return (min(lons) + max(lons)) / 2


def _shifted_near(ring: Ring, middle: float) -> Ring:
    """The ring moved by whole turns, so that a hole lies where its shell lies."""
    turn = 2 * ANTIMERIDIAN_DEG
    shift = turn * round((middle - _middle(ring)) / turn)
    return [(lon + shift, lat) for lon, lat in ring] if shift else ring


def _assemble(parts: Iterable[Sequence[Ring]]) -> Polygon | MultiPolygon:
    """One geometry within ±180 of polygons in unwrapped longitudes; not yet known to be valid."""
    pieces = [piece for shell, *holes in parts for piece in _cut(Polygon(shell, holes))]
    whole = pieces[0] if len(pieces) == 1 else MultiPolygon(pieces)
    return shapely.orient_polygons(whole)


def _cut(polygon: Polygon) -> list[Polygon]:
    """Cut at ±180 and bring each piece to within it; an invalid polygon stays as it is."""
    west, _, east, _ = polygon.bounds
    if (west >= -ANTIMERIDIAN_DEG and east <= ANTIMERIDIAN_DEG) or not polygon.is_valid:
        return [polygon]
    pieces: list[Polygon] = []
    for turn in range(-2, 3):
        middle = turn * 2 * ANTIMERIDIAN_DEG
        west, east = middle - ANTIMERIDIAN_DEG, middle + ANTIMERIDIAN_DEG
        world = shapely.box(west, -POLE_DEG, east, POLE_DEG)
        inside = translate(polygon.intersection(world), xoff=-middle)
        pieces += [piece for piece in shapely.get_parts(inside) if piece.area > 0]
    return pieces


def _explain_if_invalid(geometry: Polygon | MultiPolygon, at: str) -> None:
    parts = shapely.get_parts(geometry)
    for part in parts:
        for ring in (part.exterior, *part.interiors):
            if ring.convex_hull.area < LEAST_AREA_DEG2:
                raise _fault(at, "a ring encloses no area")
        if not part.is_valid:
            raise _fault(at, _reason(part))
        if part.area < LEAST_AREA_DEG2:
            raise _fault(at, "the polygon encloses no area")
    if not geometry.is_valid:
        raise _fault(at, f"the polygons overlap or share an edge: {_reason(geometry)}")


def _reason(geometry: Polygon | MultiPolygon) -> str:
    reason = shapely.is_valid_reason(geometry)
    where = _WHERE.fullmatch(reason)
    if where is None:
        return str(reason)
    lon = math.remainder(float(where[2]), 2 * ANTIMERIDIAN_DEG)
    return f"{where[1]} near longitude {lon:.7g}, latitude {float(where[3]):.7g}"


def _fault(at: str, detail: str) -> Malformed:
    return Malformed(FieldFault(at, detail))
