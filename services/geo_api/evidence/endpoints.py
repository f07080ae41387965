"""HTTP of the codes that stores and members show, and of beacons."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from services.geo_api.evidence import service
from services.geo_api.evidence.codes import CodeForm, code_key
from services.geo_api.evidence.domain import (
    Beacon,
    BeaconTaken,
    BeaconUnknown,
    EditionChanged,
)
from services.geo_api.evidence.schemas import (
    BeaconIn,
    BeaconOut,
    CodeOut,
    RevocationIn,
    StoreCodeOut,
)
from services.geo_api.places.domain import StoreClosed, StoreUnknown
from services.geo_api.places.endpoints.common import MayRead, MayWrite, Now, StoreId
from shared.access import allow
from shared.auth import Principal, Role
from shared.db import Session
from shared.errors import Forbidden, Malformed
from shared.ids import Slug
from shared.problems import documented

router = APIRouter(prefix="/v1", tags=["evidence"])

BeaconId = Annotated[Slug, Path(description="The caller's own id of the beacon")]
Member = Annotated[Principal, allow(Role.MEMBER)]


@router.get(
    "/stores/{store_id}/check-in-code",
    responses=documented(Malformed, StoreUnknown, StoreClosed),
)
async def get_check_in_code(
    request: Request,
    store_id: StoreId,
    caller: MayRead,
    now: Now,
    session: Session,
    form: Annotated[
        CodeForm, Query(description="`screen` rotates every 30 s, `printed` stays")
    ] = CodeForm.SCREEN,
) -> StoreCodeOut:
    """The code by which people check in at a store, with its QR code. Staff: of their own store.

    A screen asks again at ``ask_again_at``.
    """
    if caller.role is Role.STAFF and caller.store_id != store_id:
        raise Forbidden(f"This token is bound to another store than {store_id}.")
    key = code_key(request.app.state.keys.storage)
    shown = await service.code_of(await session.connection(), key, store_id, form, now)
    return StoreCodeOut.at(store_id, form, shown)


@router.post(
    "/stores/{store_id}/check-in-code/rotate",
    responses=documented(Malformed, StoreUnknown, StoreClosed, EditionChanged),
)
async def rotate_check_in_code(
    request: Request,
    store_id: StoreId,
    body: RevocationIn,
    _: MayWrite,
    now: Now,
    session: Session,
) -> StoreCodeOut:
    """Revoke an edition of the printed code and get the next one.

    Sent again it changes nothing. All processes refuse the old edition within a second.
    """
    connection = await session.connection()
    await service.revoke_edition(connection, store_id, body.edition)
    key = code_key(request.app.state.keys.storage)
    shown = await service.code_of(connection, key, store_id, CodeForm.PRINTED, now)
    return StoreCodeOut.at(store_id, CodeForm.PRINTED, shown)


@router.get("/member-code")
async def get_member_code(request: Request, caller: Member, now: Now) -> CodeOut:
    """The code that a member shows to staff, to be checked in by them; it rotates every 30 s."""
    assert caller.subject_id is not None  # noqa: S101 - every member token has it
    key = code_key(request.app.state.keys.storage)
    return CodeOut.of(service.code_of_member(key, caller.subject_id, now))


@router.put(
    "/beacons/{beacon_id}",
    responses={
        201: {"model": BeaconOut, "description": "Created"},
        **documented(Malformed, StoreUnknown, StoreClosed, BeaconTaken),
    },
)
async def put_beacon(
    beacon_id: BeaconId,
    body: BeaconIn,
    _: MayWrite,
    now: Now,
    *,
    session: Session,
    response: Response,
) -> BeaconOut:
    """Create or change a beacon at a store: 201 the first time, 200 after."""
    beacon = Beacon(beacon_id, body.store_id, body.sighting)
    is_new = await service.put_beacon(await session.connection(), beacon, now)
    response.status_code = 201 if is_new else 200
    return BeaconOut.of(beacon)


@router.get("/beacons/{beacon_id}", responses=documented(Malformed, BeaconUnknown))
async def get_beacon(beacon_id: BeaconId, _: MayRead, session: Session) -> BeaconOut:
    """A beacon, and the store at which it stands."""
    return BeaconOut.of(await service.read_beacon(await session.connection(), beacon_id))


@router.delete(
    "/beacons/{beacon_id}", status_code=204, responses=documented(Malformed, BeaconUnknown)
)
async def delete_beacon(beacon_id: BeaconId, _: MayWrite, session: Session) -> None:
    """Remove a beacon: what it sends proves nothing any more, and may be used anew."""
    await service.delete_beacon(await session.connection(), beacon_id)
