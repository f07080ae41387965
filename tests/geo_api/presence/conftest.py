"""A bare PostGIS to ask the same questions that the index answers in memory."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url


@dataclass(frozen=True)
class PostGIS:
    url: str

    def ask(self, sql: str, *arguments: Any) -> list[Any]:
        """The first column of the answer."""

        async def fetch() -> Sequence[Any]:
            connection = await asyncpg.connect(self.url)
            try:
                rows: Sequence[Any] = await connection.fetch(sql, *arguments)
            finally:
                await connection.close()
            return rows

        return [row[0] for row in asyncio.run(fetch())]


@pytest.fixture(scope="module")
def postgis(superuser_url: str) -> Iterator[PostGIS]:
    """A database with nothing but the extension; functions only, no tables."""
    name = f"solomo_test_geometry_{os.getpid()}"
    here = make_url(superuser_url).set(drivername="postgresql")
    server = PostGIS(here.render_as_string(hide_password=False))
    server.ask(f'CREATE DATABASE "{name}"')
    database = PostGIS(here.set(database=name).render_as_string(hide_password=False))
    try:
        database.ask("CREATE EXTENSION postgis")
        yield database
    finally:
        server.ask(f'DROP DATABASE "{name}" WITH (FORCE)')
