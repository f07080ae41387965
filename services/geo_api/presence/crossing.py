"""Passing through: two fixes outside of a geofence whose straight way leads through it.

It makes no visit. Without limits two fixes a day apart would cross every geofence between them,
so the pause and the speed that it takes are bounded.
Source: Tile38 has ``cross`` without any limit; those here are ours: 5 minutes, in which a walker
goes 400 m, and 70 m/s, which is as fast as a train on a line with stops.
"""

import math
from collections.abc import Container
from datetime import datetime, timedelta
from typing import NamedTuple

from services.geo_api.presence.fences import Fence, Fix
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


def crossed(
    index: FenceIndex, last: Fix, now: Fix, rule: ArrivalRule, seen: Container[str] = ()
) -> list[Fence]:
    """The geofences that the straight way between two fixes leads through, both clear of them.

    ``seen`` are stores that the second fix is known not to be clear of.
    """
    found = [fence for fence in index.crossed(last, now) if fence.store_id not in seen]
    clear = {
        store_id: _is_clear(index, store_id, last, rule) and _is_clear(index, store_id, now, rule)
        for store_id in {fence.store_id for fence in found}
    }
    return [fence for fence in found if clear[fence.store_id]]


def _is_clear(index: FenceIndex, store_id: str, spot: Fix, rule: ArrivalRule) -> bool:
    standings = (rule.stand(m, spot.accuracy_m)[0] for m in index.measure(store_id, spot))
    return all(standing is Standing.OUTSIDE for standing in standings)


def _metres(start: Fix, end: Fix) -> float:
    degrees = (end.lon - start.lon + _HALF_TURN_DEG) % _TURN_DEG - _HALF_TURN_DEG
    east = degrees * math.cos(math.radians((start.lat + end.lat) / 2))
    return math.hypot(east, end.lat - start.lat) * _METRES_PER_DEG
