"""A point on the earth, the distance between two, and what is no position at all."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import Geod

from shared.errors import FieldFault, Malformed

WGS84 = Geod(ellps="WGS84")
POLE_DEG = 90
ANTIMERIDIAN_DEG = 180

SOUTHERNMOST_STREET = -60.0
NORTHERNMOST_LAND = 84.0
"""Degrees. Beyond these two nobody keeps a store; Kaffeklubben Island ends the land at 83.7° N."""


@dataclass(frozen=True, slots=True)
class LonLat:
    """Degrees on WGS 84, longitude first."""

    lon: float
    lat: float


class PositionFault(NamedTuple):
    """What is wrong with a pair; ``axis`` is ``latitude`` or ``longitude``."""

    axis: str
    detail: str


def distance_m(a: LonLat, b: LonLat) -> float:
    """Geodesic metres between two points on the WGS 84 ellipsoid.

    Source: C. F. F. Karney, Algorithms for geodesics, J. Geodesy 87 (2013), through PROJ.
    """
    return float(WGS84.inv(a.lon, a.lat, b.lon, b.lat)[2])


def distances_m(
    lons: ArrayLike, lats: ArrayLike, other_lons: ArrayLike, other_lats: ArrayLike
) -> NDArray[np.float64]:
    """Geodesic metres, pair by pair, of arrays of equal length in degrees on WGS 84."""
    starts = _column(lons), _column(lats)
    ends = _column(other_lons), _column(other_lats)
    return np.asarray(WGS84.inv(*starts, *ends)[2], dtype=np.float64)


def check_position(latitude: float, longitude: float, *, at: str = "") -> LonLat:
    """The position of a phone or a store, in degrees, or why it cannot be one.

    Refused are what is not a finite number in range, exactly (0, 0), which is what devices and
    forms send when they know no position, and a pair that only makes sense the other way round.

    Raises Malformed; ``at`` is the JSON Pointer of the object that holds the two fields.
    """
    fault = position_fault(longitude, latitude)
    if fault is not None:
        raise Malformed(FieldFault(f"{at}/{fault.axis}", fault.detail))
    return LonLat(float(longitude), float(latitude))


def position_fault(lon: float, lat: float) -> PositionFault | None:
    """What makes a pair of degrees no position of a person or a store, if anything."""
    fault = range_fault(lon, lat)
    if fault is not None:
        return fault
    if lon == 0 and lat == 0:
        detail = "0, 0 is what a device sends when it knows no position: leave such a fix out"
        return PositionFault("latitude", detail)
    if looks_swapped(lon, lat):
        return PositionFault("latitude", f"{lat} is off any inhabited coast{_swap_hint(lon, lat)}")
    return None


def range_fault(lon: float, lat: float) -> PositionFault | None:
    """Not finite or out of range, with a word on a swap where that would explain it."""
    if not -POLE_DEG <= lat <= POLE_DEG:
        return PositionFault("latitude", f"{_must_lie(lat, POLE_DEG)}{_swap_hint(lon, lat)}")
    if not -ANTIMERIDIAN_DEG <= lon <= ANTIMERIDIAN_DEG:
        return PositionFault("longitude", _must_lie(lon, ANTIMERIDIAN_DEG))
    return None


def looks_swapped(lon: float, lat: float) -> bool:
    """True where nobody lives as given, but somebody may with the two exchanged."""
    return not _inhabited(lat) and _inhabited(lon)


def _inhabited(latitude: float) -> bool:
    return SOUTHERNMOST_STREET <= latitude <= NORTHERNMOST_LAND


def _must_lie(degrees: float, limit: int) -> str:
    if not isinstance(degrees, int) and not math.isfinite(degrees):
        return f"must be a finite number of degrees from -{limit} to {limit}"
    return f"must lie from -{limit} to {limit} degrees"


def _swap_hint(lon: float, lat: float) -> str:
    if abs(lat) <= ANTIMERIDIAN_DEG and _inhabited(lon):
        return ": latitude and longitude are probably swapped"
    return ""


def _column(degrees: ArrayLike) -> NDArray[np.float64]:
    return np.ascontiguousarray(degrees, dtype=np.float64)
