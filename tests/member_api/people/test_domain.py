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
    contradicted,
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


ONE, OTHER = SUBJECTS[:1], SUBJECTS[1:2]


@pytest.mark.parametrize("namespace", [Namespace.MEMBER_NO, Namespace.WECHAT_UNIONID])
def test_two_numbers_of_a_unique_kind_are_two_people(namespace: Namespace) -> None:
    two = [known(1, namespace, "x"), known(2, namespace, "x")]
    of_different_issuers = [known(1, namespace, "x"), known(2, namespace, "y")]

    assert objection((ONE, OTHER), 1, two) is Objection.UNIQUE_NAMESPACE
    assert objection((ONE, OTHER), 1, of_different_issuers) is None


def test_two_phones_may_be_one_person() -> None:
    phones = [known(1, Namespace.PHONE), known(2, Namespace.PHONE)]

    assert objection((ONE, OTHER), 1, phones) is None


def test_a_person_has_at_most_fifty_identities_and_twenty_merges() -> None:
    crowd = [UUID(int=number) for number in range(1, MAX_IDENTITIES + 1)]

    assert objection((crowd[1:], crowd[:1]), MAX_MERGES, []) is None
    assert objection((crowd, [UUID(int=99)]), MAX_MERGES, []) is Objection.TOO_MANY_IDENTITIES
    assert objection((ONE, OTHER), MAX_MERGES + 1, []) is Objection.TOO_MANY_MERGES


def test_what_somebody_knew_better_about_speaks_against_no_later_merge() -> None:
    numbers = [known(1, Namespace.MEMBER_NO), known(2, Namespace.MEMBER_NO)]
    of_both = [*ONE, *OTHER]

    assert objection((of_both, SUBJECTS[2:3]), 2, numbers) is None
    third = [*numbers, known(3, Namespace.MEMBER_NO)]
    assert objection((of_both, SUBJECTS[2:3]), 2, third) is Objection.UNIQUE_NAMESPACE


def link(order: int, one: int, other: int, overrides: str | None = None) -> Edge:
    return Edge(UUID(int=100 + order), SUBJECTS[one - 1], SUBJECTS[other - 1], overrides)


def test_the_latest_merge_on_the_way_between_two_numbers_is_contradicted() -> None:
    chain = [link(1, 1, 2), link(2, 3, 4), link(3, 2, 3), link(4, 4, 5)]
    numbers = [known(1, Namespace.MEMBER_NO), known(4, Namespace.MEMBER_NO)]

    assert contradicted(chain, []) == []
    assert contradicted(chain, numbers) == [chain[2]]


def test_what_joins_one_person_to_itself_contradicts_nothing() -> None:
    ring = [link(1, 1, 2), link(2, 2, 3), link(3, 1, 3)]

    assert contradicted(ring, [known(1, Namespace.MEMBER_NO)]) == []


def test_an_override_stands_whatever_numbers_come_to_light() -> None:
    numbers = [known(1, Namespace.MEMBER_NO), known(2, Namespace.MEMBER_NO)]

    assert contradicted([link(1, 1, 2, "unique_namespace")], numbers) == []
    of_another_rule = link(1, 1, 2, "too_many_merges")
    assert contradicted([of_another_rule], numbers) == [of_another_rule]


@given(ledgers, st.sets(st.integers(1, 8), max_size=5), st.randoms())
def test_no_two_numbers_are_one_person_once_what_they_contradict_is_gone(
    edges: list[Edge], numbered: set[int], chance: Random
) -> None:
    numbers = [known(number, Namespace.MEMBER_NO) for number in numbered]
    shuffled = list(edges)
    chance.shuffle(shuffled)

    gone = contradicted(shuffled, numbers)

    assert gone == contradicted(edges, numbers)
    left = persons([edge for edge in edges if edge not in gone])
    people = [left[number.subject_id] for number in numbers]
    assert len(set(people)) == len(people)
    assert contradicted([edge for edge in edges if edge not in gone], numbers) == []


def test_what_happened_at_the_instant_of_an_erasure_is_forgotten_too() -> None:
    subject, erased_at = UUID(int=1), datetime(2026, 11, 20, tzinfo=UTC)

    assert is_erased({subject: erased_at}, subject, erased_at)
    assert not is_erased({subject: erased_at}, subject, datetime(2026, 11, 21, tzinfo=UTC))
    assert not is_erased({}, subject, erased_at)


def test_a_tombstone_tells_nobody_without_the_key_whose_it_is() -> None:
    subject = UUID(int=1)

    assert tombstone_hash(b"a" * 32, subject) != tombstone_hash(b"b" * 32, subject)
    assert subject.bytes not in tombstone_hash(b"a" * 32, subject)
