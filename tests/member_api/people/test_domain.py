"""Components of the ledger, and the rules that speak against a merge."""

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.member_api.people.domain import (
    MAX_IDENTITIES,
    MAX_MERGES,
    Edge,
    KnownIdentity,
    Objection,
    is_erased,
    objection,
    person_of,
    siblings,
    tombstone_hash,
)
from shared.identity import Namespace
from shared.ids import birth_person_id

SUBJECTS = [UUID(int=number) for number in range(1, 9)]

pairs = st.tuples(st.sampled_from(SUBJECTS), st.sampled_from(SUBJECTS)).filter(
    lambda pair: pair[0] != pair[1]
)
ledgers = st.lists(pairs, max_size=12).map(
    lambda ends: [Edge(UUID(int=100 + n), min(pair), max(pair)) for n, pair in enumerate(ends)]
)


def persons(edges: Sequence[Edge]) -> dict[UUID, UUID]:
    return {subject: person_of(group) for subject, group in siblings(SUBJECTS, edges).items()}


@given(ledgers, st.randoms())
def test_the_order_of_merges_does_not_matter(edges: list[Edge], chance: Random) -> None:
    shuffled = list(edges)
    chance.shuffle(shuffled)

    assert persons(shuffled) == persons(edges)


@given(ledgers, pairs)
def test_a_merge_taken_back_leaves_everybody_as_before(
    edges: list[Edge], ends: tuple[UUID, UUID]
) -> None:
    before = persons(edges)
    edge = Edge(UUID(int=999), min(ends), max(ends))

    merged = persons([*edges, edge])

    assert merged[ends[0]] == merged[ends[1]]
    assert persons([one for one in [*edges, edge] if one is not edge]) == before


@given(ledgers)
def test_siblings_are_the_same_for_all_of_a_component(edges: list[Edge]) -> None:
    groups = siblings(SUBJECTS, edges)

    for subject, group in groups.items():
        assert subject in group
        assert list(group) == sorted(group)
        assert {groups[other] for other in group} == {group}
    for edge in edges:
        assert groups[edge.subject_a] == groups[edge.subject_b]


@given(st.lists(st.uuids(), min_size=1, max_size=6))
def test_the_lowest_id_survives(component: list[UUID]) -> None:
    survivor = person_of(component)

    assert survivor in {birth_person_id(subject) for subject in component}
    assert all(survivor <= birth_person_id(subject) for subject in component)


def known(number: int, namespace: Namespace, issuer: str = "") -> KnownIdentity:
    return KnownIdentity(UUID(int=number), namespace, issuer, None, verified=True)


@pytest.mark.parametrize("namespace", [Namespace.MEMBER_NO, Namespace.WECHAT_UNIONID])
def test_two_numbers_of_a_unique_kind_are_two_people(namespace: Namespace) -> None:
    two = [known(1, namespace, "x"), known(2, namespace, "x")]
    of_different_issuers = [known(1, namespace, "x"), known(2, namespace, "y")]

    assert objection(SUBJECTS[:2], 1, two) is Objection.UNIQUE_NAMESPACE
    assert objection(SUBJECTS[:2], 1, of_different_issuers) is None


def test_two_phones_may_be_one_person() -> None:
    phones = [known(1, Namespace.PHONE), known(2, Namespace.PHONE)]

    assert objection(SUBJECTS[:2], 1, phones) is None


def test_a_person_has_at_most_fifty_identities_and_twenty_merges() -> None:
    crowd = [UUID(int=number) for number in range(MAX_IDENTITIES + 1)]

    assert objection(crowd[:-1], MAX_MERGES, []) is None
    assert objection(crowd, MAX_MERGES, []) is Objection.TOO_MANY_IDENTITIES
    assert objection(SUBJECTS, MAX_MERGES + 1, []) is Objection.TOO_MANY_MERGES


def test_what_happened_at_the_instant_of_an_erasure_is_forgotten_too() -> None:
    subject, erased_at = UUID(int=1), datetime(2026, 11, 20, tzinfo=UTC)

    assert is_erased({subject: erased_at}, subject, erased_at)
    assert not is_erased({subject: erased_at}, subject, datetime(2026, 11, 21, tzinfo=UTC))
    assert not is_erased({}, subject, erased_at)


def test_a_tombstone_tells_nobody_without_the_key_whose_it_is() -> None:
    subject = UUID(int=1)

    assert tombstone_hash(b"a" * 32, subject) != tombstone_hash(b"b" * 32, subject)
    assert subject.bytes not in tombstone_hash(b"a" * 32, subject)
