"""What holds when the subjects of one person said different things."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.member_api.consents.domain import Statement, in_force
from shared.contracts.events import ConsentState, Purpose

START = datetime(2026, 11, 20, tzinfo=UTC)
PUSH = Purpose.MARKETING_PUSH
A, B = UUID(int=1), UUID(int=2)
GRANTED, DENIED, WITHDRAWN = ConsentState


def said(
    subject: UUID, state: ConsentState, minute: int, *, confirms: Any = False, number: int = 0
) -> Statement:
    """``confirms`` names those that were the person at the time; True stands for both."""
    confirmed = frozenset([A, B]) if confirms is True else confirms or None
    at = START + timedelta(minutes=minute)
    identifier = UUID(int=1000 + 10 * minute + number)
    return Statement(subject, identifier, PUSH, state, "1", at, confirmed)


def holds(statements: Sequence[Statement], subject: UUID) -> ConsentState | None:
    held = in_force(statements, subject).get(PUSH)
    return None if held is None else held.state


statements_of = st.builds(
    lambda subject, state, minute, confirms, number: said(
        subject, state, minute, confirms=confirms and state is GRANTED, number=number
    ),
    st.sampled_from([A, B]),
    st.sampled_from(ConsentState),
    st.integers(0, 5),
    st.booleans(),
    st.integers(0, 9),
)
histories = st.lists(statements_of, max_size=8, unique_by=lambda s: s.consent_id)


def test_absence_is_neither_a_grant_nor_a_denial() -> None:
    assert in_force([], A) == {}


def test_a_grant_serves_its_own_subject_only() -> None:
    history = [said(A, GRANTED, 0)]

    assert holds(history, A) is GRANTED
    assert holds(history, B) is None


def test_a_denial_binds_the_whole_person() -> None:
    history = [said(A, DENIED, 0), said(B, GRANTED, 1)]

    assert holds(history, A) is DENIED
    assert holds(history, B) is DENIED


def test_a_withdrawal_binds_the_whole_person() -> None:
    history = [said(A, GRANTED, 0), said(B, GRANTED, 1), said(A, WITHDRAWN, 2)]

    assert holds(history, A) is WITHDRAWN
    assert holds(history, B) is WITHDRAWN


def test_who_changes_its_mind_lifts_its_own_denial() -> None:
    history = [said(A, DENIED, 0), said(A, GRANTED, 1)]

    assert holds(history, A) is GRANTED


def test_a_confirmation_speaks_for_the_person_until_the_next_refusal() -> None:
    history = [said(A, DENIED, 0), said(B, GRANTED, 1, confirms=True)]

    assert holds(history, A) is GRANTED
    assert holds(history, B) is GRANTED
    assert holds([*history, said(B, WITHDRAWN, 2)], A) is WITHDRAWN
    assert holds([*history, said(B, WITHDRAWN, 2), said(B, GRANTED, 3)], B) is DENIED


def test_a_confirmation_does_not_speak_for_who_joined_later() -> None:
    alone = said(A, GRANTED, 1, confirms={A})

    assert holds([alone], B) is None
    assert holds([said(B, DENIED, 0), alone], B) is DENIED
    assert holds([said(B, DENIED, 0), alone], A) is DENIED
    assert holds([said(B, DENIED, 0), alone, said(A, GRANTED, 2, confirms=True)], B) is GRANTED


def test_of_two_words_at_one_instant_the_refusal_counts() -> None:
    history = [said(A, GRANTED, 0, number=1), said(A, DENIED, 0, number=0)]

    assert holds(history, A) is DENIED


@given(histories, st.randoms())
def test_the_order_of_arrival_does_not_matter(history: list[Statement], chance: Random) -> None:
    shuffled = list(history)
    chance.shuffle(shuffled)

    assert in_force(shuffled, A) == in_force(history, A)


@given(histories)
def test_a_merge_never_widens_what_a_subject_did_not_confirm(history: list[Statement]) -> None:
    own = [one for one in history if one.subject_id == A]
    confirmed = any(one.confirms_person for one in history if one.subject_id == B)

    alone, together = holds(own, A), holds(history, A)

    if together is GRANTED and not confirmed:
        assert alone is GRANTED


@given(histories)
def test_any_refusal_that_stands_is_seen_by_everybody(history: list[Statement]) -> None:
    states = {holds(history, A), holds(history, B)}

    if states & {DENIED, WITHDRAWN}:
        assert len(states) == 1


@given(histories)
def test_an_un_merge_gives_each_back_its_own(history: list[Statement]) -> None:
    own = [one for one in history if one.subject_id == A]

    assert in_force([one for one in history if one.subject_id != B], A) == in_force(own, A)
