"""Queries of subjects and tombstones: reading, and locking in the one order all keep to."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.people.domain import SubjectState, tombstone_hash
from services.member_api.transactions import Contended
from shared.direct import Statement, run_together
from shared.ids import birth_person_id

_COLUMNS = """subject_id, birth_person_id, person_id, first_seen_at, last_seen_at, check_ins,
    coupons_granted, audience_revision, audience_digest"""

_BY_PERSON = text(f"""
    SELECT {_COLUMNS} FROM member.subjects
    WHERE person_id = (SELECT person_id FROM member.subjects WHERE birth_person_id = :person)
    ORDER BY subject_id
""")

_SUBJECT_BORN_AS = text("SELECT subject_id FROM member.subjects WHERE birth_person_id = :person")

_SIBLINGS = text(f"""
    SELECT {_COLUMNS} FROM member.subjects
    WHERE person_id IN (
        SELECT person_id FROM member.subjects WHERE subject_id = ANY(CAST(:subjects AS uuid[]))
    )
    ORDER BY subject_id
""")

# Locks rows in the order of their ids, known or new, so that nobody waits in a ring. Adds what
# each subject did to its counts; who only locks adds nothing.
_LOCK = text("""
    INSERT INTO member.subjects AS s (subject_id, birth_person_id, person_id, first_seen_at,
        last_seen_at, check_ins, coupons_granted, audience_revision)
    SELECT id, birth, birth, first_at, last_at, check_ins, coupons, 0
    FROM unnest(CAST(:ids AS uuid[]), CAST(:births AS uuid[]),
        CAST(:firsts AS timestamptz[]), CAST(:lasts AS timestamptz[]),
        CAST(:check_ins AS integer[]), CAST(:coupons AS integer[]))
        AS touched (id, birth, first_at, last_at, check_ins, coupons)
    ORDER BY id
    ON CONFLICT (subject_id) DO UPDATE SET
        first_seen_at = LEAST(s.first_seen_at, EXCLUDED.first_seen_at),
        last_seen_at = GREATEST(s.last_seen_at, EXCLUDED.last_seen_at),
        check_ins = s.check_ins + EXCLUDED.check_ins,
        coupons_granted = s.coupons_granted + EXCLUDED.coupons_granted
""")

_ERASURES = text("""
    SELECT subject_hash, erased_at FROM member.tombstones
    WHERE subject_hash = ANY(CAST(:hashes AS bytea[]))
""")

_BURY = text("""
    INSERT INTO member.tombstones AS t (subject_hash, erased_at)
    SELECT hash, :erased_at FROM unnest(CAST(:hashes AS bytea[])) AS dead (hash) ORDER BY hash
    ON CONFLICT (subject_hash) DO UPDATE SET
        erased_at = GREATEST(t.erased_at, EXCLUDED.erased_at)
""")

_FORGET = (
    """DELETE FROM member.identities WHERE subject_id = ANY(CAST(:subjects AS uuid[]))""",
    """DELETE FROM member.merges WHERE subject_a = ANY(CAST(:subjects AS uuid[]))
        OR subject_b = ANY(CAST(:subjects AS uuid[]))""",
    """DELETE FROM member.merge_reviews WHERE subject_a = ANY(CAST(:subjects AS uuid[]))
        OR subject_b = ANY(CAST(:subjects AS uuid[]))""",
    """DELETE FROM member.subjects WHERE subject_id = ANY(CAST(:subjects AS uuid[]))""",
)

_SET_PERSON = text("""
    UPDATE member.subjects AS s SET person_id = now.person
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:persons AS uuid[])) AS now (id, person)
    WHERE s.subject_id = now.id
""")

_RECOUNT = text("""
    UPDATE member.subjects AS s SET
        first_seen_at = lost.first_at,
        last_seen_at = lost.last_at,
        check_ins = s.check_ins - lost.check_ins,
        coupons_granted = s.coupons_granted - lost.coupons
    FROM unnest(CAST(:ids AS uuid[]), CAST(:firsts AS timestamptz[]),
        CAST(:lasts AS timestamptz[]), CAST(:check_ins AS integer[]), CAST(:coupons AS integer[]))
        AS lost (id, first_at, last_at, check_ins, coupons)
    WHERE s.subject_id = lost.id
""")


_birth_person_id = lru_cache(maxsize=1 << 16)(birth_person_id)


@dataclass(slots=True)
class Touch:
    """The span of a subject's moments, and how many there are of the kinds that are counted."""

    first_at: datetime | None = None
    last_at: datetime | None = None
    check_ins: int = 0
    coupons_granted: int = 0


