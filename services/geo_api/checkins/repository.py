"""Every query of receipts and check-ins, each over a whole group at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.presence.domain import GAP, Fix

Key = tuple[UUID, UUID]
"""(subject_id, check_in_id)"""

# Ordered, so that two groups with the same ids wait for each other in one direction only.
_CLAIM = text("""
    INSERT INTO geo.check_in_receipts (subject_id, check_in_id, request_hash, received_at)
    SELECT * FROM unnest(CAST(:subjects AS uuid[]), CAST(:ids AS uuid[]),
        CAST(:hashes AS bytea[]), CAST(:received AS timestamptz[])) AS r (s, i, h, t)
    ORDER BY s, i
    ON CONFLICT (subject_id, check_in_id) DO NOTHING
    RETURNING subject_id, check_in_id
""")

_READ_ANSWERS = text("""
    SELECT r.subject_id, r.check_in_id, r.request_hash, r.answer, r.decisions
    FROM geo.check_in_receipts AS r
    JOIN unnest(CAST(:subjects AS uuid[]), CAST(:ids AS uuid[])) AS asked (s, i)
      ON r.subject_id = asked.s AND r.check_in_id = asked.i
""")

_UNCLAIM = text("""
    DELETE FROM geo.check_in_receipts AS r
    USING unnest(CAST(:subjects AS uuid[]), CAST(:ids AS uuid[])) AS u (s, i)
    WHERE r.subject_id = u.s AND r.check_in_id = u.i
""")

_WRITE_ANSWERS = text("""
    UPDATE geo.check_in_receipts AS r SET answer = a.answer, decisions = a.decisions
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:ids AS uuid[]), CAST(:answers AS text[]),
        CAST(:decisions AS text[])) AS a (s, i, answer, decisions)
    WHERE r.subject_id = a.s AND r.check_in_id = a.i
""")

# Arrays of arrays cannot be unnested by row; store ids hold no comma.
_WRITE = text("""
    INSERT INTO geo.check_ins (subject_id, check_in_id, received_at, occurred_at, kind, datum,
        accuracy_m, day, exact, cell, inside, uncertain, matches, signals,
        consent_purpose, consent_version, consent_given_at, source)
    SELECT s, i, received_at, occurred_at, kind, datum, accuracy_m,
        (received_at AT TIME ZONE 'UTC')::date, exact, cell,
        string_to_array(inside, ','), string_to_array(uncertain, ','),
        matches::jsonb, signals::jsonb, purpose, version, given_at, source
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:ids AS uuid[]),
        CAST(:received AS timestamptz[]), CAST(:occurred AS timestamptz[]),
        CAST(:kinds AS text[]), CAST(:datums AS text[]), CAST(:accuracies AS float8[]),
        CAST(:exact AS bytea[]), CAST(:cells AS bigint[]), CAST(:inside AS text[]),
        CAST(:uncertain AS text[]), CAST(:matches AS text[]), CAST(:signals AS text[]),
        CAST(:purposes AS text[]), CAST(:versions AS text[]), CAST(:given AS timestamptz[]),
        CAST(:sources AS text[]))
        AS c (s, i, received_at, occurred_at, kind, datum, accuracy_m, exact, cell, inside,
              uncertain, matches, signals, purpose, version, given_at, source)
""")

# From the start of the episode that a late fix falls into: a pause longer than the gap before it.
_FIXES_SINCE = text("""
    WITH late AS (
        SELECT * FROM unnest(CAST(:subjects AS uuid[]), CAST(:firsts AS timestamptz[]))
            AS l (subject_id, first_at)
    ), ordered AS (
        SELECT c.subject_id, c.check_in_id, c.occurred_at, c.received_at, c.inside, c.uncertain,
            l.first_at, c.occurred_at - lag(c.occurred_at) OVER (
                PARTITION BY c.subject_id ORDER BY c.occurred_at, c.check_in_id) AS pause
        FROM geo.check_ins AS c JOIN late AS l USING (subject_id)
    ), starts AS (
        SELECT subject_id, max(occurred_at) AS start_at FROM ordered
        WHERE (pause IS NULL OR pause > :gap) AND occurred_at <= first_at
        GROUP BY subject_id
    )
    SELECT o.subject_id, o.check_in_id, o.occurred_at, o.received_at, o.inside, o.uncertain
    FROM ordered AS o LEFT JOIN starts AS s USING (subject_id)
    WHERE o.occurred_at >= COALESCE(s.start_at, o.first_at)
    ORDER BY o.subject_id, o.occurred_at, o.check_in_id
""")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an earlier request with the same id left."""

    request_hash: bytes
    answer: str
    decisions: str | None


async def claim(
    connection: AsyncConnection, receipts: Sequence[tuple[UUID, UUID, bytes, datetime]]
) -> set[Key]:
    """Claim (subject, id, request hash, received_at); gives the keys that are ours to decide.

    Waits for a concurrent transaction that claims one of them.
    """
    subjects, ids, hashes, received = _turned(receipts)
    values = {"subjects": subjects, "ids": ids, "hashes": hashes, "received": received}
    rows = await connection.execute(_CLAIM, values)
    return {(row.subject_id, row.check_in_id) for row in rows}


async def read_answers(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, Receipt]:
    if not keys:
        return {}
    subjects, ids = _turned(keys)
    rows = await connection.execute(_READ_ANSWERS, {"subjects": subjects, "ids": ids})
    return {
        (row.subject_id, row.check_in_id): Receipt(row.request_hash, row.answer, row.decisions)
        for row in rows
    }


async def unclaim(connection: AsyncConnection, keys: Sequence[Key]) -> None:
    """Give ids back that were claimed in this transaction and shall not be used up."""
    if keys:
        subjects, ids = _turned(keys)
        await connection.execute(_UNCLAIM, {"subjects": subjects, "ids": ids})


async def write_answers(
    connection: AsyncConnection, answers: Sequence[tuple[UUID, UUID, str, str]]
) -> None:
    """Complete receipts with (subject, id, answer, decisions)."""
    subjects, ids, bodies, decisions = _turned(answers)
    values = {"subjects": subjects, "ids": ids, "answers": bodies, "decisions": decisions}
    await connection.execute(_WRITE_ANSWERS, values)


async def write(connection: AsyncConnection, columns: Mapping[str, Sequence[Any]]) -> None:
    """Insert check-ins, given by column."""
    await connection.execute(_WRITE, columns)


async def fixes_since(
    connection: AsyncConnection, late: Mapping[UUID, datetime]
) -> dict[UUID, list[Fix]]:
    """Per subject the stored fixes from the episode of its first late fix on, in order."""
    values = {"subjects": list(late), "firsts": list(late.values()), "gap": GAP}
    fixes: dict[UUID, list[Fix]] = {subject: [] for subject in late}
    for row in await connection.execute(_FIXES_SINCE, values):
        fix = Fix(
            row.check_in_id,
            row.occurred_at,
            row.received_at,
            frozenset(row.inside),
            frozenset(row.uncertain),
        )
        fixes[row.subject_id].append(fix)
    return fixes


def _turned(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
