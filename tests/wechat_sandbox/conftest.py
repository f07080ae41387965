"""A stand-in within the process, its people, and a callback that notes what it gets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI

from shared.wechat.callback import CallbackQuery, open_push
from wechat_sandbox.accounts import Account
from wechat_sandbox.app import InProcess, create_app
from wechat_sandbox.clock import Clock
from wechat_sandbox.example import MINI, SERVICE, furnish
from wechat_sandbox.pushing import PushSettings
from wechat_sandbox.world import World

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()


@dataclass
class Received:
    """One request to the callback."""

    method: str
    query: dict[str, str]
    body: bytes
    at: float

    def opened(self, account: Account) -> dict[str, Any]:
        now = datetime.fromtimestamp(int(self.query["timestamp"]), UTC)
        return open_push(account.callback, CallbackQuery.of(self.query), self.body, now)


@dataclass
class Callback:
    """A small real HTTP server. ``answers`` are taken in order, then each is ``success``.

    An answer is bytes to write, a number of seconds to wait before ``success``, or None: cut.
    """

    answers: list[bytes | float | None] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        lengths = [line for line in head.split("\r\n") if line.lower().startswith("content-length")]
        body = await reader.readexactly(int(lengths[0].split(":")[1]) if lengths else 0)
        query = dict(parse_qsl(urlsplit(target).query))
        self.received.append(Received(method, query, body, asyncio.get_running_loop().time()))
        answer = self.answers.pop(0) if self.answers else response(b"success")
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            answer = response(b"success")
        if answer is not None:
            writer.write(answer)
            await writer.drain()


def response(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


@pytest.fixture
async def callback() -> AsyncIterator[Callback]:
    one = Callback()
    connections: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(one.serve(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield one
    server.close()
    for task in connections:
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)
    await server.wait_closed()


@pytest.fixture
def clock() -> Clock:
    return Clock(lambda: NOON)


@pytest.fixture
async def app(clock: Clock) -> AsyncIterator[FastAPI]:
    settings = PushSettings(interval_s=0.05)
    one = create_app(clock=clock, settings=settings)
    furnish(one.state.world)
    one.state.world.send_takes_s = 0.0
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(LifespanManager(one))
        yield one


@pytest.fixture
def world(app: FastAPI) -> World:
    assert isinstance(app.state.world, World)
    return app.state.world


@pytest.fixture
async def wechat(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=InProcess(app), base_url="http://wechat") as client:
        yield client


class Phone:
    """What people do, through the stand-in's own interface."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def __call__(self, name: str, act: str, account: str = SERVICE, **fields: Any) -> Any:
        body = {"act": act, "account": account, **fields}
        answer = await self._client.post(f"/sandbox/people/{name}/acts", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, name: str, act: str, account: str = SERVICE, **fields: Any) -> str:
        body = {"act": act, "account": account, **fields}
        answer = await self._client.post(f"/sandbox/people/{name}/acts", json=body)
        assert answer.status_code == 409, answer.text
        return str(answer.json()["detail"])


@pytest.fixture
def phone(wechat: httpx.AsyncClient) -> Phone:
    return Phone(wechat)


class Api:
    """WeChat's API as an account calls it, with a token of its own."""

    def __init__(self, client: httpx.AsyncClient, world: World) -> None:
        self._client = client
        self._world = world

    async def post(self, path: str, account: str = SERVICE, **body: Any) -> Any:
        answer = await self.raw(path, account, **body)
        return answer.json()

    async def raw(self, path: str, account: str = SERVICE, **body: Any) -> httpx.Response:
        token = self._world.tokens.stable(account, force=False).access_token
        answer = await self._client.post(path, params={"access_token": token}, json=body)
        assert answer.status_code == 200
        return answer

    async def login(self, code: str, account: str = MINI) -> Any:
        one = self._world.accounts[account]
        query = {"appid": one.app_id, "secret": one.app_secret, "js_code": code}
        answer = await self._client.get(
            "/sns/jscode2session", params={**query, "grant_type": "authorization_code"}
        )
        return answer.json()


@pytest.fixture
def api(wechat: httpx.AsyncClient, world: World) -> Api:
    return Api(wechat, world)


PutAccount = Callable[..., Account]


@pytest.fixture
def connected(world: World, callback: Callback) -> Callable[..., Account]:
    """Let an account push to ``callback``, changed as wanted."""

    def connect(account_id: str = SERVICE, **changes: Any) -> Account:
        return world.put_account(account_id, callback_url=callback.url, **changes)

    return connect
