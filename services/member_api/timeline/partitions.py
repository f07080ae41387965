"""The months of the timeline: a partition each, made ahead.

What happened in a month without a partition stands in the default one, and moves out of it when
the month is made. Nothing is lost by being late with this.
"""

from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

MONTHS_AHEAD = 6

# The function belongs to the schema's owner and runs with its rights, which the service has not.
_MAKE = text("SELECT member.make_timeline_months(:first, :months)")


async def make_months(
    connection: AsyncConnection, first: date, months: int = MONTHS_AHEAD + 1
) -> int:
    """Make the partitions of so many months from that of ``first`` on; gives how many were new."""
    made: int = await connection.scalar(_MAKE, {"first": first, "months": months})
    return made
