"""The months of the timeline: a partition each, made ahead.

What happened in a month without a partition stands in the default one, and moves out of it when
the month is made. Nothing is lost by being late with this.
"""

import asyncio
from datetime import date

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.clock import Clock
from shared.db import Database

MONTHS_AHEAD = 6
_ONE_DAY_S = 86_400

# The function belongs to the schema's owner and runs with its rights, which the service has not.
_MAKE = text("SELECT member.make_timeline_months(:first, :months)")
_log = structlog.get_logger(__name__)


async def make_months(
    connection: AsyncConnection, first: date, months: int = MONTHS_AHEAD + 1
) -> int:
    """Make the partitions of so many months from that of ``first`` on; gives how many were new."""
    made: int = await connection.scalar(_MAKE, {"first": first, "months": months})
    return made


async def keep_months(database: Database, clock: Clock) -> None:
    """Make the coming months, once a day for ever; a failure is logged and tried again."""
    while True:
        try:
            async with database.begin() as connection:
                await make_months(connection, clock().date())
        except (DBAPIError, OSError) as error:
            _log.warning("timeline_months_not_made", error=type(error).__name__)
        await asyncio.sleep(_ONE_DAY_S)
