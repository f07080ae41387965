"""Outlines drawn flat, many at once: from stored geometries to the arrays of ``Outlines``."""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from services.geo_api.presence.cells import expanded
from services.geo_api.presence.earth import flat, points_on
from services.geo_api.presence.outlines import RING, RINGS, STAR, WIDEST_M, Outlines
from shared.boundary import Floats, Ints, metres_per_degree
from shared.lonlat import ANTIMERIDIAN_DEG

_NORTHERNMOST_DEG = 85.0
_BEND_M = 1e-4
_RADIUS_M = 6_367_000.0
_READ_AT_ONCE = 4_000
_COLUMNS = "ddfddb"
"""Of ``Outlines``: x, y, angle, area, quarter, kind."""
Columns = tuple[NDArray[Any], ...]
_LEAST_TURN = 1e-6
"""Radians, between two vertices as seen from the middle, for their order to be beyond doubt."""


class Drawn(NamedTuple):
    """What became of geometries: their middles, their boxes, and the flat ones.

    ``outline`` is the place of each among ``outlines``, or -1 for one that is too wide, ends
    at ±180 or lies near a pole. ``reach_m`` is the distance from the middle to the farthest vertex,
    infinite where there is no outline. ``core_m`` is that to the nearest edge where the whole of
    the outline is seen from the middle, else 0. ``boxes`` are west, south, east and north of
    each part.
    """

    outlines: Outlines
    outline: Ints
    lon: Floats
    lat: Floats
    reach_m: Floats
    core_m: Floats
    boxes: Floats
    box_owner: Ints


class _Rings(NamedTuple):
    """Vertices in degrees, the ring each is on, and the outline of each ring."""

    lonlat: Floats
    ring: Ints
    owner: Ints


@dataclass(slots=True)
class _Sheet:
    """One portion drawn; columns as in ``Drawn``, and how many vertices each outline has."""

    fits: NDArray[np.bool_]
    middle: Floats
    reach_m: Floats
    core_m: Floats
    boxes: Floats
    box_owner: Ints
    counts: Ints


def draw(wkbs: Sequence[bytes]) -> Drawn:
    """Outlines of canonical Polygons and MultiPolygons (see ``shared.rings``) as WKB.

    In portions, each put to the columns at once, so that little memory is used besides them.
    """
    columns = [array(code) for code in _COLUMNS]
    sheets = []
    for begin in range(0, max(len(wkbs), 1), _READ_AT_ONCE):
        portion = np.array(wkbs[begin : begin + _READ_AT_ONCE], dtype=np.object_)
        sheet, drawn = _draw(portion)
        sheets.append(sheet)
        for column, part in zip(columns, drawn, strict=True):
            column.frombytes(part.tobytes())
    fits = np.concatenate([sheet.fits for sheet in sheets])
    middle = np.concatenate([sheet.middle for sheet in sheets])
    owners = [sheet.box_owner + i * _READ_AT_ONCE for i, sheet in enumerate(sheets)]
    return Drawn(
        _outlines(columns, [sheet.counts for sheet in sheets], np.radians(middle[fits])),
        np.where(fits, np.cumsum(fits) - 1, -1),
        middle[:, 0],
        middle[:, 1],
        np.concatenate([sheet.reach_m for sheet in sheets]),
        np.concatenate([sheet.core_m for sheet in sheets]),
        np.concatenate([sheet.boxes for sheet in sheets]),
        np.concatenate(owners),
    )


def _outlines(columns: Sequence["array[Any]"], counts: Sequence[Ints], middle: Floats) -> Outlines:
    start = np.cumsum(np.concatenate([[0], *counts])).astype(np.int32)
    sines = [
        array("d", function(degrees).tobytes())
        for degrees in middle.T
        for function in (np.sin, np.cos)
    ]
    return Outlines(array("i", start.tobytes()), *columns, *sines)


