"""The rules of granting, without a database."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.geo_api.evidence.domain import Evidence
from services.geo_api.offers.domain import (
    ActiveOffer,
    Candidate,
    OfferBook,
    Presence,
    Reason,
    Requires,
    Situation,
    StoreSet,
    Trigger,
    candidates,
    refuse_at_sight,
)
from services.geo_api.offers.eligibility import Grants, Past, Stay, decide, person_visit
from tests.geo_api.offers.helpers import NOW, active_offer, minutes, presence, situation

NO_PAST = Past({}, {}, frozenset())


def candidate(
    offer: ActiveOffer | None = None, at: Presence | None = None, **changes: Any
) -> Candidate:
    at = at or presence()
    return Candidate(0, situation(at, **changes), at, offer or active_offer())


def requiring(**asked: Any) -> ActiveOffer:
    return active_offer(requires=Requires(**asked))


BY_CODE = requiring(evidence=frozenset({Evidence.STORE_QR, Evidence.STAFF_SCAN}))


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (candidate(received_at=NOW + minutes(10.01)), Reason.TOO_LATE),
        (candidate(received_at=NOW + minutes(10)), None),
        (candidate(marketing_refused=True), Reason.NO_MARKETING_CONSENT),
        (candidate(active_offer(starts_at=NOW + timedelta(microseconds=1))), Reason.NOT_YET_VALID),
        (candidate(active_offer(starts_at=NOW)), None),
        (candidate(active_offer(ends_at=NOW)), Reason.EXPIRED),
        (candidate(active_offer(ends_at=NOW + timedelta(microseconds=1))), None),
        (candidate(at=presence(visit_id=None)), Reason.NO_VISIT),
        (candidate(at=presence(visit_id=None), kind="background"), Reason.NO_VISIT),
        (candidate(kind="background"), None),
        (candidate(at=presence(confidence=1)), Reason.CONFIDENCE_TOO_LOW),
        (candidate(at=presence(confidence=2)), None),
        (candidate(requiring(min_confidence=3), presence(confidence=2)), Reason.CONFIDENCE_TOO_LOW),
        (candidate(requiring(min_confidence=1), presence(confidence=1)), None),
        (candidate(requiring(min_trust=50), trust=49), Reason.TRUST_TOO_LOW),
        (candidate(requiring(min_trust=50), trust=50), None),
        (candidate(trust=0), None),
        (candidate(BY_CODE), Reason.EVIDENCE_NOT_ACCEPTED),
        (candidate(BY_CODE, presence(evidence=Evidence.STORE_QR)), None),
        (candidate(at=presence(is_open=False)), Reason.STORE_CLOSED),
        (candidate(active_offer(when_closed=True), presence(is_open=False)), None),
        (
            candidate(active_offer(trigger=Trigger.ENTER), presence(entered=False)),
            Reason.TRIGGER_NOT_MET,
        ),
        (candidate(active_offer(trigger=Trigger.ENTER)), None),
        (candidate(active_offer(trigger=Trigger.CHECK_IN), presence(entered=False)), None),
    ],
)
def test_what_shows_at_sight_is_refused_by_its_name(seen: Candidate, reason: Reason | None) -> None:
    assert refuse_at_sight(seen) == reason


def test_the_time_of_receipt_decides_whether_an_offer_is_in_date() -> None:
    offer = active_offer(ends_at=NOW + minutes(1))

    assert refuse_at_sight(candidate(offer, received_at=NOW + minutes(2))) == Reason.EXPIRED


def test_an_offer_is_found_by_store_by_tag_and_everywhere_once_each() -> None:
    offers = (
        active_offer(offer_id="a", stores=StoreSet(tags=frozenset({"x", "y"}))),
        active_offer(offer_id="b"),
        active_offer(offer_id="c", stores=StoreSet(ids=frozenset({"s1"}))),
        active_offer(offer_id="d", stores=StoreSet(ids=frozenset({"s2"}))),
    )
    book = OfferBook(1, offers)

    assert [o.offer_id for o in book.at("s1", {"x", "y"})] == ["a", "b", "c"]
    assert [o.offer_id for o in book.at("s3", ())] == ["b"]


def test_every_offer_at_every_store_of_the_check_in_is_considered() -> None:
    book = OfferBook(1, (active_offer(offer_id="a"), active_offer(offer_id="b")))
    here = situation(presence(store_id="s1"), presence(store_id="s2"))

    seen = [(c.presence.store_id, c.offer.offer_id) for c in candidates(book, [here])]

    assert seen == [("s1", "a"), ("s1", "b"), ("s2", "a"), ("s2", "b")]


def test_a_second_check_in_of_the_same_visit_is_already_granted() -> None:
    visit, subject = uuid4(), uuid4()
    seen = [
        candidate(at=presence(visit_id=visit), subject_id=subject, occurred_at=NOW + minutes(m))
        for m in (0, 5)
    ]

    assert [v.reason for v in decide(seen, NO_PAST)] == [None, Reason.ALREADY_GRANTED]


def test_a_visit_that_overlaps_a_siblings_is_one_visit_of_the_person() -> None:
    me, sibling = sorted((uuid4(), uuid4()))
    mine = candidate(subject_id=me, siblings=(me, sibling))
    theirs = Stay(sibling, uuid4(), NOW - minutes(20), NOW + minutes(10))
    held = {(me, "o1"): Grants(1, {"s1": [NOW - minutes(15)]})}

    overlapping = decide([mine], Past(held, {(me, "s1"): [theirs]}, frozenset()))
    elsewhere = decide([mine], Past(held, {(me, "s2"): [theirs]}, frozenset()))

    assert overlapping[0].reason == Reason.ALREADY_GRANTED
    assert elsewhere[0].reason is None


def test_a_person_is_granted_no_more_than_its_cap_over_all_its_subjects() -> None:
    me, sibling = sorted((uuid4(), uuid4()))
    offer = active_offer(per_person=3)
    held = {(me, "o1"): Grants(2, {}, frozenset())}
    seen = [
        candidate(offer, presence(store_id=f"s{n}"), subject_id=who, siblings=(me, sibling))
        for n, who in enumerate((me, sibling))
    ]

    verdicts = decide(seen, Past(held, {}, frozenset()))

    assert [v.reason for v in verdicts] == [None, Reason.MEMBER_LIMIT]


def test_a_first_visit_is_the_persons_first_to_that_store() -> None:
    offer = active_offer(trigger=Trigger.FIRST_VISIT)
    seen = candidate(offer)
    person = seen.situation.person
    earlier = Stay(person, uuid4(), NOW - minutes(90), NOW - minutes(60))

    assert decide([seen], NO_PAST)[0].reason is None
    for past in (
        Past({}, {}, frozenset({(person, "s1")})),
        Past({}, {(person, "s1"): [earlier]}, frozenset()),
    ):
        assert decide([seen], past)[0].reason == Reason.TRIGGER_NOT_MET
    other = Past({}, {(person, "s2"): [earlier]}, frozenset({(person, "s2")}))
    assert decide([seen], other)[0].reason is None


stays = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 60)).map(
        lambda pair: Stay(UUID(int=0), uuid4(), NOW + minutes(pair[0]), NOW + minutes(sum(pair)))
    ),
    max_size=8,
)


@given(stays, st.integers(0, 400), st.randoms())
def test_a_persons_visit_does_not_depend_on_the_order_of_its_stays(
    found: list[Stay], at: int, random: Any
) -> None:
    moment = NOW + minutes(at)
    shuffled = random.sample(found, len(found))

    since, until = person_visit(found, moment)

    assert (since, until) == person_visit(shuffled, moment)
    assert since <= moment <= until
    for stay in found:
        covered = since <= stay.since and stay.until <= until
        apart = stay.until < since or stay.since > until
        assert covered or apart


@st.composite
def crowds(draw: st.DrawFn) -> list[Situation]:
    """Check-ins of a few persons with a subject or two, at few stores, in few visits."""
    persons = [(UUID(int=2 * n + 1), UUID(int=2 * n + 2)) for n in range(3)]
    crowd = []
    for n in range(draw(st.integers(1, 12))):
        siblings = draw(st.sampled_from(persons))
        subject, store = draw(st.sampled_from(siblings)), draw(st.sampled_from(["s1", "s2"]))
        hour = draw(st.integers(0, 2))
        visit = UUID(int=hash((subject, store, hour)) % 2**64 + 1000)
        moment = NOW + timedelta(hours=2 * hour, minutes=draw(st.integers(0, 5)))
        place = presence(store_id=store, visit_id=visit)
        crowd.append(
            situation(
                place,
                subject_id=subject,
                siblings=siblings,
                occurred_at=moment,
                check_in_id=UUID(int=n),
            )
        )
    return crowd


@given(crowds(), st.integers(0, 12), st.none() | st.integers(1, 3))
def test_scarce_units_go_to_the_first_and_to_nobody_twice(
    crowd: list[Situation], units: int, per_person: int | None
) -> None:
    book = OfferBook(
        1,
        tuple(
            active_offer(offer_id=i, per_person=per_person, ends_at=NOW + timedelta(days=9))
            for i in "ab"
        ),
    )
    seen = candidates(book, crowd)

    plenty = decide(seen, NO_PAST)
    scarce = decide(seen, NO_PAST, {"a": units, "b": 0})

    wished = [v.candidate for v in plenty if v.reason is None and v.candidate.offer.offer_id == "a"]
    won = [v.candidate for v in scarce if v.reason is None]
    assert won == wished[:units]
    visits = [(c.situation.subject_id, c.presence.visit_id) for c in won]
    assert len(visits) == len(set(visits))
    for person in {c.situation.person for c in won}:
        held = [c for c in won if c.situation.person == person]
        assert per_person is None or len(held) <= per_person
    told = [v.reason for v in scarce if v.candidate.offer.offer_id == "b"]
    assert None not in told
