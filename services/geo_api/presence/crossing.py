"""Passing through: two fixes outside of a geofence whose straight way leads through it.

It makes no visit. Without limits two fixes a day apart would cross every geofence between them,
so the pause and the speed that it takes are bounded.
Source: Tile38 has ``cross`` without any limit; those here are ours: 5 minutes, in which a walker
goes 400 m, and 70 m/s, which is as fast as a train on a line with stops.
"""

import math
from collections.abc import Container, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from services.geo_api.presence.fences import FenceMatch, Fix
from services.geo_api.presence.matching import FenceIndex
from services.geo_api.presence.rule import ArrivalRule, Standing

LONGEST_PAUSE = timedelta(minutes=5)
FASTEST_MPS = 70.0
WORST_ACCURACY_M = 200.0

_METRES_PER_DEG = 111_195.0
_HALF_TURN_DEG, _TURN_DEG = 180.0, 360.0


class Placed(NamedTuple):
    """A fix with its moment."""

    spot: Fix
    at: datetime


class Way(NamedTuple):
    """From one fix to the next; ``seen`` are stores that the second is known not to be clear of."""

    last: Fix
    now: Fix
    seen: Container[str] = ()


def may_cross(last: Placed, now: Placed, rule: ArrivalRule) -> bool:
    """Whether the way between two consecutive fixes is worth a look.

    It must lead from clear of a geofence to clear of it on another side, within the limits of
    pause, speed and accuracy. The distances are those on a sphere, good to 1 %.
    """
    pause = now.at - last.at
    if not timedelta(0) < pause <= LONGEST_PAUSE:
        return False
    before, after = last.spot.accuracy_m, now.spot.accuracy_m
    if before > WORST_ACCURACY_M or after > WORST_ACCURACY_M:
        return False
    metres = _metres(last.spot, now.spot)
    if metres <= rule.clear_at_m(before) + rule.clear_at_m(after):
        return False
    return metres - before - after <= FASTEST_MPS * pause.total_seconds()


def crossed(index: FenceIndex, ways: Sequence[Way], rule: ArrivalRule) -> list[list[FenceMatch]]:
    """For each way the geofences it leads through, both its ends being clear of their stores.

    By geofence_id, as measured from the way's end.
    """
    met = index.crossed([(way.last, way.now) for way in ways])
    asked = [
        (n, store_id)
        for n, (way, fences) in enumerate(zip(ways, met, strict=True))
        for store_id in dict.fromkeys(fence.store_id for fence in fences)
        if store_id not in way.seen
    ]
    now = index.measure_all([(store_id, ways[n].now) for n, store_id in asked])
    last = index.measure_all([(store_id, ways[n].last) for n, store_id in asked])
    found: list[list[FenceMatch]] = [[] for _ in ways]
    for (n, _), at_now, at_last in zip(asked, now, last, strict=True):
        way = ways[n]
        if _is_clear(at_now, way.now, rule) and _is_clear(at_last, way.last, rule):
            found[n] += [match for match in at_now if match.fence in met[n]]
    return [sorted(of_way, key=_by_geofence) for of_way in found]


def _is_clear(matches: Iterable[FenceMatch], spot: Fix, rule: ArrivalRule) -> bool:
    standings = (rule.stand(match, spot.accuracy_m)[0] for match in matches)
    return all(standing is Standing.OUTSIDE for standing in standings)


def _by_geofence(match: FenceMatch) -> str:
    return match.fence.geofence_id


def _metres(start: Fix, end: Fix) -> float:
    degrees = (end.lon - start.lon + _HALF_TURN_DEG) % _TURN_DEG - _HALF_TURN_DEG
    east = degrees * math.cos(math.radians((start.lat + end.lat) / 2))
    return math.hypot(east, end.lat - start.lat) * _METRES_PER_DEG
