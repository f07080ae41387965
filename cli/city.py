"""A small made-up city for the demo: four stores, two offers, and people who walk about.

Places are metres east and north of the city's centre, which lies in a harbour where no store
really is. Everything is decided by the seed.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CENTRE_LATITUDE, CENTRE_LONGITUDE = 40.6690, -74.0400
TIMEZONE = "America/New_York"
CURRENCY = "USD"
FENCE_RADIUS_M = 60
FIX_EVERY_S = 30
FIXES = 16
"""Sixteen fixes half a minute apart: eight minutes, so that the first is not too late to win."""

_METRES_PER_DEGREE = 111_320
_STEP_M = 42.0
"""A brisk walk between two fixes: 1.4 m/s."""
_EDGE_M = 280.0
_WANDER_M = 15.0


@dataclass(frozen=True, slots=True)
class Store:
    store_id: str
    name: str
    east_m: float
    north_m: float

    def body(self) -> dict[str, Any]:
        latitude, longitude = position(self.east_m, self.north_m)
        return {
            "name": self.name,
            "brand": "Solomo Demo",
            "latitude": latitude,
            "longitude": longitude,
            "timezone": TIMEZONE,
            "tags": ["demo"],
        }

    def geofence(self) -> dict[str, Any]:
        latitude, longitude = position(self.east_m, self.north_m)
        centre = {"type": "Circle", "coordinates": [longitude, latitude]}
        return {"store_id": self.store_id, "geometry": {**centre, "radius_m": FENCE_RADIUS_M}}


STORES = (
    Store("demo-harbour-cafe", "Harbour Café", -150, -120),
    Store("demo-market-hall", "Market Hall", 140, -90),
    Store("demo-old-station", "Old Station Books", 120, 150),
    Store("demo-garden-bakery", "Garden Bakery", -130, 140),
)

_TERMS = {
    "stores": {"ids": [store.store_id for store in STORES]},
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": "2099-01-01T00:00:00Z",
    "coupon": {"valid_for_s": 86_400},
}
OFFERS: dict[str, dict[str, Any]] = {
    "demo-come-in": {
        **_TERMS,
        "title": "5 off for coming in",
        "trigger": {"type": "enter"},
        "caps": {"per_person": 1},
        "benefit": {"type": "amount", "value_minor": 500, "currency": CURRENCY},
    },
    "demo-first-visit": {
        **_TERMS,
        "title": "A biscuit on your first visit",
        "trigger": {"type": "first_visit"},
        "caps": {"per_person": 2},
        "benefit": {"type": "item", "item": "biscuit"},
    },
}


@dataclass(frozen=True, slots=True)
class Step:
    """One fix of a walk, ``seconds_ago`` at its end; degrees are WGS 84."""

    seconds_ago: int
    latitude: float
    longitude: float
    accuracy_m: float


def position(east_m: float, north_m: float) -> tuple[float, float]:
    """(latitude, longitude) in WGS 84, flat enough for a city of a few hundred metres."""
    latitude = CENTRE_LATITUDE + north_m / _METRES_PER_DEGREE
    metres_per_degree = _METRES_PER_DEGREE * math.cos(math.radians(CENTRE_LATITUDE))
    return round(latitude, 7), round(CENTRE_LONGITUDE + east_m / metres_per_degree, 7)


def walk(chance: random.Random) -> list[Step]:
    """Eight minutes from the edge of the city by way of some of its stores."""
    steps = []
    way = _way(chance)
    for number in range(FIXES):
        east_m, north_m = next(way)
        latitude, longitude = position(east_m, north_m)
        ago = (FIXES - 1 - number) * FIX_EVERY_S
        steps.append(Step(ago, latitude, longitude, round(chance.uniform(5, 15), 1)))
    return steps


def _way(chance: random.Random) -> Iterator[tuple[float, float]]:
    """Places half a minute apart, without end: straight to a store, about in it, and on."""
    angle = chance.uniform(0, 2 * math.pi)
    east_m, north_m = _EDGE_M * math.cos(angle), _EDGE_M * math.sin(angle)
    store = None
    while True:
        store = chance.choice([other for other in STORES if other is not store])
        far_m = math.dist((east_m, north_m), (store.east_m, store.north_m))
        legs = math.ceil(far_m / _STEP_M)
        for leg in range(legs):
            share = leg / legs
            yield (
                east_m + (store.east_m - east_m) * share,
                north_m + (store.north_m - north_m) * share,
            )
        for _ in range(chance.randint(2, 5)):
            east_m = store.east_m + chance.uniform(-_WANDER_M, _WANDER_M)
            north_m = store.north_m + chance.uniform(-_WANDER_M, _WANDER_M)
            yield east_m, north_m
