"""Wire shapes of redemptions."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from services.geo_api.offers.coupons import Coupon
from services.geo_api.offers.currency import Currency
from services.geo_api.redemptions.domain import Order, Redemption
from shared.ids import Slug
from shared.wire import Integer, WireModel

MAX_CODE = 64
MAX_REASON = 150


class RedemptionIn(WireModel):
    """``code`` as scanned or typed; case, spaces and dashes do not matter.

    ``order_amount_minor`` is what is to be paid, in minor units of ``currency``; leave both out
    where the till does not know.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "code": "7KQ8-2MPD-X4RT-93HV",
                    "store_id": "demo-madison-square",
                    "order_amount_minor": 4200,
                    "currency": "CNY",
                }
            ]
        }
    )

    code: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CODE)]
    store_id: Slug
    order_amount_minor: Annotated[Integer, Field(ge=0)] | None = None
    currency: Currency | None = None

    @model_validator(mode="after")
    def _amount_has_its_currency(self) -> Self:
        if (self.order_amount_minor is None) != (self.currency is None):
            raise PydanticCustomError(
                "amount", "must have order_amount_minor and currency together, or neither"
            )
        return self

    @property
    def order(self) -> Order:
        return Order(self.order_amount_minor, self.currency)


class ReversalIn(WireModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The wrong item"}]})

    reason: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_REASON)
    ]


class PreviewOut(BaseModel):
    """The coupon can be used here and now. ``message`` is for the clerk."""

    coupon_id: UUID
    offer_id: str
    offer_version: int
    title: str
    benefit: dict[str, Any]
    valid_until: datetime
    message: str

    @classmethod
    def of(cls, coupon: Coupon, message: str) -> "PreviewOut":
        return cls(
            coupon_id=coupon.coupon_id,
            offer_id=coupon.offer_id,
            offer_version=coupon.offer_version,
            title=coupon.title,
            benefit=dict(coupon.benefit),
            valid_until=coupon.valid_until,
            message=message,
        )


class RedemptionOut(BaseModel):
    """One use of a coupon; the three ``revers…`` fields but the first are null while it stands."""

    id: UUID
    coupon_id: UUID
    offer_id: str
    offer_version: int
    store_id: str
    staff_id: str
    order_amount_minor: int | None
    currency: str | None
    benefit: dict[str, Any]
    redeemed_at: datetime
    reversible_until: datetime
    reversed_at: datetime | None
    reversed_by: str | None
    reversal_reason: str | None
    message: str

    @classmethod
    def of(cls, redemption: Redemption, message: str) -> "RedemptionOut":
        return cls(
            id=redemption.redemption_id,
            coupon_id=redemption.coupon_id,
            offer_id=redemption.offer_id,
            offer_version=redemption.offer_version,
            store_id=redemption.store_id,
            staff_id=redemption.staff_id,
            order_amount_minor=redemption.order.amount_minor,
            currency=redemption.order.currency,
            benefit=dict(redemption.benefit),
            redeemed_at=redemption.redeemed_at,
            reversible_until=redemption.reversible_until,
            reversed_at=redemption.reversed_at,
            reversed_by=redemption.reversed_by,
            reversal_reason=redemption.reversal_reason,
            message=message,
        )
