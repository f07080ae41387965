"""The coordinate systems of Chinese maps, converted at the rim; inside there is WGS 84 only.

GCJ-02 shifts positions in mainland China, Hong Kong and Macau by 100 to 700 m, BD-09 is
Baidu's further shift of it. Elsewhere both are WGS 84 unchanged: that is what maps and phones
give there, so the conversion is the identity outside of the zone.

Sources of the formulas: the published reconstruction of GCJ-02 with the Krasovsky ellipsoid
(eviltransform, PRCoords, gcoord agree on it to 1e-9°, vendors' own output to 1e-5°) and of
BD-09 (coordtransform, gcoord). Source of the zone: Tencent Location Service FAQ, which names
mainland, Hong Kong and Macau as GCJ-02 and Taiwan and overseas as WGS 84; its outline is that
of the time zones there, from OpenStreetMap by way of the package timezonefinder.
"""

import math
import threading
from enum import StrEnum

import timezonefinder

from shared.lonlat import LonLat

_SEMI_MAJOR_AXIS_M = 6378245.0
_ECCENTRICITY_SQUARED = 0.00669342162296594323
_BAIDU_ANGLE = math.pi * 3000 / 180
_ZONES = frozenset({"Asia/Shanghai", "Asia/Urumqi", "Asia/Hong_Kong", "Asia/Macau"})
_WEST, _EAST, _SOUTH, _NORTH = 72.004, 137.8347, 0.8293, 55.8271
_CONVERGED_DEG = 1e-11
_MAX_ROUNDS = 20

_finders = threading.local()


class Datum(StrEnum):
    WGS84 = "wgs84"
    GCJ02 = "gcj02"
    BD09 = "bd09"


def to_wgs84(lon: float, lat: float, datum: Datum) -> LonLat:
    """A received pair in degrees as WGS 84, within 1e-9° of the exact inverse.

    The zone is tested in the system of the input, since that is all that is known. Within
    700 m of the zone's edge the answer is therefore ambiguous by the shift itself.
    """
    if datum is Datum.WGS84 or not in_gcj_zone(lon, lat):
        return LonLat(lon, lat)
    if datum is Datum.BD09:
        lon, lat = bd09_to_gcj02(lon, lat)
    return LonLat(*gcj02_to_wgs84(lon, lat))


def from_wgs84(lon: float, lat: float, datum: Datum) -> LonLat:
    """The pair, in degrees, that a map of this datum shows for a WGS 84 position."""
    if datum is Datum.WGS84 or not in_gcj_zone(lon, lat):
        return LonLat(lon, lat)
    lon, lat = wgs84_to_gcj02(lon, lat)
    if datum is Datum.BD09:
        lon, lat = gcj02_to_bd09(lon, lat)
    return LonLat(lon, lat)


def in_gcj_zone(lon: float, lat: float) -> bool:
    """Whether maps shift positions here: mainland China, Hong Kong and Macau with their waters."""
    if not (_WEST <= lon <= _EAST and _SOUTH <= lat <= _NORTH):
        return False
    return _finder().timezone_at(lng=lon, lat=lat) in _ZONES


def wgs84_to_gcj02(lon: float, lat: float) -> tuple[float, float]:
    """The formula alone, without the zone; longitude first."""
    phi = math.radians(lat)
    w = 1 - _ECCENTRICITY_SQUARED * math.sin(phi) ** 2
    meridian_m = _SEMI_MAJOR_AXIS_M * (1 - _ECCENTRICITY_SQUARED) / w**1.5
    parallel_m = _SEMI_MAJOR_AXIS_M / math.sqrt(w) * math.cos(phi)
    east_m, north_m = _shift_m(lon - 105, lat - 35)
    return lon + math.degrees(east_m / parallel_m), lat + math.degrees(north_m / meridian_m)


def gcj02_to_wgs84(lon: float, lat: float) -> tuple[float, float]:
    """The inverse by fixed-point iteration, without the zone; longitude first."""
    guess_lon, guess_lat = lon, lat
    for _ in range(_MAX_ROUNDS):
        image_lon, image_lat = wgs84_to_gcj02(guess_lon, guess_lat)
        guess_lon -= image_lon - lon
        guess_lat -= image_lat - lat
        if abs(image_lon - lon) < _CONVERGED_DEG and abs(image_lat - lat) < _CONVERGED_DEG:
            break
    return guess_lon, guess_lat


def gcj02_to_bd09(lon: float, lat: float) -> tuple[float, float]:
    """Baidu's shift of GCJ-02, without the zone; longitude first."""
    radius, angle = _baidu_wave(lon, lat, 1)
    return radius * math.cos(angle) + 0.0065, radius * math.sin(angle) + 0.006


def bd09_to_gcj02(lon: float, lat: float) -> tuple[float, float]:
    """The inverse by iteration from the usual closed form, which alone is off by up to 0.2 m."""
    guess_lon, guess_lat = bd09_to_gcj02_closed_form(lon, lat)
    for _ in range(_MAX_ROUNDS):
        image_lon, image_lat = gcj02_to_bd09(guess_lon, guess_lat)
        guess_lon -= image_lon - lon
        guess_lat -= image_lat - lat
        if abs(image_lon - lon) < _CONVERGED_DEG and abs(image_lat - lat) < _CONVERGED_DEG:
            break
    return guess_lon, guess_lat


def bd09_to_gcj02_closed_form(lon: float, lat: float) -> tuple[float, float]:
    """What other programs take for the inverse: within 2e-6° of it; longitude first."""
    radius, angle = _baidu_wave(lon - 0.0065, lat - 0.006, -1)
    return radius * math.cos(angle), radius * math.sin(angle)


def _baidu_wave(x: float, y: float, sign: int) -> tuple[float, float]:
    radius = math.hypot(x, y) + sign * 0.00002 * math.sin(y * _BAIDU_ANGLE)
    angle = math.atan2(y, x) + sign * 0.000003 * math.cos(x * _BAIDU_ANGLE)
    return radius, angle


def _shift_m(x: float, y: float) -> tuple[float, float]:
    """Metres east and north for degrees east of 105° and north of 35°."""
    root = math.sqrt(abs(x))
    ripple = 20 * math.sin(6 * x * math.pi) + 20 * math.sin(2 * x * math.pi)
    east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root
    north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root
    east += (ripple + _waves(x, 150, 300)) * 2 / 3
    north += (ripple + _waves(y, 160, 320)) * 2 / 3
    return east, north


def _waves(degrees: float, middle: float, long: float) -> float:
    angle = degrees * math.pi
    short = 20 * math.sin(angle) + 40 * math.sin(angle / 3)
    return short + middle * math.sin(angle / 12) + long * math.sin(angle / 30)


def _finder() -> timezonefinder.TimezoneFinder:
    """One per thread, as the package asks; opening it takes 60 ms and 5 MB."""
    finder: timezonefinder.TimezoneFinder | None = getattr(_finders, "finder", None)
    if finder is None:
        finder = _finders.finder = timezonefinder.TimezoneFinder()
    return finder
