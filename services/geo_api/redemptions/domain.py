"""Redemptions: when a coupon can be used at a till, and when its use can be undone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.geo_api.offers.coupons import Coupon, CouponState
from services.geo_api.offers.domain import StoreSet
from shared.errors import Conflict, NotFound

UNDO_WINDOW = timedelta(hours=1)
"""For so long, to the second, a redemption can be undone at the counter."""

MAX_NAMED_STORES = 20


class Reason(StrEnum):
    """Why a till is refused."""

    NOT_FOUND = "not_found"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    ALREADY_REDEEMED = "already_redeemed"
    REVOKED = "revoked"
    WRONG_STORE = "wrong_store"
    STAFF_NOT_ALLOWED = "staff_not_allowed"
    CURRENCY_MISMATCH = "currency_mismatch"
    ALREADY_REVERSED = "already_reversed"
    UNDO_TOO_LATE = "undo_too_late"


class RedemptionRefused(Conflict):
    """The coupon cannot be used, or its use not undone.

    ``reason`` says why, ``message`` says it to the clerk. The same Idempotency-Key gets the same
    refusal again.
    """

    slug = "redemption-refused"
    title = "This cannot be redeemed or reversed"


class RedemptionUnknown(NotFound):
    """There is no redemption with this id."""

    slug = "redemption-unknown"
    title = "There is no such redemption"


@dataclass(frozen=True, slots=True)
class Refused:
    """A normal refusal, as a value. ``facts`` are what the clerk needs to know besides."""

    reason: Reason
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Till:
    """Where, by whom and when. ``bound_store`` is that of a staff token; None: any store."""

    store_id: str
    store_tags: frozenset[str] | None
    staff_id: str
    bound_store: str | None
    now: datetime

    @property
    def is_allowed(self) -> bool:
        return self.bound_store is None or self.bound_store == self.store_id


@dataclass(frozen=True, slots=True)
class Order:
    """What is being paid: minor units of an ISO 4217 currency; both None where nobody said."""

    amount_minor: int | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class Redemption:
    """One use of a coupon; ``reversed_at`` None while it stands."""

    subject_id: UUID
    redemption_id: UUID
    coupon_id: UUID
    use_number: int
    offer_id: str
    offer_version: int
    store_id: str
    staff_id: str
    order: Order
    benefit: Mapping[str, Any]
    redeemed_at: datetime
    reversed_at: datetime | None = None
    reversed_by: str | None = None
    reversal_reason: str | None = None

    @property
    def reversible_until(self) -> datetime:
        return self.redeemed_at + UNDO_WINDOW


def refuse_use(
    coupon: Coupon, stores: StoreSet, till: Till, order: Order, last_use: Redemption | None
) -> Refused | None:
    """Why ``coupon`` cannot be used at the till now; None if it can.

    ``last_use`` is the use in force of a redeemed coupon. A store that is closed or unknown
    (``store_tags`` None) is never the right one.
    """
    refused = _refuse_state(coupon, till, last_use)
    if refused is not None:
        return refused
    if till.store_tags is None or not stores.holds(till.store_id, till.store_tags):
        return Refused(Reason.WRONG_STORE, _places(stores))
    currency = coupon.benefit.get("currency")
    if currency and order.currency and currency != order.currency:
        return Refused(Reason.CURRENCY_MISMATCH, {"currency": currency})
    return None


def _refuse_state(coupon: Coupon, till: Till, last_use: Redemption | None) -> Refused | None:
    match coupon.state_at(till.now):
        case CouponState.REVOKED:
            return Refused(Reason.REVOKED)
        case CouponState.REDEEMED:
            return Refused(Reason.ALREADY_REDEEMED, _told_of(last_use, till))
        case CouponState.NOT_YET_VALID:
            return Refused(Reason.NOT_YET_VALID, {"valid_from": coupon.valid_from})
        case CouponState.EXPIRED:
            return Refused(Reason.EXPIRED, {"valid_until": coupon.valid_until})
        case CouponState.GRANTED:
            return None


def refuse_reversal(
    redemption: Redemption, bound_store: str | None, now: datetime
) -> Refused | None:
    """Why a redemption cannot be undone now; None if it can, up to the last instant of the hour."""
    if bound_store not in (None, redemption.store_id):
        return Refused(Reason.STAFF_NOT_ALLOWED, {"store_id": bound_store})
    if redemption.reversed_at is not None:
        return Refused(Reason.ALREADY_REVERSED, {"reversed_at": redemption.reversed_at})
    if now > redemption.reversible_until:
        return Refused(Reason.UNDO_TOO_LATE, {"reversible_until": redemption.reversible_until})
    return None


def _told_of(last_use: Redemption | None, till: Till) -> dict[str, Any]:
    """When and where; by whom only in the same store."""
    if last_use is None:
        return {}
    told = {"redeemed_at": last_use.redeemed_at, "redeemed_store_id": last_use.store_id}
    if last_use.store_id == till.store_id:
        return told | {"redeemed_by": last_use.staff_id}
    return told


def _places(stores: StoreSet) -> dict[str, Any]:
    named = {"ids": stores.ids, "tags": stores.tags}
    return {
        f"valid_store_{kind}": sorted(values)[:MAX_NAMED_STORES]
        for kind, values in named.items()
        if values
    }
