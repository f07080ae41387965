"""The migrations make exactly the tables that the models describe."""

import asyncio
from datetime import UTC, date, datetime
from uuid import uuid4

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import make_url
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from services.member_api.schema import metadata
from services.member_api.timeline.partitions import make_months
from shared.migrating import belongs_to
from tests.conftest import DatabaseUrls


async def test_the_migrations_equal_the_models(database_urls: DatabaseUrls) -> None:
    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "include_name": belongs_to("member"),
                "version_table_schema": "member",
                "compare_type": True,
                "compare_server_default": True,
            },
        )
        return list(compare_metadata(context, metadata))

    engine = create_async_engine(database_urls.member)
    async with engine.connect() as connection:
        assert await connection.run_sync(compare) == []
    await engine.dispose()


async def test_a_month_made_late_takes_over_what_waited_for_it(
    database_urls: DatabaseUrls, database: asyncpg.Connection
) -> None:
    moments = [datetime(2031, 12, 31, 23, 59, tzinfo=UTC), datetime(2032, 1, 1, tzinfo=UTC)]
    for moment in moments:
        await database.execute(
            "INSERT INTO member.timeline_items VALUES ($1, $2, $1, 'check_in', $2, NULL, '{}')",
            uuid4(),
            moment,
        )

    engine = create_async_engine(database_urls.member)
    async with engine.begin() as connection:
        assert await make_months(connection, date(2031, 12, 24), 2) == 2
        assert await make_months(connection, date(2031, 12, 24), 2) == 0
    await engine.dispose()

    rows = await database.fetch(
        "SELECT tableoid::regclass::text AS part FROM member.timeline_items ORDER BY occurred_at"
    )
    assert [row["part"] for row in rows] == [
        "member.timeline_items_p_2031_12",
        "member.timeline_items_p_2032_01",
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE member.subjects SET person_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        "UPDATE member.subjects SET check_ins = -1",
        "UPDATE member.subjects SET first_seen_at = now(), last_seen_at = now() - interval '1 s'",
    ],
)
async def test_the_database_itself_refuses_what_cannot_be(
    database: asyncpg.Connection, statement: str
) -> None:
    await database.execute(
        "INSERT INTO member.subjects VALUES ($1, $1, $1, NULL, NULL, 0, 0, 0)", uuid4()
    )

    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute(statement)


async def test_making_a_month_disturbs_nobody_who_is_writing(
    database_urls: DatabaseUrls, database: asyncpg.Connection
) -> None:
    """The writer chose the default partition before the month was there."""
    await database.execute("INSERT INTO member.timeline_items VALUES"
                           " (gen_random_uuid(), '2033-05-05Z', gen_random_uuid(), 'x', now(), NULL, '{}')")  # fmt: skip
    url = make_url(database_urls.member).set(drivername="postgresql")
    writers = [await asyncpg.connect(url.render_as_string(hide_password=False)) for _ in range(4)]
    stop = asyncio.Event()

    async def write(connection: asyncpg.Connection) -> int:
        count = 0
        while not stop.is_set():
            moment = datetime(2033, 1 + count % 12, 5, tzinfo=UTC)
            await connection.execute(
                "INSERT INTO member.timeline_items VALUES ($1, $2, $1, 'x', $2, NULL, '{}')",
                uuid4(),
                moment,
            )
            count += 1
        return count

    writing = [asyncio.create_task(write(connection)) for connection in writers]
    for month in range(1, 13):
        await asyncio.sleep(0.02)
        await database.fetchval("SELECT member.make_timeline_months($1, 1)", date(2033, month, 1))
    stop.set()
    written = sum(await asyncio.gather(*writing))

    assert await database.fetchval("SELECT count(*) FROM member.timeline_items") == written + 1
    assert await database.fetchval("SELECT count(*) FROM member.timeline_items_p_default") == 0
    for connection in writers:
        await connection.close()
