"""What may stand at the other end of a replay, beyond what geo_api does on a good day."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

TROUBLES = ("fine", "cut", "half a line", "busy lines", "429", "503", "hang up")


@dataclass
class Receiver:
    """Takes batches and keeps what it took; ``troubles`` happen one a request, then all is fine.

    ``taken`` are (subject, place) in the order of their commit; ``overlaps`` counts batches that
    came while another with the same subject was being answered.
    """

    troubles: list[str] = field(default_factory=list)
    taken: dict[str, Any] = field(default_factory=dict)
    requests: int = 0
    overlaps: int = 0
    _busy: list[str] = field(default_factory=list)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        assert scope["path"] == "/v1/check-ins/batch"
        body = await _body(receive)
        self.requests += 1
        trouble = self.troubles.pop(0) if self.troubles else "fine"
        documents = [orjson.loads(line) for line in body.split(b"\n")]
        subjects = {document["subject"]["value"] for document in documents}
        self.overlaps += bool(subjects & set(self._busy))
        self._busy += subjects
        try:
            await asyncio.sleep(0.002)
            await self._answer(documents, trouble, send)
        finally:
            for subject in subjects:
                self._busy.remove(subject)

    async def _answer(self, documents: list[Any], trouble: str, send: Send) -> None:
        if trouble.isdecimal():
            await _start(send, int(trouble), [(b"retry-after", b"0")])
            await send({"type": "http.response.body", "body": b'{"detail": "no right"}'})
            return
        if trouble == "hang up":
            raise ConnectionAbortedError
        await _start(send, 200, [])
        lines = self._lines(documents, busy=trouble == "busy lines")
        if trouble in {"cut", "half a line"}:
            cut = lines[: len(lines) // 2] + [lines[-1][:20]] * (trouble == "half a line")
            await send({"type": "http.response.body", "body": b"".join(cut), "more_body": True})
            raise ConnectionAbortedError
        await send({"type": "http.response.body", "body": b"".join(lines)})

    def _lines(self, documents: list[Any], *, busy: bool) -> list[bytes]:
        """Everything is committed, also where its answer will not arrive."""
        lines = []
        for number, document in enumerate(documents, 1):
            if busy and number % 3 == 0:
                answer: dict[str, Any] = {"http_status": 503, "type": "/problems/busy"}
            else:
                new = document["id"] not in self.taken
                self.taken.setdefault(document["id"], document)
                answer = {"http_status": 201 if new else 200, **ACCEPTED}
            lines.append(orjson.dumps({"line": number, **answer}) + b"\n")
        return lines


ACCEPTED: dict[str, Any] = {
    "check_in": {"id": "x", "status": "accepted", "reason": None},
    "matches": [], "visits": [], "coupons": [], "invitation": None,
}  # fmt: skip


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message["body"])
        if not message["more_body"]:
            return b"".join(parts)


async def _start(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
