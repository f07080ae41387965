"""HTTP of the geofences that a phone should watch; by query, and by body, where no log sees it."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.geo_api.monitoring.circles import Nearest, Region
from services.geo_api.monitoring.service import Monitor, etag
from services.geo_api.places.endpoints.common import MaySearch, Now
from shared.datum import Datum, to_wgs84
from shared.errors import FieldFault, Malformed, Unavailable
from shared.lonlat import LonLat, check_position
from shared.problems import documented
from shared.wire import Integer, Number, WireModel

router = APIRouter(prefix="/v1/geofences/monitor", tags=["geofences"])

ON_IOS, ON_ANDROID = 20, 100
REFRESH_HEADER = "Solomo-Refresh-After-M"

_TAGS = re.compile(r'(?:W/)?("[^"]*")')
_EXAMPLE: dict[str, Any] = {"latitude": 40.7419, "longitude": -73.9893, "limit": ON_IOS}


class MonitorIn(WireModel):
    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    latitude: Number
    longitude: Number
    datum: Datum = Datum.WGS84
    limit: Annotated[Integer, Field(ge=1, le=ON_ANDROID)] = ON_IOS


class RegionOut(BaseModel):
    """A circle around a geofence, in WGS 84; never under 100 m, which phones hardly notice."""

    geofence_id: str
    store_id: str
    version: int
    latitude: float
    longitude: float
    radius_m: float

    @classmethod
    def of(cls, region: Region) -> "RegionOut":
        return cls(
            geofence_id=region.geofence_id,
            store_id=region.store_id,
            version=region.version,
            latitude=region.center.lat,
            longitude=region.center.lon,
            radius_m=region.radius_m,
        )


class MonitorOut(BaseModel):
    """``refresh_after_m``: ask again after moving so far, 100 m to 50 km.

    No geofence that is not listed begins within twice that distance, unless it is the least.
    """

    items: list[RegionOut]
    refresh_after_m: float


IfNoneMatch = Annotated[str | None, Header(description="The ETag of the list that you have")]
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": MonitorOut},
    304: {"description": f"The list is as you have it; only {REFRESH_HEADER} may be new"},
    **documented(Malformed, Unavailable),
}


@router.get("", response_model=MonitorOut, responses=_RESPONSES)
async def monitor_by_query(
    request: Request,
    _: MaySearch,
    now: Now,
    latitude: Annotated[float, Query(examples=[40.7419])],
    longitude: Annotated[float, Query(examples=[-73.9893])],
    datum: Datum = Datum.WGS84,
    limit: Annotated[int, Query(ge=1, le=ON_ANDROID, description="20 on iOS")] = ON_IOS,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The nearest geofences as circles for a phone to watch: 20 on iOS, 100 on Android.

    The ETag changes only if the list does; with If-None-Match the answer then is 304.
    """
    try:
        here = check_position(latitude, longitude)
    except Malformed as error:
        faults = (FieldFault(f"?{f.pointer[1:]}", f.detail) for f in error.faults)
        raise Malformed(*faults) from None
    monitor: Monitor = request.app.state.monitor
    found = await monitor.nearest(to_wgs84(here.lon, here.lat, datum), limit, now)
    return _answer(found, if_none_match)


@router.post("", response_model=MonitorOut, responses=_RESPONSES)
async def monitor_by_body(
    request: Request,
    body: MonitorIn,
    _: MaySearch,
    now: Now,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The same with the position in the body, where no log and no proxy sees it."""
    here: LonLat = check_position(body.latitude, body.longitude)
    monitor: Monitor = request.app.state.monitor
    found = await monitor.nearest(to_wgs84(here.lon, here.lat, body.datum), body.limit, now)
    return _answer(found, if_none_match)


def _answer(found: Nearest, if_none_match: str | None) -> Response:
    tag = etag(found)
    headers = {"ETag": tag, REFRESH_HEADER: f"{found.refresh_after_m:.0f}"}
    if tag.removeprefix("W/") in _TAGS.findall(if_none_match or ""):
        return Response(status_code=304, headers=headers)
    body = MonitorOut(
        items=[RegionOut.of(region) for region in found.regions],
        refresh_after_m=found.refresh_after_m,
    )
    return Response(body.model_dump_json(), media_type="application/json", headers=headers)
