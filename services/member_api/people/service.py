"""Finding people, locking them, and what they are called."""

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.people import ledger, repository
from services.member_api.people.announcing import Announcer
from services.member_api.people.domain import (
    UNIQUE_NAMESPACES,
    KnownIdentity,
    PersonNotFound,
    SubjectState,
    is_erased,
)
from services.member_api.people.ledger import (
    MergeEntry,
    SealedIdentity,
    live_edges,
    siblings_at,
)
from services.member_api.people.merging import join, merge, take_back_contradicted, undo
from services.member_api.people.repository import (
    Touch,
    asking_erasures,
    bury,
    erasures,
    graves_of,
    lock_people,
    recount,
    require_whole,
    touching,
    with_siblings,
)
from services.member_api.transactions import Contended
from shared.identity import Identity, Namespace, subject_id
from shared.keys import MemberKeys

__all__ = [
    "MergeEntry",
    "SealedIdentity",
    "Touch",
    "anchor_of",
    "asking_erasures",
    "bury",
    "erasures",
    "find",
    "graves_of",
    "identities_of",
    "is_unique",
    "join",
    "ledger_page",
    "live_edges",
    "lock_living",
    "lock_people",
    "merge",
    "open_box",
    "recount",
    "require_whole",
    "resolve",
    "seal",
    "siblings_at",
    "touching",
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
    connection: AsyncConnection,
    identities: Sequence[SealedIdentity],
    announcer: Announcer,
    now: datetime,
) -> None:
    """Keep verified identities of subjects that exist.

    A number that a person has once takes back the merges that it would have forbidden, so that
    it does not matter which came first; the caller has locked the people of such subjects.
    """
    await ledger.keep_identities(connection, identities, now)
    numbered = [i.subject_id for i in identities if is_unique(i)]
    if numbered:
        await take_back_contradicted(connection, numbered, announcer, now)


def is_unique(identity: SealedIdentity) -> bool:
    """Whether it is of a kind that a person has once."""
    return identity.namespace in UNIQUE_NAMESPACES


async def ledger_page(
    connection: AsyncConnection, person_id: UUID | None, before: UUID | None, limit: int
) -> list[MergeEntry]:
    """Merges, newest first: of one person if given, undone ones among them."""
    subjects = None
    if person_id is not None:
        subjects = [state.subject_id for state in await resolve(connection, person_id)]
    return await ledger.ledger(connection, subjects, before, limit)
