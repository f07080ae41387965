"""What an import leaves as it is: what its file has no place for, and how a place was once told.

An address list has no opening hours, and must not delete them. And a place that stands in the
file, in WGS 84, where it already is to the last digit, was not moved, whatever datum it first
came in.
"""

from dataclasses import replace

import shapely

from services.geo_api.places.domain import (
    Geofence,
    GeofenceContent,
    PlaceRow,
    Store,
    StoreContent,
)
from shared.geo import Area, Shape


def keep_unsaid(row: PlaceRow, store: Store | None, geofence: Geofence | None) -> PlaceRow:
    """The row with what is kept of the present store and geofence."""
    kept = row
    if store is not None:
        kept = replace(kept, store=_kept_store(row, store.content))
    if geofence is not None and row.geofence is not None:
        kept = replace(kept, geofence=_kept_geofence(row, row.geofence, geofence.content))
    return kept


def _kept_store(row: PlaceRow, present: StoreContent) -> StoreContent:
    said = row.store
    if "hours" not in row.named:
        said = replace(said, hours=present.hours)
    if said.position == present.position:
        said = replace(said, received=present.received)
    return said


def _kept_geofence(
    row: PlaceRow, said: GeofenceContent, present: GeofenceContent
) -> GeofenceContent:
    if "schedule" not in row.named:
        said = replace(said, schedule=present.schedule)
    if "dwell_s" not in row.named:
        said = replace(said, dwell_s=present.dwell_s)
    if _same(said.shape, present.shape):
        said = replace(said, received=present.received, datum=present.datum)
    return said


def _same(one: Shape, other: Shape) -> bool:
    """By the polygons of an outline: a single one is also the only one of several."""
    if isinstance(one, Area) and isinstance(other, Area):
        ours, theirs = shapely.get_parts(one.geometry), shapely.get_parts(other.geometry)
        return len(ours) == len(theirs) and bool(shapely.equals_exact(ours, theirs).all())
    return one == other
