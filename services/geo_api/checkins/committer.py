"""Group commit within a process: concurrent check-ins share one transaction.

While one group is being written, the next one gathers. A check-in that comes alone is decided at
once; after a crowd the next group waits a moment for those on their way, since a group costs as
much as some ten of its check-ins. Each caller gets its own answer, after the commit.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from prometheus_client import Histogram

from services.geo_api.checkins.domain import Answer, CheckIn, judged
from services.geo_api.checkins.faults import Fault, fault_of
from services.geo_api.checkins.service.beacons import located
from services.geo_api.checkins.service.group import decide
from services.geo_api.checkins.service.outcome import Tools
from services.geo_api.presence.verdict import Verdict
from shared.direct import OwnConnection
from shared.errors import FieldFault, Internal, Malformed, Refusal, Unavailable
from shared.feed.delivery import Deliverer

MAX_GROUP = 500
"""Check-ins per transaction: large enough to spread a commit, small enough to hold locks briefly."""

MANY_WAITING = 8
"""While so many wait, a spare lane decides them as the other is at the database. Fewer would only
make the groups smaller: tried with 32 callers, 8 or 1 gave 6 % more than none, 250 nothing."""

MAX_WAITING = 20_000
"""Check-ins that may wait in one process; past it callers are told to come back."""

GATHER_STEP_S = 0.001
GATHER_AT_MOST_S = 0.010
"""A group after a crowd closes once nobody joined it for a step, at the latest after this."""

_ATTEMPTS = 5

_log = structlog.get_logger(__name__)
_group_size = Histogram(
    "solomo_check_in_group_size",
    "Check-ins decided in one transaction",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 500),
)

_UNSTORABLE = Malformed(
    FieldFault("", "holds something the database does not take; it was logged. Do not repeat it.")
)

_FAILED = Internal("This check-in could not be decided; what happened was logged.")

Result = Answer | Refusal
_Waiting = tuple[Sequence[CheckIn], "asyncio.Future[list[Result]]"]


class Busy(Unavailable):
    slug = "busy"
    title = "Too much to do just now"


class Unconfirmed(Unavailable):
    """The database went away before it said that it had committed."""

    slug = "unconfirmed"
    title = "It is not known whether this was recorded"


@dataclass(slots=True)
class Committer:
    """Decides check-ins in groups, ``lanes`` groups at a time, each on a connection of its own.

    A spare lane joins in while ``MANY_WAITING`` wait. ``url`` is that of the service's database.
    """

    url: str
    tools: Tools
    feed: Deliverer
    lanes: int = 1
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _count: int = 0
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _piled_up: asyncio.Event = field(default_factory=asyncio.Event)
    _workers: list["asyncio.Task[None]"] = field(default_factory=list)
    _closing: bool = False

    def start(self) -> None:
        called = [self._arrived] * self.lanes + [self._piled_up]
        self._workers = [
            asyncio.create_task(self._work(OwnConnection(self.url), event)) for event in called
        ]

    async def stop(self) -> None:
        """Finish what was accepted, then end."""
        self._closing = True
        self._arrived.set()
        self._piled_up.set()
        await asyncio.gather(*self._workers)

    async def submit(self, check_ins: Sequence[CheckIn]) -> list[Result]:
        """Decide ``check_ins`` (at most ``MAX_GROUP``); their results in order, once committed.

        Raises Busy when too many wait, Unconfirmed when the database went away meanwhile: then
        the same ids sent again settle what became of them.
        """
        if not check_ins:
            return []
        if self._closing or self._count + len(check_ins) > MAX_WAITING:
            raise _busy()
        future: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        self._waiting.append((check_ins, future))
        self._count += len(check_ins)
        self._arrived.set()
        if self._count >= MANY_WAITING:
            self._piled_up.set()
        return await future

    async def _work(self, lane: OwnConnection, called: asyncio.Event) -> None:
        after_a_crowd = False
        while True:
            await called.wait()
            if after_a_crowd:
                await self._gather()
            group = self._take()
            if group:
                after_a_crowd = len(group) > 1
                await self._serve(lane, group)
            elif self._closing:
                await lane.close()
                return

    async def _gather(self) -> None:
        """Wait while others join."""
        loop = asyncio.get_running_loop()
        latest = loop.time() + GATHER_AT_MOST_S
        before = -1
        while before < self._count < MAX_GROUP and loop.time() < latest and not self._closing:
            before = self._count
            await asyncio.sleep(GATHER_STEP_S)

    def _take(self) -> list[_Waiting]:
        """Whole submissions, up to ``MAX_GROUP`` check-ins."""
        group: list[_Waiting] = []
        size = 0
        while self._waiting and size + len(self._waiting[0][0]) <= MAX_GROUP:
            group.append(self._waiting.popleft())
            size += len(group[-1][0])
        self._count -= size
        if not self._waiting and not self._closing:
            self._arrived.clear()
        if self._count < MANY_WAITING and not self._closing:
            self._piled_up.clear()
        return group

    async def _serve(self, lane: OwnConnection, group: list[_Waiting]) -> None:
        everything = [check_in for check_ins, _ in group for check_in in check_ins]
        _group_size.observe(len(everything))
        try:
            results = await self._commit(lane, everything)
        except Exception as error:  # noqa: BLE001 - every caller must hear of it
            self._fail(group, error)
            return
        self.feed.wake()
        position = 0
        for check_ins, future in group:
            if not future.done():
                future.set_result(results[position : position + len(check_ins)])
            position += len(check_ins)

    def _fail(self, group: list[_Waiting], error: Exception) -> None:
        explained = _explained(error)
        for _, future in group:
            if not future.done():
                future.set_exception(explained)

    async def _commit(self, lane: OwnConnection, check_ins: list[CheckIn]) -> list[Result]:
        """One transaction, again after a deadlock or a lost connection.

        What fails for a reason of its own is looked for by halves, so that it harms no other.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._attempt(lane, check_ins)
            except Exception as error:
                fault = fault_of(error)
                if attempt < _ATTEMPTS and fault in (Fault.CONTENTION, Fault.LOST):
                    continue  # decided anew: receipts tell what a lost commit had recorded
                if fault not in (Fault.DATA, Fault.UNKNOWN):
                    raise
                if len(check_ins) > 1:
                    return await self._halves(lane, check_ins)
                _log.error("check_in_failed", fault=fault.name, exc_info=error)
                return [_UNSTORABLE if fault is Fault.DATA else _FAILED]
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, lane: OwnConnection, check_ins: list[CheckIn]) -> list[Result]:
        await self.tools.day_keys.prepare(check_ins[0].received_at.date())
        async with lane.begin() as connection:
            known = await located(connection, check_ins)
            return [*await decide(connection, self.tools, known, self._verdicts)]

    async def _halves(self, lane: OwnConnection, check_ins: list[CheckIn]) -> list[Result]:
        middle = len(check_ins) // 2
        results: list[Result] = []
        for half in (check_ins[:middle], check_ins[middle:]):
            results += await self._commit(lane, half)
        return results

    def _verdicts(self, check_ins: Sequence[CheckIn]) -> list[Verdict]:
        fences, rule = self.tools.fences.current, self.tools.rule
        found = iter(fences.index.match([c.fix for c in check_ins if c.fix is not None]))
        return [
            judged(
                c,
                () if c.fix is None else next(found),
                fences.stores,
                rule,
                unfenced=c.proof is not None and not fences.index.of_store(c.proof.store_id),
            )
            for c in check_ins
        ]


def _explained(error: Exception) -> Exception:
    match fault_of(error):
        case Fault.LOST:
            return Unconfirmed("Send the same check-in again, with the same id, to settle it.")
        case Fault.CONTENTION | Fault.HELD:
            return _busy()
        case _:
            return error


def _busy() -> Busy:
    return Busy("Send the same check-in again in a second, with the same id.")
