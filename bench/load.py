"""A small HTTP load: keep-alive connections that each send the next request upon an answer.

Frugal on purpose (raw asyncio protocols on uvloop), since it shares the cores with the services
that it measures.
"""

import asyncio
import statistics
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import uvloop

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a run: answers by status, requests per second, latencies in ms."""

    statuses: Counter[int]
    rate: float
    p50_ms: float
    p99_ms: float


@dataclass(slots=True)
class _Run:
    requests: deque[bytes]
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    open_connections: int = 0
    done: "asyncio.Future[None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self.run = run
        self.buffer = bytearray()
        self.sent_at = 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.run.open_connections += 1
        self._next()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head_end = self.buffer.find(_HEAD_END)
        if head_end < 0:
            return
        head = bytes(self.buffer[:head_end]).lower()
        length_at = head.index(b"content-length:") + 15
        length = int(head[length_at:].split(b"\r\n", 1)[0])
        if len(self.buffer) < head_end + 4 + length:
            return
        self.run.latencies.append(time.perf_counter() - self.sent_at)
        self.run.statuses[int(head[9:12])] += 1
        self.buffer.clear()
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self.run.open_connections -= 1
        if not self.run.done.done() and (exc or not self.run.open_connections):
            self.run.done.set_result(None)

    def _next(self) -> None:
        assert self.transport is not None  # noqa: S101 - set on connecting
        if not self.run.requests:
            self.transport.close()
            return
        self.sent_at = time.perf_counter()
        self.transport.write(self.run.requests.popleft())


def post(path: str, token: str, body: bytes) -> bytes:
    """A whole HTTP/1.1 request."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def drive(port: int, requests: Iterator[bytes], connections: int) -> Load:
    """Send all ``requests`` to 127.0.0.1 over ``connections`` and wait for the answers."""
    return uvloop.run(_drive(port, deque(requests), connections))


async def _drive(port: int, requests: deque[bytes], connections: int) -> Load:
    run = _Run(requests)
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    await asyncio.gather(
        *(
            loop.create_connection(lambda: _Connection(run), "127.0.0.1", port)
            for _ in range(connections)
        )
    )
    await run.done
    elapsed = time.perf_counter() - began
    run.latencies.sort()
    return Load(
        run.statuses,
        rate=len(run.latencies) / elapsed,
        p50_ms=1000 * statistics.median(run.latencies),
        p99_ms=1000 * run.latencies[int(len(run.latencies) * 0.99)],
    )
