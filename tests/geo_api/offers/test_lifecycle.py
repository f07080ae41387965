from datetime import timedelta

import pytest

from services.geo_api.offers.lifecycle import (
    OfferEnded,
    OfferNotActive,
    OfferState,
    Verb,
    next_state,
    state_at,
)
from shared.errors import Conflict
from tests.geo_api.offers.helpers import NOW

LATER = NOW + timedelta(days=1)


@pytest.mark.parametrize(
    ("stored", "verb", "then"),
    [
        (OfferState.DRAFT, Verb.ACTIVATE, OfferState.ACTIVE),
        (OfferState.PAUSED, Verb.ACTIVATE, OfferState.ACTIVE),
        (OfferState.ACTIVE, Verb.ACTIVATE, OfferState.ACTIVE),
        (OfferState.ACTIVE, Verb.PAUSE, OfferState.PAUSED),
        (OfferState.PAUSED, Verb.PAUSE, OfferState.PAUSED),
        (OfferState.DRAFT, Verb.END, OfferState.ENDED),
        (OfferState.ACTIVE, Verb.END, OfferState.ENDED),
        (OfferState.PAUSED, Verb.END, OfferState.ENDED),
        (OfferState.ENDED, Verb.END, OfferState.ENDED),
    ],
)
def test_verbs_lead_to_their_state_and_repeat_without_effect(
    stored: OfferState, verb: Verb, then: OfferState
) -> None:
    assert next_state(verb, stored, LATER, NOW) is then


@pytest.mark.parametrize(
    ("stored", "verb", "refusal"),
    [
        (OfferState.ENDED, Verb.ACTIVATE, OfferEnded),
        (OfferState.ENDED, Verb.PAUSE, OfferEnded),
        (OfferState.DRAFT, Verb.PAUSE, OfferNotActive),
    ],
)
def test_other_moves_are_refused(stored: OfferState, verb: Verb, refusal: type[Conflict]) -> None:
    with pytest.raises(refusal):
        next_state(verb, stored, LATER, NOW)


def test_an_offer_past_its_end_cannot_be_activated() -> None:
    with pytest.raises(OfferEnded):
        next_state(Verb.ACTIVATE, OfferState.DRAFT, NOW, NOW)


def test_dates_turn_an_active_offer_into_a_scheduled_or_an_ended_one() -> None:
    start, end = NOW, NOW + timedelta(hours=1)
    instant = timedelta(microseconds=1)

    assert state_at(OfferState.ACTIVE, start, end, start - instant) is OfferState.SCHEDULED
    assert state_at(OfferState.ACTIVE, start, end, start) is OfferState.ACTIVE
    assert state_at(OfferState.ACTIVE, start, end, end - instant) is OfferState.ACTIVE
    assert state_at(OfferState.ACTIVE, start, end, end) is OfferState.ENDED
    assert state_at(OfferState.PAUSED, start, end, start - instant) is OfferState.PAUSED
    assert state_at(OfferState.DRAFT, start, end, end) is OfferState.DRAFT
