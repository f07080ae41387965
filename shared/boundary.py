"""The edges of an outline, and how far they are on the ellipsoid.

Edges are straight in longitude and latitude (RFC 7946) and split into pieces of at most 1 km.
Where an outline is cut at ±180 the cut is no edge. Positions are WGS 84 degrees.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from shared.lonlat import ANTIMERIDIAN_DEG, WGS84

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

PIECE_M = 1000.0
_ROUNDS = 6
_STILL_M = 1e-6
_TURN_DEG = 2 * ANTIMERIDIAN_DEG
_LEAST_EDGE_DEG = 1e-9


@dataclass(frozen=True, slots=True)
class Boundary:
    """``pieces`` has a row per piece of an edge: lon, lat, and the step in each to its end.

    The interior lies to the left of every piece.
    """

    pieces: Floats

    @classmethod
    def of(cls, geometry: Polygon | MultiPolygon) -> "Boundary":
        edges = _without_cuts(_edges(shapely.orient_polygons(geometry)))
        return cls(_split(edges))


class Plane(NamedTuple):
    """Pieces of many outlines, each in metres east (x) and north (y) of the point it is paired with."""

    x: Floats
    y: Floats
    dx: Floats
    dy: Floats


@dataclass(frozen=True, slots=True)
class Facing:
    """Points and the outline each one is asked about: the pieces of all, one after the other.

    ``starts`` says where in ``pieces`` those of each point begin, ``owner`` which point a piece
    belongs to.
    """

    lons: Floats
    lats: Floats
    pieces: Floats
    starts: Ints
    owner: Ints

    @classmethod
    def of(cls, lons: Floats, lats: Floats, boundaries: Sequence[Boundary]) -> "Facing":
        lengths = np.array([len(boundary.pieces) for boundary in boundaries], dtype=np.intp)
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.intp)
        pieces = np.concatenate([boundary.pieces for boundary in boundaries])
        return cls(lons, lats, pieces, starts, np.repeat(np.arange(len(lengths)), lengths))

    def plane(self, *, midway: bool) -> Plane:
        """The pieces in metres around their points.

        The scale is the ellipsoid's at the point, one for the whole outline, so that areas
        close; or with ``midway`` at half the way to each piece, which is nearer to its distance.
        """
        lat = self.lats[self.owner]
        north_deg = self.pieces[:, 1] - lat
        east_deg = wrapped(self.pieces[:, 0] - self.lons[self.owner])
        parallel, meridian = metres_per_degree(lat + north_deg / 2 if midway else lat)
        steps = self.pieces[:, 2] * parallel, self.pieces[:, 3] * meridian
        return Plane(east_deg * parallel, north_deg * meridian, *steps)

    def distances_m(self) -> Floats:
        """Geodesic metres from each point to the nearest place on its outline.

        A flat estimate picks the pieces that may be nearest, then each of those is searched on
        the ellipsoid. Within 1 mm + 1e-6 of the distance up to 1,000 km.
        """
        flat = self.plane(midway=True)
        along = _clipped(-(flat.x * flat.dx + flat.y * flat.dy) / (flat.dx**2 + flat.dy**2))
        estimate = np.hypot(flat.x + along * flat.dx, flat.y + along * flat.dy)
        nearest = np.minimum.reduceat(estimate, self.starts)
        near = np.flatnonzero(estimate <= (nearest * _slack(nearest, self.lats) + 0.01)[self.owner])
        exact = self._search(near, along[near])
        best = np.full(len(self.starts), np.inf)
        np.minimum.at(best, self.owner[near], exact)
        return best

    def _search(self, chosen: Ints, along: Floats) -> Floats:
        """The geodesic distance to each chosen piece, beginning at ``along`` (0 to 1) of it.

        Newton's way: at the foot, project the geodesic to the point on the edge's direction.
        """
        lon, lat, lon_step, lat_step = self.pieces[chosen].T
        to_lon, to_lat = self.lons[self.owner[chosen]], self.lats[self.owner[chosen]]
        best = np.full(len(chosen), np.inf)
        moving = np.ones(len(chosen), dtype=np.bool_)  # each stops by itself, whoever else is asked
        for _ in range(_ROUNDS):
            foot_lon, foot_lat = lon + along * lon_step, lat + along * lat_step
            azimuth, _, distance = WGS84.inv(foot_lon, foot_lat, to_lon, to_lat)
            best = np.minimum(best, distance)
            parallel, meridian = metres_per_degree(foot_lat)
            east, north = lon_step * parallel, lat_step * meridian
            bearing = np.radians(azimuth)
            ahead = distance * (np.sin(bearing) * east + np.cos(bearing) * north)
            length = east**2 + north**2
            further = _clipped(along + ahead / length)
            moved = np.abs(further - along) * np.sqrt(length)
            moving &= moved > _STILL_M + 3e-4 * distance
            along = np.where(moving, further, along)
            if not moving.any():
                break
        return best


def metres_per_degree(lat: Floats) -> tuple[Floats, Floats]:
    """Metres of one degree of longitude and of latitude at a latitude on the ellipsoid.

    Source: the radii of curvature of an ellipsoid, e.g. EPSG Guidance Note 7-2, section 3.1.
    """
    phi = np.radians(lat)
    w = 1 - WGS84.es * np.sin(phi) ** 2
    parallel = WGS84.a / np.sqrt(w) * np.cos(phi)
    meridian = WGS84.a * (1 - WGS84.es) / w**1.5
    return np.radians(parallel), np.radians(meridian)


def inradius_m(geometry: Polygon | MultiPolygon) -> float:
    """Radius in metres of the largest circle within an outline, to 1 % of its width or 1 cm.

    In a plane whose scale is the ellipsoid's at the middle of the outline.
    Source: shapely's maximum_inscribed_circle, GEOS's quad-tree search of that name.
    """
    joined = _joined(geometry)
    west, south, _, north = shapely.bounds(joined)
    parallel, meridian = metres_per_degree(np.array((south + north) / 2))
    scale = np.array((float(parallel), float(meridian)))
    plane = shapely.transform(joined, lambda lonlat: (lonlat - (west, south)) * scale)
    tolerance = max(min(shapely.bounds(plane)[2:]) / 100, 0.01)
    radii = [
        shapely.maximum_inscribed_circle(part, tolerance=tolerance).length
        for part in shapely.get_parts(plane)
    ]
    return float(max(radii))


def _joined(geometry: Polygon | MultiPolygon) -> shapely.Geometry:
    """The outline in longitudes that go on past 180 where it is cut there, else as it is."""
    west, _, east, _ = geometry.bounds
    if west > -ANTIMERIDIAN_DEG or east < ANTIMERIDIAN_DEG:
        return geometry
    return shapely.union_all(shapely.transform(shapely.get_parts(geometry), _from_greenwich))


def _from_greenwich(lonlat: Floats) -> Floats:
    return np.column_stack((lonlat[:, 0] % _TURN_DEG, lonlat[:, 1]))


def wrapped(degrees: Floats) -> Floats:
    """Differences of longitude the short way round, in [-180, 180]."""
    turns: Floats = np.rint(degrees / _TURN_DEG)
    return degrees - _TURN_DEG * turns


def _clipped(along: Floats) -> Floats:
    return np.minimum(np.maximum(along, 0.0), 1.0)


def _slack(nearest_m: Floats, lats: Floats) -> Floats:
    """How much longer than the least a flat estimate may be and still be the nearest in truth."""
    steepness = np.minimum(np.abs(np.tan(np.radians(lats))), 1e3)
    bend = (nearest_m + PIECE_M) / WGS84.b * (1 + steepness)
    slack: Floats = 1 + 1e-3 + bend**2 + PIECE_M / WGS84.b * steepness
    return slack


def _edges(geometry: Polygon | MultiPolygon) -> Floats:
    """Rows of lon, lat, lon step, lat step; vertices that repeat are left out."""
    rings = [
        shapely.get_coordinates(ring)
        for part in shapely.get_parts(geometry)
        for ring in (part.exterior, *part.interiors)
    ]
    edges = np.concatenate([np.hstack((ring[:-1], np.diff(ring, axis=0))) for ring in rings])
    return edges[np.any(edges[:, 2:] != 0, axis=1)]


def _without_cuts(edges: Floats) -> Floats:
    """Without the stretches of ±180 that have the same outline on their other side."""
    on_cut = (np.abs(edges[:, 0]) == ANTIMERIDIAN_DEG) & (edges[:, 2] == 0)
    east, west = edges[on_cut & (edges[:, 0] > 0)], edges[on_cut & (edges[:, 0] < 0)]
    if not len(east) or not len(west):
        return edges
    eastern, western = _stretches(east), _stretches(west)
    kept = [
        *_upright(ANTIMERIDIAN_DEG, shapely.difference(eastern, western), 1),
        *_upright(-ANTIMERIDIAN_DEG, shapely.difference(western, eastern), -1),
    ]
    return np.concatenate((edges[~on_cut], np.array(kept, dtype=np.float64).reshape(-1, 4)))


def _stretches(edges: Floats) -> shapely.Geometry:
    """The latitudes an upright edge covers, as lines on a common meridian."""
    ends = np.stack((edges[:, 1], edges[:, 1] + edges[:, 3]), axis=1)
    lines = shapely.linestrings(np.stack((np.zeros_like(ends), ends), axis=-1))
    return shapely.union_all(lines)


def _upright(lon: float, stretches: shapely.Geometry, sign: int) -> list[list[float]]:
    """Edges on a meridian from south to north (``sign`` 1) or north to south (-1)."""
    rows = []
    for line in shapely.get_parts(stretches):
        _, south, _, north = line.bounds
        if north - south > _LEAST_EDGE_DEG:
            begin = south if sign > 0 else north
            rows.append([lon, begin, 0.0, sign * (north - south)])
    return rows


def _split(edges: Floats) -> Floats:
    """Each edge in equal pieces of at most about ``PIECE_M``."""
    parallel, meridian = metres_per_degree(edges[:, 1] + edges[:, 3] / 2)
    length_m = np.hypot(edges[:, 2] * parallel, edges[:, 3] * meridian)
    counts = np.maximum(np.ceil(length_m / PIECE_M), 1).astype(np.intp)
    if counts.max() == 1:
        return edges
    edge = np.repeat(np.arange(len(edges)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    share = 1 / counts[edge]
    step = edges[edge, 2:] * share[:, None]
    begin = edges[edge, :2] + step * (np.arange(len(edge)) - first)[:, None]
    return np.hstack((begin, step))
