"""Use cases of redemptions: look, redeem, reverse. Each runs in the caller's transaction."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.feeding import tell
from services.geo_api.offers.coupons import Coupon, CouponState
from services.geo_api.offers.service import coupons
from services.geo_api.redemptions import repository
from services.geo_api.redemptions.domain import (
    Order,
    Reason,
    Redemption,
    RedemptionUnknown,
    Refused,
    Till,
    refuse_reversal,
    refuse_use,
)
from shared.contracts.events import EventType
from shared.errors import Unavailable
from shared.feed.outbox import PreparedEvent, enqueue
from shared.feed.tables import FeedTables
from shared.ids import uuid7
from shared.sealing import StorageKey

_ATTEMPTS = 3
"""How often a coupon is looked at again when others use it and give it back in between."""

NOBODY = UUID(int=0)
"""The subject of a redemption whose person was erased."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What redeeming needs besides the database.

    ``count_guess`` is called for every unknown code; once there were too many,
    ``check_guesses`` raises TooManyRequests for any code, so that a right guess does not show.
    """

    storage: StorageKey
    feed_tables: FeedTables
    check_guesses: Callable[[], None]
    count_guess: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Redeemed:
    redemption: Redemption
    title: str


async def preview(
    connection: AsyncConnection, tools: Tools, till: Till, code: str, order: Order
) -> Coupon | Refused:
    """The coupon if it can be used here and now, else why not. Changes nothing.

    Raises TooManyRequests where too many unknown codes were tried.
    """
    if not till.is_allowed:
        return Refused(Reason.STAFF_NOT_ALLOWED, {"store_id": till.bound_store})
    tools.check_guesses()
    coupon = await coupons.find_by_code(connection, tools.storage, code)
    if coupon is None:
        tools.count_guess()
        return Refused(Reason.NOT_FOUND)
    stores = await coupons.stores_of(connection, coupon)
    last_use = None
    if coupon.stored is CouponState.REDEEMED:
        place = coupon.subject_id, coupon.coupon_id, coupon.uses
        last_use = await repository.use_of(connection, *place)
    return refuse_use(coupon, stores, till, order, last_use) or coupon


async def redeem(
    connection: AsyncConnection, tools: Tools, till: Till, code: str, order: Order
) -> Redeemed | Refused:
    """Use the coupon once, or say why not; the fact goes to the outbox with it.

    The guarded update of the coupon is the lock: of many at once one changes it, and the others
    look again. Raises TooManyRequests as ``preview`` does.
    """
    for _ in range(_ATTEMPTS):
        coupon = await preview(connection, tools, till, code, order)
        if isinstance(coupon, Refused):
            return coupon
        use_number = await coupons.use(connection, coupon, till.now)
        if use_number is not None:
            redemption = _redemption(coupon, till, order, use_number)
            await repository.add(connection, redemption)
            await enqueue(connection, tools.feed_tables, [_redeemed_event(redemption)])
            return Redeemed(redemption, coupon.title)
    raise Unavailable("Others are using this coupon just now; send the same request again.")


async def reverse(
    connection: AsyncConnection, tools: Tools, till: Till, redemption_id: UUID, reason: str
) -> Redemption | Refused:
    """Undo a redemption. The coupon can be used again, while it is still in date.

    Raises RedemptionUnknown.
    """
    redemption = await repository.find(connection, redemption_id)
    if redemption is None:
        raise RedemptionUnknown(f"There is no redemption {redemption_id}.")
    refused = refuse_reversal(redemption, till.bound_store, till.now)
    if refused is not None:
        return refused
    place = redemption.subject_id, redemption.coupon_id, redemption.use_number
    await coupons.give_back(connection, *place)
    if not await repository.reverse(connection, redemption, till.now, till.staff_id, reason):
        present = await repository.find(connection, redemption_id) or redemption
        return Refused(Reason.ALREADY_REVERSED, {"reversed_at": present.reversed_at})
    undone = replace(
        redemption, reversed_at=till.now, reversed_by=till.staff_id, reversal_reason=reason
    )
    if undone.subject_id != NOBODY:
        await enqueue(connection, tools.feed_tables, [_reversed_event(undone, till)])
    return undone


def _redemption(coupon: Coupon, till: Till, order: Order, use_number: int) -> Redemption:
    return Redemption(
        subject_id=coupon.subject_id,
        redemption_id=uuid7(),
        coupon_id=coupon.coupon_id,
        use_number=use_number,
        offer_id=coupon.offer_id,
        offer_version=coupon.offer_version,
        store_id=till.store_id,
        staff_id=till.staff_id,
        order=order,
        benefit=coupon.benefit,
        redeemed_at=till.now,
    )


def _redeemed_event(redemption: Redemption) -> PreparedEvent:
    return tell(
        EventType.COUPON_REDEEMED,
        redemption.subject_id,
        str(redemption.redemption_id),
        time=redemption.redeemed_at,
        received_at=redemption.redeemed_at,
        store_id=redemption.store_id,
        data={**_common(redemption), "benefit": dict(redemption.benefit)},
    )


def _reversed_event(redemption: Redemption, till: Till) -> PreparedEvent:
    return tell(
        EventType.REDEMPTION_REVERSED,
        redemption.subject_id,
        str(redemption.redemption_id),
        time=till.now,
        received_at=till.now,
        store_id=redemption.store_id,
        data={
            **_common(redemption),
            "staff_id": till.staff_id,
            "reason": redemption.reversal_reason,
        },
    )


def _common(redemption: Redemption) -> dict[str, object]:
    return {
        "redemption_id": redemption.redemption_id,
        "coupon_id": redemption.coupon_id,
        "offer_id": redemption.offer_id,
        "staff_id": redemption.staff_id,
        "order_amount_minor": redemption.order.amount_minor,
        "currency": redemption.order.currency,
    }
