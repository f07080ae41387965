"""A service told to stop under load: what it acknowledged stands, once, and it ends by itself."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from cli import processes
from shared.clock import utc_now
from tests.e2e.installation import Installation

pytestmark = pytest.mark.slow

CLIENTS = 16
BATCH = 40
LOAD_S = 2.0
PATH = "/v1/check-ins"
NDJSON = {"Content-Type": "application/x-ndjson"}

Acknowledged = dict[str, tuple[dict[str, Any], bytes]]
"""By check-in id what was sent and the body that came back."""


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path)
    installation.run("up")
    try:
        yield installation
    finally:
        installation.run("reset", "--yes")


def client_of(installation: Installation) -> httpx.AsyncClient:
    token = installation.run("token", "server").strip().splitlines()[-1]
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{installation.geo_port}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )


def check_in() -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "kind": "background",
        "latitude": 40.7419,
        "longitude": -73.9893,
        "accuracy_m": 10,
        "occurred_at": utc_now().isoformat(),
        "subject": {"namespace": "app_user", "issuer": "demo", "value": uuid4().hex},
        "consent": {
            "purpose": "visit_history",
            "version": "2026-11",
            "given_at": "2026-11-20T09:00:00Z",
        },
    }


async def load(client: httpx.AsyncClient, acknowledged: Acknowledged) -> None:
    """Single check-ins one after the other, until nobody answers any more."""
    while True:
        sent = check_in()
        try:
            response = await client.post(PATH, json=sent)
        except httpx.TransportError:
            return
        if response.status_code == 201:
            acknowledged[sent["id"]] = sent, response.content
        elif response.status_code in (429, 503):
            await asyncio.sleep(0.05)


async def load_in_batches(client: httpx.AsyncClient, acknowledged: Acknowledged) -> None:
    """Batches; every line that came is acknowledged, also of an answer that was cut off."""
    while True:
        lines = {sent["id"]: sent for sent in (check_in() for _ in range(BATCH))}
        content = "\n".join(map(json.dumps, lines.values()))
        try:
            async with client.stream("POST", f"{PATH}/batch", content=content, headers=NDJSON) as r:
                async for line in r.aiter_lines():
                    told = json.loads(line)
                    if told.pop("http_status") == 201:
                        del told["line"]
                        identifier = told["check_in"]["id"]
                        acknowledged[identifier] = lines[identifier], json.dumps(told).encode()
        except httpx.TransportError:
            return


async def stop_under_load(installation: Installation) -> tuple[Acknowledged, float]:
    """What was acknowledged around a SIGTERM, and how long the service took to end."""
    acknowledged: Acknowledged = {}
    async with client_of(installation) as client:
        loads = [asyncio.create_task(load(client, acknowledged)) for _ in range(CLIENTS)]
        loads += [asyncio.create_task(load_in_batches(client, acknowledged)) for _ in range(2)]
        await asyncio.sleep(LOAD_S)
        victims = processes.marked(installation.home, "geo_api")
        assert victims
        assert acknowledged
        told_at = time.monotonic()
        for pid in victims:
            os.kill(pid, signal.SIGTERM)
        async with asyncio.timeout(30):
            while any(processes.is_alive(pid) for pid in victims):
                await asyncio.sleep(0.02)
        took = time.monotonic() - told_at
        await asyncio.wait_for(asyncio.gather(*loads), 30)
    return acknowledged, took


async def send_again(installation: Installation, acknowledged: Acknowledged) -> list[int]:
    """The status of each repeat; its body must be the one that was given the first time."""
    statuses = []
    async with client_of(installation) as client:
        for sent, answered in acknowledged.values():
            response = await client.post(PATH, json=sent)
            assert response.json() == json.loads(answered)
            statuses.append(response.status_code)
    return statuses


def test_a_stop_under_load_loses_nothing_that_was_acknowledged(
    installation: Installation,
) -> None:
    acknowledged, took = asyncio.run(stop_under_load(installation))
    installation.run("up")
    assert took < 12, "it waited for its grace period to pass"
    some = dict(list(acknowledged.items())[-300:])  # the last before the end
    assert Counter(asyncio.run(send_again(installation, some))) == {200: len(some)}
    told = Counter(
        record["data"]["check_in_id"]
        for record in map(
            json.loads, installation.run("dump", "--canonical", "--wait").splitlines()
        )
        if record["section"] == "timeline" and record["type"] == "check_in"
    )
    assert acknowledged.keys() <= told.keys()
    assert set(told.values()) == {1}
