"""The life of an offer: draft → scheduled or active → paused ↔ active → ended."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from shared.errors import Conflict, NotFound


class OfferState(StrEnum):
    """``scheduled`` is active before its time; it is read off the clock and never stored."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


class Verb(StrEnum):
    ACTIVATE = "activate"
    PAUSE = "pause"
    END = "end"


class OfferUnknown(NotFound):
    """There is no offer with this id."""

    slug = "offer-unknown"
    title = "There is no such offer"


class OfferEnded(Conflict):
    """An offer that has ended stays as it was. Make a new one under a new id."""

    slug = "offer-ended"
    title = "The offer has ended"


class OfferNotActive(Conflict):
    """Only an offer that was activated can be paused."""

    slug = "offer-not-active"
    title = "The offer was never activated"


class CapBelowUsed(Conflict):
    """The total cap cannot be lower than the coupons already granted."""

    slug = "cap-below-used"
    title = "More coupons were granted than the new cap allows"


_AFTER: Mapping[Verb, OfferState] = {
    Verb.ACTIVATE: OfferState.ACTIVE,
    Verb.PAUSE: OfferState.PAUSED,
    Verb.END: OfferState.ENDED,
}


def state_at(
    stored: OfferState, starts_at: datetime, ends_at: datetime, now: datetime
) -> OfferState:
    """The state that callers see: dates end an activated offer, or let it wait for its start."""
    if stored in (OfferState.DRAFT, OfferState.ENDED):
        return stored
    if now >= ends_at:
        return OfferState.ENDED
    if stored is OfferState.ACTIVE and now < starts_at:
        return OfferState.SCHEDULED
    return stored


def next_state(verb: Verb, stored: OfferState, ends_at: datetime, now: datetime) -> OfferState:
    """The stored state after ``verb``; the same as before where nothing changes.

    Raises OfferEnded and OfferNotActive.
    """
    if verb is Verb.END:
        return OfferState.ENDED
    if stored is OfferState.ENDED:
        raise OfferEnded("The offer was ended for good. Put a new one under a new id.")
    if now >= ends_at:
        raise OfferEnded("The offer's ends_at has passed. Put a later one, then try again.")
    if verb is Verb.PAUSE and stored is OfferState.DRAFT:
        raise OfferNotActive("A draft grants nothing, so there is nothing to pause.")
    return _AFTER[verb]
