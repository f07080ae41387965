"""Making one person of two, and taking that back: the use cases of the ledger of merges."""

from collections.abc import Collection, Iterable, Mapping
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
    contradicted,
    objection,
    person_of,
    siblings,
)
from services.member_api.people.ledger import MergeEntry
from services.member_api.people.repository import erasures, lock_people, with_siblings
from services.member_api.transactions import Contended
from shared.identity import Namespace
from shared.ids import uuid7
from shared.keys import MemberKeys

_BY_RULE = f"rule:{Objection.UNIQUE_NAMESPACE}"
"""Who took back a merge that a number spoke against later."""


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
        raise PersonNotFound("Nobody is known by one of the two; nothing was changed.")
    people = await lock_people(connection, wish.ends)
    if await erasures(connection, keys.identity, wish.ends) != erased:
        raise Contended  # the lock has made anew whoever was erased while it waited
    if _are_one(people, wish):
        raise AlreadyOnePerson("Both are the same person already; nothing was changed.")
    against = await _objection(connection, wish, people)
    if against and not override:
        detail = f"{_WHY[against]} Send override: true if you know that they are one person."
        raise MergeRefused(detail, reason=against.value)
    return await _record(connection, wish, against, people, announcer)


async def join(
    connection: AsyncConnection, wish: MergeWish, announcer: Announcer
) -> Objection | None:
    """Join two subjects automatically, or queue what a rule refused and give that rule.

    Subjects that are not known yet come to be. One person already is fine; what shows it then is
    kept, if it says when, so that the ledger does not depend on what was told first. What
    somebody took back is not done again.
    """
    people = await lock_people(connection, wish.ends)
    if _are_one(people, wish):
        if wish.shown_at and not await ledger.was_taken_back(connection, wish.ends):
            await ledger.corroborate(connection, wish)
        return None
    against = await _objection(connection, wish, people)
    if against is None and await ledger.was_taken_back(connection, wish.ends):
        against = Objection.TAKEN_BACK
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


def _are_one(people: Mapping[UUID, SubjectState], wish: MergeWish) -> bool:
    one, other = wish.ends
    return people[one].person_id == people[other].person_id


async def take_back_contradicted(
    connection: AsyncConnection, subjects: Collection[UUID], announcer: Announcer, now: datetime
) -> None:
    """Undo the merges that numbers learnt since speak against, and put them up for review.

    The caller has locked the people of ``subjects``.
    """
    people = await with_siblings(connection, subjects)
    edges = await ledger.live_edges(connection, people)
    wrong = contradicted(edges, await _identities(connection, people) if edges else ())
    for edge in wrong:
        ends = edge.subject_a, edge.subject_b
        undone = await ledger.undo(connection, edge.merge_id, _BY_RULE, now)
        assert undone is not None  # noqa: S101 - its people are locked, and it was live
        wish = MergeWish(ends, undone.evidence, _BY_RULE, now)
        await ledger.queue_review(connection, wish, Objection.UNIQUE_NAMESPACE)
    if wrong:
        await _repoint(connection, people, [edge for edge in edges if edge not in wrong])
        await announcer.people_changed(connection, list(people), now)


async def _objection(
    connection: AsyncConnection, wish: MergeWish, people: Mapping[UUID, SubjectState]
) -> Objection | None:
    """What speaks against making one person of these two, by one merge more."""
    edges = await ledger.live_edges(connection, people)
    one = [who for who in people if people[who].person_id == people[wish.ends[0]].person_id]
    other = [who for who in people if people[who].person_id == people[wish.ends[1]].person_id]
    identities = await _identities(connection, people)
    return objection((one, other), len(edges) + 1, identities)


async def _identities(connection: AsyncConnection, subjects: Iterable[UUID]) -> list[KnownIdentity]:
    """What kinds of identities subjects are, unopened."""
    return [
        KnownIdentity(i.subject_id, Namespace(i.namespace), i.issuer, None, i.verified)
        for i in await ledger.identities_of(connection, subjects)
    ]


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
    await ledger.add(connection, merged, wish.shown_at)
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
