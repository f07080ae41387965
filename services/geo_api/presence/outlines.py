"""Outlines as flat polygons, each in a plane of its own: how far their edges are and on which side.

The plane touches the ellipsoid in the middle of the outline (``earth.flat``) and its error is
within 0.1 mm for outlines of up to ``WIDEST_M`` and fixes up to ``FARTHEST_M`` from the middle.
One outline at a time and many at once give equal bits, see ``earth``.
"""

import math
from array import array
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from services.geo_api.presence.earth import flat
from services.geo_api.presence.geometry import crossing
from shared.boundary import Floats, Ints

WIDEST_M = 1_500.0
FARTHEST_M = 3_500.0

_HALF = 0.5
_ROUNDING_M = 1e-6
_VERTICES_AT_ONCE = 12_000


@dataclass(frozen=True, slots=True)
class Outlines:
    """Many outlines: their vertices one after the other in flat arrays.

    ``start`` says where the vertices of each begin. A ring is closed, its interior on the left;
    a vertex that is NaN parts it from the next ring, and no comparison with it is true.
    ``longest`` is the longest piece in metres. ``simple`` is 1 where there is a single ring, so that the nearest edge alone tells the side.
    ``sin_lon`` and so on are of the middle, where the plane touches.
    """

    start: "array[int]"
    x: "array[float]"
    y: "array[float]"
    area: "array[float]"
    longest: "array[float]"
    simple: "array[int]"
    sin_lon: "array[float]"
    cos_lon: "array[float]"
    sin_lat: "array[float]"
    cos_lat: "array[float]"

    def pieces(self, outline: int) -> int:
        return self.start[outline + 1] - self.start[outline] - 1

    def place(self, outline: int, step: tuple[float, float, float]) -> tuple[float, float]:
        """Metres east and north in an outline's plane of what lies ``step`` from its middle."""
        lon = self.sin_lon[outline], self.cos_lon[outline]
        return flat(step, lon, (self.sin_lat[outline], self.cos_lat[outline]))

    def places(self, outline: Ints, step: tuple[Floats, Floats, Floats]) -> tuple[Floats, Floats]:
        """``place`` of many."""
        columns = self.sin_lon, self.cos_lon, self.sin_lat, self.cos_lat
        sines = [np.frombuffer(column, np.float64)[outline] for column in columns]
        return flat(step, (sines[0], sines[1]), (sines[2], sines[3]))

    def nearest(self, outline: int, x: float, y: float) -> tuple[float, int]:
        """Metres to the nearest edge, and the side: 1 inside, -1 outside, 0 not told."""
        first, end = self.start[outline], self.start[outline + 1]
        vertices = zip(self.x[first:end], self.y[first:end], strict=True)
        ax, ay = next(vertices)
        least, nearest, piece = math.inf, 0, 0
        for bx, by in vertices:
            dx, dy, px, py = bx - ax, by - ay, x - ax, y - ay
            along = (px * dx + py * dy) / (dx * dx + dy * dy)
            if along > 0:
                if along < 1:
                    px -= along * dx
                    py -= along * dy
                else:
                    px -= dx
                    py -= dy
            square = px * px + py * py
            if square < least:
                least, nearest = square, piece
            ax, ay, piece = bx, by, piece + 1
        side = self._side(first + nearest, first, end, x, y) if self.simple[outline] else 0
        return math.sqrt(least), side

    def _side(self, piece: int, first: int, end: int, x: float, y: float) -> int:
        """On which side of its nearest piece a place is.

        Where a vertex is nearest the two edges there count alike, each with length 1.
        Source: J. A. Bærentzen and H. Aanæs, "Signed distance computation using the angle
        weighted pseudonormal" (2005).
        """
        along, side = self._beside(piece, x, y)
        if along <= 0:
            side += self._beside(piece - 1 if piece > first else end - 2, x, y)[1]
        elif along >= 1:
            side += self._beside(piece + 1 if piece + 2 < end else first, x, y)[1]
        return (side > 0) - (side < 0)

    def _beside(self, piece: int, x: float, y: float) -> tuple[float, float]:
        """How far along a piece, 0 to 1 on it, and how many metres to the left of its line."""
        ax, ay = self.x[piece], self.y[piece]
        dx, dy, px, py = self.x[piece + 1] - ax, self.y[piece + 1] - ay, x - ax, y - ay
        length = dx * dx + dy * dy
        return (px * dx + py * dy) / length, (dx * py - dy * px) / math.sqrt(length)

    def all_nearest(self, outline: Ints, x: Floats, y: Floats) -> tuple[Floats, Ints]:
        """``nearest`` of many."""
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
        told = np.flatnonzero(np.frombuffer(self.simple, np.int8)[outline])
        side[told] = self._sides(vertex[met[told]], outline[told], x[told], y[told])
        return np.sqrt(least), side

    def _candidates(self, outline: Ints, x: Floats, y: Floats) -> tuple[Ints, Ints, Ints]:
        """Pieces that may be nearest: whose, the vertex each begins with, where each's begin.

        The nearest place of a piece is within half of its length from one of its ends, and not
        farther away than the nearest vertex.
        """
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
        least = np.sqrt(np.fmin.reduceat(px, starts))
        within = least + (np.frombuffer(self.longest)[outline] * _HALF + _ROUNDING_M)
        near = px <= np.repeat(within * within, counts)
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

    def sums(self, outline: int, x: float, y: float, radius: float) -> tuple[float, float]:
        """The two sums of ``geometry.crossing`` for a circle around a place."""
        first, end = self.start[outline], self.start[outline + 1]
        vertices = zip(self.x[first:end], self.y[first:end], strict=True)
        ax, ay = next(vertices)
        px, py, square = ax - x, ay - y, radius * radius
        far = radius + self.longest[outline] / 2
        far = far * far
        from_middle = px * px + py * py
        cross = turn = 0.0
        for bx, by in vertices:
            qx, qy = bx - x, by - y
            to_middle = qx * qx + qy * qy
            # NaN is neither less than another number nor equal to itself.
            if (from_middle < far and to_middle == to_middle) or (  # noqa: PLR0124
                to_middle < far and from_middle == from_middle  # noqa: PLR0124
            ):
                part = crossing(px, py, qx, qy, square)
                cross += part[0]
                turn += part[1]
            px, py, from_middle = qx, qy, to_middle
        return cross, turn

    def all_sums(
        self, outline: Ints, x: Floats, y: Floats, radius: Floats
    ) -> tuple[Floats, Floats]:
        """``sums`` of many; one by one, since few pieces of an outline meet a circle."""
        columns = (column.tolist() for column in (outline, x, y, radius))
        cross, turn = np.array([*map(self.sums, *columns)]).T
        return cross, turn

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
