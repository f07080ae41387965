"""Queries of identities, the ledger of merges, and the queue of refused ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.people.domain import Edge, MergeWish, Objection
from shared.ids import uuid7

_KEEP_IDENTITIES = text("""
    INSERT INTO member.identities AS i
        (subject_id, namespace, issuer, sealed, verified, created_at)
    SELECT id, namespace, issuer, sealed, true, :now
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:namespaces AS text[]), CAST(:issuers AS text[]),
        CAST(:boxes AS bytea[])) AS known (id, namespace, issuer, sealed)
    ORDER BY id
    ON CONFLICT (subject_id) DO NOTHING
""")

_IDENTITIES = text("""
    SELECT subject_id, namespace, issuer, sealed, verified FROM member.identities
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) ORDER BY namespace, issuer, subject_id
""")

_LIVE_EDGES = text("""
    SELECT merge_id, subject_a, subject_b, overrides,
        COALESCE(holds_from, merged_at) AS holds_from
    FROM member.merges
    WHERE undone_at IS NULL AND (subject_a = ANY(CAST(:subjects AS uuid[]))
        OR subject_b = ANY(CAST(:subjects AS uuid[])))
""")

# Everybody who was one person with each subject at an instant of its own, walked along the edges.
_SIBLINGS_AT = text("""
    WITH RECURSIVE person (place, at, subject_id) AS (
        SELECT place, at, id
        FROM unnest(CAST(:subjects AS uuid[]), CAST(:times AS timestamptz[]))
            WITH ORDINALITY AS asked (id, at, place)
        UNION
        SELECT p.place, p.at,
            CASE WHEN m.subject_a = p.subject_id THEN m.subject_b ELSE m.subject_a END
        FROM person AS p
        JOIN member.merges AS m ON p.subject_id IN (m.subject_a, m.subject_b)
        WHERE m.merged_at <= p.at AND (m.undone_at IS NULL OR m.undone_at > p.at)
    )
    SELECT place, subject_id FROM person ORDER BY place, subject_id
""")

_ADD = text("""
    INSERT INTO member.merges
        (merge_id, subject_a, subject_b, evidence, actor, overrides, merged_at, holds_from)
    VALUES (:merge_id, :subject_a, :subject_b, :evidence, :actor, :overrides, :now, :holds_from)
""")

_CORROBORATE = text("""
    INSERT INTO member.merges AS m
        (merge_id, subject_a, subject_b, evidence, actor, merged_at, holds_from)
    VALUES (:merge_id, :subject_a, :subject_b, :evidence, :actor, :now, :holds_from)
    ON CONFLICT (subject_a, subject_b) WHERE undone_at IS NULL DO UPDATE SET
        holds_from = LEAST(COALESCE(m.holds_from, m.merged_at), EXCLUDED.holds_from)
""")

_MERGE_COLUMNS = """merge_id, subject_a, subject_b, evidence, actor, overrides, merged_at,
    undone_at, undone_by"""

_GET = text(f"SELECT {_MERGE_COLUMNS} FROM member.merges WHERE merge_id = :merge_id")

_UNDO = text(f"""
    UPDATE member.merges SET undone_at = GREATEST(:now, merged_at), undone_by = :actor
    WHERE merge_id = :merge_id AND undone_at IS NULL
    RETURNING {_MERGE_COLUMNS}
""")

# What a rule took back is no word of a human's, and the rule speaks for itself.
_TAKEN_BACK = text("""
    SELECT EXISTS (
        SELECT FROM member.merges
        WHERE subject_a = :subject_a AND subject_b = :subject_b
            AND undone_at IS NOT NULL AND undone_by NOT LIKE 'rule:%'
    )
""")

_LEDGER = text(f"""
    SELECT {_MERGE_COLUMNS} FROM member.merges
    WHERE (CAST(:subjects AS uuid[]) IS NULL OR subject_a = ANY(:subjects)
            OR subject_b = ANY(:subjects))
        AND (CAST(:before AS uuid) IS NULL OR merge_id < :before)
    ORDER BY merge_id DESC LIMIT :limit
""")

_QUEUE = text("""
    INSERT INTO member.merge_reviews (subject_a, subject_b, reason, evidence, created_at)
    VALUES (:subject_a, :subject_b, :reason, :evidence, :now)
    ON CONFLICT (subject_a, subject_b) DO NOTHING
""")

_REVIEWS = text("""
    SELECT r.subject_a, r.subject_b, a.person_id AS person_a, b.person_id AS person_b,
        r.reason, r.evidence, r.created_at
    FROM member.merge_reviews AS r
    JOIN member.subjects AS a ON a.subject_id = r.subject_a
    JOIN member.subjects AS b ON b.subject_id = r.subject_b
    WHERE a.person_id <> b.person_id
        AND (CAST(:after_a AS uuid) IS NULL OR (r.subject_a, r.subject_b) > (:after_a, :after_b))
    ORDER BY r.subject_a, r.subject_b LIMIT :limit
""")

_SETTLE = text("""
    DELETE FROM member.merge_reviews WHERE subject_a = :subject_a AND subject_b = :subject_b
