"""The deliverer: tells the other service what stands in the outbox, in each process of a service."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from uuid import UUID

import httpx
import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.db import Database
from shared.feed import parking
from shared.feed.backoff import Circuit
from shared.feed.leases import LEASE_S, Leases
from shared.feed.metrics import Counts
from shared.feed.parking import Lag
from shared.feed.peer import Peer
from shared.feed.stream import Line, Pace, Stream
from shared.feed.tables import FeedTables, Lane
from shared.feed.trouble import Trouble

BEATS_A_LEASE = 5
GRACE_S = 5.0
"""A batch under way at the stop may take so long to be answered."""

_LAG_EVERY_S = 5.0
_LAG_SHARE = 20
"""Counting takes at most one part in so many of a connection's time, however long the queue."""

_OLD_S = 60.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """``streams`` tell the normal lane side by side, over and above the one of the urgent lane."""

    lease_s: float = LEASE_S
    streams: int = 2
    pace: Pace = field(default_factory=Pace)
    lag_every_s: float = _LAG_EVERY_S


class Deliverer:
    """Tells ``url`` what stands in the outbox of ``tables``, several processes side by side.

    ``url`` is the batch endpoint of the other service, ``token`` gives a bearer token for it.
    An event is deleted once the other service has confirmed it, and not before: whatever is cut
    off in between leads to a repeat. All times are the database's and the monotonic clock's.
    """

    def __init__(
        self,
        database: Database,
        tables: FeedTables,
        *,
        url: str,
        token: Callable[[], str],
        transport: httpx.AsyncBaseTransport | None = None,
        options: DeliveryOptions | None = None,
    ) -> None:
        options = options or DeliveryOptions()
        self.last_lag: Lag | None = None
        self._options = options
        self._counts = Counts(tables.outbox.schema or "public")
        self._line = Line(
            database.url,
            database,
            tables,
            Peer(url, token, transport),
            Leases(database, tables, lease_s=options.lease_s),
            Circuit(),
            self._counts,
        )
        urgent = replace(options.pace, busy_rest_s=options.pace.rest_s)
        self._streams = [Stream(self._line, Lane.URGENT, urgent)] + [
            Stream(self._line, Lane.NORMAL, options.pace, part=part, parts=options.streams)
            for part in range(options.streams)
        ]
        self._told: list[asyncio.Task[None]] = []
        self._kept: list[asyncio.Task[None]] = []
        self._alarms: set[str] = set()

    @property
    def holder(self) -> UUID:
        """Under this id its leases stand in the database."""
        return self._line.leases.holder

    @property
    def peer_is_away(self) -> bool:
        """Whether the other service left the last batch unanswered."""
        return self._line.circuit.is_open

    async def start(self) -> None:
        """Begin to deliver, in tasks of the running loop; the database need not be there yet."""
        self._told = [asyncio.create_task(stream.run()) for stream in self._streams]
        self._kept = [
            asyncio.create_task(self._for_ever("feed_leases", self._beat)),
            asyncio.create_task(self._for_ever("feed_lag", self._measure)),
        ]

    def wake(self) -> None:
        """Say that events were committed, so that they need not wait for the next look."""
        for stream in self._streams:
            stream.wake()

    async def stop(self) -> None:
        """Let batches under way be answered, write that down, give up the leases."""
        for stream in self._streams:
            stream.stop()
        if self._told:
            await asyncio.wait(self._told, timeout=GRACE_S)
        await _end(self._told + self._kept)
        await self._leave()
        await self._line.peer.close()

    async def _leave(self) -> None:
        """Without the database the leases stay, and expire."""
        try:
            async with asyncio.timeout(GRACE_S):
                await self._line.leases.leave()
        except (SQLAlchemyError, OSError) as error:
            _log.warning("feed_leases_left_to_expire", error=type(error).__name__)

    async def _for_ever(self, name: str, act: Callable[[], Awaitable[float]]) -> None:
        """Repeat ``act``, which tells how many seconds to wait, whatever becomes of it."""
        trouble = Trouble(f"{name}_in_trouble")
        while True:
            try:
                wait_s = await act()
                trouble.over()
            except Exception as error:  # noqa: BLE001 - the database comes back, so must this
                trouble.note(error)
                wait_s = 1.0
            await asyncio.sleep(wait_s)

    async def _beat(self) -> float:
        leases = self._line.leases
        before = leases.serving()
        await leases.beat(frozenset[int]().union(*(stream.busy for stream in self._streams)))
        if leases.serving() - before:
            self.wake()
        return self._options.lease_s / BEATS_A_LEASE

    async def _measure(self) -> float:
        begun_at = time.monotonic()
        async with self._line.database.begin() as connection:
            lag = await parking.lag(connection, self._line.tables)
        self.last_lag = lag
        self._counts.show(lag)
        self._alarm("feed_has_parked_events", lag.parked > 0, lag)
        self._alarm("feed_is_behind", lag.oldest_age_s > _OLD_S, lag)
        return max(self._options.lag_every_s, _LAG_SHARE * (time.monotonic() - begun_at))

    def _alarm(self, name: str, is_on: bool, lag: Lag) -> None:
        """Log the beginning and the end of a state that somebody should look at."""
        if is_on == (name in self._alarms):
            return
        numbers = {"waiting": lag.waiting, "oldest_age_s": lag.oldest_age_s, "parked": lag.parked}
        if is_on:
            self._alarms.add(name)
            _log.warning(name, **numbers)
        else:
            self._alarms.remove(name)
            _log.info(f"{name}_no_more", **numbers)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
