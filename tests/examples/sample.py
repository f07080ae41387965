"""The sample mini-program: its shapes read without Node, and its code run by it."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.conftest import ROOT

SAMPLE = ROOT / "examples/mini-program"
PHONE = Path(__file__).with_name("phone.js")
NO_ANSWER = {"errMsg": "request:fail"}


def shapes() -> dict[str, dict[str, Any]]:
    """``utils/shapes.js`` is JSON between an assignment and its semicolon."""
    source = (SAMPLE / "utils/shapes.js").read_text()
    document = source.removeprefix("module.exports = ").rstrip().removesuffix(";")
    read: dict[str, dict[str, Any]] = json.loads(document)
    return read


@dataclass
class Phone:
    """Runs the sample's own code; what it asks for comes from here.

    ``sent`` are its requests (method, path, status). ``online`` False loses all of them on the way.
    """

    process: asyncio.subprocess.Process
    services: dict[str, httpx.AsyncClient]
    login_code: Callable[[], Awaitable[str]]
    position: dict[str, Any] = field(default_factory=dict)
    scanned: str = ""
    online: bool = True
    lose_answers: int = 0
    sent: list[tuple[str, str, int]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    went: list[str] = field(default_factory=list)
    brightness: list[float] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, do: str, **order: Any) -> Any:
        """Give an order and serve what comes of it until it is done."""
        await self._write({"do": do, **order})
        while True:
            assert self.process.stdout is not None
            async with asyncio.timeout(30):
                line = json.loads(await self.process.stdout.readline())
            if "failed" in line:
                raise AssertionError(line["failed"])
            if "done" in line:
                return line["done"]
            if "brightness" in line:
                self.brightness.append(line["brightness"])
            elif "went" in line:
                self.went.append(line["went"])
            else:
                await self._answer(line)

    async def _answer(self, asked: dict[str, Any]) -> None:
        serve = {
            "request": self._request,
            "login": self._login,
            "position": self._position,
            "scan": self._scan,
            "subscribe": self._subscribe,
        }[asked["ask"]]
        ok, value = await serve(asked)
        await self._write({"n": asked["n"], "ok": ok, "value": value})

    async def _request(self, asked: dict[str, Any]) -> tuple[bool, Any]:
        if not self.online:
            return False, NO_ANSWER
        parts = urlsplit(asked["url"])
        client = self.services[parts.hostname or ""]
        address = parts.path + (f"?{parts.query}" if parts.query else "")
        answer = await client.request(
            asked["method"], address, content=asked["body"], headers=asked["header"]
        )
        self.sent.append((asked["method"], parts.path, answer.status_code))
        if asked["body"]:
            self.bodies.append(json.loads(asked["body"]))
        if self.lose_answers:
            self.lose_answers -= 1
            return False, NO_ANSWER
        content = base64.b64encode(answer.content).decode()
        headers = dict(answer.headers)
        return True, {"status": answer.status_code, "header": headers, "content": content}

    async def _login(self, _asked: dict[str, Any]) -> tuple[bool, Any]:
        return True, {"code": await self.login_code()}

    async def _position(self, asked: dict[str, Any]) -> tuple[bool, Any]:
        self.asked.append(asked)
        if not self.position:
            return False, {"errMsg": "getLocation:fail auth deny"}
        return True, self.position

    async def _scan(self, _asked: dict[str, Any]) -> tuple[bool, Any]:
        return True, {"result": self.scanned}

    async def _subscribe(self, asked: dict[str, Any]) -> tuple[bool, Any]:
        self.asked.append(asked)
        return True, {}

    async def _write(self, line: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        await self.process.stdin.drain()
