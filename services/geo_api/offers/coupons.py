"""Coupons after their grant: their states, read off what is stored and the clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from shared.errors import Conflict, NotFound


class CouponState(StrEnum):
    """``granted``, ``redeemed`` and ``revoked`` are stored; the other two are read off the clock."""

    NOT_YET_VALID = "not_yet_valid"
    GRANTED = "granted"
    REDEEMED = "redeemed"
    EXPIRED = "expired"
    REVOKED = "revoked"


class CouponUnknown(NotFound):
    slug = "coupon-unknown"
    title = "This person has no such coupon"


class CouponNotUsable(Conflict):
    """It was used, revoked, or its time is over."""

    slug = "coupon-not-usable"
    title = "The coupon cannot be used"


@dataclass(frozen=True, slots=True)
class Coupon:
    """One unit of an offer that a subject holds. ``uses`` counts redemptions, reversed ones too."""

    subject_id: UUID
    coupon_id: UUID
    offer_id: str
    offer_version: int
    store_id: str
    title: str
    benefit: Mapping[str, Any]
    code: bytes
    stored: CouponState
    granted_at: datetime
    valid_from: datetime
    valid_until: datetime
    uses: int

    def state_at(self, now: datetime) -> CouponState:
        """In date from ``valid_from`` until just before ``valid_until``."""
        if self.stored is not CouponState.GRANTED:
            return self.stored
        if now < self.valid_from:
            return CouponState.NOT_YET_VALID
        return CouponState.GRANTED if now < self.valid_until else CouponState.EXPIRED

    def require_usable(self, now: datetime) -> None:
        """Now or later. Raises CouponNotUsable."""
        state = self.state_at(now)
        if state not in {CouponState.GRANTED, CouponState.NOT_YET_VALID}:
            raise CouponNotUsable(f"The coupon is {state}.", state=state)


@dataclass(frozen=True, slots=True)
class ShownCoupon:
    """A coupon with its code readable, for its holder; ``state`` as of the moment of showing."""

    coupon: Coupon
    code: str
    state: CouponState
