"""A few keep-alive connections that ask a server as plainly as can be."""

import asyncio
import contextlib
from types import TracebackType
from typing import Literal, Self

_HEAD_END = b"\r\n\r\n"
_CONNECT_S = 3.0
_TOTAL_S = 5.0

Outcome = int | Literal["timeout", "cut"]

_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Connections:
    """At most ``most`` connections; a request waits for a free one within its 5 seconds."""

    def __init__(self, host: str, port: int, most: int) -> None:
        self._host, self._port = host, port
        self._free: list[_Stream] = []
        self._places = asyncio.Semaphore(most)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for _, writer in self._free:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def ask(self, request: bytes) -> Outcome:
        """The status of the answer, once all of it has come; or why there is none."""
        try:
            async with asyncio.timeout(_TOTAL_S), self._places:
                return await self._ask(request)
        except TimeoutError:
            return "timeout"
        except (OSError, asyncio.IncompleteReadError, ValueError):
            return "cut"

    async def _ask(self, request: bytes) -> int:
        stream = self._free.pop() if self._free else await self._connect()
        try:
            status, keep = await self._exchange(stream, request)
        except BaseException:
            stream[1].close()
            raise
        if keep:
            self._free.append(stream)
        else:
            stream[1].close()
        return status

    async def _connect(self) -> _Stream:
        async with asyncio.timeout(_CONNECT_S):
            return await asyncio.open_connection(self._host, self._port)

    async def _exchange(self, stream: _Stream, request: bytes) -> tuple[int, bool]:
        """The status, and whether the connection may be used again.

        Raises ValueError for an answer without a length, which no callback needs to give.
        """
        reader, writer = stream
        writer.write(request)
        head = (await reader.readuntil(_HEAD_END)).lower()
        length_at = head.index(b"content-length:") + len(b"content-length:")
        await reader.readexactly(int(head[length_at:].split(b"\r\n", 1)[0]))
        return int(head[9:12]), b"connection: close" not in head
