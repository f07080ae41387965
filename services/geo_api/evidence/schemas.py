"""Wire shapes of codes and beacons."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.geo_api.evidence.codes import CodeForm
from services.geo_api.evidence.domain import Beacon, Sighting
from services.geo_api.evidence.service import Shown
from shared.ids import Slug
from shared.qr import PictureForm, draw_qr
from shared.wire import Integer, WireModel

BEACON_EXAMPLE: dict[str, Any] = {
    "store_id": "nanjing-road-1",
    "uuid": "f7826da6-4fa2-4e98-8024-bc5b71e0893e",
    "major": 100,
    "minor": 7,
}

Sixteen = Annotated[Integer, Field(ge=0, le=65_535)]
Edition = Annotated[Integer, Field(ge=1, lt=2**31 - 1)]


class CodeOut(BaseModel):
    """A code, and its QR code as an SVG.

    ``ask_again_at`` is null for a printed code, which counts until its ``edition`` is revoked.
    """

    code: str
    valid_from: datetime
    ask_again_at: datetime | None
    accepted_until: datetime | None
    edition: int | None
    svg: str

    @classmethod
    def of(cls, shown: Shown) -> Self:
        return cls(
            code=shown.text,
            valid_from=shown.shown_from,
            ask_again_at=shown.shown_until,
            accepted_until=shown.accepted_until,
            edition=shown.edition,
            svg=draw_qr(shown.text, PictureForm.SVG).decode(),
        )


class StoreCodeOut(CodeOut):
    store_id: str
    form: CodeForm

    @classmethod
    def at(cls, store_id: str, form: CodeForm, shown: Shown) -> Self:
        shared = CodeOut.of(shown).model_dump()
        return cls(store_id=store_id, form=form, **shared)


class RevocationIn(WireModel):
    """The edition of the printed code that shall count no longer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"edition": 1}]})

    edition: Edition


class SightingIn(WireModel):
    """What the beacon sends: uuid, major and minor, as iBeacon has them."""

    uuid: UUID
    major: Sixteen
    minor: Sixteen

    @property
    def sighting(self) -> Sighting:
        return Sighting(self.uuid, self.major, self.minor)


class BeaconIn(SightingIn):
    model_config = ConfigDict(json_schema_extra={"examples": [BEACON_EXAMPLE]})

    store_id: Slug


class BeaconOut(BaseModel):
    beacon_id: str
    store_id: str
    uuid: UUID
    major: int
    minor: int

    @classmethod
    def of(cls, beacon: Beacon) -> Self:
        sent = beacon.sighting._asdict()
        return cls(beacon_id=beacon.beacon_id, store_id=beacon.store_id, **sent)
