"""Which fences may be near a place: a grid of cells on the earth, made once and then only read.

Rows of equal latitude are cut into columns of about equal width in metres, so that a cell is
about square from the equator to the poles. A fence stands in every cell that its box, widened by
``NEAR_M``, touches, and a fix of usual accuracy looks into the one cell it is in. There is a grid
for each order of size of fences, each four times as coarse as the one before. All is kept in flat
arrays, which Python reads one by one and numpy as a whole.
"""

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from services.geo_api.presence.geometry import envelope, envelopes
from shared.boundary import Floats, Ints
from shared.lonlat import ANTIMERIDIAN_DEG, POLE_DEG

NEAR_M = 50.0
"""A fix that looks no further than this needs a single cell."""

_FINEST_M = 60.0
_COARSER = 4.0
_GRIDS = 10
_CELLS_ACROSS = 3.0
_BOXES_AT_ONCE = 50_000
_METRES_PER_DEG = 111_320.0
_COLUMN_BITS = 20
_TURN_DEG = 2 * ANTIMERIDIAN_DEG


class _Runs(NamedTuple):
    """Runs of columns: whose, in which row, the first and the last."""

    owner: Ints
    row: Ints
    first: Ints
    last: Ints


@dataclass(frozen=True, slots=True)
class _Raster:
    """How the earth is cut: ``columns`` of each row, and cells per degree either way."""

    rows_per_deg: float
    columns: "array[int]"
    columns_per_deg: "array[float]"

    @staticmethod
    @cache
    def of(side_m: float) -> "_Raster":
        rows = math.ceil(2 * POLE_DEG * _METRES_PER_DEG / side_m)
        nearest_equator = np.abs(np.arange(rows + 1) + 0.5 - rows / 2) - 0.5
        lat = np.maximum(nearest_equator, 0) * (2 * POLE_DEG / rows)
        around_m = _TURN_DEG * _METRES_PER_DEG * np.cos(np.radians(np.minimum(lat, POLE_DEG)))
        columns = np.maximum(around_m // side_m, 1).astype(np.int32)
        per_deg = columns / _TURN_DEG
        return _Raster(
            rows / (2 * POLE_DEG), array("i", columns.tobytes()), array("d", per_deg.tobytes())
        )

    def runs(self, boxes: Floats) -> _Runs:
        """The cells that boxes touch; rows of west, south, east, north, also past ±180."""
        west, south, east, north = boxes.T
        lowest = np.floor((np.maximum(south, -POLE_DEG) + POLE_DEG) * self.rows_per_deg)
        highest = np.floor((np.minimum(north, POLE_DEG) + POLE_DEG) * self.rows_per_deg)
        owner, step = expanded((highest - lowest).astype(np.intp) + 1)
        row = lowest.astype(np.intp)[owner] + step
        columns = np.frombuffer(self.columns, np.int32)[row].astype(np.intp)
        per_deg = np.frombuffer(self.columns_per_deg, np.float64)[row]
        first = np.floor((west[owner] + ANTIMERIDIAN_DEG) * per_deg).astype(np.intp)
        last = np.floor((east[owner] + ANTIMERIDIAN_DEG) * per_deg).astype(np.intp)
        turn = np.where(first >= columns, columns, 0)
        first, last = first - turn, last - turn
        around = last - first + 1 >= columns
        first[around], last[around] = 0, columns[around] - 1
        return _within_turn(_Runs(owner, row, first, last), columns)


def _within_turn(runs: _Runs, columns: Ints) -> _Runs:
    """Columns past either end of a row come again at its other end."""
    under, over = np.flatnonzero(runs.first < 0), np.flatnonzero(runs.last >= columns)
    if not len(under) and not len(over):
        return runs
    again = np.concatenate((np.arange(len(runs.owner)), under, over))
    first, last = runs.first[again], runs.last[again]
    shift = np.zeros(len(again), dtype=np.intp)
    shift[len(columns) :] = np.concatenate((columns[under], -columns[over]))
    first, last = np.maximum(first + shift, 0), np.minimum(last + shift, columns[again] - 1)
    kept = first <= last
    return _Runs(*(c[kept] for c in (runs.owner[again], runs.row[again], first, last)))


@dataclass(frozen=True, slots=True)
class _Grid:
    """The cells in use, by row and column, and the fences of each.

    ``row_start`` says where in ``keys`` a row begins, ``cell_start`` where in ``numbers`` a cell.
    """

    raster: _Raster
    row_start: "array[int]"
    keys: "array[int]"
    cell_start: "array[int]"
    numbers: "array[int]"

    @classmethod
    def build(cls, side_m: float, boxes: Floats, numbers: Ints) -> "_Grid":
        raster = _Raster.of(side_m)
        many = int(numbers.max()) + 1
        portions = [slice(at, at + _BOXES_AT_ONCE) for at in range(0, len(boxes), _BOXES_AT_ONCE)]
        pairs = np.concatenate([_standing(raster, boxes[p], numbers[p], many) for p in portions])
        pairs.sort()
        if np.any(pairs[1:] == pairs[:-1]):
            pairs = distinct(pairs)
        number = (pairs % many).astype(np.int32)
        pairs //= many
        first = np.flatnonzero(np.diff(pairs, prepend=-1)).astype(np.int32)
        keys = pairs[first]
        del pairs
        row_start = np.searchsorted(keys >> _COLUMN_BITS, np.arange(len(raster.columns) + 1))
        return cls(
            raster,
            array("i", row_start.astype(np.int32).tobytes()),
            array("q", keys.astype(np.int64).tobytes()),
            array("i", np.append(first, np.int32(len(number))).tobytes()),
            array("i", number.tobytes()),
        )

    def at(self, lon: float, lat: float) -> "array[int] | tuple[()]":
        """The fences of the cell that holds a place."""
        row = int((lat + POLE_DEG) * self.raster.rows_per_deg)
        column = int((lon + ANTIMERIDIAN_DEG) * self.raster.columns_per_deg[row])
        if column == self.raster.columns[row]:
            column = 0
        key = (row << _COLUMN_BITS) + column
        keys, end = self.keys, self.row_start[row + 1]
        cell = bisect_left(keys, key, self.row_start[row], end)
        if cell < end and keys[cell] == key:
            return self.numbers[self.cell_start[cell] : self.cell_start[cell + 1]]
        return ()

    def over(self, west: float, south: float, east: float, north: float) -> Iterator["array[int]"]:
        """The fences of the cells that a box touches, some of them repeated."""
        raster, keys = self.raster, self.keys
        lowest = int((max(south, -POLE_DEG) + POLE_DEG) * raster.rows_per_deg)
        highest = int((min(north, POLE_DEG) + POLE_DEG) * raster.rows_per_deg)
        for row in range(lowest, highest + 1):
            per_deg, columns = raster.columns_per_deg[row], raster.columns[row]
            first = math.floor((west + ANTIMERIDIAN_DEG) * per_deg)
            last = math.floor((east + ANTIMERIDIAN_DEG) * per_deg)
            begin, end = self.row_start[row], self.row_start[row + 1]
            for from_column, to_column in _columns(first, last, columns):
                key = row << _COLUMN_BITS
                low = bisect_left(keys, key + from_column, begin, end)
                high = bisect_right(keys, key + to_column, low, end)
                yield self.numbers[self.cell_start[low] : self.cell_start[high]]

    def within(self, boxes: Floats) -> tuple[Ints, Ints]:
        """Pairs of a box and a fence with a cell in common, some of them repeated."""
        runs = self.raster.runs(boxes)
        keys = np.frombuffer(self.keys, np.int64)
        start = np.frombuffer(self.cell_start, np.int32)
        key = runs.row << _COLUMN_BITS
        begin = start[np.searchsorted(keys, key + runs.first)]
        end = start[np.searchsorted(keys, key + runs.last, "right")]
        run, step = expanded((end - begin).astype(np.intp))
        numbers = np.frombuffer(self.numbers, np.int32)[begin[run] + step]
        return runs.owner[run], numbers.astype(np.intp)


def _standing(raster: _Raster, boxes: Floats, numbers: Ints, many: int) -> Ints:
    """Each cell that a box touches with the box's fence, as cell times ``many`` plus fence."""
    runs = raster.runs(boxes)
    run, step = expanded(runs.last - runs.first + 1)
    key = (runs.row[run] << _COLUMN_BITS) + runs.first[run] + step
    return key * many + numbers[runs.owner[run]]


@dataclass(frozen=True, slots=True)
class Cells:
    """The fences of all sizes by where they are; fences are numbers from 0."""

    grids: tuple[_Grid, ...]

    @classmethod
    def build(cls, boxes: Floats, numbers: Ints, size_m: Floats) -> "Cells":
        """From boxes widened by ``NEAR_M``, at least one for each fence, and their size."""
        order = np.ceil(
            np.log(np.maximum(size_m / (_CELLS_ACROSS * _FINEST_M), 1)) / np.log(_COARSER)
        )
        order = np.minimum(order, _GRIDS - 1)
        grids = []
        for each in np.unique(order):
            chosen = order == each
            grids.append(_Grid.build(_FINEST_M * _COARSER**each, boxes[chosen], numbers[chosen]))
        return cls(tuple(grids))

    def around(self, lon: float, lat: float, reach_m: float) -> Sequence[int]:
        """Fences that may be within reach of a place, each once, in no certain order."""
        if reach_m > NEAR_M:
            return [*self.over(*envelope(lon, lat, reach_m - NEAR_M))]
        if len(self.grids) == 1:
            return self.grids[0].at(lon, lat)
        return [*{number for grid in self.grids for number in grid.at(lon, lat)}]

    def over(self, west: float, south: float, east: float, north: float) -> set[int]:
        """Fences whose boxes, widened by ``NEAR_M``, may touch a box; also one past ±180."""
        grids = self.grids
        return {n for grid in grids for found in grid.over(west, south, east, north) for n in found}

    def pairs(self, lons: Floats, lats: Floats, reach_m: Floats) -> tuple[Ints, Ints]:
        """``around`` for many places: pairs of a place and a fence, each once and in order."""
        boxes = envelopes(lons, lats, np.maximum(reach_m - NEAR_M, 0))
        places, numbers = _joined(grid.within(boxes) for grid in self.grids)
        if len(self.grids) > 1 or np.any(reach_m > NEAR_M):
            many = int(numbers.max(initial=0)) + 1
            places, numbers = np.divmod(distinct(places * many + numbers), many)
        return places, numbers


def _columns(first: int, last: int, columns: int) -> tuple[tuple[int, int], ...]:
    """The same for one run."""
    if last - first + 1 >= columns:
        return ((0, columns - 1),)
    if first < 0:
        return (0, last), (first + columns, columns - 1)
    if last >= columns:
        return (max(first, 0), columns - 1), (0, last - columns)
    return ((first, last),)


def distinct(numbers: Ints) -> Ints:
    """In order, each once; by sorting, which here is much quicker than ``numpy.unique``."""
    numbers = np.sort(numbers)
    first = np.ones(len(numbers), dtype=np.bool_)
    np.not_equal(numbers[1:], numbers[:-1], out=first[1:])
    return numbers if first.all() else numbers[first]


def expanded(counts: Ints) -> tuple[Ints, Ints]:
    """For counts 2, 0, 3: whose each is (0, 0, 2, 2, 2), and which of them (0, 1, 0, 1, 2)."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)


def _joined(found: Iterable[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    nothing = np.empty(0, dtype=np.intp)
    pieces = [(nothing, nothing), *found]  # an index to which the first fences are just added
    places, numbers = zip(*pieces, strict=True)
    return np.concatenate(places), np.concatenate(numbers)
