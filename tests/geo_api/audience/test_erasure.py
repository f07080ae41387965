"""An erasure reaches every table of geo_api that knows subjects, whichever are added."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import make_url

from services.geo_api.audience.repository import NOBODY, RECEIPTS
from services.geo_api.metadata import METADATA
from tests.conftest import DatabaseUrls
from tests.geo_api.checkins.audience import MemberVoice, erasure
from tests.geo_api.plans import plan
from tests.rows import MOMENT, bucket_for, columns_about_people, count, insert

pytestmark = pytest.mark.slow

CHECK_IN = uuid4()
RULES: dict[str, dict[str, Any]] = {
    "check_in_receipts": {"check_in_id": CHECK_IN},
    "check_ins": {"check_in_id": CHECK_IN, "consent_purpose": "visit_history"},
    "coupons": {"state": "granted", "valid_until": MOMENT + timedelta(days=1)},
    "outbox": {"lane": 1},
    "outreach_messages": {"state": "waiting"},
    "subjects": {"lifecycle": "fan"},
    "visits": {"state": "open"},
    "wechat_grants": {"state": "open"},
    "wechat_pushes": {"state": "waiting"},
}
"""What the constraints of tables ask for, and that a receipt is that of a check-in."""


@pytest.fixture
async def connection(database_urls: DatabaseUrls) -> AsyncIterator[asyncpg.Connection]:
    url = make_url(database_urls.superuser).set(drivername="postgresql")
    connected = await asyncpg.connect(url.render_as_string(hide_password=False))
    yield connected
    await connected.close()


async def test_an_erasure_leaves_nothing_of_a_subject_in_any_table(
    geo: httpx.AsyncClient, installation_keys: Path, connection: asyncpg.Connection
) -> None:
    who, other = uuid4(), uuid4()
    tables = columns_about_people(METADATA)
    assert tables.keys() >= {
        "check_ins", "coupons", "outbox", "inbox", "outreach_messages", "redemptions", "subjects",
        "visits", "wechat_grants", "wechat_pushes", "wechat_users", "wechat_windows",
    }  # fmt: skip
    by_name = {table.name: table for table in METADATA.sorted_tables}
    for name, columns in tables.items():
        for subject in (who, other):
            values = RULES.get(name, {}) | dict.fromkeys(columns, subject)
            if name == "subjects":
                values |= {"siblings": [who, other]}
            await insert(connection, by_name[name], values | bucket_for(name, subject))

    voice = MemberVoice(geo, installation_keys)
    assert await voice.tell(erasure(who, datetime.now(UTC))) == ["applied"]

    left = {
        (name, subject): await count(connection, by_name[name], column, subject)
        for name, columns in tables.items()
        for column in columns
        for subject in (who, other, NOBODY)
    }
    assert await connection.fetchval("SELECT siblings FROM geo.subjects") == [other]
    assert {name for (name, subject), rows in left.items() if subject == who and rows} == set()
    assert all(rows for (_, subject), rows in left.items() if subject == other)
    of_nobody = {name for (name, subject), rows in left.items() if subject == NOBODY and rows}
    assert of_nobody == {"redemptions"}


async def test_the_receipts_of_a_subject_are_found_without_reading_those_of_others(
    geo_app: FastAPI,
) -> None:
    async with geo_app.state.database.begin() as connection:
        nodes = await plan(connection, RECEIPTS, {"subject": uuid4()})
    assert "Seq Scan" not in {node["Node Type"] for node in nodes}
    assert "pk_check_in_receipts" in {node.get("Index Name") for node in nodes}
