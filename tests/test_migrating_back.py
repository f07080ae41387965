"""Each migration can be taken back, and made again."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import make_url

from tests.conftest import ROOT, DatabaseUrls

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("schema", ["geo", "member"])
def test_all_migrations_go_back_to_nothing_and_up_again(
    schema: str, database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    url: str = getattr(database_urls, schema)
    monkeypatch.setenv("SOLOMO_DATABASE_URL", url)
    config = Config(str(Path(ROOT) / "services" / f"{schema}_api" / "migrations" / "alembic.ini"))
    before = asyncio.run(_tables(url, schema))

    command.downgrade(config, "base")
    assert asyncio.run(_tables(url, schema)) == {"alembic_version"}

    command.upgrade(config, "head")
    assert asyncio.run(_tables(url, schema)) == before


async def _tables(url: str, schema: str) -> set[str]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(plain)
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema)
    await connection.close()
    return {row["tablename"] for row in rows}
