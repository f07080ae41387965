"""Queries of consents. Nothing here changes a row."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.consents.domain import Statement
from shared.contracts.events import ConsentState, Purpose

_COLUMNS = """subject_id, consent_id, purpose, state, version, at, confirms_person, recorded_at,
    withdraws, language, channel, actor, proof"""

_ADD = text(f"""
    INSERT INTO member.consents ({_COLUMNS})
    VALUES (:subject_id, :consent_id, :purpose, :state, :version, :at, :confirms_person,
        :recorded_at, :withdraws, :language, :channel, :actor, :proof)
""")

_STATEMENTS = text("""
    SELECT subject_id, consent_id, purpose, state, version, at, confirms_person, recorded_at
    FROM member.consents
    WHERE subject_id = ANY(CAST(:subjects AS uuid[]))
        AND (CAST(:known_at AS timestamptz) IS NULL
            OR (at <= :known_at AND recorded_at <= :known_at))
""")

_HISTORY = text(f"""
    SELECT {_COLUMNS} FROM member.consents
    WHERE subject_id = ANY(CAST(:subjects AS uuid[]))
        AND (at, consent_id) < (COALESCE(CAST(:before_at AS timestamptz), 'infinity'),
            CAST(:before_id AS uuid))
    ORDER BY at DESC, consent_id DESC LIMIT :limit
""")

_GET = text(f"""
    SELECT {_COLUMNS} FROM member.consents
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) AND consent_id = :consent_id
""")

_WITHDRAWAL = text(f"""
    SELECT {_COLUMNS} FROM member.consents
    WHERE subject_id = :subject_id AND withdraws = :consent_id
""")

_FORGET = text("DELETE FROM member.consents WHERE subject_id = ANY(CAST(:subjects AS uuid[]))")

_LAST_ID = UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True)
class Record:
    """A statement as it was written down; ``proof`` is encrypted."""

    statement: Statement
    recorded_at: datetime
    withdraws: UUID | None
    language: str | None
    channel: str | None
    actor: str
    proof: bytes | None


async def add(connection: AsyncConnection, record: Record) -> None:
    said = record.statement
    values = {
        "subject_id": said.subject_id,
        "consent_id": said.consent_id,
        "purpose": said.purpose.value,
        "state": said.state.value,
        "version": said.version,
        "at": said.at,
        "confirms_person": said.confirms_person,
        "recorded_at": record.recorded_at,
        "withdraws": record.withdraws,
        "language": record.language,
        "channel": record.channel,
        "actor": record.actor,
        "proof": record.proof,
    }
    await connection.execute(_ADD, values)


async def statements(
    connection: AsyncConnection, subjects: Iterable[UUID], *, known_at: datetime | None = None
) -> list[tuple[Statement, datetime]]:
    """All that subjects said, and when it was written down; with ``known_at``, up to then.

    Whom a confirmation speaks for is the ledger's to say, and left empty here.
    """
    values = {"subjects": list(subjects), "known_at": known_at}
    rows = (await connection.execute(_STATEMENTS, values)).mappings()
    return [(_statement(row), row["recorded_at"]) for row in rows]


async def history(
    connection: AsyncConnection,
    subjects: Iterable[UUID],
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Record]:
    """Records, the latest said first."""
    before_at, before_id = before or (None, _LAST_ID)
    values = {
        "subjects": list(subjects),
        "before_at": before_at,
        "before_id": before_id,
        "limit": limit,
    }
    return [_record(row) for row in (await connection.execute(_HISTORY, values)).mappings()]


async def get(
    connection: AsyncConnection, subjects: Iterable[UUID], consent_id: UUID
) -> Record | None:
    values = {"subjects": list(subjects), "consent_id": consent_id}
    row = (await connection.execute(_GET, values)).mappings().first()
    return None if row is None else _record(row)


async def withdrawal_of(connection: AsyncConnection, grant: Statement) -> Record | None:
    values = {"subject_id": grant.subject_id, "consent_id": grant.consent_id}
    row = (await connection.execute(_WITHDRAWAL, values)).mappings().first()
    return None if row is None else _record(row)


async def forget(connection: AsyncConnection, subjects: Iterable[UUID]) -> None:
    await connection.execute(_FORGET, {"subjects": list(subjects)})


def _statement(row: RowMapping) -> Statement:
    return Statement(
        row["subject_id"],
        row["consent_id"],
        Purpose(row["purpose"]),
        ConsentState(row["state"]),
        row["version"],
        row["at"],
        frozenset() if row["confirms_person"] else None,
    )


def _record(row: RowMapping) -> Record:
    proof = row["proof"]
    return Record(
        _statement(row),
        row["recorded_at"],
        row["withdraws"],
        row["language"],
        row["channel"],
        row["actor"],
        None if proof is None else bytes(proof),
    )
