"""Both services behind real sockets, and the command line as a user calls it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from cli.__main__ import main

Run = Callable[..., Awaitable["Ran"]]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Serve an app that has been started already; gives its URL."""
    config = uvicorn.Config(app, port=0, lifespan="off", ws="none", log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@pytest.fixture
async def geo_url(geo_app: FastAPI) -> AsyncIterator[str]:
    async with served(geo_app) as url:
        yield url


@pytest.fixture
async def member_url(member_app: FastAPI) -> AsyncIterator[str]:
    async with served(member_app) as url:
        yield url


@pytest.fixture
def solomo(
    tmp_path: Path,
    installation_keys: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Run:
    """Call ``./solomo`` in this process, in an installation with this test's keys."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "keys").symlink_to(installation_keys)
    monkeypatch.setenv("SOLOMO_HOME", str(home))
    monkeypatch.delenv("SOLOMO_TOKEN", raising=False)

    async def run(*words: object) -> Ran:
        capfd.readouterr()
        code = await asyncio.to_thread(main, [str(word) for word in words])
        captured = capfd.readouterr()
        logged = '"timestamp":'  # the services run in this process and log to the same place
        out = "".join(line for line in captured.out.splitlines(True) if logged not in line)
        return Ran(code, out, captured.err)

    return run
