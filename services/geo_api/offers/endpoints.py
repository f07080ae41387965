"""HTTP of offers and coupons."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Request, Response

from services.geo_api.offers.coupons import CouponNotUsable, CouponUnknown
from services.geo_api.offers.lifecycle import (
    CapBelowUsed,
    OfferEnded,
    OfferNotActive,
    OfferState,
    OfferUnknown,
    Verb,
)
from services.geo_api.offers.repository import offers as repository
from services.geo_api.offers.schemas import CouponOut, OfferIn, OfferOut
from services.geo_api.offers.service import coupons, keeping
from services.geo_api.places.domain import VersionChanged
from services.geo_api.places.preconditions import IfVersion, etag
from services.geo_api.subjects.naming import Whose
from shared.access import allow
from shared.auth import Principal, Role
from shared.db import Session
from shared.errors import Forbidden, Malformed
from shared.ids import Slug
from shared.pagination import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Page,
    encode_cursor,
    last_id,
    moment_and_uuid,
)
from shared.problems import documented
from shared.qr import PictureForm, draw_qr

router = APIRouter(prefix="/v1", tags=["offers"])

OfferId = Annotated[Slug, Path(description="the caller's own id of the offer")]
Writer = Annotated[Principal, allow(Role.SERVER, Role.MARKETER)]
Reader = Annotated[Principal, allow(Role.SERVER, Role.MARKETER, Role.STAFF)]


@router.put(
    "/offers/{offer_id}",
    responses={
        201: {"model": OfferOut},
        **documented(Malformed, OfferEnded, CapBelowUsed, VersionChanged),
    },
)
async def put_offer(
    *,
    request: Request,
    response: Response,
    offer_id: OfferId,
    body: OfferIn,
    condition: IfVersion,
    session: Session,
    caller: Writer,
) -> OfferOut:
    """Make a draft, or change an offer: other content is a new version, equal content nothing."""
    now = request.app.state.clock()
    offer, is_new = await keeping.put(
        await session.connection(),
        offer_id,
        body.content(),
        keeping.Author(caller.name, now),
        condition,
    )
    response.status_code = 201 if is_new else 200
    response.headers["ETag"] = etag(offer.version)
    return OfferOut.of(offer, now)


@router.get("/offers/{offer_id}", responses=documented(OfferUnknown))
async def get_offer(
    request: Request, response: Response, offer_id: OfferId, session: Session, _caller: Reader
) -> OfferOut:
    """An offer in its newest version; the ETag is that version."""
    offer = await keeping.get(await session.connection(), offer_id)
    response.headers["ETag"] = etag(offer.version)
    return OfferOut.of(offer, request.app.state.clock())


@router.get("/offers", responses=documented(Malformed))
async def list_offers(
    *,
    request: Request,
    session: Session,
    _caller: Reader,
    state: Annotated[OfferState | None, Query(description="as of now")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[OfferOut]:
    """Offers in order of their ids."""
    now = request.app.state.clock()
    connection = await session.connection()
    offers = await repository.list_offers(connection, state, now, last_id(cursor), limit + 1)
    shown = offers[:limit]
    next_cursor = encode_cursor(shown[-1].offer_id) if len(offers) > limit else None
    return Page(items=[OfferOut.of(offer, now) for offer in shown], next_cursor=next_cursor)


@router.post("/offers/{offer_id}/activate", responses=documented(OfferUnknown, OfferEnded))
async def activate_offer(
    request: Request, offer_id: OfferId, session: Session, _caller: Writer
) -> OfferOut:
    """Let an offer grant from its starts_at on, or again after a pause."""
    return await _move(request, offer_id, session, Verb.ACTIVATE)


@router.post(
    "/offers/{offer_id}/pause", responses=documented(OfferUnknown, OfferEnded, OfferNotActive)
)
async def pause_offer(
    request: Request, offer_id: OfferId, session: Session, _caller: Writer
) -> OfferOut:
    """Let an offer grant nothing for now; coupons granted stay good."""
    return await _move(request, offer_id, session, Verb.PAUSE)


@router.post("/offers/{offer_id}/end", responses=documented(OfferUnknown))
async def end_offer(
    request: Request, offer_id: OfferId, session: Session, _caller: Writer
) -> OfferOut:
    """End an offer for good; coupons granted stay good."""
    return await _move(request, offer_id, session, Verb.END)


@router.get("/coupons", responses=documented(Malformed, Forbidden))
async def list_coupons(
    *,
    request: Request,
    session: Session,
    _caller: Annotated[Principal, allow(Role.MEMBER, Role.SERVER)],
    holder: Whose,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[CouponOut]:
    """The coupons of a person, latest first: a member's own, or those of whom a server names."""
    state = request.app.state
    after = moment_and_uuid(cursor)
    found = await coupons.held_by(await session.connection(), holder, after, limit + 1)
    now = state.clock()
    shown = [coupons.show(coupon, state.keys.storage, now) for coupon in found[:limit]]
    last = found[limit - 1] if len(found) > limit else None
    return Page(
        items=[CouponOut.of(coupon) for coupon in shown],
        next_cursor=last and encode_cursor(last.granted_at, last.coupon_id),
    )


@router.get(
    "/coupons/{coupon_id}/qr",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {}, "image/svg+xml": {}}},
        **documented(Malformed, CouponUnknown, CouponNotUsable),
    },
)
async def get_coupon_qr(
    request: Request,
    coupon_id: UUID,
    session: Session,
    caller: Annotated[Principal, allow(Role.MEMBER)],
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """The code of one of the member's own coupons as a QR code for the till: PNG, or SVG by Accept.

    It reads as the code itself, and no cache keeps it.
    """
    assert caller.subject_id is not None  # noqa: S101 - every member token has it
    state, connection = request.app.state, await session.connection()
    coupon = await coupons.own(connection, caller.subject_id, coupon_id, state.clock())
    code = coupons.show(coupon, state.keys.storage, state.clock()).code
    form = PictureForm.wanted(accept)
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    return Response(draw_qr(code, form), media_type=form.value, headers=headers)


async def _move(request: Request, offer_id: str, session: Session, verb: Verb) -> OfferOut:
    now = request.app.state.clock()
    offer = await keeping.move(await session.connection(), offer_id, verb, now)
    return OfferOut.of(offer, now)
