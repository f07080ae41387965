"""Run migrations as the owner of schema ``member``: ``SOLOMO_DATABASE_URL`` says where."""

import asyncio
import os
import re
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from services.member_api.schema import metadata
from services.member_api.timeline.partitions import ensure_months

SCHEMA = "member"
PARTITION = re.compile(r"timeline_items_(default|\d{4}_\d{2})")


def include_name(name: str | None, kind: str, _parents: MutableMapping[Any, Any]) -> bool:
    """Leave partitions out of comparisons: they are made by the month, not by models."""
    if kind == "schema":
        return name == SCHEMA
    return not (kind == "table" and name is not None and PARTITION.fullmatch(name))


def migrate(connection: Connection) -> None:
    connection.execute(text("SET lock_timeout = '4s'"))
    connection.execute(text("SET statement_timeout = '5s'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=SCHEMA,
        include_schemas=True,
        include_name=include_name,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()
        if connection.scalar(text("SELECT to_regclass('member.timeline_items') IS NOT NULL")):
            ensure_months(connection, datetime.now(UTC).date())


async def main() -> None:
    engine = create_async_engine(os.environ["SOLOMO_DATABASE_URL"], poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


asyncio.run(main())
