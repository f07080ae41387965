"""A stand-in for geo_api's end of the feed, which lies beyond this service's rim."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from joserfc import jws


class GeoTwin:
    """Answers that everything was applied, and remembers what it heard and from whom."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.paths: set[str] = set()
        self.roles: set[str] = set()
        self.app = FastAPI()
        self.app.add_api_route("/{path:path}", self.answer, methods=["POST"])

    async def answer(self, path: str, request: Request) -> dict[str, Any]:
        token = request.headers["authorization"].removeprefix("Bearer ")
        claims = json.loads(jws.extract_compact(token.encode()).payload)
        self.paths.add(f"/{path}")
        self.roles.add(claims["role"])
        events = (await request.json())["events"]
        self.heard += events
        return {"results": [{"id": event["id"], "status": "applied"} for event in events]}


async def until(is_so: Callable[[], Awaitable[bool]], within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while not await is_so():
        assert time.monotonic() < deadline, "it did not come about in time"
        await asyncio.sleep(0.05)
