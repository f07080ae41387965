"""The worker: claims pushes that are due, and sees to it that each is handled once.

Every process has one. What it claims is its own for a while; should it be killed, the pushes are
due again after that, and another goes on where the tables say that it stopped.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from services.geo_api.checkins.faults import Fault, fault_of
from services.geo_api.wechat.accounts.notices import NoticeKind, note
from services.geo_api.wechat.pushes import listing, metrics, repository
from services.geo_api.wechat.pushes.domain import MAX_ATTEMPTS
from services.geo_api.wechat.pushes.handling.batch import Handler
from services.geo_api.wechat.pushes.handling.effects import Opened
from services.geo_api.wechat.pushes.repository import Claimed, Done, PutOff
from shared.direct import OwnConnection
from shared.errors import Refusal, Unavailable
from shared.feed.backoff import backoff_s

BATCH = 250
CLAIMED_FOR = timedelta(seconds=60)
"""After so long a process that has not said what became of its pushes is taken for dead."""

_SESSION = dict.fromkeys(
    ("enable_hashjoin", "enable_mergejoin", "enable_seqscan", "enable_bitmapscan"), "off"
)
"""The table is mostly rows that are done with, and its statistics are always late: whatever they
say, a few rows are looked up by their keys, and the first that are due by their time."""

POLL_S = 1.0
"""So often it is looked for pushes that another process kept, or that are due again."""

PAUSE_S, LATE_S = 0.005, 0.02
"""A pause that ends so late tells of a process that is busy with requests."""

GIVES_WAY_FOR_S = 5.0
"""At the longest: in any overload something is handled all the same."""

MEASURE_S = 5.0
_LINES = 25
"""Pushes that are read at a time, between which requests get on."""

_ATTEMPTS = 5
_log = structlog.get_logger(__name__)

Failure = tuple[Claimed, Exception]


@dataclass(slots=True)
class Worker:
    """Handles pushes of the database at ``url`` until it is stopped."""

    url: str
    handler: Handler
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)
    _closing: bool = False

    def start(self) -> None:
        self._closing = False
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._measure())]

    def wake(self) -> None:
        """There are new pushes."""
        self._woken.set()

    async def stop(self) -> None:
        """Finish what is being handled; what waits stays for later."""
        self._closing = True
        self.wake()
        run, measure = self._tasks
        await run
        measure.cancel()
        with suppress(asyncio.CancelledError):
            await measure

    async def _run(self) -> None:
        lane = OwnConnection(self.url, _SESSION)
        while not self._closing:
            await self._give_way()
            self._woken.clear()
            try:
                claimed = await self.turn(lane)
            except Exception as error:  # noqa: BLE001 - whatever it was, the work goes on
                _log.warning("pushes_not_handled", error=type(error).__name__, exc_info=error)
                claimed = 0
            if claimed < BATCH:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), POLL_S)
        await lane.close()

    async def _give_way(self) -> None:
        """Let requests go first: a push must be acknowledged in time, its handling may lag.

        While the process is so busy that a short pause takes long, it is not made busier.
        """
        loop = asyncio.get_running_loop()
        latest = loop.time() + GIVES_WAY_FOR_S
        while not self._closing and loop.time() < latest:
            due = loop.time() + PAUSE_S
            await asyncio.sleep(PAUSE_S)
            if loop.time() - due < LATE_S:
                return

    async def turn(self, lane: OwnConnection) -> int:
        """Claim some pushes and handle them; how many there were."""
        now = self.handler.tools.clock()
        async with lane.begin() as connection:
            claimed = await repository.claim(connection, now, CLAIMED_FOR, BATCH)
        if claimed:
            failed = await self._handle(lane, claimed)
            if failed:
                await self._put_off(lane, failed)
        return len(claimed)

    async def _handle(self, lane: OwnConnection, claimed: Sequence[Claimed]) -> list[Failure]:
        opened, failed = await self._open(claimed)
        now = self.handler.tools.clock()
        going_on, words, undecided = await self.handler.check_in(lane, opened, now)
        failed += [(one.row, error) for one, error in undecided]
        failed += await self._write(lane, going_on, words)
        return failed

    async def _open(self, claimed: Sequence[Claimed]) -> tuple[list[Opened], list[Failure]]:
        opened: list[Opened] = []
        failed: list[Failure] = []
        for number, row in enumerate(claimed):
            if number % _LINES == 0:
                await asyncio.sleep(0)
            try:
                opened.append(self.handler.open(row))
            except Exception as error:  # noqa: BLE001 - one harms no other
                failed.append((row, error))
        return opened, failed

    async def _write(
        self, lane: OwnConnection, opened: Sequence[Opened], words: dict[UUID, str]
    ) -> list[Failure]:
        """One transaction, again after a deadlock; one that does not go through, by halves."""
        for attempt in range(1, _ATTEMPTS + 1):
            if not opened:
                return []
            now = self.handler.tools.clock()
            try:
                async with lane.begin() as connection:
                    done = await self.handler.write(connection, opened, words, now)
            except Exception as error:  # noqa: BLE001 - told apart below
                fault = fault_of(error)
                if fault in (Fault.CONTENTION, Fault.LOST) and attempt < _ATTEMPTS:
                    continue
                if len(opened) == 1 or fault not in (Fault.DATA, Fault.UNKNOWN):
                    return [(one.row, error) for one in opened]
                middle = len(opened) // 2
                first = await self._write(lane, opened[:middle], words)
                return first + await self._write(lane, opened[middle:], words)
            self._tell(done)
            return []
        raise AssertionError("the last attempt returns")

    def _tell(self, done: Sequence[Done]) -> None:
        self.handler.tools.feed.wake()
        for state in {one.state for one in done}:
            metrics.count_handled(state.value, sum(one.state is state for one in done))

    async def _put_off(self, lane: OwnConnection, failed: Sequence[Failure]) -> None:
        now = self.handler.tools.clock()
        metrics.count_failed(len(failed))
        put_off = [_later(row, error, now) for row, error in failed]
        parked: dict[str, int] = {}
        for one in put_off:
            if one.parks:
                parked[one.push.account_id] = parked.get(one.push.account_id, 0) + 1
        async with lane.begin() as connection:
            await repository.put_off(connection, put_off)
            for account_id, count in sorted(parked.items()):
                detail = (
                    f"{count} pushes failed too often; look at GET /v1/wechat/{account_id}/pushes."
                )
                await note(connection, account_id, NoticeKind.PUSHES_PARKED, detail, now)
        row, error = failed[0]
        _log.warning(
            "pushes_failed",
            count=len(failed),
            account_id=row.account_id,
            push_id=str(row.push_id),
            kind=row.kind,
            exc_info=error,
        )

    async def _measure(self) -> None:
        """Show how far behind the handling is."""
        database, clock = self.handler.tools.database, self.handler.tools.clock
        while True:
            began = time.monotonic()
            try:
                async with database.begin() as connection:
                    behind = await listing.lag(connection, clock())
                metrics.show(behind.waiting, behind.oldest_age_s, behind.parked)
            except Exception as error:  # noqa: BLE001 - a figure less; the next comes soon
                _log.warning("pushes_not_counted", error=type(error).__name__)
            await asyncio.sleep(max(MEASURE_S, 20 * (time.monotonic() - began)))


def _later(row: Claimed, error: Exception, now: datetime) -> PutOff:
    """When to try again. What is nobody's fault, as a database that is away, does not count."""
    if isinstance(error, Unavailable) or _is_passing(error):
        again = now + timedelta(seconds=5)
        return PutOff(row, False, again, row.attempts - 1, type(error).__name__)
    due_at = now + timedelta(seconds=backoff_s(row.attempts))
    reason = error.slug if isinstance(error, Refusal) else type(error).__name__
    return PutOff(row, row.attempts >= MAX_ATTEMPTS, due_at, row.attempts, reason)


def _is_passing(error: Exception) -> bool:
    return fault_of(error) in (Fault.CONTENTION, Fault.LOST, Fault.HELD)
