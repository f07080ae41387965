"""What is done now and then: the coming months of the timeline, and keys past their time."""

import asyncio

import structlog

from services.member_api.membership.service import forget_invitations
from services.member_api.tables import IDEMPOTENCY_KEYS
from services.member_api.timeline.partitions import make_months
from shared.clock import Clock
from shared.db import Database
from shared.idempotency import forget_expired

EVERY_S = 3_600.0
RETRY_S = 60.0
_log = structlog.get_logger(__name__)


async def sweep(
    database: Database, clock: Clock, *, every_s: float = EVERY_S, retry_s: float = RETRY_S
) -> None:
    """Sweep for ever; what fails is logged and soon tried again."""
    while True:
        pause_s = every_s
        try:
            await sweep_once(database, clock)
        except Exception as error:  # noqa: BLE001 - it must be tried again, whatever it met
            _log.error("sweep_failed", exc_info=error)
            pause_s = min(every_s, retry_s)
        await asyncio.sleep(pause_s)


async def sweep_once(database: Database, clock: Clock) -> None:
    now = clock()
    async with database.begin() as connection:
        await make_months(connection, now.date())
    async with database.transaction() as session:
        await forget_expired(session, IDEMPOTENCY_KEYS, now)
        await forget_invitations(await session.connection(), now)
