"""The access log: one JSON line per request, written a quarter of a second's worth at a time."""

import asyncio
import sys
from datetime import UTC, datetime
from typing import BinaryIO

import orjson

FLUSH_AFTER_S = 0.25
MAX_WAITING = 2_000


class AccessLog:
    """Lines about requests: method, route template, status, duration, trace id, role.

    Never the address itself, a body, a coordinate or a token. Lines wait up to
    ``FLUSH_AFTER_S`` in memory, since a write per request would cost more than all else here;
    a killed process loses those.
    """

    def __init__(self, service: str, stream: BinaryIO | None = None) -> None:
        self._service = service
        self._stream = stream
        self._lines: list[bytes] = []

    def write(
        self,
        *,
        method: str,
        route: str,
        status: int,
        duration_s: float,
        trace_id: str,
        role: str | None,
    ) -> None:
        """``duration_s`` is logged as ``duration_ms``. Must be called in an event loop."""
        line = {
            "event": "request",
            "level": "info",
            "timestamp": datetime.now(UTC),
            "service": self._service,
            "method": method,
            "route": route,
            "status": status,
            "duration_ms": round(duration_s * 1000, 2),
            "trace_id": trace_id,
            "role": role,
        }
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_AFTER_S, self.flush)
        self._lines.append(orjson.dumps(line, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE))
        if len(self._lines) >= MAX_WAITING:
            self.flush()

    def flush(self) -> None:
        if self._lines:
            lines, self._lines = self._lines, []
            stream = self._stream or sys.stdout.buffer
            stream.write(b"".join(lines))
            stream.flush()
