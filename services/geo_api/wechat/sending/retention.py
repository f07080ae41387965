"""What goes by time alone: messages that are done with. The timeline keeps what became of them."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.checkins.maintenance import Job

MESSAGES_FOR = timedelta(days=30)
"""Long after WeChat's last word on one, and after the day in which it counts against a limit."""

_MOST = 20_000

_MESSAGES = text("""
    DELETE FROM geo.outreach_messages WHERE (subject_id, outreach_id) IN (
        SELECT subject_id, outreach_id FROM geo.outreach_messages
        WHERE created_at < :horizon AND state <> 'waiting'
        ORDER BY created_at LIMIT :most)
""")


async def forget_messages(connection: AsyncConnection, now: datetime) -> int:
    """Delete messages that wait for nothing any more; how many there were."""
    values = {"horizon": now - MESSAGES_FOR, "most": _MOST}
    return (await connection.execute(_MESSAGES, values)).rowcount


JOBS: dict[str, tuple[float, Job]] = {"outreach_messages": (600, forget_messages)}
"""For the periodic jobs of geo_api."""
