"""One token for several processes of the operating system, each of many tasks."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, DatabaseUrls
from tests.geo_api.wechat.accounts.conftest import Make
from tests.geo_api.wechat.factories import credentials
from tests.geo_api.wechat.token_server import TokenServer

pytestmark = pytest.mark.slow

STABLE = "/cgi-bin/stable_token"

Started = list[asyncio.subprocess.Process]


async def readers(
    database_urls: DatabaseUrls, keys: Path, server: TokenServer, what: str, *, count: int = 4
) -> Started:
    """Processes that are ready to ask, each in 25 tasks."""
    arguments = [database_urls.geo, str(keys), server.base, what, "25"]
    program = [sys.executable, "-m", "tests.geo_api.wechat.accounts.token_reader"]
    pipe = asyncio.subprocess.PIPE
    started = [
        await asyncio.create_subprocess_exec(
            *program, *arguments, cwd=ROOT, stdin=pipe, stdout=pipe
        )
        for _ in range(count)
    ]
    for one in started:
        assert one.stdout is not None
        assert await one.stdout.readline() == b"ready\n"
    return started


async def results(started: Started) -> list[str]:
    """Let all go at once; gives what all their tasks got."""
    outputs = await asyncio.gather(*(one.communicate(b"go\n") for one in started))
    return [token for output, _ in outputs for token in json.loads(output.splitlines()[-1])]


@pytest.mark.usefixtures("make")
async def test_many_tasks_of_several_processes_ask_wechat_once(
    database_urls: DatabaseUrls, installation_keys: Path, server: TokenServer
) -> None:
    server.delay_s = 0.5
    started = await readers(database_urls, installation_keys, server, "current")
    tokens = await results(started)

    assert len(tokens) == 100
    assert set(tokens) == {server.token}
    assert server.asked[STABLE] == 1


async def test_several_processes_whose_token_was_revoked_renew_it_once(
    make: Make, database_urls: DatabaseUrls, installation_keys: Path, server: TokenServer
) -> None:
    await make().tokens.current(credentials())
    server.revoke()
    server.delay_s = 0.3

    started = await readers(database_urls, installation_keys, server, "call")
    answers = await results(started)

    assert answers == ["127.0.0.1"] * 100
    assert server.asked[STABLE] == 2
    assert server.asked["forced"] == 0
