"""What goes by time alone: parameters of requests, and pushes that are done with."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.checkins.maintenance import EXACT_FOR, Job
from services.geo_api.wechat.pushes.domain import WHEREABOUTS_KINDS

NONCES_FOR = timedelta(minutes=11)
"""A request counts for 300 s before and after its time of signing; a minute more for our clocks."""

PUSHES_FOR = timedelta(days=7)
"""WeChat repeats within seconds; an operator may ask later what came of a push."""

_MOST = 20_000

_NONCES = text("""
    DELETE FROM geo.wechat_nonces WHERE (account_id, digest) IN (
        SELECT account_id, digest FROM geo.wechat_nonces
        WHERE received_at < :horizon ORDER BY received_at LIMIT :most)
""")

# What is parked waits for an operator, but never longer than coordinates may be kept.
_PUSHES = text("""
    DELETE FROM geo.wechat_pushes WHERE (account_id, push_id) IN (
        SELECT account_id, push_id FROM geo.wechat_pushes
        WHERE (received_at < :horizon AND state IN ('handled', 'unknown'))
            OR (received_at < :exact AND kind = ANY(CAST(:kinds AS text[])))
        LIMIT :most)
""")


async def forget_nonces(connection: AsyncConnection, now: datetime) -> int:
    values = {"horizon": now - NONCES_FOR, "most": _MOST}
    return (await connection.execute(_NONCES, values)).rowcount


async def forget_pushes(connection: AsyncConnection, now: datetime) -> int:
    values = {
        "horizon": now - PUSHES_FOR,
        "exact": now - EXACT_FOR,
        "kinds": [*WHEREABOUTS_KINDS],
        "most": _MOST,
    }
    return (await connection.execute(_PUSHES, values)).rowcount


JOBS: dict[str, tuple[float, Job]] = {
    "wechat_nonces": (60, forget_nonces),
    "wechat_pushes": (600, forget_pushes),
}
"""For the periodic jobs of geo_api."""
