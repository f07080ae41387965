"""GCJ-02 and BD-09 as formulas, for one pair or for columns; nothing here knows the zone.

All positions are degrees, longitude first. Sources: the published reconstruction of GCJ-02 with
the Krasovsky ellipsoid (eviltransform, PRCoords, gcoord agree on it to 1e-9°, vendors' own output
to 1e-5°) and of BD-09 (coordtransform, gcoord).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Real = TypeVar("Real", float, Floats)

_SEMI_MAJOR_AXIS_M = 6378245.0
_ECCENTRICITY_SQUARED = 0.00669342162296594323
_BAIDU_ANGLE = math.pi * 3000 / 180
_DEGREE = math.pi / 180
_CONVERGED_DEG = 1e-8
"""A round of the inverse leaves at most a fortieth of the error before it: 2.5e-10° after this."""
_MAX_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Formulas(Generic[Real]):
    """The conversions, over the functions of ``math`` or those of numpy.

    ``worst`` is the greatest magnitude in two numbers or columns.
    """

    sin: Callable[[Real], Real]
    cos: Callable[[Real], Real]
    sqrt: Callable[[Real], Real]
    hypot: Callable[[Real, Real], Real]
    atan2: Callable[[Real, Real], Real]
    worst: Callable[[Real, Real], float]

    def wgs84_to_gcj02(self, lon: Real, lat: Real) -> tuple[Real, Real]:
        """The shift of Chinese maps, which depends on the place."""
        sine = self.sin(lat * _DEGREE)
        w = 1 - _ECCENTRICITY_SQUARED * sine * sine
        root = self.sqrt(w)
        meridian_m = _SEMI_MAJOR_AXIS_M * (1 - _ECCENTRICITY_SQUARED) / (w * root)
        parallel_m = _SEMI_MAJOR_AXIS_M / root * self.cos(lat * _DEGREE)
        east_m, north_m = self._shift_m(lon - 105, lat - 35)
        return lon + east_m / (parallel_m * _DEGREE), lat + north_m / (meridian_m * _DEGREE)

    def gcj02_to_wgs84(self, lon: Real, lat: Real) -> tuple[Real, Real]:
        """The inverse by fixed-point iteration, within 2.5e-10°; at most 4 rounds in the zone."""
        return self._inverse(self.wgs84_to_gcj02, (lon, lat), (lon, lat))

    def gcj02_to_bd09(self, lon: Real, lat: Real) -> tuple[Real, Real]:
        """Baidu's shift on top of GCJ-02."""
        radius, angle = self._baidu_wave(lon, lat, 1)
        return radius * self.cos(angle) + 0.0065, radius * self.sin(angle) + 0.006

    def bd09_to_gcj02(self, lon: Real, lat: Real) -> tuple[Real, Real]:
        """The inverse by iteration from the usual closed form, within 2.5e-10°."""
        guess = self.bd09_to_gcj02_closed_form(lon, lat)
        return self._inverse(self.gcj02_to_bd09, (lon, lat), guess)

    def bd09_to_gcj02_closed_form(self, lon: Real, lat: Real) -> tuple[Real, Real]:
        """What other programs take for the inverse: within 2e-6° (0.2 m) of it."""
        radius, angle = self._baidu_wave(lon - 0.0065, lat - 0.006, -1)
        return radius * self.cos(angle), radius * self.sin(angle)

    def _inverse(
        self,
        forward: Callable[[Real, Real], tuple[Real, Real]],
        image: tuple[Real, Real],
        guess: tuple[Real, Real],
    ) -> tuple[Real, Real]:
        lon, lat = guess
        for _ in range(_MAX_ROUNDS):
            seen_lon, seen_lat = forward(lon, lat)
            miss_lon, miss_lat = seen_lon - image[0], seen_lat - image[1]
            lon, lat = lon - miss_lon, lat - miss_lat
            if self.worst(miss_lon, miss_lat) < _CONVERGED_DEG:
                break
        return lon, lat

    def _baidu_wave(self, x: Real, y: Real, sign: int) -> tuple[Real, Real]:
        radius = self.hypot(x, y) + sign * 0.00002 * self.sin(y * _BAIDU_ANGLE)
        angle = self.atan2(y, x) + sign * 0.000003 * self.cos(x * _BAIDU_ANGLE)
        return radius, angle

    def _shift_m(self, x: Real, y: Real) -> tuple[Real, Real]:
        """Metres east and north for degrees east of 105° and north of 35°."""
        root = self.sqrt(abs(x))
        ripple = 20 * self.sin(6 * math.pi * x) + 20 * self.sin(2 * math.pi * x)
        mixed = 0.1 * x * y
        east = 300 + x + 2 * y + 0.1 * x * x + mixed + 0.1 * root
        north = -100 + 2 * x + 3 * y + 0.2 * y * y + mixed + 0.2 * root
        east_m = east + (ripple + self._waves(x, 150, 300)) * (2 / 3)
        north_m = north + (ripple + self._waves(y, 160, 320)) * (2 / 3)
        return east_m, north_m

    def _waves(self, degrees: Real, middle: float, long: float) -> Real:
        sin, angle = self.sin, degrees * math.pi
        short = 20 * sin(angle) + 40 * sin(angle / 3)
        return short + middle * sin(angle / 12) + long * sin(angle / 30)


def _worse(a: float, b: float) -> float:
    return max(abs(a), abs(b))


def _worst(a: Floats, b: Floats) -> float:
    return float(max(np.max(np.abs(a), initial=0), np.max(np.abs(b), initial=0)))


ONE: Formulas[float] = Formulas(math.sin, math.cos, math.sqrt, math.hypot, math.atan2, _worse)
COLUMNS: Formulas[Floats] = Formulas(np.sin, np.cos, np.sqrt, np.hypot, np.arctan2, _worst)
