"""When a geofence is in force: between two moments, and at some times of the week."""

from dataclasses import dataclass
from datetime import datetime

from services.geo_api.places.spans import Week, day_open_at


@dataclass(frozen=True, slots=True)
class Schedule:
    """In force from ``valid_from`` until ``valid_until``, and then only in the spans of ``weekly``.

    None leaves a side open; the spans are in the zone of the geofence's store.
    """

    valid_from: datetime | None = None
    valid_until: datetime | None = None
    weekly: Week | None = None


def in_force(schedule: Schedule | None, zone: str, at: datetime) -> bool:
    """Whether a geofence counts at ``at``, which is the fix's own time; without a schedule always.

    The first moment is in, the last is out; spans keep to the clock as opening hours do.
    """
    if schedule is None:
        return True
    if schedule.valid_from is not None and at < schedule.valid_from:
        return False
    if ends_by(schedule, at):
        return False
    weekly = schedule.weekly
    return weekly is None or day_open_at(lambda d: weekly[d.weekday()], zone, at) is not None


def ends_by(schedule: Schedule | None, at: datetime) -> bool:
    """Whether a schedule has ended for good at ``at``."""
    until = None if schedule is None else schedule.valid_until
    return until is not None and at >= until
