"""What explains a check-in beside its offers: every geofence considered, every rule, every number."""

from collections.abc import Mapping
from typing import Any

from services.geo_api.presence.rule import ArrivalRule
from services.geo_api.presence.verdict import Considered, Verdict


def presence(verdict: Verdict, accuracy_m: float | None, rule: ArrivalRule) -> Mapping[str, Any]:
    """The standings of ``verdict`` by the rule of arrival; ``docs/presence.md`` tells the words.

    Further from the edge than ``clear_beyond_m`` a fix of this accuracy is outside; it is null
    without coordinates.
    """
    return {
        "rule": rule.name,
        "clear_beyond_m": None if accuracy_m is None else rule.clear_at_m(accuracy_m),
        "considered": [_considered(one, rule) for one in verdict.considered],
    }


def _considered(one: Considered, rule: ArrivalRule) -> Mapping[str, Any]:
    match = one.match
    return {
        "store_id": match.fence.store_id,
        "geofence_id": match.fence.geofence_id,
        "geofence_version": match.fence.version,
        "distance_m": match.distance_m,
        "overlap": round(match.overlap, 4),
        "least_overlap": rule.least_overlap(match.fence),
        "share": round(match.share, 4),
        "confidence": match.confidence,
        "standing": one.standing,
        "reason": one.reason,
    }
