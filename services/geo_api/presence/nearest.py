"""How far a place is from an outline, on which side, and what a circle there has of it.

One place at a time, float by float. ``Outlines.all_nearest`` and ``Outlines.all_sums`` ask the
same of many as arrays; both find the same piece and measure it alike, so the bits are equal.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from services.geo_api.presence.geometry import crossing
from services.geo_api.presence.outlines import RINGS, SAFE, STAR, Outlines

_CENTRAL = 1.2
"""Where the nearest edge is farther than the middle by this share (squared) most may be nearest."""
_WIDER_M = 1e-9
"""More than is lost in the digits of a place in a plane."""
_ANGLE_SLACK = 1e-5
"""More than directions lose as 32-bit floats, in radians."""


def nearest(outlines: Outlines, outline: int, x: float, y: float) -> tuple[float, int]:
    """Metres to the nearest edge, and the side: 1 inside, -1 outside, 0 not told."""
    kind = outlines.kind[outline]
    find = _by_direction if kind == STAR else _by_blocks
    square, piece = find(outlines, outline, x, y)
    return math.sqrt(square), 0 if kind == RINGS else _side(outlines, outline, piece, (x, y))


def sums(
    outlines: Outlines, outline: int, x: float, y: float, radius: float
) -> tuple[float, float]:
    """The two sums of ``geometry.crossing`` for a circle around a place."""
    square, from_middle = radius * radius, x * x + y * y
    pieces: Sequence[int] = range(outlines.start[outline], outlines.start[outline + 1] - 1)
    if outlines.kind[outline] == STAR and from_middle > _CENTRAL * square:
        pieces = _towards(outlines, outline, (x, y), square / from_middle)
    elif outlines.kind[outline] != STAR:
        reach = radius + _WIDER_M
        pieces = [
            piece
            for west, south, east, north, first, end in outlines.blocks_of(outline)
            if west - reach <= x <= east + reach and south - reach <= y <= north + reach
            for piece in range(first, end)
        ]
    cross = turn = 0.0
    for px, py, qx, qy in _about(outlines, pieces, (x, y), radius + _WIDER_M):
        part = crossing(px, py, qx, qy, square)
        cross += part[0]
        turn += part[1]
    return cross, turn


def _about(
    outlines: Outlines, pieces: Iterable[int], place: tuple[float, float], reach: float
) -> Iterator[tuple[float, float, float, float]]:
    """Both ends, as seen from a place, of the pieces whose boxes come within reach of it.

    No comparison with a NaN, which leads to another ring, is true.
    """
    xs, ys = outlines.x, outlines.y
    x, y = place
    west, south, east, north = x - reach, y - reach, x + reach, y + reach
    for piece in pieces:
        px, qx = xs[piece], xs[piece + 1]
        if (px <= east or qx <= east) and (px >= west or qx >= west) and px - qx == px - qx:
            py, qy = ys[piece], ys[piece + 1]
            if (py <= north or qy <= north) and (py >= south or qy >= south):
                yield px - x, py - y, qx - x, qy - y


def _by_direction(outlines: Outlines, outline: int, x: float, y: float) -> tuple[float, int]:
    """The least square and its piece, for an outline that is seen whole from its middle.

    The piece in the direction of the place tells how far the nearest can be at most.
    """
    first, last = outlines.start[outline], outlines.start[outline + 1] - 1
    angle = outlines.angle
    turn = (math.atan2(y, x) - angle[first]) % math.tau
    ahead = bisect_right(angle, turn, first + 1, last) - 1
    found = _least(outlines, (ahead,), x, y)
    from_middle = x * x + y * y
    if from_middle <= _CENTRAL * found[0]:
        return _by_vertices(outlines, outline, x, y)
    gap = math.asin(math.sqrt(found[0] / from_middle)) + _ANGLE_SLACK
    if first < ahead < last - 1 and angle[ahead] < turn - gap and turn + gap < angle[ahead + 1]:
        return found
    around = _towards(outlines, outline, (x, y), found[0] / from_middle)
    return _least(outlines, around, x, y)


def _by_blocks(outlines: Outlines, outline: int, x: float, y: float) -> tuple[float, int]:
    """The least square and its piece, the first of equals, for an outline of any form."""
    bounds = []
    for west, south, east, north, first, end in outlines.blocks_of(outline):
        dx = west - x if x < west else (x - east if x > east else 0.0)
        dy = south - y if y < south else (y - north if y > north else 0.0)
        bounds.append((dx * dx + dy * dy, first, end))
    bounds.sort()
    found = math.inf, -1
    for bound, first, end in bounds:
        if bound > found[0] * SAFE:
            break
        found = min(found, _least(outlines, range(first, end), x, y))
    return found


def _towards(
    outlines: Outlines, outline: int, place: tuple[float, float], ratio: float
) -> Sequence[int]:
    """The pieces of such an outline that may be as near to a place as asked, by number.

    ``ratio`` is the square of that distance by the square of the distance to the middle, less
    than 1: what is so near lies in directions that differ by at most the arc sine of its root.
    """
    first, last, angle = outlines.start[outline], outlines.start[outline + 1] - 1, outlines.angle
    turn = math.atan2(place[1], place[0]) - angle[first]
    gap = math.asin(math.sqrt(ratio)) + _ANGLE_SLACK
    begin = bisect_right(angle, (turn - gap) % math.tau, first + 1, last) - 1
    end = bisect_right(angle, (turn + gap) % math.tau, first + 1, last)
    return range(begin, end) if begin < end else [*range(first, end), *range(begin, last)]


def _by_vertices(outlines: Outlines, outline: int, x: float, y: float) -> tuple[float, int]:
    """The least square and its piece, by way of the nearest vertex, see ``outlines.SAFE``."""
    first, end = outlines.start[outline], outlines.start[outline + 1]
    vertices = zip(outlines.x[first:end], outlines.y[first:end], strict=True)
    squares = [(ax - x) * (ax - x) + (ay - y) * (ay - y) for ax, ay in vertices]
    within = (min(squares) + outlines.quarter[outline]) * SAFE
    near = [vertex for vertex, square in enumerate(squares, first) if square <= within]
    pieces = sorted({*near, *[vertex - 1 for vertex in near]})
    return _least(outlines, [piece for piece in pieces if first <= piece < end - 1], x, y)


def _least(outlines: Outlines, pieces: Iterable[int], x: float, y: float) -> tuple[float, int]:
    """The square of the metres to the nearest of some pieces, and the first that is so near."""
    xs, ys = outlines.x, outlines.y
    least, found = math.inf, -1
    for piece in pieces:
        ax, ay = xs[piece], ys[piece]
        dx, dy, px, py = xs[piece + 1] - ax, ys[piece + 1] - ay, x - ax, y - ay
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
            least, found = square, piece
    return least, found


def _side(outlines: Outlines, outline: int, piece: int, place: tuple[float, float]) -> int:
    """On which side of its nearest piece a place is.

    Where a vertex is nearest the two edges there count alike, each with length 1.
    Source: J. A. Bærentzen and H. Aanæs, "Signed distance computation using the angle
    weighted pseudonormal" (2005).
    """
    along, side = _beside(outlines, piece, place)
    if not 0 < along < 1:
        first, last = outlines.start[outline], outlines.start[outline + 1] - 1
        if along <= 0:
            other = (piece if piece > first else last) - 1
        else:
            other = piece + 1 if piece + 1 < last else first
        side += _beside(outlines, other, place)[1]
    return (side > 0) - (side < 0)


def _beside(outlines: Outlines, piece: int, place: tuple[float, float]) -> tuple[float, float]:
    """How far along a piece, 0 to 1 on it, and how many metres to the left of its line."""
    ax, ay = outlines.x[piece], outlines.y[piece]
    dx, dy = outlines.x[piece + 1] - ax, outlines.y[piece + 1] - ay
    px, py = place[0] - ax, place[1] - ay
    length = dx * dx + dy * dy
    return (px * dx + py * dy) / length, (dx * py - dy * px) / math.sqrt(length)
