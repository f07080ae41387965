"""Who is one person: components of a ledger of merges, and the rules that speak against one."""

import hmac
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.errors import Conflict, NotFound
from shared.identity import Namespace
from shared.ids import birth_person_id

UNIQUE_NAMESPACES = frozenset(
    {Namespace.MEMBER_NO, Namespace.WECHAT_UNIONID, Namespace.WECHAT_OPENID}
)
"""A person has one of these per issuer: two different ones are two people until shown otherwise."""

MAX_IDENTITIES = 50
MAX_MERGES = 20


@dataclass(frozen=True, slots=True)
class SubjectState:
    """A subject as it is stored. The counts are its own, whoever it is joined to."""

    subject_id: UUID
    birth_person_id: UUID
    person_id: UUID
    first_seen_at: datetime | None
    last_seen_at: datetime | None
    check_ins: int
    coupons_granted: int
    audience_revision: int
    audience_digest: bytes | None


@dataclass(frozen=True, slots=True)
class Edge:
    """A live entry of the ledger: two subjects are one person.

    ``overrides`` names the rule that somebody set aside for it. Ids of merges sort by their time.
    ``holds_from`` is when it happened that showed it, however late that was told.
    """

    merge_id: UUID
    subject_a: UUID
    subject_b: UUID
    overrides: str | None = None
    holds_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class MergeWish:
    """Somebody's (``actor``) wish to make one person of two subjects, and on what evidence.

    ``shown_at`` is when it happened that showed it, where that is told later than it was.
    """

    ends: tuple[UUID, UUID]
    evidence: str
    actor: str
    at: datetime
    shown_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KnownIdentity:
    """What a subject is called; ``value`` is None for readers who may not see it."""

    subject_id: UUID
    namespace: Namespace
    issuer: str
    value: str | None
    verified: bool


class Objection(StrEnum):
    """A rule that speaks against a merge."""

    UNIQUE_NAMESPACE = "unique_namespace"
    TOO_MANY_IDENTITIES = "too_many_identities"
    TOO_MANY_MERGES = "too_many_merges"
    TAKEN_BACK = "taken_back"


class PersonNotFound(NotFound):
    """Nobody is known by this id or identity: never seen, or erased."""

    slug = "person-not-found"
    title = "No such person"


class MergeNotFound(NotFound):
    """The ledger has no merge with this id."""

    slug = "merge-not-found"
    title = "No such merge"


class AlreadyOnePerson(Conflict):
    """Both ends of the merge are the same person already."""

    slug = "already-one-person"
    title = "They are one person already"


class MergeRefused(Conflict):
    """A rule speaks against the merge; ``reason`` names it. ``override`` is for who knows better."""

    slug = "merge-refused"
    title = "A rule speaks against this merge"


class Erased(Conflict):
    """What was said lies at or before an erasure, and nothing from before it comes back."""

    slug = "erased"
    title = "It lies before an erasure"


def siblings(subjects: Iterable[UUID], edges: Iterable[Edge]) -> dict[UUID, tuple[UUID, ...]]:
    """The connected component of each subject, itself included, in id order.

    Ends of edges count as subjects. The result does not depend on any order of the input.
    """
    groups: dict[UUID, set[UUID]] = {subject: {subject} for subject in subjects}
    for edge in edges:
        one = groups.setdefault(edge.subject_a, {edge.subject_a})
        other = groups.setdefault(edge.subject_b, {edge.subject_b})
        if one is not other:
            small, large = sorted((one, other), key=len)
            large |= small
            groups.update(dict.fromkeys(small, large))
    return {subject: tuple(sorted(group)) for subject, group in groups.items()}


def person_of(component: Iterable[UUID]) -> UUID:
    """The person id of a component: the lowest that any of its subjects was born with."""
    return min(map(birth_person_id, component))


def objection(
    sides: tuple[Collection[UUID], Collection[UUID]],
    edges: int,
    identities: Iterable[KnownIdentity],
) -> Objection | None:
    """What speaks against making one person of two, joined by that many merges then.

    ``sides`` are the subjects of each, ``identities`` those of both. Two numbers that stand on
    one side already speak against nothing: somebody knew better when they came together.
    Source: the rules R2, R3 and R6 on identity, drawn from how customer data platforms went
    wrong with merges.
    """
    one, other = sides
    numbers = _unique_numbers(identities)
    if _held(one, numbers) & _held(other, numbers):
        return Objection.UNIQUE_NAMESPACE
    if len(one) + len(other) > MAX_IDENTITIES:
        return Objection.TOO_MANY_IDENTITIES
    if edges > MAX_MERGES:
        return Objection.TOO_MANY_MERGES
    return None


def contradicted(edges: Iterable[Edge], identities: Iterable[KnownIdentity]) -> list[Edge]:
    """The merges that their numbers would have spoken against, had they been known in time.

    The ledger is gone through as it was written, with all that is known now; where somebody set
    the rule aside it stays so, and what only joins one person to itself contradicts nothing. What
    is left does not depend on whether a number or a merge came first.
    """
    numbers = _unique_numbers(identities)
    accepted: list[Edge] = []
    refused: list[Edge] = []
    for edge in sorted(edges, key=lambda edge: edge.merge_id):
        groups = siblings((edge.subject_a, edge.subject_b), accepted)
        one, other = groups[edge.subject_a], groups[edge.subject_b]
        stands = edge.overrides == Objection.UNIQUE_NAMESPACE or one == other
        is_free = stands or not _held(one, numbers) & _held(other, numbers)
        (accepted if is_free else refused).append(edge)
    return refused


def _unique_numbers(identities: Iterable[KnownIdentity]) -> dict[UUID, tuple[Namespace, str]]:
    """The kind of number that each subject is, if it is one that a person has once."""
    return {
        identity.subject_id: (identity.namespace, identity.issuer)
        for identity in identities
        if identity.namespace in UNIQUE_NAMESPACES
    }


def _held(
    subjects: Iterable[UUID], numbers: Mapping[UUID, tuple[Namespace, str]]
) -> set[tuple[Namespace, str]]:
    return {numbers[subject] for subject in subjects if subject in numbers}


def tombstone_hash(identity_key: bytes, subject_id: UUID) -> bytes:
    """What an erasure keeps of a subject: nobody finds the subject from it without the key."""
    return hmac.digest(identity_key, b"tombstone" + subject_id.bytes, "sha256")


def is_erased(erasures: Mapping[UUID, datetime], subject_id: UUID, at: datetime) -> bool:
    """Whether what happened to a subject ``at`` a time is to be forgotten."""
    erased_at = erasures.get(subject_id)
    return erased_at is not None and at <= erased_at
