"""Everything that is held about a person, for the person."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.consents import service as consents
from services.member_api.consents.endpoints import record_out
from services.member_api.people import service as people
from services.member_api.people.endpoints import ledger_entry_out
from services.member_api.profiles.schemas import ExportOut, PersonOut
from services.member_api.profiles.service import read_profile
from services.member_api.timeline import reading
from services.member_api.timeline.reading import TimelineFilter
from services.member_api.timeline.schemas import TimelineItemOut
from shared.keys import MemberKeys
from shared.pagination import MAX_LIMIT

_VISITS = text("""
    SELECT * FROM member.visits
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) ORDER BY visit_id
""")
_REDEMPTIONS = text("""
    SELECT * FROM member.redemptions
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) ORDER BY redemption_id
""")
_TOUCHES = text("""
    SELECT * FROM member.social_touches
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) ORDER BY at, event_id
""")
_MESSAGES = text("""
    SELECT * FROM member.social_messages
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) ORDER BY event_id
""")
_REVOCATIONS = text("""
    SELECT * FROM member.whereabouts_revocations
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) ORDER BY subject_id
""")


async def export(
    connection: AsyncConnection, keys: MemberKeys, person_id: UUID, now: datetime
) -> ExportOut:
    """Read page by page, answered whole. Raises PersonNotFound."""
    person = await read_profile(connection, keys, person_id)
    subjects = person.subjects
    rows: list[list[dict[str, Any]]] = []
    for statement in (_VISITS, _REDEMPTIONS, _TOUCHES, _MESSAGES, _REVOCATIONS):
        found = await connection.execute(statement, {"subjects": subjects})
        rows.append([dict(row) for row in found.mappings()])
    return ExportOut(
        exported_at=now,
        person=PersonOut.of(person),
        timeline=[item async for item in _timeline(connection, subjects)],
        consents=[record_out(one, keys) async for one in _consents(connection, subjects)],
        merges=[ledger_entry_out(one) async for one in _merges(connection, person_id)],
        visits=rows[0],
        redemptions=rows[1],
        social_touches=rows[2],
        social_messages=rows[3],
        whereabouts_revocations=rows[4],
    )


async def _timeline(
    connection: AsyncConnection, subjects: list[UUID]
) -> AsyncIterator[TimelineItemOut]:
    before: tuple[datetime, UUID] | None = None
    while True:
        found = await reading.page(connection, subjects, TimelineFilter(), before, MAX_LIMIT)
        for item in found:
            yield TimelineItemOut.model_validate(item)
        if len(found) < MAX_LIMIT:
            return
        before = found[-1].occurred_at, found[-1].id


async def _consents(
    connection: AsyncConnection, subjects: list[UUID]
) -> AsyncIterator[consents.Record]:
    before: tuple[datetime, UUID] | None = None
    while True:
        found = await consents.history(connection, subjects, before, MAX_LIMIT)
        for record in found:
            yield record
        if len(found) < MAX_LIMIT:
            return
        before = found[-1].statement.at, found[-1].statement.consent_id


async def _merges(connection: AsyncConnection, person_id: UUID) -> AsyncIterator[people.MergeEntry]:
    before: UUID | None = None
    while True:
        found = await people.ledger_page(connection, person_id, before, MAX_LIMIT)
        for entry in found:
            yield entry
        if len(found) < MAX_LIMIT:
            return
        before = found[-1].merge_id