async def of_person(connection: AsyncConnection, person_id: UUID) -> list[SubjectState]:
    """All subjects of whoever a person id, present or former, means now; empty for nobody."""
    rows = await connection.execute(_BY_PERSON, {"person": person_id})
    return [_state(row) for row in rows.mappings()]


async def subject_born_as(connection: AsyncConnection, person_id: UUID) -> UUID | None:
    """The subject whose person id by birth this is: the anchor of what is said of that id."""
    found: UUID | None = await connection.scalar(_SUBJECT_BORN_AS, {"person": person_id})
    return found


async def with_siblings(
    connection: AsyncConnection, subjects: Iterable[UUID]
) -> dict[UUID, SubjectState]:
    """The known ones of ``subjects`` and everybody who is one person with them."""
    rows = await connection.execute(_SIBLINGS, {"subjects": list(subjects)})
    return {row["subject_id"]: _state(row) for row in rows.mappings()}


def touching(touches: Mapping[UUID, Touch]) -> Statement:
    """Lock subjects until the end of the transaction, making unknown ones, and add to them."""
    births = [_birth_person_id(subject) for subject in sorted(touches)]
    return Statement(_LOCK, {**_columns(touches), "births": births})


async def recount(connection: AsyncConnection, lost: Mapping[UUID, Touch]) -> None:
    """Take from the counts of locked subjects, and set their span anew."""
    if lost:
        await connection.execute(_RECOUNT, _columns(lost))


async def lock_people(
    connection: AsyncConnection, subjects: Collection[UUID]
) -> dict[UUID, SubjectState]:
    """Lock ``subjects``, making unknown ones, and all who are one person with any of them.

    Raises Contended when a merge or its undoing came in between reading and locking.
    """
    known = await with_siblings(connection, subjects)
    wanted = {*subjects, *known}
    await run_together(connection, [touching({subject: Touch() for subject in wanted})])
    return await require_whole(connection, wanted, subjects)


async def require_whole(
    connection: AsyncConnection, locked: Collection[UUID], subjects: Iterable[UUID]
) -> dict[UUID, SubjectState]:
    """Everybody who is one person with ``subjects``, given that just these were locked for it.

    Raises Contended otherwise: somebody more is not locked, and somebody less may have been
    erased meanwhile, and made anew by the lock.
    """
    people = await with_siblings(connection, subjects)
    if people.keys() != set(locked):
        raise Contended
    return people


async def set_person(connection: AsyncConnection, persons: Mapping[UUID, UUID]) -> None:
    """Point subjects, which the caller has locked, to their person."""
    if persons:
        values = {"subjects": list(persons), "persons": list(persons.values())}
        await connection.execute(_SET_PERSON, values)


async def erasures(
    connection: AsyncConnection, identity_key: bytes, subjects: Iterable[UUID]
) -> dict[UUID, datetime]:
    """When those of ``subjects`` that were erased were so last."""
    graves = graves_of(identity_key, subjects)
    if not graves:
        return {}
    rows = await connection.execute(*asking_erasures(graves))
    return {graves[row.subject_hash]: row.erased_at for row in rows}


def graves_of(identity_key: bytes, subjects: Iterable[UUID]) -> dict[bytes, UUID]:
    """Subjects by the hash that would be kept of them."""
    return {tombstone_hash(identity_key, subject): subject for subject in subjects}


def asking_erasures(graves: Iterable[bytes]) -> Statement:
    """Gives (hash, when it was erased last) of each that is a tombstone."""
    return Statement(_ERASURES, {"hashes": list(graves)})


async def bury(
    connection: AsyncConnection, identity_key: bytes, subjects: Sequence[UUID], at: datetime
) -> None:
    """Forget subjects, which the caller has locked, but for a keyed hash and the time.

    All other rows that refer to them must be gone already.
    """
    for statement in _FORGET:
        await connection.execute(text(statement), {"subjects": subjects})
    hashes = [tombstone_hash(identity_key, subject) for subject in subjects]
    await connection.execute(_BURY, {"hashes": hashes, "erased_at": at})


def _columns(touches: Mapping[UUID, Touch]) -> dict[str, list[Any]]:
    ids = sorted(touches)
    ordered = [touches[subject] for subject in ids]
    return {
        "ids": ids,
        "firsts": [touch.first_at for touch in ordered],
        "lasts": [touch.last_at for touch in ordered],
        "check_ins": [touch.check_ins for touch in ordered],
        "coupons": [touch.coupons_granted for touch in ordered],
    }


def _state(row: RowMapping) -> SubjectState:
    return SubjectState(**row)
