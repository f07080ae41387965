"""Migrations make exactly what the models say."""

import asyncio
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from geoalchemy2 import alembic_helpers
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from services.geo_api.metadata import METADATA
from shared.migrating import belongs_to
from tests.conftest import DatabaseUrls


def test_the_migrated_schema_equals_the_models(database_urls: DatabaseUrls) -> None:
    assert asyncio.run(_differences(database_urls.superuser)) == []


async def _differences(url: str) -> list[Any]:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found: list[Any] = await connection.run_sync(_compare)
    await engine.dispose()
    return found


def _compare(connection: Connection) -> list[Any]:
    options = {
        "include_schemas": True,
        "include_name": belongs_to("geo"),
        "include_object": alembic_helpers.include_object,
        "compare_type": True,
        "compare_server_default": True,
        "version_table_schema": "geo",
    }
    found: list[Any] = compare_metadata(
        MigrationContext.configure(connection, opts=options), METADATA
    )
    return found
