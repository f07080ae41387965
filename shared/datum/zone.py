"""The zone in which maps and phones give GCJ-02: mainland China, Hong Kong and Macau.

Source: Tencent Location Service FAQ, which names these as GCJ-02 and Taiwan and overseas as
WGS 84. The outline is that of the time zones there, waters included, from OpenStreetMap by way
of the package timezonefinder. It is named after the datum and says nothing about borders.
"""

import math
import threading

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from shared.datum.kinds import Datum, ShiftZone
from shared.datum.outline import Floats, Outline
from shared.timezones import outlines_of

GREAT_ZONE = "Asia/Shanghai"
OTHER_ZONES = ("Asia/Urumqi", "Asia/Hong_Kong", "Asia/Macau")

WEST, EAST, SOUTH, NORTH = 73.0, 135.5, 3.0, 54.0
"""Degrees. No part of the zone, nor of what is ambiguous, lies beyond: the outline need not be
opened to say so."""

AMBIGUOUS_M = {Datum.WGS84: 0.0, Datum.GCJ02: 1000.0, Datum.BD09: 2000.0}
"""Metres from the edge. In the zone, GCJ-02 shifts by at most 698 m and BD-09 by 1,510 m."""

_opening = threading.Lock()
_opened: list[Outline] = []


def in_gcj_zone(lon: float, lat: float) -> bool:
    """Whether maps shift positions here; the zone's edge belongs to it.

    The pair, in degrees, is taken as it stands, in whatever datum it is.
    """
    return _in_box(lon, lat) and _outline().covers(lon, lat)


def are_in_gcj_zone(lons: Floats, lats: Floats) -> NDArray[np.bool_]:
    """The same for columns."""
    found = (lons >= WEST) & (lons <= EAST) & (lats >= SOUTH) & (lats <= NORTH)
    if found.any():
        found[found] = _outline().cover(lons[found], lats[found])
    return found


def edge_distance_m(lon: float, lat: float) -> float:
    """Metres to the zone's edge, within a thousandth; infinite where it is beyond 2 km."""
    return _outline().edge_m(lon, lat) if _in_box(lon, lat) else math.inf


def zone_of_shift(lon: float, lat: float, datum: Datum = Datum.GCJ02) -> ShiftZone:
    """Where a pair in degrees of ``datum`` lies to the zone.

    Ambiguous is what lies within 1 km of the edge, or 2 km for BD-09, which shifts further. Of a
    pair in WGS 84 nothing is ambiguous.
    """
    if edge_distance_m(lon, lat) < AMBIGUOUS_M[datum]:
        return ShiftZone.AMBIGUOUS
    return ShiftZone.INSIDE if in_gcj_zone(lon, lat) else ShiftZone.OUTSIDE


def _in_box(lon: float, lat: float) -> bool:
    return WEST <= lon <= EAST and SOUTH <= lat <= NORTH


def _outline() -> Outline:
    """Opened when first needed, once for all threads; takes a second and 50 MB."""
    if not _opened:
        with _opening:
            if not _opened:
                _opened.append(Outline(_gcj_zone(), max(AMBIGUOUS_M.values())))
    return _opened[0]


def _gcj_zone() -> Polygon | MultiPolygon:
    """The outlines as one, without the edges between them.

    Xinjiang keeps two times: its own zone lies within the great one, and is left out then.
    """
    great = outlines_of(GREAT_ZONE)
    shapely.prepare(great)
    others = [
        outline
        for name in OTHER_ZONES
        for outline in outlines_of(name)
        if not shapely.intersects(great, outline.point_on_surface()).any()
    ]
    area = shapely.coverage_union_all([*great, *others])
    assert isinstance(area, Polygon | MultiPolygon)  # noqa: S101 - a union of areas is one
    return area
