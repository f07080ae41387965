"""HTTP of the versions of a geofence."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel

from services.geo_api.places import versions
from services.geo_api.places.domain import GeofenceUnknown
from services.geo_api.places.endpoints.common import GeofenceId, MayRead
from services.geo_api.places.hours_schemas import ScheduleBody
from shared.datum import Datum
from shared.db import Session
from shared.errors import FieldFault, Malformed
from shared.geo import to_geojson
from shared.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, encode_cursor
from shared.problems import documented

router = APIRouter(prefix="/v1/geofences/{geofence_id}/versions", tags=["geofences"])


class VersionOut(BaseModel):
    """``created_by`` is the role and key that said it; ``closes``: the geofence ended with it.

    ``shape`` is Circle, Polygon or MultiPolygon.
    """

    version: int
    shape: str
    created_at: datetime
    created_by: str
    closes: bool


class WholeVersionOut(VersionOut):
    """``geometry`` as received in ``datum``; ``wgs84`` is what counted inside."""

    geofence_id: str
    store_id: str
    datum: Datum
    geometry: dict[str, Any]
    wgs84: dict[str, Any]
    schedule: ScheduleBody | None
    dwell_s: list[int]


@router.get("", responses=documented(Malformed, GeofenceUnknown))
async def list_versions(
    geofence_id: GeofenceId,
    _: MayRead,
    session: Session,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[VersionOut]:
    """Every version that a geofence ever had, newest first: when it was drawn, and by whom."""
    found = await versions.stamps(
        await session.connection(), geofence_id, before=_before(cursor), most=limit + 1
    )
    shown = found[:limit]
    return Page(
        items=[_shown(stamp) for stamp in shown],
        next_cursor=encode_cursor(shown[-1].version) if len(found) > limit else None,
    )


@router.get("/{version}", responses=documented(Malformed, versions.GeofenceVersionUnknown))
async def get_version(
    geofence_id: GeofenceId,
    version: Annotated[int, Path(ge=1, lt=2**31)],
    _: MayRead,
    session: Session,
) -> WholeVersionOut:
    """A geofence as one of its versions had it; check-ins name the version that they met."""
    stamp, content = await versions.read(await session.connection(), geofence_id, version)
    return WholeVersionOut(
        **_shown(stamp).model_dump(),
        geofence_id=geofence_id,
        store_id=content.store_id,
        datum=content.datum,
        geometry=dict(content.received),
        wgs84=to_geojson(content.shape),
        schedule=ScheduleBody.of(content.schedule),
        dwell_s=list(content.dwell_s),
    )


def _before(cursor: str | None) -> int:
    """The version that the page before ended with. Raises Malformed."""
    if cursor is None:
        return versions.FIRST_PAGE
    (last,) = decode_cursor(cursor, parts=1)
    if type(last) is not int or not 0 < last <= versions.FIRST_PAGE:
        raise Malformed(FieldFault("?cursor", "is not a cursor of this list"))
    return last


def _shown(stamp: versions.Stamp) -> VersionOut:
    return VersionOut(
        version=stamp.version,
        shape=stamp.shape,
        created_at=stamp.created_at,
        created_by=stamp.created_by,
        closes=stamp.closes,
    )
