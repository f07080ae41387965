"""Opening connections, so that nothing is left behind when the opening is cancelled."""

import asyncio
from typing import Any

import asyncpg


async def connect(*arguments: Any, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
    """``asyncpg.connect``, whole or not at all; ``timeout`` (seconds) bounds it.

    Broken off on its way, the driver leaves a future that nobody reads, and under load a socket to
    the garbage collector. So a cancelled caller waits for the attempt to end, closes what
    it gave, and only then is cancelled; a second cancellation does not wait.
    """
    attempt = asyncio.create_task(asyncpg.connect(*arguments, **options))
    try:
        return await asyncio.shield(attempt)
    except asyncio.CancelledError:
        attempt.add_done_callback(_close)
        await asyncio.wait([attempt])
        raise


def _close(attempt: "asyncio.Task[asyncpg.Connection[asyncpg.Record]]") -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()
