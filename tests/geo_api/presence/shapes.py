"""Fences and positions for tests of matching."""

import math
from collections.abc import Iterable

import numpy as np
import shapely

from services.geo_api.presence.matching import Fence, FenceIndex, FenceMatch, Fix
from shared.boundary import Floats
from shared.datum import Datum
from shared.geo import WGS84, Area, Shape, parse_geometry


def index_of(*shapes: Shape) -> FenceIndex:
    fences = [Fence(f"f{n:06}", f"s{n}", 1, shape) for n, shape in enumerate(shapes)]
    return FenceIndex.build(fences, 1)


def match_one(shape: Shape, fix: Fix) -> FenceMatch | None:
    """The match of a single fence, or None where it is too far."""
    (matches,) = index_of(shape).match([fix])
    return matches[0] if matches else None


def measured(shape: Shape, fixes: Iterable[tuple[float, float]]) -> list[FenceMatch]:
    """What each position has to do with a fence, near or far."""
    index = index_of(shape)
    return [index.measure("s0", Fix(lon, lat, 0.0))[0] for lon, lat in fixes]


def away(lon: float, lat: float, azimuth: float, metres: float) -> tuple[float, float]:
    to_lon, to_lat, _ = WGS84.fwd(lon, lat, azimuth, metres)
    return float(to_lon), float(to_lat)


def outline(*rings: Floats | list[tuple[float, float]]) -> Area:
    lists = [np.asarray(ring).tolist() for ring in rings]
    shape = parse_geometry({"type": "Polygon", "coordinates": lists}, datum=Datum.WGS84)
    assert isinstance(shape, Area)
    return shape


def star(random: np.random.Generator, lon: float, lat: float, size_deg: float) -> Floats:
    """A closed ring around a place, with 4 to 30 uneven rays."""
    angles = np.sort(random.uniform(0, 2 * np.pi, int(random.integers(4, 30))))
    rays = size_deg * random.uniform(0.4, 1, len(angles))
    wide = rays / math.cos(math.radians(lat))
    ring = np.column_stack((lon + wide * np.cos(angles), lat + rays * np.sin(angles)))
    return np.vstack((ring, ring[:1]))


def random_outline(
    random: np.random.Generator,
    size_deg: float,
    *,
    lon: float | None = None,
    lat: float | None = None,
) -> Area:
    """A star with, half of the time, a star-shaped hole; it may lie across 180."""
    while True:
        at_lon = float(random.uniform(-160, 160)) if lon is None else lon
        at_lat = float(random.uniform(-55, 75)) if lat is None else lat
        rings = [star(random, at_lon, at_lat, size_deg)]
        if random.random() < 0.5:
            rings.append(star(random, at_lon, at_lat, size_deg / 8))
        south, north = rings[0][:, 1].min(), rings[0][:, 1].max()
        if shapely.Polygon(rings[0], rings[1:]).is_valid and -60 < south < north < 84:
            for ring in rings:
                ring[:, 0] -= 360 * np.rint(ring[:, 0] / 360)
            return outline(*rings)


def awkward_points(random: np.random.Generator, area: Area, count: int) -> Floats:
    """On vertices and edges, a hair beside them, level with vertices, and all around."""
    corners = shapely.get_coordinates(area.geometry)
    begin = random.integers(0, len(corners) - 1, count)
    share = random.choice([0.5, 0.25, *random.uniform(0, 1, 6)], (count, 1))
    on_edges = corners[begin] + share * (corners[begin + 1] - corners[begin])
    beside = np.nextafter(on_edges, on_edges + random.choice([-1.0, 1.0], on_edges.shape))
    level = np.column_stack((on_edges[:, 0], corners[begin, 1]))
    west, south, east, north = area.geometry.bounds
    around = random.uniform((west, south), (east, north), (count, 2))
    return np.vstack((corners, on_edges, beside, level, around))
