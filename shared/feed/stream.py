"""One stream of delivery: take what is due, tell it, write down what became of it, again."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import structlog

from shared.contracts.events import Applied
from shared.db import Database
from shared.direct import OwnConnection, run_together
from shared.feed.backoff import Circuit, backoff_s
from shared.feed.drain import DueEvent, Failed, Settlement, settling, take_due
from shared.feed.leases import Leases
from shared.feed.metrics import Counts
from shared.feed.peer import Answer, Peer, Rejected, Unanswered, Verdict
from shared.feed.tables import FeedTables, Lane
from shared.feed.trouble import Trouble

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a stream takes its turns; seconds and events.

    Idle, it looks for events after ``poll_s``, then more and more rarely until ``idle_poll_s``;
    woken after a rest, it begins at once. But after a turn it rests, while others gather, since a
    turn costs much and an event little: ``rest_s``, or ``busy_rest_s`` where it told many. A turn
    that told a full batch is followed by the next without a rest.
    """

    batch: int = 1_000
    poll_s: float = 0.2
    idle_poll_s: float = 1.0
    rest_s: float = 0.1
    busy_rest_s: float = 0.5

    def rests_s(self, told: int) -> float:
        """How long to rest after a turn that told so many events."""
        if told >= self.batch:
            return 0.0
        return self.busy_rest_s if told >= self.batch // 20 else self.rest_s


@dataclass(frozen=True, slots=True)
class Line:
    """What the streams of one deliverer share; ``url`` is that of ``database``."""

    url: str
    database: Database
    tables: FeedTables
    peer: Peer
    leases: Leases
    circuit: Circuit
    counts: Counts


def portions(events: Sequence[DueEvent], batch: int) -> Iterator[list[DueEvent]]:
    """Batches in which an event that keeps failing is left with fewer and fewer others.

    Each failure halves the batch, so that after nine an event goes alone: one that breaks the
    peer is told apart from those that only went with it. Those that never failed go first.
    """
    by_attempts = attrgetter("attempts")
    for attempts, group in groupby(sorted(events, key=by_attempts), key=by_attempts):
        alike = list(group)
        size = max(1, batch >> attempts)
        yield from (alike[start : start + size] for start in range(0, len(alike), size))


