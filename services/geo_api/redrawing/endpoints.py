"""HTTP of the dry run of a new outline."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Any, Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from services.geo_api.places.domain import GeofenceUnknown
from services.geo_api.places.endpoints.common import GeofenceId, MayWrite, Now
from services.geo_api.places.service import geofences
from services.geo_api.redrawing.domain import LOOK_BACK, Comparison, Tally
from services.geo_api.redrawing.service import TooManyCheckIns, dry_run
from shared.datum import Datum
from shared.db import Session
from shared.errors import Malformed
from shared.geo import parse_geometry
from shared.problems import documented
from shared.wire import Integer, WireModel

router = APIRouter(prefix="/v1/geofences", tags=["geofences"])

_EXAMPLE: dict[str, Any] = {
    "geometry": {"type": "Circle", "coordinates": [-73.9893, 40.7419], "radius_m": 150},
    "days": 7,
}


class DryRunIn(WireModel):
    """A proposed outline, as that of a geofence, and how many days back to look."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    datum: Datum = Datum.WGS84
    geometry: dict[str, Any]
    days: Annotated[Integer, Field(ge=1, le=LOOK_BACK.days)] = LOOK_BACK.days


class TallyOut(BaseModel):
    """Inside under the outline in force, under the proposed one, only under that, only before."""

    before: int
    after: int
    gained: int
    lost: int

    @classmethod
    def of(cls, tally: Tally) -> Self:
        return cls(before=tally.before, after=tally.after, gained=tally.gained, lost=tally.lost)


class DryRunOut(BaseModel):
    """``version`` is the one compared with; ``seen`` the check-ins near to either outline."""

    geofence_id: str
    version: int
    since: datetime
    seen: int
    fixes: TallyOut
    subjects: TallyOut
    visits: TallyOut

    @classmethod
    def of(cls, geofence_id: str, version: int, since: datetime, found: Comparison) -> Self:
        return cls(
            geofence_id=geofence_id,
            version=version,
            since=since,
            seen=found.seen,
            fixes=TallyOut.of(found.fixes),
            subjects=TallyOut.of(found.subjects),
            visits=TallyOut.of(found.visits),
        )


@router.post(
    "/{geofence_id}/dry-run", responses=documented(Malformed, GeofenceUnknown, TooManyCheckIns)
)
async def try_outline(
    geofence_id: GeofenceId,
    body: DryRunIn,
    _: MayWrite,
    *,
    request: Request,
    session: Session,
    now: Now,
) -> DryRunOut:
    """What the check-ins of the last days would have been under another outline.

    Nothing is changed, and no position is told: only how many fixes, subjects and visits would
    be inside, gained and lost. Only this geofence counts, without its schedule.
    """
    proposed = await asyncio.to_thread(parse_geometry, body.geometry, datum=body.datum)
    connection = await session.connection()
    geofence = await geofences.read(connection, geofence_id)
    since = now - timedelta(days=body.days)
    state, outlines = request.app.state, (geofence.content.shape, proposed)
    found = await dry_run(connection, state.keys.storage, outlines, since, state.rule)
    return DryRunOut.of(geofence_id, geofence.version, since, found)