""")


@dataclass(frozen=True, slots=True)
class SealedIdentity:
    """An identity as it is stored: only the private key of member_api opens ``sealed``."""

    subject_id: UUID
    namespace: str
    issuer: str
    sealed: bytes
    verified: bool = True


@dataclass(frozen=True, slots=True)
class MergeEntry:
    """A row of the ledger. ``overrides`` names the rule that the actor set aside."""

    merge_id: UUID
    subject_a: UUID
    subject_b: UUID
    evidence: str
    actor: str
    overrides: str | None
    merged_at: datetime
    undone_at: datetime | None = None
    undone_by: str | None = None


async def keep_identities(
    connection: AsyncConnection, identities: Sequence[SealedIdentity], now: datetime
) -> None:
    """Store verified identities of subjects that exist; a known one keeps its first box."""
    if not identities:
        return
    values = {
        "subjects": [identity.subject_id for identity in identities],
        "namespaces": [identity.namespace for identity in identities],
        "issuers": [identity.issuer for identity in identities],
        "boxes": [identity.sealed for identity in identities],
        "now": now,
    }
    await connection.execute(_KEEP_IDENTITIES, values)


async def identities_of(
    connection: AsyncConnection, subjects: Iterable[UUID]
) -> list[SealedIdentity]:
    rows = await connection.execute(_IDENTITIES, {"subjects": list(subjects)})
    return [SealedIdentity(**_plain(row)) for row in rows.mappings()]


async def live_edges(connection: AsyncConnection, subjects: Iterable[UUID]) -> list[Edge]:
    rows = await connection.execute(_LIVE_EDGES, {"subjects": list(subjects)})
    return [Edge(**row) for row in rows.mappings()]


async def siblings_at(
    connection: AsyncConnection, asked: Sequence[tuple[UUID, datetime]]
) -> list[tuple[UUID, ...]]:
    """Who was one person with each subject at its instant, itself included, in id order."""
    if not asked:
        return []
    values = {"subjects": [who for who, _ in asked], "times": [at for _, at in asked]}
    found: list[tuple[UUID, ...]] = [()] * len(asked)
    for place, subject in await connection.execute(_SIBLINGS_AT, values):
        found[place - 1] += (subject,)
    return found


async def add(
    connection: AsyncConnection, entry: MergeEntry, holds_from: datetime | None = None
) -> None:
    values = {
        "merge_id": entry.merge_id,
        "subject_a": entry.subject_a,
        "subject_b": entry.subject_b,
        "evidence": entry.evidence,
        "actor": entry.actor,
        "overrides": entry.overrides,
        "now": entry.merged_at,
        "holds_from": holds_from,
    }
    await connection.execute(_ADD, values)
    await connection.execute(_SETTLE, {"subject_a": entry.subject_a, "subject_b": entry.subject_b})


async def corroborate(connection: AsyncConnection, wish: MergeWish) -> None:
    """Keep what else shows that two are one person: as a merge, or an earlier time of theirs."""
    values = {
        "merge_id": uuid7(),
        "subject_a": min(wish.ends),
        "subject_b": max(wish.ends),
        "evidence": wish.evidence,
        "actor": wish.actor,
        "now": wish.at,
        "holds_from": wish.shown_at,
    }
    await connection.execute(_CORROBORATE, values)


async def get(connection: AsyncConnection, merge_id: UUID) -> MergeEntry | None:
    row = (await connection.execute(_GET, {"merge_id": merge_id})).mappings().first()
    return None if row is None else MergeEntry(**row)


async def undo(
    connection: AsyncConnection, merge_id: UUID, actor: str, now: datetime
) -> MergeEntry | None:
    """End a live merge; None if there is none (any more)."""
    values = {"merge_id": merge_id, "actor": actor, "now": now}
    row = (await connection.execute(_UNDO, values)).mappings().first()
    return None if row is None else MergeEntry(**row)


async def was_taken_back(connection: AsyncConnection, ends: tuple[UUID, UUID]) -> bool:
    """Whether somebody has undone a merge of just these two."""
    values = {"subject_a": min(ends), "subject_b": max(ends)}
    return bool(await connection.scalar(_TAKEN_BACK, values))


async def ledger(
    connection: AsyncConnection, subjects: list[UUID] | None, before: UUID | None, limit: int
) -> list[MergeEntry]:
    """The newest merges, undone ones too; of ``subjects`` only, where given."""
    values = {"subjects": subjects, "before": before, "limit": limit}
    rows = await connection.execute(_LEDGER, values)
    return [MergeEntry(**row) for row in rows.mappings()]


async def queue_review(connection: AsyncConnection, wish: MergeWish, against: Objection) -> None:
    """Put a refused merge before human eyes, once."""
    values = {
        "subject_a": min(wish.ends),
        "subject_b": max(wish.ends),
        "reason": against.value,
        "evidence": wish.evidence,
        "now": wish.at,
    }
    await connection.execute(_QUEUE, values)


async def reviews(
    connection: AsyncConnection, after: Sequence[UUID] | None, limit: int
) -> list[RowMapping]:
    """Refused merges of those who are two people still."""
    after_a, after_b = after or (None, None)
    values = {"after_a": after_a, "after_b": after_b, "limit": limit}
    return list((await connection.execute(_REVIEWS, values)).mappings())


def _plain(row: RowMapping) -> dict[str, Any]:
    return {**row, "sealed": bytes(row["sealed"])}
