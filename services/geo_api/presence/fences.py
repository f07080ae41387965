"""Fences in memory, fixes, and what the two have to do with each other."""

from dataclasses import dataclass
from typing import NamedTuple

from services.geo_api.places.schedules import Schedule
from shared.geo import Shape

UNCERTAIN_BAND_M = 20.0
"""A fix is outside only when clear of the edge by its accuracy and this much.

Source: Customer.io's mobile SDKs, 2026: departure at more than accuracy + 20 m."""

SEARCH_ACCURACY_CAP_M = 2_000.0
"""A fence is looked for no further than this and the band, however vague the fix."""

SURE_SHARE, LIKELY_OVERLAP, LIKELY_SHARE = 0.85, 0.5, 0.25
"""How much of the accuracy circle a fence must hold for confidence 3; how much of the smaller area
must be common, and of the circle in the fence, for confidence 2.

Sources: 85 % of the circle is the surest level of Google's rule of geofences, and what Radar calls
completely inside; 50 % is its mostly. Of shops smaller than the circle only a part can be asked
for: a quarter is what a shop with a radius of 25 m holds of a circle of 50 m. The smallest real
outlines of Customer.io's have an inradius of 24 m, and its SDKs let fixes arrive up to 50 m. The
rest, say a fix of 190 m in such a shop (2 %), may well arrive, and has confidence 1."""


@dataclass(frozen=True, slots=True)
class Fence:
    """An active geofence of a store in one of its versions.

    ``schedule`` says when it is in force, ``dwell_s`` after how many seconds a stay is a dwell.
    """

    geofence_id: str
    store_id: str
    version: int
    shape: Shape
    schedule: Schedule | None = None
    dwell_s: tuple[int, ...] = ()


class Fix(NamedTuple):
    """A location in WGS 84 degrees with the radius of its error circle in metres.

    A tuple, since hundreds of thousands are made in a second.
    """

    lon: float
    lat: float
    accuracy_m: float


class FenceMatch(NamedTuple):
    """What a fix has to do with a fence near to it; a tuple for the same reason as ``Fix``.

    ``distance_m`` is geodesic to the fence's edge, negative inside, rounded to 1 mm in such a
    way that ``inside`` is always the same as ``distance_m <= 0``. ``overlap`` is the area that
    the accuracy circle and the fence have in common, divided by the smaller of the two, and
    ``share`` the same divided by the accuracy circle: for an exact fix 1 inside and 0 outside.
    ``confidence`` is 3 from a share of 0.85; 2 from an overlap of 0.5 and a share of 0.25; else 1.
    """

    fence: Fence
    inside: bool
    distance_m: float
    overlap: float
    share: float
    confidence: int
