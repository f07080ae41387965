from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from services.geo_api.wechat.sending.retention import MESSAGES_FOR, forget_messages
from shared.db import Database

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

INSERT = text("""
    INSERT INTO geo.outreach_messages (subject_id, outreach_id, cause, state, attempts, created_at,
        due_at, expires_at)
    VALUES (:subject, :message, 'coupon_granted', :state, 0, :at, :at, :at)
""")


async def test_messages_that_are_done_with_go_after_a_month(database: Database) -> None:
    old, young = NOW - MESSAGES_FOR - timedelta(seconds=1), NOW - MESSAGES_FOR
    async with database.begin() as connection:
        for state, at in (("delivered", old), ("dropped", old), ("waiting", old), ("sent", young)):
            values = {"subject": uuid4(), "message": uuid4(), "state": state, "at": at}
            await connection.execute(INSERT, values)
        assert await forget_messages(connection, NOW) == 2
        left = await connection.scalars(text("SELECT state FROM geo.outreach_messages ORDER BY 1"))
        assert [*left] == ["sent", "waiting"]
