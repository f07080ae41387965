"""Wire shapes of offers and coupons."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from services.geo_api.evidence.domain import Evidence
from services.geo_api.offers.coupons import CouponState, ShownCoupon
from services.geo_api.offers.currency import Currency
from services.geo_api.offers.domain import Trigger
from services.geo_api.offers.lifecycle import OfferState
from services.geo_api.offers.records import Offer, OfferContent
from services.geo_api.trust.domain import MAX_SCORE
from shared.ids import Slug
from shared.wire import Integer, Moment, WireModel

MAX_STORES = 10_000
MAX_TAGS = 100
MAX_CAP = 1_000_000_000
MAX_MINOR = 1_000_000_000_000
TEN_YEARS_S = 10 * 366 * 86_400
MAX_FREE_TEXT = 1_000

OFFER_EXAMPLE: dict[str, Any] = {
    "title": "5 off your lunch",
    "trigger": {"type": "enter"},
    "stores": {"all": True},
    "starts_at": "2026-11-01T00:00:00Z",
    "ends_at": "2027-01-01T00:00:00Z",
    "caps": {"total": 100, "per_person": 1},
    "benefit": {"type": "amount", "value_minor": 500, "currency": "CNY"},
    "coupon": {"valid_for_s": 86400},
    "requires": {"min_trust": 50, "evidence": ["gps", "store_qr", "staff_scan"]},
}


def _sorted(values: list[str]) -> list[str]:
    return sorted(set(values))


Named = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
StoreIds = Annotated[
    list[Slug], Field(min_length=1, max_length=MAX_STORES), AfterValidator(_sorted)
]
Tags = Annotated[list[Named], Field(min_length=1, max_length=MAX_TAGS), AfterValidator(_sorted)]
Count = Annotated[Integer, Field(ge=1, le=MAX_CAP)]


class TriggerIn(WireModel):
    """What a check-in must do. ``first_visit``: the person's first visit to that very store."""

    type: Trigger


class StoresIn(WireModel):
    """One of three: ``{"all": true}``, ``{"ids": [...]}``, or ``{"tags": [...]}`` (any of them)."""

    all: Literal[True] | None = None
    ids: StoreIds | None = None
    tags: Tags | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise PydanticCustomError("stores", "must have exactly one of all, ids and tags")
        return self


class CapsIn(WireModel):
    """Coupons granted in total, and to one person; null or left out: no such limit."""

    total: Count | None = None
    per_person: Count | None = None


class AmountIn(WireModel):
    """Money off, in the currency's minor unit (500 CNY fen are 5 yuan)."""

    type: Literal["amount"]
    value_minor: Annotated[Integer, Field(ge=1, le=MAX_MINOR)]
    currency: Currency


class PercentIn(WireModel):
    """Whole per cent off."""

    type: Literal["percent"]
    percent: Annotated[Integer, Field(ge=1, le=100)]


class ItemIn(WireModel):
    """A thing for nothing, in words or by its number in the till."""

    type: Literal["item"]
    item: Named
    quantity: Annotated[Integer, Field(ge=1, le=1_000)] = 1


class PointsIn(WireModel):
    type: Literal["points"]
    points: Count


class TextIn(WireModel):
    """Anything else, in words for the clerk."""

    type: Literal["text"]
    text: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_FREE_TEXT)
    ]


BenefitIn = Annotated[
    AmountIn | PercentIn | ItemIn | PointsIn | TextIn, Field(discriminator="type")
]


class CouponIn(WireModel):
    """How long a coupon can be used, in seconds from its grant; ``ends_at`` does not cut it."""

    valid_for_s: Annotated[Integer, Field(ge=60, le=TEN_YEARS_S)]


def _accepted(kinds: list[Evidence]) -> list[Evidence]:
    if Evidence.FUZZY in kinds:
        raise PydanticCustomError("evidence", "a fuzzy position never makes a visit: leave it out")
    return sorted(set(kinds))


class RequiresIn(WireModel):
    """How sure the offer wants to be; what is left out asks for nothing more than usual.

    ``min_trust`` is 0 to 100, ``min_confidence`` 1 to 3 (2 if left out), ``evidence`` lists the
    kinds that count.
    """

    min_trust: Annotated[Integer, Field(ge=0, le=MAX_SCORE)] | None = None
    min_confidence: Annotated[Integer, Field(ge=1, le=3)] | None = None
    evidence: (
        Annotated[list[Evidence], Field(min_length=1, max_length=20), AfterValidator(_accepted)]
        | None
    ) = None


class OfferIn(WireModel):
    """``when_closed`` grants at stores that are closed by their opening hours, too."""

    model_config = ConfigDict(json_schema_extra={"examples": [OFFER_EXAMPLE]})

    title: Named
    trigger: TriggerIn
    stores: StoresIn
    starts_at: Moment
    ends_at: Moment
    caps: CapsIn = CapsIn()
    benefit: BenefitIn
    coupon: CouponIn
    requires: RequiresIn | None = None
    when_closed: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.starts_at >= self.ends_at:
            raise PydanticCustomError("dates", "must have an ends_at that is after its starts_at")
        return self

    def content(self) -> OfferContent:
        terms = self.model_dump(mode="json", include=_TERMS, exclude_none=True)
        return OfferContent(self.title, self.starts_at, self.ends_at, terms)


_TERMS = {"trigger", "stores", "caps", "benefit", "coupon", "requires", "when_closed"}


class CapsOut(BaseModel):
    total: int | None
    per_person: int | None


class OfferOut(BaseModel):
    """``granted`` counts coupons granted, over all versions of the offer."""

    offer_id: str
    version: int
    state: OfferState
    title: str
    trigger: dict[str, Any]
    stores: dict[str, Any]
    starts_at: datetime
    ends_at: datetime
    caps: CapsOut
    benefit: dict[str, Any]
    coupon: dict[str, Any]
    requires: dict[str, Any] | None
    when_closed: bool
    granted: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, offer: Offer, now: datetime) -> "OfferOut":
        content, terms = offer.content, offer.content.terms
        caps = terms["caps"]
        return cls(
            offer_id=offer.offer_id,
            version=offer.version,
            state=offer.state_at(now),
            title=content.title,
            trigger=terms["trigger"],
            stores=terms["stores"],
            starts_at=content.starts_at,
            ends_at=content.ends_at,
            caps=CapsOut(total=caps.get("total"), per_person=caps.get("per_person")),
            benefit=terms["benefit"],
            coupon=terms["coupon"],
            requires=terms.get("requires"),
            when_closed=terms["when_closed"],
            granted=offer.granted,
            created_at=offer.created_at,
            updated_at=offer.updated_at,
        )


class CouponOut(BaseModel):
    """A coupon as its holder sees it. It can be used while ``valid_from`` ≤ now < ``valid_until``."""

    id: UUID
    offer_id: str
    offer_version: int
    store_id: str
    title: str
    benefit: dict[str, Any]
    code: str
    state: CouponState
    granted_at: datetime
    valid_from: datetime
    valid_until: datetime

    @classmethod
    def of(cls, shown: ShownCoupon) -> "CouponOut":
        coupon = shown.coupon
        return cls(
            id=coupon.coupon_id,
            offer_id=coupon.offer_id,
            offer_version=coupon.offer_version,
            store_id=coupon.store_id,
            title=coupon.title,
            benefit=dict(coupon.benefit),
            code=shown.code,
            state=shown.state,
            granted_at=coupon.granted_at,
            valid_from=coupon.valid_from,
            valid_until=coupon.valid_until,
        )
