"""Offers as a check-in sees them: what is in force, where one stands, and what may be granted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from services.geo_api.evidence.domain import Evidence
from shared.contracts.events import Lifecycle

TOO_LATE = timedelta(minutes=10)
"""A check-in that is older when it is received changes visits, and is granted nothing."""

MIN_CONFIDENCE = 2
"""Of 1 to 3. Below it a fix is too doubtful to give something away for, unless the offer says so."""


class Trigger(StrEnum):
    """When an offer is granted, once per visit."""

    CHECK_IN = "check_in"
    ENTER = "enter"
    FIRST_VISIT = "first_visit"


class Reason(StrEnum):
    """Why an offer that was considered is not granted."""

    TOO_LATE = "too_late"
    NO_MARKETING_CONSENT = "no_marketing_consent"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    STORE_CLOSED = "store_closed"
    NO_VISIT = "no_visit"
    EVIDENCE_NOT_ACCEPTED = "evidence_not_accepted"
    CONFIDENCE_TOO_LOW = "confidence_too_low"
    TRUST_TOO_LOW = "trust_too_low"
    TRIGGER_NOT_MET = "trigger_not_met"
    ALREADY_GRANTED = "already_granted"
    MEMBER_LIMIT = "member_limit"
    STOCK_OUT = "stock_out"
    NOT_ACTIVE = "not_active"


@dataclass(frozen=True, slots=True)
class StoreSet:
    """The stores of an offer: all of them, those named, or those that carry one of the tags."""

    everywhere: bool = False
    ids: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()

    def holds(self, store_id: str, tags: frozenset[str]) -> bool:
        return self.everywhere or store_id in self.ids or not self.tags.isdisjoint(tags)

    @classmethod
    def from_terms(cls, stores: Mapping[str, Any]) -> "StoreSet":
        """From the wire form: ``{"all": true}``, ``{"ids": [...]}`` or ``{"tags": [...]}``."""
        return cls(
            everywhere=bool(stores.get("all")),
            ids=frozenset(stores.get("ids", ())),
            tags=frozenset(stores.get("tags", ())),
        )


@dataclass(frozen=True, slots=True)
class Requires:
    """How sure an offer wants to be. ``evidence`` None: any kind that makes a visit."""

    min_trust: int = 0
    min_confidence: int = MIN_CONFIDENCE
    evidence: frozenset[Evidence] | None = None

    @classmethod
    def from_terms(cls, requires: Mapping[str, Any]) -> "Requires":
        """From the wire form, in which each may be left out."""
        evidence = requires.get("evidence")
        return cls(
            min_trust=requires.get("min_trust", 0),
            min_confidence=requires.get("min_confidence", MIN_CONFIDENCE),
            evidence=None if evidence is None else frozenset(map(Evidence, evidence)),
        )


@dataclass(frozen=True, slots=True)
class ActiveOffer:
    """The version of an activated offer that is in force; in date from starts_at to ends_at.

    ``per_person`` None means that only the visit and the total cap limit a person.
    ``when_closed``: it is granted at a store that is not open, too.
    """

    offer_id: str
    version: int
    title: str
    trigger: Trigger
    stores: StoreSet
    starts_at: datetime
    ends_at: datetime
    per_person: int | None
    benefit: Mapping[str, Any]
    valid_for: timedelta
    requires: Requires = Requires()
    when_closed: bool = False


class Presence(NamedTuple):
    """One store that a fix is inside of. ``entered``: this fix opened the visit.

    ``geofence_id`` and ``geofence_version`` are None where the store was proven without a match.
    ``is_open`` is as of the fix's own time.

    ``since`` and ``until`` are the ends of the visit as of this fix, which a late one may have
    joined from several; None where that is this moment alone.
    """

    store_id: str
    tags: frozenset[str]
    visit_id: UUID | None
    entered: bool
    geofence_id: str | None
    geofence_version: int | None
    confidence: int
    evidence: Evidence = Evidence.GPS
    is_open: bool = True
    since: datetime | None = None
    until: datetime | None = None


class Situation(NamedTuple):
    """One accepted check-in, as offers see it. ``siblings`` are all subjects of the person.

    ``trust`` is its score from 0 to 100.
    """

    subject_id: UUID
    siblings: tuple[UUID, ...]
    lifecycle: Lifecycle
    marketing_refused: bool
    check_in_id: UUID
    kind: str
    occurred_at: datetime
    received_at: datetime
    presences: tuple[Presence, ...]
    trust: int = 100

    @property
    def person(self) -> UUID:
        """Tells persons apart within a group: the lowest of the person's subjects."""
        return min(self.subject_id, *self.siblings)

    @property
    def kin(self) -> frozenset[UUID]:
        return frozenset((self.subject_id, *self.siblings))

    @property
    def order(self) -> tuple[datetime, UUID]:
        """The order in which scarce units are given out."""
        return self.occurred_at, self.check_in_id


