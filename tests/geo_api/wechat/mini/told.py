"""What geo_api is about to tell member_api, read from its outbox."""

from typing import Any

import orjson

from services.geo_api.tables import FEED
from shared.db import Database


async def told(database: Database, *kinds: str) -> list[dict[str, Any]]:
    """The facts of ``kinds`` that wait for delivery, in order."""
    async with database.begin() as connection:
        rows = await connection.execute(FEED.outbox.select().order_by(FEED.outbox.c.id))
        facts = [orjson.loads(row.payload) for row in rows]
    return [fact for fact in facts if not kinds or fact["type"] in kinds]
