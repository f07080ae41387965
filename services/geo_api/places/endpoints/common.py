"""What the endpoints of places share."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Path, Request

from services.geo_api.places.service.writing import Writer
from shared.access import allow
from shared.auth import Principal, Role
from shared.ids import Slug

MayWrite = Annotated[Principal, allow(Role.SERVER, Role.MARKETER)]
MayRead = Annotated[Principal, allow(Role.SERVER, Role.MARKETER, Role.STAFF)]
MaySearch = Annotated[Principal, allow(Role.SERVER, Role.MARKETER, Role.STAFF, Role.MEMBER)]


class Closed(StrEnum):
    """Which ones a list shows."""

    FALSE = "false"
    TRUE = "true"
    ANY = "any"

    @property
    def wanted(self) -> bool | None:
        return None if self is Closed.ANY else self is Closed.TRUE


def _writer(request: Request, caller: MayWrite) -> Writer:
    state = request.app.state
    return Writer(caller.scope, state.clock(), state.feed_tables, state.close_visits)


def _now(request: Request) -> datetime:
    now: datetime = request.app.state.clock()
    return now


Now = Annotated[datetime, Depends(_now)]
ByWriter = Annotated[Writer, Depends(_writer)]

StoreId = Annotated[Slug, Path(description="The caller's own id of the store")]
GeofenceId = Annotated[Slug, Path(description="The caller's own id of the geofence")]
