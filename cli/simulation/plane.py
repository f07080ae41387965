"""The ground on which simulated people walk: flat, in metres east and north of an origin."""

import math
from dataclasses import dataclass

import numpy as np
from shapely import Polygon

from shared.boundary import Floats
from shared.geo import WGS84, Area, Circle, LonLat, Shape

_DIGITS = 7
"""Of a degree: a centimetre. What is sent and what is judged here are the same numbers."""


@dataclass(frozen=True, slots=True)
class Plane:
    """``origin`` in WGS 84 degrees. Within 300 m north or south of it a length is true to 4 in 100,000."""

    origin: LonLat

    def lonlat(self, east_m: float, north_m: float) -> LonLat:
        """Source: EPSG Guidance Note 7-2, radii of curvature of the meridian and across it."""
        phi = math.radians(self.origin.lat)
        bend = 1 - WGS84.es * math.sin(phi) ** 2
        meridian_m = WGS84.a * (1 - WGS84.es) / bend**1.5
        parallel_m = WGS84.a / math.sqrt(bend) * math.cos(phi)
        return LonLat(
            round(self.origin.lon + math.degrees(east_m / parallel_m), _DIGITS),
            round(self.origin.lat + math.degrees(north_m / meridian_m), _DIGITS),
        )


HARBOUR = Plane(LonLat(-74.05, 40.64))
"""In New York's Upper Bay, where no store really is."""


@dataclass(frozen=True, slots=True)
class Disc:
    """A round store."""

    east_m: float
    north_m: float
    radius_m: float

    @property
    def door(self) -> tuple[float, float]:
        """Its southernmost point."""
        return self.east_m, self.north_m - self.radius_m

    def distance_m(self, east_m: Floats, north_m: Floats) -> Floats:
        """To the edge, negative inside."""
        away: Floats = np.hypot(east_m - self.east_m, north_m - self.north_m) - self.radius_m
        return away

    def within(self, turn: float, depth: float) -> tuple[float, float]:
        """A point inside, spread evenly for ``turn`` and ``depth`` spread evenly from 0 to 1."""
        angle, out_m = 2 * math.pi * turn, self.radius_m * math.sqrt(depth)
        return self.east_m + out_m * math.cos(angle), self.north_m + out_m * math.sin(angle)

    def shape(self, plane: Plane) -> Shape:
        return Circle(plane.lonlat(self.east_m, self.north_m), self.radius_m)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangular store about its middle, its sides east-west and north-south."""

    east_m: float
    north_m: float
    width_m: float
    depth_m: float

    def distance_m(self, east_m: Floats, north_m: Floats) -> Floats:
        """To the edge, negative inside."""
        aside = np.abs(east_m - self.east_m) - self.width_m / 2
        beyond = np.abs(north_m - self.north_m) - self.depth_m / 2
        outside = np.hypot(np.maximum(aside, 0), np.maximum(beyond, 0))
        away: Floats = outside + np.minimum(np.maximum(aside, beyond), 0)
        return away

    def shape(self, plane: Plane) -> Shape:
        half_m, deep_m = self.width_m / 2, self.depth_m / 2
        corners = [(-half_m, -deep_m), (half_m, -deep_m), (half_m, deep_m), (-half_m, deep_m)]
        places = [plane.lonlat(self.east_m + e, self.north_m + n) for e, n in corners]
        return Area(Polygon([(place.lon, place.lat) for place in places]))


@dataclass(frozen=True, slots=True)
class Shop:
    """A store with one geofence, under the same id."""

    store_id: str
    ground: Disc | Box
