"""Finding people, joining them and taking a join back."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.people import ledger, repository
from services.member_api.people.announcing import Announcer
from services.member_api.people.domain import (
    AlreadyOnePerson,
    Edge,
    KnownIdentity,
    MergeNotFound,
    MergeRefused,
    MergeWish,
    Objection,
    PersonNotFound,
    SubjectState,
    is_erased,
    objection,
    person_of,
    siblings,
)
from services.member_api.people.ledger import MergeEntry, SealedIdentity, siblings_at
from services.member_api.people.repository import (
    Touch,
    bury,
    erasures,
    lock_people,
    recount,
    require_whole,
    touch,
    with_siblings,
)
from services.member_api.transactions import Contended
from shared.identity import Identity, Namespace, subject_id
from shared.ids import uuid7
from shared.keys import MemberKeys

__all__ = [
    "MergeEntry",
    "SealedIdentity",
    "Touch",
    "anchor_of",
    "bury",
    "erasures",
    "find",
    "identities_of",
    "join",
    "ledger_page",
    "lock_living",
    "lock_people",
    "merge",
    "open_box",
    "recount",
    "require_whole",
    "resolve",
    "seal",
    "siblings_at",
    "touch",
    "undo",
    "vouch_for",
    "with_siblings",
]

_UNKNOWN = "Nobody is known by this; a person comes to be with the first check-in or sign-up."


def seal(keys: MemberKeys, identity: Identity) -> SealedIdentity:
    """An identity as it may be stored."""
    parts = [identity.namespace.value, identity.issuer, identity.value]
    box = keys.opening.sealing.seal(json.dumps(parts, ensure_ascii=False).encode())
    subject = subject_id(keys.identity, identity)
    return SealedIdentity(subject, identity.namespace.value, identity.issuer, box)


def open_box(keys: MemberKeys, box: bytes) -> Identity:
    """Raises ``cryptography.exceptions.InvalidTag`` or ValueError for what is no such box."""
    namespace, issuer, value = json.loads(keys.opening.open(box))
    return Identity(Namespace(namespace), issuer, value)


async def lock_living(
    connection: AsyncConnection, keys: MemberKeys, subjects: Collection[UUID], now: datetime
) -> dict[UUID, SubjectState]:
    """Lock people as ``lock_people`` does, for something that happens to them ``now``.

    Raises Contended if one was erased meanwhile, as it would lie before the erasure.
    """
    people = await lock_people(connection, subjects)
    erased = await erasures(connection, keys.identity, people)
    if any(is_erased(erased, subject, now) for subject in people):
        raise Contended
    return people


async def find(connection: AsyncConnection, keys: MemberKeys, identity: Identity) -> UUID:
    """The present person id behind an identity. Raises PersonNotFound."""
    subject = subject_id(keys.identity, identity)
    known = await with_siblings(connection, [subject])
    if subject not in known:
        raise PersonNotFound(_UNKNOWN)
    return known[subject].person_id


async def resolve(connection: AsyncConnection, person_id: UUID) -> list[SubjectState]:
    """All subjects of whoever a person id, present or former, means now.

    Raises PersonNotFound.
    """
    found = await repository.of_person(connection, person_id)
    if not found:
        raise PersonNotFound(_UNKNOWN)
    return found


async def anchor_of(connection: AsyncConnection, person_id: UUID) -> UUID:
    """The subject that a person id belonged to by birth. Raises PersonNotFound."""
    subject = await repository.subject_born_as(connection, person_id)
    if subject is None:
        raise PersonNotFound(_UNKNOWN)
    return subject


async def identities_of(
    connection: AsyncConnection, keys: MemberKeys, subjects: Iterable[UUID]
) -> list[KnownIdentity]:
    """The verified identities of subjects, opened."""
    return [
        KnownIdentity(
            sealed.subject_id,
            Namespace(sealed.namespace),
            sealed.issuer,
            open_box(keys, sealed.sealed).value,
            sealed.verified,
        )
        for sealed in await ledger.identities_of(connection, subjects)
    ]


async def vouch_for(
    connection: AsyncConnection, identities: Sequence[SealedIdentity], now: datetime
) -> None:
    """Keep verified identities of subjects that exist."""
    await ledger.keep_identities(connection, identities, now)


async def merge(
    connection: AsyncConnection,
    keys: MemberKeys,
    wish: MergeWish,
    announcer: Announcer,
    *,
    override: bool = False,
) -> MergeEntry:
    """Join the people of two known subjects.

    Raises PersonNotFound, AlreadyOnePerson, MergeRefused naming the rule that speaks against
    it, unless ``override`` sets that aside, or Contended.
    """
    erased = await erasures(connection, keys.identity, wish.ends)
    known = await with_siblings(connection, wish.ends)
    if not set(wish.ends) <= known.keys():
        raise PersonNotFound(_UNKNOWN)
    people = await lock_people(connection, wish.ends)
    if await erasures(connection, keys.identity, wish.ends) != erased:
        raise Contended  # the lock has made anew whoever was erased while it waited
    if _are_one(people, wish):
        raise AlreadyOnePerson("Both are the same person already; nothing was changed.")
    against = await _objection(connection, people)
    if against and not override:
        detail = f"{_WHY[against]} Send override: true if you know that they are one person."
        raise MergeRefused(detail, reason=against.value)
    return await _record(connection, wish, against, people, announcer)


async def join(
    connection: AsyncConnection, wish: MergeWish, announcer: Announcer
) -> Objection | None:
    """Join two subjects automatically, or queue what a rule refused and give that rule.

    Subjects that are not known yet come to be. One person already is fine.
    """
    people = await lock_people(connection, wish.ends)
    if _are_one(people, wish):
        return None
    against = await _objection(connection, people)
    if against is not None:
        await ledger.queue_review(connection, wish, against)
        return against
    await _record(connection, wish, None, people, announcer)
    return None


async def undo(
    connection: AsyncConnection, merge_id: UUID, actor: str, announcer: Announcer, now: datetime
) -> MergeEntry:
    """Take a merge back; taking it back again changes nothing. Raises MergeNotFound."""
    entry = await ledger.get(connection, merge_id)
    if entry is None:
        raise MergeNotFound("The ledger has no merge with this id.")
    people = await lock_people(connection, (entry.subject_a, entry.subject_b))
    undone = await ledger.undo(connection, merge_id, actor, now)
    if undone is None:
        before = await ledger.get(connection, merge_id)
        if before is None:
            raise MergeNotFound("The people of this merge were erased.")
        return before
    await _repoint(connection, people, await ledger.live_edges(connection, people))
    await announcer.people_changed(connection, list(people), now)
    return undone


async def ledger_page(
    connection: AsyncConnection, person_id: UUID | None, before: UUID | None, limit: int
) -> list[MergeEntry]:
    """Merges, newest first: of one person if given, undone ones among them."""
    subjects = None
    if person_id is not None:
        subjects = [state.subject_id for state in await resolve(connection, person_id)]
    return await ledger.ledger(connection, subjects, before, limit)


def _are_one(people: Mapping[UUID, SubjectState], wish: MergeWish) -> bool:
    one, other = wish.ends
    return people[one].person_id == people[other].person_id


async def _objection(
    connection: AsyncConnection, people: Mapping[UUID, SubjectState]
) -> Objection | None:
    """What speaks against making one person of these, by one merge more."""
    edges = await ledger.live_edges(connection, people)
    known = [
        KnownIdentity(i.subject_id, Namespace(i.namespace), i.issuer, None, i.verified)
        for i in await ledger.identities_of(connection, people)
    ]
    return objection(list(people), len(edges) + 1, known)


async def _record(
    connection: AsyncConnection,
    wish: MergeWish,
    against: Objection | None,
    people: Mapping[UUID, SubjectState],
    announcer: Announcer,
) -> MergeEntry:
    ends = min(wish.ends), max(wish.ends)
    overrides = None if against is None else against.value
    merged = MergeEntry(uuid7(), *ends, wish.evidence, wish.actor, overrides, wish.at)
    await ledger.add(connection, merged)
    await _repoint(connection, people, await ledger.live_edges(connection, people))
    await announcer.people_changed(connection, list(people), wish.at)
    return merged


async def _repoint(
    connection: AsyncConnection, people: Mapping[UUID, SubjectState], edges: Iterable[Edge]
) -> None:
    """Bring the cached person ids of locked subjects in line with the ledger."""
    persons = {
        subject: person_of(component) for subject, component in siblings(people, edges).items()
    }
    changed = {
        subject: person
        for subject, person in persons.items()
        if people[subject].person_id != person
    }
    await repository.set_person(connection, changed)


_WHY = {
    Objection.UNIQUE_NAMESPACE: "They have different numbers of a kind that one person has once.",
    Objection.TOO_MANY_IDENTITIES: "Together they would have more than 50 identities.",
    Objection.TOO_MANY_MERGES: "Together they would be joined by more than 20 merges.",
}
