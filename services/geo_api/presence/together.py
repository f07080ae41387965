"""What many fixes have to do with many fences, as arrays; the twin of ``alone``."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.geo_api.presence.earth import FAR_M, Points, geodesic_m
from services.geo_api.presence.geometry import all_shares, lenses, wide_sums
from services.geo_api.presence.outlines import FARTHEST_M
from services.geo_api.presence.table import CIRCLE, EDGE_M, GRAZE_M, WIDE, FenceTable
from shared.boundary import Facing, Floats, Ints
from shared.geo import distances_m

_WIDE_PIECES_AT_ONCE = 500_000

Bools = NDArray[np.bool_]
Spots = Sequence[Floats] | Floats
"""Columns of longitudes and latitudes in degrees, and of metres of accuracy."""


class Fixes(NamedTuple):
    """Where many fixes are: degrees, metres of accuracy, and as points in space."""

    spots: Spots
    points: Points


class Pairs(NamedTuple):
    """Positions in the lists of fixes and fences that belong together."""

    fix: Ints
    fence: Ints

    def those(self, wanted: Ints) -> "Pairs":
        return Pairs(self.fix[wanted], self.fence[wanted])


class Measures(NamedTuple):
    """Of each pair what ``alone.Measure`` is of one."""

    metres: Floats
    inside: Bools
    overlap: Floats
    share: Floats

    @classmethod
    def blank(cls, count: int) -> "Measures":
        metres, overlap, share = np.empty((3, count))
        return cls(metres, np.empty(count, np.bool_), overlap, share)

    def those(self, wanted: Ints) -> "Measures":
        metres, inside, overlap, share = self
        return Measures(metres[wanted], inside[wanted], overlap[wanted], share[wanted])

    def put(self, chosen: Ints, found: "Measures") -> None:
        for column, values in zip(self, found, strict=True):
            column[chosen] = values


def near(
    table: FenceTable, fixes: Fixes, pairs: Pairs, reach: Floats | None = None
) -> tuple[Pairs, Measures]:
    """``alone.near`` for many pairs; those surely out of reach (metres, of each fix) are left out."""
    step, square = _steps(table, fixes, pairs)
    if reach is not None:
        far = np.frombuffer(table.reach)[pairs.fence] + reach[pairs.fix]
        kept = np.flatnonzero(square <= far * far)
        pairs, square = pairs.those(kept), square[kept]
        step = step[0][kept], step[1][kept], step[2][kept]
    fence = pairs.fence
    outline = np.frombuffer(table.outline, np.int32)[fence].astype(np.intp)
    wide = (outline == WIDE) | ((outline >= 0) & (square > FARTHEST_M * FARTHEST_M))
    spots = [column[pairs.fix] for column in fixes.spots]
    measures = Measures.blank(len(fence))
    for chosen in map(np.flatnonzero, (outline == CIRCLE, (outline >= 0) & ~wide, wide)):
        if not len(chosen):
            continue
        own = [column[chosen] for column in spots]
        if wide[chosen[0]]:
            found = wides(table, fence[chosen], own)
        elif outline[chosen[0]] == CIRCLE:
            found = _circles(table, fence[chosen], own, square[chosen])
        else:
            steps = step[0][chosen], step[1][chosen], step[2][chosen]
            places = table.outlines.places(outline[chosen], steps)
            found = flats(table, fence[chosen], own, places)
        measures.put(chosen, found)
    return pairs, measures


def _steps(table: FenceTable, fixes: Fixes, pairs: Pairs) -> tuple[Points, Floats]:
    """From the middles of fences to fixes, and the square of how far that is."""
    middles = (np.frombuffer(column)[pairs.fence] for column in (table.x, table.y, table.z))
    x, y, z = (at[pairs.fix] - middle for at, middle in zip(fixes.points, middles, strict=True))
    return (x, y, z), x * x + y * y + z * z


def _circles(table: FenceTable, fence: Ints, spots: Spots, square: Floats) -> Measures:
    """``square`` is that of the chord to the centre."""
    lon, lat, accuracy = spots
    chord = np.sqrt(square)
    radius = np.frombuffer(table.reach)[fence]
    metres = geodesic_m(chord, square)
    exact = np.flatnonzero((chord >= FAR_M) | (np.abs(metres - radius) <= EDGE_M))
    if len(exact):
        centers = np.array([table.center(number) for number in fence[exact].tolist()])
        metres[exact] = distances_m(lon[exact], lat[exact], *centers.T)
    overlap = lenses(metres, radius, accuracy)
    share = overlap.copy()
    vague = np.flatnonzero(accuracy > radius)
    r, a = radius[vague], accuracy[vague]
    share[vague] *= r * r / (a * a)
    return Measures(metres - radius, metres <= radius, overlap, share)


def flats(table: FenceTable, fence: Ints, spots: Spots, places: tuple[Floats, Floats]) -> Measures:
    """Outlines in their planes; ``places`` are the fixes there, metres east and north."""
    lon, lat, accuracy = spots
    x, y = places
    outlines = table.outlines
    outline = np.frombuffer(table.outline, np.int32)[fence].astype(np.intp)
    metres, side = outlines.all_nearest(outline, x, y)
    inside = side > 0
    untold = np.flatnonzero((side == 0) | (metres < EDGE_M))
    inside[untold] = _covers(table, fence[untold], (lon[untold], lat[untold]), metres[untold])
    overlap = inside.astype(np.float64)
    share = overlap.copy()
    cut = np.flatnonzero(metres < accuracy - GRAZE_M)
    if len(cut):
        sums = outlines.all_sums(outline[cut], x[cut], y[cut], accuracy[cut])
        area = np.frombuffer(outlines.area)[outline[cut]]
        overlap[cut], share[cut] = all_shares(sums, area, accuracy[cut])
    return Measures(np.where(inside, -metres, metres), inside, overlap, share)


def wides(table: FenceTable, fence: Ints, spots: Spots) -> Measures:
    """Outlines on the ellipsoid, which any outline may be asked for and some must."""
    measures = Measures.blank(len(fence))
    lon, lat, accuracy = spots
    for part in _portions(table, fence):
        measures.put(part, _wides(table, fence[part], (lon[part], lat[part], accuracy[part])))
    return measures


def _wides(table: FenceTable, fence: Ints, spots: Spots) -> Measures:
    lon, lat, accuracy = spots
    boundaries = [table.area(number).boundary for number in fence.tolist()]
    metres = Facing.of(lon, lat, boundaries).distances_m()
    inside = _covers(table, fence, (lon, lat), metres)
    overlap = inside.astype(np.float64)
    share = overlap.copy()
    cut = np.flatnonzero(metres < accuracy - GRAZE_M)
    if len(cut):
        met = Facing.of(lon[cut], lat[cut], [boundaries[n] for n in cut])
        sums, area = wide_sums(met, accuracy[cut])
        overlap[cut], share[cut] = all_shares(sums, area, accuracy[cut])
    return Measures(np.where(inside, -metres, metres), inside, overlap, share)


def _portions(table: FenceTable, fence: Ints) -> Iterator[Ints]:
    """Pairs with outlines in portions that fit into memory."""
    counts = [len(table.area(number).boundary.pieces) for number in fence.tolist()]
    cuts = np.flatnonzero(np.diff(np.cumsum(counts) // _WIDE_PIECES_AT_ONCE)) + 1
    yield from np.split(np.arange(len(fence)), cuts)


def _covers(table: FenceTable, fence: Ints, places: tuple[Floats, Floats], metres: Floats) -> Bools:
    columns = (column.tolist() for column in (fence, *places, metres))
    return np.array([*map(table.covers, *columns)], dtype=np.bool_)