def _draw(wkbs: NDArray[np.object_]) -> tuple[_Sheet, Columns]:
    geometries = shapely.orient_polygons(_joined(shapely.from_wkb(wkbs)))
    bounds = shapely.bounds(geometries).reshape(-1, 4)
    parts, box_owner = shapely.get_parts(geometries, return_index=True)
    middle, fits = _fitting(bounds)
    numbers = np.cumsum(fits) - 1
    drawn = fits[box_owner]
    rings = _rings(parts[drawn], numbers[box_owner[drawn]])
    rings = _bent(_distinct(rings))
    of = rings.owner[rings.ring]
    xy = _flat(rings.lonlat, middle[fits], of)
    xy, of = _parted(xy, rings, of)
    starts = np.flatnonzero(np.diff(of, prepend=-1))
    reach = np.full(len(fits), np.inf)
    if len(starts):
        reach[fits] = np.sqrt(np.fmax.reduceat(np.sum(xy * xy, axis=1), starts))
    kind = np.where(np.bincount(rings.owner, minlength=len(starts)) == 1, RING, RINGS)
    angle, seen_whole = _directions(xy, starts, of)
    kind[seen_whole & (kind == RING)] = STAR
    core = np.zeros(len(fits))
    core[fits] = np.where(kind == STAR, _cores(xy, starts), 0)
    counts = np.bincount(of, minlength=len(starts))
    boxes = shapely.bounds(parts).reshape(-1, 4)
    sheet = _Sheet(fits, middle, reach, core, boxes, box_owner, counts)
    return sheet, (*xy.T, angle, *_areas(xy, starts), kind.astype(np.int8))


def _joined(geometries: NDArray[np.object_]) -> NDArray[np.object_]:
    """With small ones across ±180 whole again, in longitudes that go on past 180."""
    west, _, east, _ = shapely.bounds(geometries).reshape(-1, 4).T
    for number in np.flatnonzero((west <= -ANTIMERIDIAN_DEG) & (east >= ANTIMERIDIAN_DEG)):
        parts = shapely.get_parts(geometries[number])
        whole = shapely.union_all(shapely.transform(parts, _from_greenwich))
        if _fitting(np.array([whole.bounds]))[1].all():
            geometries[number] = whole
    return geometries


def _from_greenwich(lonlat: Floats) -> Floats:
    return np.column_stack((lonlat[:, 0] % (2 * ANTIMERIDIAN_DEG), lonlat[:, 1]))


