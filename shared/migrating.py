"""What both services' Alembic environments do: one schema, one transaction a migration, short locks."""

import asyncio
import os
from typing import Any

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import MetaData, pool, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

LOCK_TIMEOUT_MS = 4_000
STATEMENT_TIMEOUT_MS = 5_000
_ADVISORY_LOCK = 0x501040


def run_migrations(metadata: MetaData) -> None:
    """Run the migrations of ``metadata``'s schema as the role of ``SOLOMO_DATABASE_URL``.

    Waits for a concurrent run. A migration that has to wait 4 s for a lock gives up, rather than
    queue the whole service behind itself.
    """
    asyncio.run(_run(metadata))


def belongs_to(schema: str | None) -> Any:
    """An ``include_name`` for Alembic that looks at ``schema`` only, partitions left out."""

    def include(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "schema":
            return name == schema
        if kind == "table":
            partition = name is not None and "_p_" in name
            return parents.get("schema_name") == schema and not partition
        return True

    return include


async def _run(metadata: MetaData) -> None:
    engine = create_async_engine(os.environ["SOLOMO_DATABASE_URL"], poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_migrate, metadata)
        await connection.commit()
    await engine.dispose()


def _migrate(connection: Connection, metadata: MetaData) -> None:
    connection.execute(text(f"SET lock_timeout = {LOCK_TIMEOUT_MS}"))
    connection.execute(text(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=metadata.schema,
        include_schemas=True,
        include_name=belongs_to(metadata.schema),
        include_object=alembic_helpers.include_object,
        process_revision_directives=alembic_helpers.writer,
        render_item=alembic_helpers.render_item,
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
