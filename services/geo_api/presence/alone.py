"""What a single fix has to do with fences, float by float.

``together`` asks the same of many as arrays, and gives the same answers bit by bit (see
``earth``), so that it does not matter in which company a fix was asked. Numbers of Python cost
less than arrays up to some thirty fixes at once.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from services.geo_api.presence import together
from services.geo_api.presence.earth import FAR_M, geodesic_m, point_of
from services.geo_api.presence.geometry import lens, shares
from services.geo_api.presence.nearest import nearest, sums
from services.geo_api.presence.outlines import FARTHEST_M
from services.geo_api.presence.table import CIRCLE, EDGE_M, GRAZE_M, WIDE, FenceTable
from services.geo_api.presence.together import Measures
from shared.geo import WGS84

Measure = tuple[float, bool, float, float]
"""Metres to the edge (negative inside), inside, and the common ground as a share of the smaller
of the two and of the accuracy circle."""
Spot = tuple[float, float, float]
"""Degrees of longitude and latitude, and metres of accuracy."""


def near(
    table: FenceTable, spot: Spot, numbers: Iterable[int], reach: float = math.inf
) -> Iterator[tuple[int, Measure]]:
    """What a fix has to do with fences; those surely out of reach (metres) are left out."""
    x, y, z = point_of(spot[0], spot[1])
    xs, ys, zs, grounds, outlines = table.x, table.y, table.z, table.reach, table.outline
    for number in numbers:
        dx, dy, dz = x - xs[number], y - ys[number], z - zs[number]
        square = dx * dx + dy * dy + dz * dz
        far = grounds[number] + reach
        if square > far * far:
            continue
        outline = outlines[number]
        if outline == CIRCLE:
            yield number, _circle(table, number, spot, square)
        elif outline == WIDE or square > FARTHEST_M * FARTHEST_M:
            columns = np.array([spot]).T
            yield number, _first(together.wides(table, np.array([number]), columns))
        else:
            yield number, _flat(table, number, spot, (dx, dy, dz))


def _circle(table: FenceTable, number: int, spot: Spot, square: float) -> Measure:
    """``square`` is that of the chord to the centre."""
    chord = math.sqrt(square)
    radius, accuracy = table.reach[number], spot[2]
    metres = geodesic_m(chord, square)
    if chord >= FAR_M or abs(metres - radius) <= EDGE_M:
        metres = float(WGS84.inv(spot[0], spot[1], *table.center(number))[2])
    overlap = lens(metres, radius, accuracy)
    vague = accuracy > radius
    share = overlap * (radius * radius / (accuracy * accuracy)) if vague else overlap
    return metres - radius, metres <= radius, overlap, share


def _flat(table: FenceTable, number: int, spot: Spot, step: tuple[float, float, float]) -> Measure:
    """``step`` leads from the outline's middle to the fix."""
    lon, lat, accuracy = spot
    outline, outlines = table.outline[number], table.outlines
    x, y = outlines.place(outline, step)
    metres, side = nearest(outlines, outline, x, y)
    inside = side > 0
    if side == 0 or metres < EDGE_M:
        inside = table.covers(number, lon, lat, metres)
    if metres < accuracy - GRAZE_M:
        common = sums(outlines, outline, x, y, accuracy)
        overlap, share = shares(common, outlines.area[outline], accuracy)
    else:
        overlap = share = 1.0 if inside else 0.0
    return -metres if inside else metres, inside, overlap, share


def _first(measures: Measures) -> Measure:
    metres, inside, overlap, share = measures
    return float(metres[0]), bool(inside[0]), float(overlap[0]), float(share[0])