def _fitting(bounds: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The middle of each box of degrees, and whether a plane there serves the whole of it."""
    west, south, east, north = bounds.T
    middle = np.column_stack((west + east, south + north)) / 2
    parallel, meridian = metres_per_degree(middle[:, 1])
    half = np.hypot((east - west) * parallel, (north - south) * meridian) / 2
    fits = (half <= WIDEST_M) & (np.maximum(abs(south), abs(north)) <= _NORTHERNMOST_DEG)
    crosses = (west < ANTIMERIDIAN_DEG) & (east > ANTIMERIDIAN_DEG)
    return middle, fits & (west > -ANTIMERIDIAN_DEG) & ((east < ANTIMERIDIAN_DEG) | crosses)


def _rings(parts: NDArray[np.object_], owner: Ints) -> _Rings:
    rings, part = shapely.get_rings(parts, return_index=True)
    lonlat, ring = shapely.get_coordinates(rings, return_index=True)
    return _Rings(lonlat, ring, owner[part])


def _distinct(rings: _Rings) -> _Rings:
    """Without vertices that repeat the one before."""
    same = np.all(np.diff(rings.lonlat, axis=0, prepend=np.nan) == 0, axis=1)
    same &= np.diff(rings.ring, prepend=-1) == 0
    return _Rings(rings.lonlat[~same], rings.ring[~same], rings.owner) if same.any() else rings


def _bent(rings: _Rings) -> _Rings:
    """With vertices put in, so that no piece leaves its straight line by more than 0.1 mm.

    An edge of length s bends by s² tan(latitude) / 8R, most where it runs east and west: so
    much the parallel differs from the great circle.
    """
    step = np.diff(rings.lonlat, axis=0, append=np.nan)
    step[np.diff(rings.ring, append=-1) != 0] = 0
    lat = rings.lonlat[:, 1]
    parallel, meridian = metres_per_degree(lat)
    square = (step[:, 0] * parallel) ** 2 + (step[:, 1] * meridian) ** 2
    bend = square * np.maximum(np.tan(np.radians(abs(lat))), 0.05) / (8 * _RADIUS_M)
    counts = np.maximum(np.ceil(np.sqrt(bend / _BEND_M)), 1).astype(np.intp)
    if counts.max(initial=1) == 1:
        return rings
    vertex, part = expanded(counts)
    lonlat = rings.lonlat[vertex] + step[vertex] * (part / counts[vertex])[:, None]
    return _Rings(lonlat, rings.ring[vertex], rings.owner)


def _flat(lonlat: Floats, middle: Floats, of: Ints) -> Floats:
    origins = points_on(*middle.T)
    step = [
        column - origin[of] for column, origin in zip(points_on(*lonlat.T), origins, strict=True)
    ]
    lam, phi = np.radians(middle.T)
    sines = [function(angle)[of] for angle in (lam, phi) for function in (np.sin, np.cos)]
    return np.column_stack(flat((step[0], step[1], step[2]), tuple(sines[:2]), tuple(sines[2:])))


def _parted(xy: Floats, rings: _Rings, of: Ints) -> tuple[Floats, Ints]:
    """With a NaN before each ring but the first of an outline."""
    further = np.diff(rings.owner, prepend=-1) == 0
    if not further.any():
        return xy, of
    begins = np.flatnonzero(np.diff(rings.ring, prepend=-1))[further]
    return np.insert(xy, begins, np.nan, axis=0), np.insert(of, begins, of[begins])


def _areas(xy: Floats, starts: Ints) -> tuple[Floats, Floats]:
    """Square metres, as the sum over all pieces of the triangles with the middle, and ``quarter``."""
    if not len(starts):
        return np.empty(0), np.empty(0)
    x, y = xy.T
    step = np.diff(xy, axis=0, append=0)
    cross = np.nan_to_num(x * step[:, 1] - y * step[:, 0])
    square = np.nan_to_num(np.sum(step * step, axis=1))
    last = np.append(starts[1:], len(xy)) - 1  # from one outline to the next is no piece
    cross[last] = square[last] = 0
    areas: Floats = np.add.reduceat(cross, starts) / 2
    return areas, np.maximum.reduceat(square, starts) / 4


def _cores(xy: Floats, starts: Ints) -> Floats:
    """Metres from the middle of each outline to its nearest edge."""
    if not len(starts):
        return np.empty(0)
    step = np.diff(xy, axis=0, append=0)
    length = np.maximum(np.sum(step * step, axis=1), 1e-300)
    along = np.clip(-np.sum(xy * step, axis=1) / length, 0, 1)
    nearest = xy + along[:, None] * step
    square = np.sum(nearest * nearest, axis=1)
    square[np.append(starts[1:], len(xy)) - 1] = np.nan  # from one outline to the next is no piece
    cores: Floats = np.sqrt(np.fmin.reduceat(square, starts))
    return cores


def _directions(
    xy: Floats, starts: Ints, of: Ints
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """``Outlines.angle``, and which outlines are seen whole: all pieces lead left around the middle."""
    if not len(starts):
        return np.empty(0, np.float32), np.empty(0, np.bool_)
    x, y = xy.T
    square = x * x + y * y
    left = x[:-1] * y[1:] - y[:-1] * x[1:] > _LEAST_TURN * np.sqrt(square[:-1] * square[1:])
    left[starts[1:] - 1] = True  # from one outline to the next is no piece
    angle = np.arctan2(y, x)
    turned = (angle - angle[starts][of]) % math.tau
    turned[starts] = angle[starts]
    whole = np.logical_and.reduceat(np.append(left, True), starts)
    return turned.astype(np.float32), whole
