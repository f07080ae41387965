"""Outlines as flat polygons, each in a plane of its own, and what many places have to do with them.

The plane touches the ellipsoid in the middle of the outline (``earth.flat``) and its error is
within 0.1 mm for outlines of up to ``WIDEST_M`` and fixes up to ``FARTHEST_M`` from the middle.
``nearest`` has the same for one place, with equal bits (see ``earth``).
"""

import math
from array import array
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from services.geo_api.presence.cells import expanded
from services.geo_api.presence.earth import flat
from services.geo_api.presence.geometry import crossings
from shared.boundary import Floats, Ints

WIDEST_M = 1_500.0
FARTHEST_M = 3_500.0

RINGS, RING, STAR = 0, 1, 2
"""Kinds of outlines: of several rings, of one, of one that is seen whole from the middle."""

SAFE = 1 + 1e-9
"""A piece is no nearer than this allows: its nearest place is within half of its length from one
of its ends, so its square is at least that end's less a quarter of the square of its length."""

_VERTICES_AT_ONCE = 12_000
_PIECES_OF_BLOCK = 16

Block = tuple[float, float, float, float, int, int]
"""Some pieces that follow each other: their box, the first, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """Many outlines: their vertices one after the other in flat arrays.

    ``start`` says where the vertices of each begin. A ring is closed, its interior on the left;
    a vertex that is NaN parts it from the next ring, and no comparison with it is true.
    ``quarter`` is that of the square of its longest piece. Of one ring the nearest edge alone
    tells the side. ``angle`` has the direction of a star's vertices as seen from the middle, in
    radians from that of the first, which itself has its own. ``sin_lon`` and so on are of the
    middle, where the plane touches.
    """

    start: "array[int]"
    x: "array[float]"
    y: "array[float]"
    angle: "array[float]"
    area: "array[float]"
    quarter: "array[float]"
    kind: "array[int]"
    sin_lon: "array[float]"
    cos_lon: "array[float]"
    sin_lat: "array[float]"
    cos_lat: "array[float]"
    blocks: dict[int, list[Block]] = field(default_factory=dict, init=False)

    def blocks_of(self, outline: int) -> list[Block]:
        """The pieces of an outline in blocks, made at the first question."""
        blocks = self.blocks.get(outline)
        if blocks is None:
            first, last = self.start[outline], self.start[outline + 1] - 1
            begins = range(first, last, _PIECES_OF_BLOCK)
            blocks = [self._block(at, min(at + _PIECES_OF_BLOCK, last)) for at in begins]
            self.blocks[outline] = blocks
        return blocks

    def _block(self, first: int, end: int) -> Block:
        xs = [x for x in self.x[first : end + 1] if not math.isnan(x)]
        ys = [y for y in self.y[first : end + 1] if not math.isnan(y)]
        return min(xs), min(ys), max(xs), max(ys), first, end

    def place(self, outline: int, step: tuple[float, float, float]) -> tuple[float, float]:
        """Metres east and north in an outline's plane of what lies ``step`` from its middle."""
        lon = self.sin_lon[outline], self.cos_lon[outline]
        return flat(step, lon, (self.sin_lat[outline], self.cos_lat[outline]))

    def places(self, outline: Ints, step: tuple[Floats, Floats, Floats]) -> tuple[Floats, Floats]:
        """``place`` of many."""
        columns = self.sin_lon, self.cos_lon, self.sin_lat, self.cos_lat
        sines = [np.frombuffer(column, np.float64)[outline] for column in columns]
        return flat(step, (sines[0], sines[1]), (sines[2], sines[3]))

    def all_nearest(self, outline: Ints, x: Floats, y: Floats) -> tuple[Floats, Ints]:
        """Metres to the nearest edges, and the sides: 1 inside, -1 outside, 0 not told."""
        metres, side = np.empty(len(outline)), np.empty(len(outline), dtype=np.intp)
        for chosen in self._portions(outline):
            found = self._nearest_of(outline[chosen], x[chosen], y[chosen])
            metres[chosen], side[chosen] = found
        return metres, side

    def _nearest_of(self, outline: Ints, x: Floats, y: Floats) -> tuple[Floats, Ints]:
        owner, vertex, starts = self._candidates(outline, x, y)
        dx, dy, px, py = self._pieces_from(vertex, x[owner], y[owner])
        along = (px * dx + py * dy) / (dx * dx + dy * dy)
        along = np.minimum(np.maximum(along, 0.0), 1.0)
        px -= along * dx
        py -= along * dy
        square = px * px + py * py
        least = np.fmin.reduceat(square, starts)
        met = np.flatnonzero(square == least[owner])
        met = met[np.diff(owner[met], prepend=-1) > 0]
        side = np.zeros(len(outline), dtype=np.intp)
        told = np.flatnonzero(np.frombuffer(self.kind, np.int8)[outline] != RINGS)
        side[told] = self._sides(vertex[met[told]], outline[told], x[told], y[told])
        return np.sqrt(least), side

    def _candidates(self, outline: Ints, x: Floats, y: Floats) -> tuple[Ints, Ints, Ints]:
        """Pieces that may be nearest: whose, the vertex each begins with, where each's begin."""
        start = np.frombuffer(self.start, np.int32)
        counts = (start[outline + 1] - start[outline]).astype(np.intp)
        ends = np.cumsum(counts)
        starts = ends - counts
        vertex = np.arange(ends[-1]) + np.repeat(start[outline] - starts, counts)
        px = np.frombuffer(self.x)[vertex]
        px -= np.repeat(x, counts)
        py = np.frombuffer(self.y)[vertex]
        py -= np.repeat(y, counts)
        px *= px
        py *= py
        px += py
        within = (np.fmin.reduceat(px, starts) + np.frombuffer(self.quarter)[outline]) * SAFE
        near = px <= np.repeat(within, counts)
        near[:-1] |= near[1:]
        near[ends - 1] = False
        chosen = np.flatnonzero(near)
        owner = np.searchsorted(ends, chosen, "right")
        return owner, vertex[chosen], np.searchsorted(owner, np.arange(len(outline)))

    def _sides(self, piece: Ints, outline: Ints, x: Floats, y: Floats) -> Ints:
        start = np.frombuffer(self.start, np.int32)
        along, side = self._all_beside(piece, x, y)
        first, end = start[outline], start[outline + 1]
        before = np.where(piece > first, piece - 1, end - 2)
        after = np.where(piece + 2 < end, piece + 1, first)
        for at_vertex, other in ((along <= 0, before), (along >= 1, after)):
            corner = np.flatnonzero(at_vertex)
            side[corner] += self._all_beside(other[corner], x[corner], y[corner])[1]
        return np.sign(side).astype(np.intp)

    def _all_beside(self, piece: Ints, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        dx, dy, px, py = self._pieces_from(piece, x, y)
        length = dx * dx + dy * dy
        return (px * dx + py * dy) / length, (dx * py - dy * px) / np.sqrt(length)

    def all_sums(
        self, outline: Ints, x: Floats, y: Floats, radius: Floats
    ) -> tuple[Floats, Floats]:
        """The two sums of ``geometry.crossing`` for circles around places."""
        sums = np.empty((2, len(outline)))
        start = np.frombuffer(self.start, np.int32)
        for chosen in self._portions(outline):
            begin = start[outline[chosen]]
            owner, step = expanded((start[outline[chosen] + 1] - begin - 1).astype(np.intp))
            piece, square = begin[owner] + step, radius[chosen] * radius[chosen]
            px, py, qx, qy = self._ends(piece, x[chosen][owner], y[chosen][owner])
            found = crossings((px, py), (qx, qy), square[owner])
            sums[:, chosen] = [np.bincount(owner, each, len(square)) for each in found]
        return sums[0], sums[1]

    def _ends(self, piece: Ints, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Where a piece begins and ends, as seen from a place."""
        xs, ys = np.frombuffer(self.x), np.frombuffer(self.y)
        return xs[piece] - x, ys[piece] - y, xs[piece + 1] - x, ys[piece + 1] - y

    def _portions(self, outline: Ints) -> list[slice]:
        """The questions in portions whose pieces fit into the processor's cache."""
        start = np.frombuffer(self.start, np.int32)
        so_far = np.cumsum(start[outline + 1] - start[outline])
        cuts = np.flatnonzero(np.diff(so_far // _VERTICES_AT_ONCE)) + 1
        ends = [0, *cuts.tolist(), len(outline)]
        return [slice(begin, end) for begin, end in pairwise(ends)]

    def _pieces_from(
        self, vertex: Ints, x: Floats, y: Floats
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """The step of each piece, and a place as seen from its beginning."""
        xs, ys = np.frombuffer(self.x, np.float64), np.frombuffer(self.y, np.float64)
        ax, ay = xs[vertex], ys[vertex]
        return xs[vertex + 1] - ax, ys[vertex + 1] - ay, x - ax, y - ay
