"""Families of fences and points, from plain to adversarial, for asking memory and PostGIS alike."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from shared.boundary import Floats
from shared.datum import Datum
from shared.errors import Malformed
from shared.geo import WGS84, Area, Circle, LonLat, Shape, parse_geometry

Random = np.random.Generator
Make = Callable[[Random, int], tuple[Shape, Floats]]

_HAIRS = (-1e-3, -1e-4, -1e-7, 0.0, 1e-7, 1e-4, 1e-3)


@dataclass(frozen=True, slots=True)
class Family:
    """``make`` gives a fence and so many points, rows of longitude and latitude in degrees."""

    name: str
    make: Make


def _circle(random: Random, lon: float, lat: float) -> Circle:
    return Circle(LonLat(lon, lat), float(10 ** random.uniform(0, 5)))


def _anywhere(random: Random) -> tuple[float, float]:
    return float(random.uniform(-180, 180)), float(random.uniform(-75, 75))


def _around(random: Random, circle: Circle, shares: Floats) -> Floats:
    """Points at shares of the radius from the centre, in all directions."""
    count = len(shares)
    center = np.full(count, circle.center.lon), np.full(count, circle.center.lat)
    azimuth = random.uniform(0, 360, count)
    lon, lat, _ = WGS84.fwd(*center, azimuth, circle.radius_m * shares)
    return np.column_stack((lon, lat))


def _plain_circle(random: Random, count: int) -> tuple[Shape, Floats]:
    circle = _circle(random, *_anywhere(random))
    return circle, _around(random, circle, random.uniform(0, 1.5, count))


def _circle_edge(random: Random, count: int) -> tuple[Shape, Floats]:
    circle = _circle(random, *_anywhere(random))
    return circle, _around(random, circle, 1 + random.choice(_HAIRS, count))


def _brink_circle(random: Random, count: int) -> tuple[Shape, Floats]:
    lon = float(random.choice([-180.0, 180.0, 179.9999, -179.9999]))
    lat = float(random.choice([random.uniform(-80, 80), 88.0, -88.0]))
    circle = _circle(random, lon, lat)
    return circle, _around(random, circle, random.uniform(0, 1.5, count))


def _star(random: Random, lon: float, lat: float, size_deg: float) -> list[tuple[float, float]]:
    """A closed ring around a place with 3 to 40 uneven rays."""
    angle = np.sort(random.uniform(0, 2 * np.pi, int(random.integers(3, 40))))
    ray = size_deg * random.uniform(0.4, 1, len(angle))
    x = lon + ray / math.cos(math.radians(lat)) * np.cos(angle)
    y = lat + ray * np.sin(angle)
    x -= 360 * np.rint(x / 360)
    ring = list(zip(x.tolist(), y.tolist(), strict=True))
    return [*ring, ring[0]]


def _outline(random: Random, size_deg: float, *, lon: float | None = None) -> Area:
    """A star; one in three has a hole, one in three a second part beside it."""
    while True:
        at_lon, lat = _anywhere(random)
        lat = lat * 0.7 if size_deg > 1 else lat
        lon_now = at_lon if lon is None else lon
        polygons = [[_star(random, lon_now, lat, size_deg)]]
        kind = random.integers(3)
        if kind == 0:
            polygons[0].append(_star(random, lon_now, lat, size_deg / 10))
        elif kind == 1:
            polygons.append([_star(random, lon_now, lat + 2.1 * size_deg, size_deg)])
        geojson = {"type": "MultiPolygon", "coordinates": polygons}
        try:
            area = parse_geometry(geojson, datum=Datum.WGS84)
        except Malformed:
            continue  # rays that miss the middle cross one another, or it reaches too far north
        assert isinstance(area, Area)  # noqa: S101 - it was asked for one
        return area


def _within_box(random: Random, area: Area, count: int) -> Floats:
    """Points in the boxes of the parts and a little around them."""
    boxes = shapely.bounds(shapely.get_parts(area.geometry))
    box = boxes[random.integers(len(boxes), size=count)]
    margin = (box[:, 2:] - box[:, :2]) * 0.1
    points: Floats = random.uniform(box[:, :2] - margin, box[:, 2:] + margin)
    return _on_earth(points)


def _on_edges(random: Random, area: Area, count: int) -> Floats:
    """Vertices, points on edges, a hair beside them, and level with vertices."""
    corners = shapely.get_coordinates(area.geometry)
    begin = random.integers(0, len(corners) - 1, count)
    share = random.choice([0.0, 0.5, 0.25, *random.uniform(0, 1, 5)], (count, 1))
    points = corners[begin] + share * (corners[begin + 1] - corners[begin])
    beside = np.nextafter(points, points + random.choice([-1.0, 1.0], points.shape))
    level = np.column_stack((points[:, 0], corners[begin, 1]))
    kind = random.integers(3, size=(count, 1))
    return _on_earth(np.where(kind == 0, points, np.where(kind == 1, beside, level)))


def _on_earth(points: Floats) -> Floats:
    points[:, 0] -= 360 * np.trunc(points[:, 0] / 180.000001)
    return np.clip(points, (-180, -90), (180, 90))


def _outlines(low: float, high: float, *, edges: bool, lon: float | None = None) -> Make:
    """Outlines of a size between two powers of ten degrees."""

    def make(random: Random, count: int) -> tuple[Shape, Floats]:
        area = _outline(random, float(10 ** random.uniform(low, high)), lon=lon)
        points = _on_edges(random, area, count) if edges else _within_box(random, area, count)
        return area, points

    return make


FAMILIES = (
    Family("circles, points around", _plain_circle),
    Family("circles, points at the edge", _circle_edge),
    Family("circles at ±180 and near poles", _brink_circle),
    Family("outlines of shops, points around", _outlines(-4, -2, edges=False)),
    Family("outlines of shops, on edges and vertices", _outlines(-4, -2, edges=True)),
    Family("tiny outlines, on edges and vertices", _outlines(-5.5, -4, edges=True)),
    Family("outlines of towns, points around", _outlines(-2, 0, edges=False)),
    Family("huge outlines, on edges and vertices", _outlines(0, 1, edges=True)),
    Family("outlines across ±180, points around", _outlines(-4, 0.5, edges=False, lon=180.0)),
    Family("outlines across ±180, on edges", _outlines(-4, 0.5, edges=True, lon=-179.9999)),
)


def rounds(family: Family, seed: int, points: int, at_once: int) -> Iterator[tuple[Shape, Floats]]:
    """Fences with points until there are as many as asked for, the same for the same seed."""
    number = FAMILIES.index(family)
    random = np.random.default_rng((seed, number))
    while points > 0:
        count = min(points, at_once)
        yield family.make(random, count)
        points -= count


def described(shape: Shape) -> dict[str, Any]:
    """A fence as an example can name it."""
    if isinstance(shape, Circle):
        return {"circle": [shape.center.lon, shape.center.lat], "radius_m": shape.radius_m}
    return {"outline": shapely.to_wkt(shape.geometry, rounding_precision=-1)}