class Stream:
    """Drains one lane of the buckets whose number is ``part`` modulo ``parts``, in turns.

    Each statement is a transaction, and no commit waits for the disk: a deletion lost in a crash is
    a repeat, which the inbox absorbs.

    The streams of a deliverer share no bucket: while one waits for the peer, another is at the
    database, and a subject's events keep their order as long as nothing fails.
    """

    def __init__(
        self, line: Line, lane: Lane, pace: Pace, *, part: int = 0, parts: int = 1
    ) -> None:
        self.busy: frozenset[int] = frozenset()
        self._line = line
        self._lane = lane
        self._pace = pace
        self._part, self._parts = part, parts
        self._connection = OwnConnection(line.url, {"synchronous_commit": "off"})
        self._awake = asyncio.Event()
        self._is_stopping = False
        self._settlement = Settlement()
        self._turns = 0
        self._idle_s = pace.poll_s
        self._trouble = Trouble("feed_stream_in_trouble")

    def wake(self) -> None:
        self._awake.set()

    def stop(self) -> None:
        """End after the batch under way."""
        self._is_stopping = True
        self._awake.set()

    async def run(self) -> None:
        """Take turns until stopped; no trouble of the database or the peer ends it."""
        while not self._is_stopping:
            try:
                told = await self._turn()
                self._trouble.over()
            except Exception as error:  # noqa: BLE001 - a stream that ends would stop the feed
                self._trouble.note(error, lane=self._lane.name)
                told = 0
            await self._rest(told)
        await self.settle()
        await self._connection.close()

    async def settle(self) -> None:
        """Write down what is known of the batches told so far."""
        if self._settlement:
            await self._settle_and_take([])

    async def _turn(self) -> int:
        """How many events were taken."""
        if self._line.circuit.blocks(time.monotonic()):
            await self.settle()
            return 0
        events = await self._settle_and_take(self._buckets())
        for batch in portions(events, self._pace.batch):
            if self._is_stopping or not await self._tell(batch):
                break
        return len(events)

    def _buckets(self) -> list[int]:
        """The buckets to take from, beginning with another each time: none waits for the rest."""
        mine = sorted(b for b in self._line.leases.serving() if b % self._parts == self._part)
        self._turns += 1
        start = self._turns % len(mine) if mine else 0
        return mine[start:] + mine[:start]

    async def _settle_and_take(self, buckets: list[int]) -> list[DueEvent]:
        """The end of a batch, and the beginning of the next."""
        if not buckets and not self._settlement:
            return []
        self.busy |= frozenset(buckets)
        tables, events = self._line.tables, list[DueEvent]()
        async with self._connection.one_by_one() as connection:
            await run_together(connection, settling(tables, self._settlement))
            self._line.counts.add(self._settlement)
            self._settlement = Settlement()
            if buckets:
                events = await take_due(connection, tables, self._lane, buckets, self._pace.batch)
        self.busy = frozenset(buckets) if events else frozenset()
        return events

    async def _tell(self, events: list[DueEvent]) -> bool:
        """Tell a batch and note what became of it; False if the peer is not there."""
        circuit = self._line.circuit
        if not circuit.admits(time.monotonic()):
            return False
        answer: Answer = Unanswered("broken off", may_be_the_events=False)
        try:
            answer = await self._line.peer.tell(events)
        finally:
            self._note_peer(answer)
        if isinstance(answer, Rejected) and len(events) > 1:
            half = len(events) // 2
            return await self._tell(events[:half]) and await self._tell(events[half:])
        self._note_events(events, answer)
        return not isinstance(answer, Unanswered)

    def _note_peer(self, answer: Answer) -> None:
        """Open or close the circuit; the beginning and the end of an outage are logged."""
        circuit = self._line.circuit
        if not isinstance(answer, Unanswered):
            if circuit.succeeded():
                _log.info("feed_peer_answers_again")
        elif circuit.failed(time.monotonic(), answer.retry_after_s):
            _log.warning("feed_peer_does_not_answer", reason=answer.reason)

    def _note_events(self, events: Sequence[DueEvent], answer: Answer) -> None:
        match answer:
            case Rejected(reason):
                self._settlement.refused += [(event.id, reason) for event in events]
            case Unanswered(reason, may_be_the_events):
                self._fail(events, reason, stay=not may_be_the_events)
            case verdicts:
                for event, verdict in zip(events, verdicts, strict=True):
                    self._note_verdict(event, verdict)

    def _note_verdict(self, event: DueEvent, verdict: Verdict) -> None:
        if verdict.status is None:
            self._fail([event], verdict.reason, stay=False)
        elif verdict.status is Applied.REFUSED:
            self._settlement.refused.append((event.id, verdict.reason))
        else:
            self._settlement.done.append(event.id)

    def _fail(self, events: Sequence[DueEvent], reason: str, *, stay: bool) -> None:
        """Have events told again: at their place in the queue if they ``stay``, else later."""
        self._settlement.failed += [
            Failed(event.id, reason, None if stay else backoff_s(event.attempts + 1))
            for event in events
        ]

    async def _rest(self, told: int) -> None:
        """Let others gather after a turn; where it told nothing, until woken or the next look."""
        rested_at = time.monotonic() + self._pace.rests_s(told)
        if told:
            self._idle_s = self._pace.poll_s
        elif not self._is_stopping:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._awake.wait(), self._idle_s)
            self._idle_s = min(2 * self._idle_s, self._pace.idle_poll_s)
        missing_s = rested_at - time.monotonic()
        if missing_s > 0 and not self._is_stopping:
            await asyncio.sleep(missing_s)
        self._awake.clear()