class Decision(NamedTuple):
    """One offer considered at one store: granted, or the named reason why not.

    ``store_id`` None says that the offer holds at none of the stores the fix is inside of.
    """

    offer_id: str
    offer_version: int
    store_id: str | None
    granted: bool
    reason: str | None


class GrantedCoupon(NamedTuple):
    """A coupon as the answer to the check-in shows it."""

    coupon_id: UUID
    offer_id: str
    offer_version: int
    store_id: str
    visit_id: UUID | None
    check_in_id: UUID
    title: str
    code: str
    benefit: Mapping[str, Any]
    valid_until: datetime
    granted_at: datetime


@dataclass(frozen=True, slots=True)
class OfferBook:
    """All activated offers, in order of their ids, found by store. Never changed, only replaced.

    ``version`` is that of the offers' book in the database when it was read.
    """

    version: int
    offers: tuple[ActiveOffer, ...]
    _everywhere: tuple[ActiveOffer, ...] = field(init=False, repr=False, compare=False)
    _by_store: Mapping[str, Sequence[ActiveOffer]] = field(init=False, repr=False, compare=False)
    _by_tag: Mapping[str, Sequence[ActiveOffer]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_store: dict[str, list[ActiveOffer]] = {}
        by_tag: dict[str, list[ActiveOffer]] = {}
        for offer in self.offers:
            for store_id in offer.stores.ids:
                by_store.setdefault(store_id, []).append(offer)
            for tag in offer.stores.tags:
                by_tag.setdefault(tag, []).append(offer)
        everywhere = tuple(offer for offer in self.offers if offer.stores.everywhere)
        object.__setattr__(self, "_everywhere", everywhere)
        object.__setattr__(self, "_by_store", by_store)
        object.__setattr__(self, "_by_tag", by_tag)

    def at(self, store_id: str, tags: Iterable[str]) -> Sequence[ActiveOffer]:
        """The offers that hold at a store, each once, in order of their ids."""
        named = self._by_store.get(store_id, ())
        tagged = [offer for tag in tags for offer in self._by_tag.get(tag, ())]
        if not named and not tagged:
            return self._everywhere
        found = {offer.offer_id: offer for offer in (*self._everywhere, *named, *tagged)}
        return [found[offer_id] for offer_id in sorted(found)]


class Candidate(NamedTuple):
    """An offer at a store where the check-in of ``situation`` is inside."""

    ordinal: int
    situation: Situation
    presence: Presence
    offer: ActiveOffer


def candidates(book: OfferBook, situations: Sequence[Situation]) -> list[Candidate]:
    """Every offer to be considered, in the order in which scarce units are given out."""
    ordinals = sorted(range(len(situations)), key=lambda ordinal: situations[ordinal].order)
    return [
        Candidate(ordinal, situations[ordinal], presence, offer)
        for ordinal in ordinals
        for presence in situations[ordinal].presences
        for offer in book.at(presence.store_id, presence.tags)
    ]


def refuse_at_sight(candidate: Candidate) -> Reason | None:
    """The reason that shows without looking at anything stored; None if there is none yet.

    What was received decides: an offer is in date from ``starts_at`` until just before
    ``ends_at`` by the time of receipt. Every kind of check-in needs a visit.
    """
    situation, presence, offer = candidate.situation, candidate.presence, candidate.offer
    asked = offer.requires
    faults = (
        (situation.received_at - situation.occurred_at > TOO_LATE, Reason.TOO_LATE),
        (situation.marketing_refused, Reason.NO_MARKETING_CONSENT),
        (situation.received_at < offer.starts_at, Reason.NOT_YET_VALID),
        (situation.received_at >= offer.ends_at, Reason.EXPIRED),
        (not presence.is_open and not offer.when_closed, Reason.STORE_CLOSED),
        (presence.visit_id is None, Reason.NO_VISIT),
        (
            asked.evidence is not None and presence.evidence not in asked.evidence,
            Reason.EVIDENCE_NOT_ACCEPTED,
        ),
        (presence.confidence < asked.min_confidence, Reason.CONFIDENCE_TOO_LOW),
        (situation.trust < asked.min_trust, Reason.TRUST_TOO_LOW),
        (offer.trigger is Trigger.ENTER and not presence.entered, Reason.TRIGGER_NOT_MET),
    )
    return next((reason for at_fault, reason in faults if at_fault), None)
