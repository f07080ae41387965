"""An area whose inside, outside and edge are asked for again and again, one point at a time."""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from shared.lonlat import WGS84

Floats = NDArray[np.float64]

_CELLS_PER_DEG = 4
_CELL_DEG = 1 / _CELLS_PER_DEG
_EDGES_AT_ONCE = 64
_SHORTEST_DEGREE_M = 110_574.0
"""A degree of latitude at the equator; elsewhere it is longer."""


@dataclass(frozen=True, slots=True)
class _Rim:
    """A cell near the edge: the edges that come within reach of it, as rows lon, lat and step."""

    edges: Floats


class Outline:
    """An area in degrees, away from the poles and the antimeridian, in the quadrant north-east.

    Cells of 0.25° remember, once asked for, whether all of them lies inside or outside, farther
    from the edge than ``reach_m``. So most questions cost one look into a dictionary; only near
    the edge the polygons are asked. Any number of threads may ask at once.
    """

    def __init__(self, area: Polygon | MultiPolygon, reach_m: float) -> None:
        self.reach_m = reach_m
        self._area = area
        shapely.prepare(area)
        shapely.intersects_xy(area, 0.0, 0.0)  # indexes the area before threads share it
        self._edges = _edges(area)
        self._bounds = _bounds(self._edges)
        self._cells: dict[int, bool | _Rim] = {}

    def covers(self, lon: float, lat: float) -> bool:
        """Whether the point lies in the area; its edge belongs to it."""
        cell = self._cell(lon, lat)
        return cell if isinstance(cell, bool) else self._covers(lon, lat)

    def cover(self, lons: Floats, lats: Floats) -> NDArray[np.bool_]:
        """The same for columns."""
        return np.asarray(shapely.intersects_xy(self._area, lons, lats), dtype=np.bool_)

    def edge_m(self, lon: float, lat: float) -> float:
        """Metres to the edge, within a thousandth; infinite where that is beyond ``reach_m``."""
        cell = self._cell(lon, lat)
        if isinstance(cell, bool):
            return math.inf
        metres = _nearest_m(cell.edges, lon, lat)
        return metres if metres <= self.reach_m else math.inf

    def _cell(self, lon: float, lat: float) -> bool | _Rim:
        column, row = int(lon * _CELLS_PER_DEG), int(lat * _CELLS_PER_DEG)
        key = column * 1000 + row
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = self._survey(column * _CELL_DEG, row * _CELL_DEG)
        return cell

    def _survey(self, west: float, south: float) -> bool | _Rim:
        north = south + _CELL_DEG
        pad_lat = self.reach_m / _SHORTEST_DEGREE_M
        pad_lon = pad_lat / math.cos(math.radians(north + pad_lat))
        box = (west - pad_lon, south - pad_lat, west + _CELL_DEG + pad_lon, north + pad_lat)
        near = [
            self._edges[at * _EDGES_AT_ONCE : (at + 1) * _EDGES_AT_ONCE]
            for at in np.flatnonzero(_overlap(self._bounds, box))
        ]
        edges = np.concatenate([self._edges[:0], *near])
        edges = edges[_overlap(_boxes(edges), box)]
        if len(edges):
            return _Rim(edges)
        return self._covers(west + _CELL_DEG / 2, south + _CELL_DEG / 2)

    def _covers(self, lon: float, lat: float) -> bool:
        return bool(shapely.intersects_xy(self._area, lon, lat))


def _edges(area: Polygon | MultiPolygon) -> Floats:
    """Each edge as lon and lat of its start and the step to its end."""
    polygons = shapely.get_parts(area)
    coordinates, ring = shapely.get_coordinates(shapely.get_rings(polygons), return_index=True)
    within = ring[1:] == ring[:-1]
    steps = np.diff(coordinates, axis=0)[within]
    return np.hstack([coordinates[:-1][within], steps])


def _boxes(edges: Floats) -> Floats:
    """West, south, east and north of each edge."""
    start, end = edges[:, :2], edges[:, :2] + edges[:, 2:]
    return np.hstack([np.minimum(start, end), np.maximum(start, end)])


def _bounds(edges: Floats) -> Floats:
    """West, south, east and north of each run of edges."""
    runs = np.arange(0, len(edges), _EDGES_AT_ONCE)
    boxes = _boxes(edges)
    lowest = np.minimum.reduceat(boxes[:, :2], runs)
    return np.hstack([lowest, np.maximum.reduceat(boxes[:, 2:], runs)])


def _overlap(boxes: Floats, box: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    west, south, east, north = box
    across = (boxes[:, 0] <= east) & (boxes[:, 2] >= west)
    return np.asarray(across & (boxes[:, 1] <= north) & (boxes[:, 3] >= south), dtype=np.bool_)


def _nearest_m(edges: Floats, lon: float, lat: float) -> float:
    """Metres to the nearest edge, in a plane that touches the ellipsoid at the point."""
    sine, cosine = math.sin(math.radians(lat)), math.cos(math.radians(lat))
    w = 1 - WGS84.es * sine * sine
    parallel_m = math.radians(WGS84.a / math.sqrt(w) * cosine)
    meridian_m = math.radians(WGS84.a * (1 - WGS84.es) / w**1.5)
    x, y = (edges[:, 0] - lon) * parallel_m, (edges[:, 1] - lat) * meridian_m
    dx, dy = edges[:, 2] * parallel_m, edges[:, 3] * meridian_m
    along = np.clip(-(x * dx + y * dy) / (dx * dx + dy * dy), 0, 1)
    return float(np.min(np.hypot(x + along * dx, y + along * dy)))
