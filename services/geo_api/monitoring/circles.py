"""Geofences as circles that a phone can watch by itself, and the nearest of very many.

Phones know circles only, at most 20 on iOS and 100 on Android for an app, and hardly notice one
of under 100 m. An outline becomes the smallest circle around it.
Sources: Apple, "Monitoring the user's proximity to geographic regions"; Google, "Create and monitor
geofences".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from services.geo_api.presence.matching import Fence
from shared.boundary import metres_per_degree, wrapped
from shared.geo import Circle, LonLat, Shape, distances_m

LEAST_RADIUS_M = 100.0
LEAST_MOVE_M = 100.0
FARTHEST_M = 50_000.0
"""So far one may go at most before asking again: somebody may have drawn a new geofence."""

_EARTH_M = 6_371_008.8
_SPHERE_OFF_BY = 0.006
"""A sphere differs from the ellipsoid by up to 0.56 % of a distance."""

Floats = NDArray[np.float64]


class Region(NamedTuple):
    """What a phone is asked to watch: metres around a point on WGS 84."""

    geofence_id: str
    store_id: str
    version: int
    center: LonLat
    radius_m: float


@dataclass(frozen=True, slots=True)
class Nearest:
    """``regions`` in the order of their ids; ``refresh_after_m`` is how far one may move meanwhile.

    No other geofence begins within twice that distance, unless it is the least, 100 m.
    """

    regions: tuple[Region, ...]
    refresh_after_m: float


def circle_around(shape: Shape) -> tuple[LonLat, float]:
    """The centre and radius, in geodesic metres, of about the smallest circle around a shape.

    Every vertex lies within, to the metre; nothing is under 100 m.
    """
    if isinstance(shape, Circle):
        return shape.center, max(shape.radius_m, LEAST_RADIUS_M)
    vertices = shapely.get_coordinates(shape.geometry)
    lon, lat = vertices[0]
    parallel, meridian = metres_per_degree(vertices[:1, 1])
    east_deg = wrapped(vertices[:, 0] - lon)  # across ±180 too
    flat = np.column_stack((east_deg * parallel, (vertices[:, 1] - lat) * meridian))
    around = shapely.minimum_bounding_circle(shapely.multipoints(flat))
    ((east_m, north_m),) = shapely.get_coordinates(shapely.centroid(around))
    center = LonLat(
        math.remainder(float(lon + east_m / parallel[0]), 360.0),
        float(lat + north_m / meridian[0]),
    )
    count = len(vertices)
    reach = distances_m(
        np.full(count, center.lon), np.full(count, center.lat), vertices[:, 0], vertices[:, 1]
    )
    return center, max(math.ceil(float(reach.max())), LEAST_RADIUS_M)


@dataclass(frozen=True, slots=True)
class Regions:
    """All geofences of one version of the index, ready to be asked for the nearest.

    ``units`` are the centres as unit vectors, ``until`` when each schedule ends, in Unix seconds.
    """

    regions: tuple[Region, ...]
    units: Floats
    radius_m: Floats
    until: Floats

    @classmethod
    def build(cls, fences: Sequence[Fence], before: "Regions | None" = None) -> "Regions":
        """What ``before`` has worked out of the same version of a geofence is taken from it."""
        known: Mapping[tuple[str, int], Region] = {}
        if before is not None:
            known = {(region.geofence_id, region.version): region for region in before.regions}
        regions = tuple(
            known.get((fence.geofence_id, fence.version)) or _region(fence) for fence in fences
        )
        centers = np.array([(r.center.lon, r.center.lat) for r in regions]).reshape(-1, 2)
        radii = np.array([region.radius_m for region in regions], dtype=np.float64)
        until = np.array([_until(fence) for fence in fences], dtype=np.float64)
        return cls(regions, _units(centers[:, 0], centers[:, 1]), radii, until)

    def nearest(self, here: LonLat, most: int, at: float) -> Nearest:
        """The ``most`` whose edges are nearest and whose schedules go on at Unix time ``at``.

        On a sphere first, for all; then on the ellipsoid, for those that may be among them.
        """
        rough_m = self._rough_m(here)
        rough_m[self.until <= at] = np.inf
        wanted = min(most + 1, len(rough_m))
        if wanted == 0:
            return Nearest((), FARTHEST_M)
        bound_m = float(np.partition(rough_m, wanted - 1)[wanted - 1])
        if math.isfinite(bound_m):
            bound_m += 2 * _SPHERE_OFF_BY * (abs(bound_m) + float(self.radius_m.max())) + 1
        chosen = np.flatnonzero(np.isfinite(rough_m) & (rough_m <= bound_m))
        exact = sorted(
            (edge_m, self.regions[index])
            for index, edge_m in zip(chosen, self._edges_m(here, chosen), strict=True)
        )
        kept, beyond = exact[:most], exact[most:]
        ahead_m = beyond[0][0] / 2 if beyond else FARTHEST_M
        refresh_after_m = min(max(ahead_m, LEAST_MOVE_M), FARTHEST_M)
        in_order = sorted((region for _, region in kept), key=lambda region: region.geofence_id)
        return Nearest(tuple(in_order), round(refresh_after_m))

    def _rough_m(self, here: LonLat) -> Floats:
        """Metres from each edge, negative inside, on a sphere."""
        unit = _units(np.array([here.lon]), np.array([here.lat]))[0]
        half_chord = np.linalg.norm(self.units - unit, axis=1) / 2
        rough_m: Floats = 2 * _EARTH_M * np.arcsin(np.minimum(half_chord, 1)) - self.radius_m
        return rough_m

    def _edges_m(self, here: LonLat, chosen: NDArray[np.intp]) -> list[float]:
        """The same on the ellipsoid."""
        centers = [self.regions[index].center for index in chosen]
        count = len(centers)
        distances = distances_m(
            np.full(count, here.lon),
            np.full(count, here.lat),
            [center.lon for center in centers],
            [center.lat for center in centers],
        )
        return [float(edge_m) for edge_m in distances - self.radius_m[chosen]]


def _region(fence: Fence) -> Region:
    center, radius_m = circle_around(fence.shape)
    return Region(fence.geofence_id, fence.store_id, fence.version, center, radius_m)


def _until(fence: Fence) -> float:
    until = None if fence.schedule is None else fence.schedule.valid_until
    return math.inf if until is None else until.timestamp()


def _units(lons: Floats, lats: Floats) -> Floats:
    lam, phi = np.radians(lons), np.radians(lats)
    return np.column_stack((np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)))
