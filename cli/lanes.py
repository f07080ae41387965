"""Sending check-ins in lanes: side by side, but each subject's one batch after the other.

A subject always goes by the same lane, and a lane has one batch in flight, so the check-ins of a
subject arrive in the order of the file. What is not answered, or answered 429 or 5xx, is sent
again with back-off; what was answered is never counted twice.
"""

import asyncio
import random
import time
import zlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx
import orjson

from cli.client import NDJSON, TIMEOUT, refused
from cli.output import CommandFailed
from cli.tally import Tally

_WAITING_BATCHES = 2
"""Batches that may wait in a lane: enough to keep it busy, little enough to hold in memory."""

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One check-in to send: its place among those to send, its line in the file, its JSON."""

    ordinal: int
    line: int
    body: bytes
    subject: str


@dataclass(frozen=True, slots=True)
class Pace:
    """``patience_s``: so long a lane goes on without any answer before the run fails."""

    batch_size: int
    concurrency: int
    patience_s: float


@dataclass(slots=True)
class _Lane:
    filling: list[Entry] = field(default_factory=list)
    waiting: "asyncio.Queue[list[Entry]]" = field(
        default_factory=lambda: asyncio.Queue(_WAITING_BATCHES)
    )
    unsettled: dict[int, None] = field(default_factory=dict)

    def first_unsettled(self) -> int | None:
        return next(iter(self.unsettled), None)


class Lanes:
    """Sends entries to ``POST /v1/check-ins/batch`` and counts the answers in ``tally``."""

    def __init__(self, client: httpx.AsyncClient, pace: Pace, tally: Tally) -> None:
        self._client = client
        self._pace = pace
        self._tally = tally
        self._lanes = [_Lane() for _ in range(pace.concurrency)]
        self._next_ordinal = 0

    @property
    def settled(self) -> int:
        """All entries with a lower ordinal have their final answer."""
        open_ones = (lane.first_unsettled() for lane in self._lanes)
        return min((one for one in open_ones if one is not None), default=self._next_ordinal)

    async def send(self, entries: Iterable[Entry]) -> None:
        """Send everything. Raises CommandFailed when the service refuses or stays away."""
        workers = [asyncio.create_task(self._work(lane)) for lane in self._lanes]
        feeding = asyncio.create_task(self._feed(entries))
        try:
            done, _ = await asyncio.wait([feeding, *workers], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
        finally:
            for task in (feeding, *workers):
                task.cancel()
            await asyncio.gather(feeding, *workers, return_exceptions=True)

    async def _feed(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            lane = self._lanes[zlib.crc32(entry.subject.encode()) % len(self._lanes)]
            lane.filling.append(entry)
            lane.unsettled[entry.ordinal] = None
            self._next_ordinal = entry.ordinal + 1
            if len(lane.filling) >= self._pace.batch_size:
                await self._hand_over(lane)
        for lane in self._lanes:
            await self._hand_over(lane)
        for lane in self._lanes:
            await lane.waiting.join()

    async def _hand_over(self, lane: _Lane) -> None:
        if lane.filling:
            batch, lane.filling = lane.filling, []
            await lane.waiting.put(batch)

    async def _work(self, lane: _Lane) -> None:
        while True:
            batch = await lane.waiting.get()
            self._tally.sent += len(batch)
            await self._settle(lane, batch)
            lane.waiting.task_done()

    async def _settle(self, lane: _Lane, batch: list[Entry]) -> None:
        """Send a batch until each of its check-ins has a final answer."""
        heard_at, attempt = time.monotonic(), 0
        while True:
            trouble = await self._attempt(lane, batch)
            left = [entry for entry in batch if entry.ordinal in lane.unsettled]
            if not left:
                return
            if len(left) < len(batch):
                heard_at, attempt = time.monotonic(), 0
            if time.monotonic() - heard_at > self._pace.patience_s:
                raise CommandFailed(
                    f"No answer for {self._pace.patience_s:g} s: {trouble.reason}.",
                    "Run the same command again to go on: nothing is recorded twice.",
                )
            await asyncio.sleep(_pause_s(attempt, trouble.retry_after_s))
            batch, attempt = left, attempt + 1
            self._tally.resent += len(batch)

    async def _attempt(self, lane: _Lane, batch: list[Entry]) -> "_Trouble":
        """Send a batch once; whatever final answer comes is counted and settled."""
        content = b"\n".join(entry.body for entry in batch)
        try:
            async with self._client.stream(
                "POST",
                "/v1/check-ins/batch",
                content=content,
                headers={"Content-Type": NDJSON},
                timeout=TIMEOUT,
            ) as response:
                if response.status_code != HTTPStatus.OK:
                    return await _not_now(response)
                async for answer in _answers(response):
                    self._take(lane, batch, answer)
        except httpx.TransportError as error:
            return _Trouble(str(error) or type(error).__name__)
        return _Trouble("some check-ins were put off, or not answered")

    def _take(self, lane: _Lane, batch: list[Entry], answer: dict[str, Any]) -> None:
        entry = batch[answer["line"] - 1]
        if not _is_retried(answer["http_status"]) and entry.ordinal in lane.unsettled:
            del lane.unsettled[entry.ordinal]
            self._tally.take(answer, entry.line)


@dataclass(frozen=True, slots=True)
class _Trouble:
    reason: str
    retry_after_s: float = 0.0


async def _answers(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The whole lines of an answer; one that was cut off is none."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield orjson.loads(line)


async def _not_now(response: httpx.Response) -> _Trouble:
    """Raises CommandFailed for a refusal that the same request would meet again."""
    body = await response.aread()
    if not _is_retried(response.status_code):
        raise refused(response.status_code, body)
    seconds = response.headers.get("Retry-After", "")
    reason = f"the service answered {response.status_code}"
    return _Trouble(reason, float(seconds) if seconds.isdecimal() else 0.0)


def _is_retried(status: int) -> bool:
    return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _pause_s(attempt: int, asked_s: float) -> float:
    """Doubling from 0.2 s to 5 s, spread by a half so that lanes do not come back as one."""
    doubled: float = min(_FIRST_PAUSE_S * (1 << min(attempt, 10)), _LONGEST_PAUSE_S)
    return max(asked_s, doubled * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
