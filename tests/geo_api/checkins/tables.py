"""What stands in schema ``geo``, for tests that say that nothing changed."""

from typing import Any

import asyncpg

from tests.conftest import DatabaseUrls

_RESTLESS = {
    "outbox",
    "outbox_leases",
    "outbox_deliverers",
    "maintenance_runs",
    "revoked_tokens",
    "day_keys",
}
"""Tables that background work changes by itself."""


async def rows(urls: DatabaseUrls, *, whole: bool = False) -> dict[str, list[Any]]:
    """Every row of every table as text, by table; ``whole`` includes the restless ones."""
    connection = await asyncpg.connect(urls.superuser.replace("+asyncpg", ""))
    try:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = 'geo' AND relkind IN ('r', 'p') AND NOT relispartition"
        )
        names = sorted(row["relname"] for row in tables)
        return {
            name: [
                row["line"]
                for row in await connection.fetch(
                    f'SELECT t::text AS line FROM geo."{name}" AS t ORDER BY 1'
                )
            ]
            for name in names
            if whole or name not in _RESTLESS
        }
    finally:
        await connection.close()
