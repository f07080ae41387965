"""Offers as they are kept: what they say, in which version, and how far their life has come."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.geo_api.offers.domain import ActiveOffer, Requires, StoreSet, Trigger
from services.geo_api.offers.lifecycle import OfferState, state_at


@dataclass(frozen=True, slots=True)
class OfferContent:
    """What an offer says; equal contents make no new version.

    ``terms`` is the normal wire form of trigger, stores, caps, benefit, coupon and requires,
    and ``when_closed``.
    """

    title: str
    starts_at: datetime
    ends_at: datetime
    terms: Mapping[str, Any]

    @property
    def cap(self) -> int | None:
        """The cap in total over all versions; None: no limit."""
        cap: int | None = self.terms["caps"].get("total")
        return cap


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer in its present version. ``stored`` knows no clock; ``granted`` counts coupons."""

    offer_id: str
    version: int
    stored: OfferState
    content: OfferContent
    granted: int
    created_at: datetime
    updated_at: datetime

    def state_at(self, now: datetime) -> OfferState:
        return state_at(self.stored, self.content.starts_at, self.content.ends_at, now)

    @property
    def as_active(self) -> ActiveOffer:
        """The present version in the form that granting reads."""
        content, terms = self.content, self.content.terms
        return ActiveOffer(
            offer_id=self.offer_id,
            version=self.version,
            title=content.title,
            trigger=Trigger(terms["trigger"]["type"]),
            stores=StoreSet.from_terms(terms["stores"]),
            starts_at=content.starts_at,
            ends_at=content.ends_at,
            per_person=terms["caps"].get("per_person"),
            benefit=terms["benefit"],
            valid_for=timedelta(seconds=terms["coupon"]["valid_for_s"]),
            requires=Requires.from_terms(terms.get("requires", {})),
            when_closed=terms["when_closed"],
        )
