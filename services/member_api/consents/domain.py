"""What a person has consented to, purpose by purpose, when its subjects said different things."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.contracts.events import ConsentState, Purpose
from shared.errors import Conflict, NotFound


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing a subject said about one purpose, ``at`` a time. Statements are never changed.

    ``confirms`` names the subjects that a grant speaks for beside its own: those that were one
    person with it when it was given. Who joins later is not among them.
    """

    subject_id: UUID
    consent_id: UUID
    purpose: Purpose
    state: ConsentState
    version: str
    at: datetime
    confirms: frozenset[UUID] | None = None

    @property
    def confirms_person(self) -> bool:
        """Whether this grant speaks for the whole person, as far as it was known then."""
        return self.confirms is not None

    @property
    def order(self) -> tuple[datetime, bool, UUID]:
        """Of two statements of the same instant, the one that refuses counts as the later."""
        return self.at, self.state is not ConsentState.GRANTED, self.consent_id


class ConsentNotFound(NotFound):
    """The person has no consent with this id."""

    slug = "consent-not-found"
    title = "No such consent"


class NothingToWithdraw(Conflict):
    """Only a grant can be withdrawn; this one is a denial or a withdrawal itself."""

    slug = "nothing-to-withdraw"
    title = "This is no grant"


def in_force(statements: Sequence[Statement], subject_id: UUID) -> dict[Purpose, Statement]:
    """What holds for a subject, given all that the subjects of its person said.

    A subject's last word on a purpose is its own. A denial or withdrawal binds the whole person,
    until a later grant confirms for its subject; the next refusal by anybody spends that again.
    A grant serves its own subject alone, and those it confirms for. So no merge widens anything.
    Where nobody said anything there is nothing: absence is neither a grant nor a denial.
    """
    purposes = {statement.purpose for statement in statements}
    found = {
        purpose: _holds([s for s in statements if s.purpose is purpose], subject_id)
        for purpose in sorted(purposes)
    }
    return {purpose: statement for purpose, statement in found.items() if statement is not None}


def _holds(statements: Sequence[Statement], subject_id: UUID) -> Statement | None:
    """What holds for one purpose, that of all ``statements``."""
    last = _last_words(statements)
    refusals = [
        said
        for subject, said in last.items()
        if said.state is not ConsentState.GRANTED and _confirmation(statements, subject) is None
    ]
    if refusals:
        return _latest(refusals)
    both = last.get(subject_id), _confirmation(statements, subject_id)
    return _latest(s for s in both if s is not None and s.state is ConsentState.GRANTED)


def _confirmation(statements: Sequence[Statement], subject_id: UUID) -> Statement | None:
    """The grant that confirms for a subject, unless somebody of the person refused after it."""
    confirmation = _latest(
        s
        for s in statements
        if s.confirms is not None and subject_id in {s.subject_id, *s.confirms}
    )
    refusal = _latest(s for s in statements if s.state is not ConsentState.GRANTED)
    if confirmation is None or (refusal is not None and refusal.order > confirmation.order):
        return None
    return confirmation


def _last_words(statements: Iterable[Statement]) -> dict[UUID, Statement]:
    last: dict[UUID, Statement] = {}
    for statement in sorted(statements, key=lambda s: s.order):
        last[statement.subject_id] = statement
    return last


def _latest(statements: Iterable[Statement]) -> Statement | None:
    return max(statements, key=lambda s: s.order, default=None)
