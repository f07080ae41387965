"""An erasure reaches every table of member_api that knows subjects, whichever are added."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from services.member_api.schema import metadata
from shared.ids import birth_person_id
from tests.member_api.conftest import Tell
from tests.member_api.events import check_in
from tests.rows import MOMENT, bucket_for, columns_about_people, count, insert

pytestmark = pytest.mark.slow

RULES: dict[str, dict[str, Any]] = {
    "consents": {"state": "granted"},
    "outbox": {"lane": 1},
    "social_messages": {"state": "sent"},
    "social_touches": {"came": True},
    "timeline_items": {"occurred_at": MOMENT},
}
"""What the constraints of tables ask for."""

PAIRS = {"merges", "merge_reviews"}
"""Their two ends stand in order."""


async def test_an_erasure_leaves_nothing_of_a_subject_in_any_table(
    member: httpx.AsyncClient, server: dict[str, str], tell: Tell, database: asyncpg.Connection
) -> None:
    who, other = uuid4(), uuid4()
    await tell(check_in(who), check_in(other))
    tables = columns_about_people(metadata)
    tables.pop("subjects")
    assert tables.keys() >= {
        "consents", "claims", "identities", "inbox", "memberships", "merges", "outbox",
        "redemptions", "social_messages", "social_touches", "timeline_items", "visits",
        "whereabouts_revocations",
    }  # fmt: skip
    by_name = {table.name: table for table in metadata.sorted_tables}
    for name, columns in tables.items():
        for subject in (who, other):
            for row in _rows(name, columns, subject):
                await insert(
                    database, by_name[name], RULES.get(name, {}) | row | bucket_for(name, subject)
                )

    answer = await member.delete(f"/v1/people/{birth_person_id(who)}", headers=server)

    assert answer.status_code == 200, answer.text
    await database.execute("DELETE FROM member.outbox WHERE type = 'subject_erased'")
    tables["subjects"] = ["subject_id"]
    left = {
        (name, subject): await count(database, by_name[name], column, subject)
        for name, columns in tables.items()
        for column in columns
        for subject in (who, other)
    }
    assert {name for (name, subject), rows in left.items() if subject == who and rows} == set()
    assert all(rows for (_, subject), rows in left.items() if subject == other)


def _rows(name: str, columns: list[str], subject: UUID) -> list[dict[str, UUID]]:
    """A row of which each of ``columns`` is the subject; with others of nobody where it must be."""
    if name in PAIRS:
        low, high = UUID(int=0), UUID(int=(1 << 128) - 1)
        return [
            {"subject_a": subject, "subject_b": high},
            {"subject_a": low, "subject_b": subject},
        ]
    if len(columns) == 1:
        return [{columns[0]: subject}]
    return [
        {column: subject if column == one else uuid4() for column in columns} for one in columns
    ]
