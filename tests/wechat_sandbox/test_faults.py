"""Faults within the process, and over a real socket, where cutting means closing it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from cli.processes import unused_port
from tests.wechat_sandbox.conftest import Api, Phone
from wechat_sandbox.example import MINI
from wechat_sandbox.serving import HOSTS, server_of
from wechat_sandbox.world import World

IPS = "/cgi-bin/getcallbackip"


@pytest.fixture
async def served(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The same stand-in on a port."""
    port = unused_port()
    server = server_of(app, port, lifespan="off")
    task = asyncio.get_running_loop().create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
        yield client
    server.should_exit = True
    with suppress(asyncio.CancelledError):
        await task


def asked(world: World) -> dict[str, str]:
    return {"access_token": world.tokens.stable(MINI, force=False).access_token}


async def order(client: httpx.AsyncClient, **fault: Any) -> None:
    assert (await client.post("/sandbox/faults", json=fault)).status_code == 200


async def test_a_burst_of_errors_ends_after_as_many_as_were_ordered(
    wechat: httpx.AsyncClient, world: World
) -> None:
    await order(wechat, kind="error", path="/cgi-bin", errcode=-1, left=2)
    await order(wechat, kind="error", path="/cgi-bin/getcallbackip", errcode=45009)
    answers = [(await wechat.get(IPS, params=asked(world))).json() for _ in range(4)]
    assert [answer.get("errcode", 0) for answer in answers] == [-1, -1, 45009, 0]
    calls = (await wechat.get("/sandbox/calls", params={"path": IPS})).json()
    assert [call["errcode"] for call in calls["items"]] == [0, 45009, -1, -1]
    assert [call["account_id"] for call in calls["items"]] == [MINI] * 4
    assert calls["items"][3]["rid"] in answers[0]["errmsg"]


async def test_a_fault_without_an_end_is_there_until_it_is_taken_away(
    wechat: httpx.AsyncClient, world: World
) -> None:
    await order(wechat, kind="error", left=None)
    for _ in range(3):
        assert (await wechat.get(IPS, params=asked(world))).json()["errcode"] == -1
    assert (await wechat.delete("/sandbox/faults")).json() == {"items": []}
    assert "ip_list" in (await wechat.get(IPS, params=asked(world))).json()


@pytest.mark.parametrize("kind", ["cut", "half"])
@pytest.mark.parametrize("over", ["wechat", "served"])
async def test_a_cut_connection_is_one_for_the_client_and_the_next_call_works(
    world: World, wechat: httpx.AsyncClient, served: httpx.AsyncClient, kind: str, over: str
) -> None:
    client = {"wechat": wechat, "served": served}[over]
    await order(client, kind=kind)
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get(IPS, params=asked(world))
    assert "ip_list" in (await client.get(IPS, params=asked(world))).json()


async def test_a_slow_answer_comes_in_the_end(served: httpx.AsyncClient, world: World) -> None:
    await order(served, kind="slow", seconds=0.4, left=2)
    with pytest.raises(httpx.ReadTimeout):
        await served.get(IPS, params=asked(world), timeout=httpx.Timeout(5, read=0.1))
    assert "ip_list" in (await served.get(IPS, params=asked(world))).json()


async def test_a_proxys_page_is_no_json(wechat: httpx.AsyncClient, world: World) -> None:
    await order(wechat, kind="page")
    answer = await wechat.get(IPS, params=asked(world))
    assert (answer.status_code, answer.headers["content-type"][:9]) == (502, "text/html")


@pytest.mark.parametrize(
    ("fault", "happened"),
    [({"kind": "half"}, True), ({"kind": "cut", "handled": True}, True), ({"kind": "cut"}, False),
     ({"kind": "error"}, False)],
)  # fmt: skip
async def test_what_a_lost_answer_leaves_unknown_has_happened_as_ordered(
    wechat: httpx.AsyncClient, api: Api, phone: Phone, fault: dict[str, Any], happened: bool
) -> None:
    code = (await phone("mei", "open", MINI))["code"]
    await order(wechat, path="/sns", **fault)
    with suppress(httpx.RemoteProtocolError):
        await api.login(code)
    assert (await api.login(code)).get("errcode", 0) == (40163 if happened else 0)


async def test_a_stand_in_on_loopback_answers_to_no_other_name(app: FastAPI) -> None:
    from wechat_sandbox.app import create_app  # noqa: PLC0415 - one with names of its own

    guarded = create_app(hosts=HOSTS)
    transport = httpx.ASGITransport(guarded)
    for name, status in (("127.0.0.1", 200), ("localhost", 200), ("evil.example", 400)):
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{name}:8010") as client:
            assert (await client.get("/sandbox")).status_code == status
    await guarded.state.client.aclose()
