"""geo_api killed again and again while WeChat pushes: nothing is lost, nothing counts twice."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from cli import processes
from shared.db import Database
from shared.sealing import StorageKey
from shared.wechat.callback import CallbackAccount, Format, Mode, seal_push
from tests.conftest import ROOT, DatabaseUrls
from tests.geo_api.checkins.helpers import LAT, LON
from tests.geo_api.wechat.factories import AES_KEY, APP_ID, TOKEN, add_account
from tests.geo_api.wechat.pushes.phone import Phone, unix

pytestmark = pytest.mark.slow

CALLBACK = CallbackAccount(APP_ID, TOKEN, AES_KEY, Mode.SECURE, Format.XML)
PEOPLE, EACH = 12, 20
KILLS = 3


class Service:
    """A geo_api process of its own, on one port."""

    def __init__(self, urls: DatabaseUrls, keys: Path) -> None:
        self.port = processes.unused_port()
        self._environment = {
            **os.environ,
            "SOLOMO_KEYS_DIR": str(keys / "geo"),
            "SOLOMO_GEO_DATABASE_URL": urls.geo,
            "SOLOMO_MEMBER_URL": "http://127.0.0.1:1",
            "SOLOMO_LOG_LEVEL": "error",
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _spawn(self) -> None:
        factory = "services.geo_api.app:create_app"
        command = [sys.executable, "-m", "uvicorn", factory, "--factory", "--port", str(self.port)]
        quietly = ["--log-level", "error"]
        self._process = subprocess.Popen([*command, *quietly], cwd=ROOT, env=self._environment)

    async def start(self) -> None:
        self._spawn()
        async with httpx.AsyncClient(base_url=self.url) as client, asyncio.timeout(90):
            while True:
                try:
                    if (await client.get("/readyz")).is_success:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@asynccontextmanager
async def running(urls: DatabaseUrls, keys: Path) -> AsyncIterator[Service]:
    service = Service(urls, keys)
    try:
        await service.start()
        yield service
    finally:
        service.kill()


def pushes_of_everybody() -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    for number in range(PEOPLE):
        phone = Phone(f"oPerson{number}")
        for turn in range(EACH):
            match turn % 5:
                case 0:
                    said.append(phone.reports(LAT, LON, 10 + turn, ago_s=turn))
                case 1:
                    said.append(phone.says(ago_s=turn))
                case 2:
                    said.append(phone.answers(tpl_A="accept", ago_s=turn))
                case 3:
                    said.append(phone.sends_place(LAT + turn * 1e-4, LON, ago_s=turn))
                case _:
                    said.append(phone.scans(f"s{turn}", ago_s=turn))
    random.Random(5).shuffle(said)
    return said


async def deliver(client: httpx.AsyncClient, document: dict[str, Any], number: int) -> None:
    """As WeChat does, with the same parameters, but until it is acknowledged."""
    query, body = seal_push(
        CALLBACK, document, timestamp=unix(datetime.now(UTC)), nonce=f"n{number}"
    )
    while True:
        try:
            answer = await client.post("/v1/wechat/tea/callback", params=query, content=body)
            if answer.status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.05)


async def test_whatever_is_killed_each_push_counts_once(
    database_urls: DatabaseUrls, installation_keys: Path, storage: StorageKey, database: Database
) -> None:
    await add_account(database, storage, consent_version="2026-11")
    said = pushes_of_everybody()
    draw = random.Random(9)
    async with running(database_urls, installation_keys) as service:
        limits = httpx.Limits(max_connections=8)
        async with httpx.AsyncClient(base_url=service.url, limits=limits, timeout=5) as client:

            async def send(share: list[dict[str, Any]], first: int) -> None:
                for number, document in enumerate(share, first):
                    await deliver(client, document, number)
                    await asyncio.sleep(draw.random() * 0.1)

            sending = [
                asyncio.create_task(send(said[start::8], 1_000 * start)) for start in range(8)
            ]
            for _ in range(KILLS):
                await asyncio.sleep(0.2 + draw.random())
                service.kill()
                await service.start()
            await asyncio.gather(*sending)
        await settled(database_urls)

    count = len(said) // 5
    assert await counts(database_urls) == {
        "pushes": len(said),
        "check_ins": 2 * count,
        "grants": count,
        "social_message_received": 2 * count,
        "social_subscription_changed": count,
        "social_scanned": count,
        "identity_observed": PEOPLE,
        "check_in": 2 * count,
        "told_twice": 0,
    }


async def settled(urls: DatabaseUrls) -> None:
    """What a killed process had claimed is due again, as if its time were over."""
    connection = await asyncpg.connect(urls.superuser.replace("+asyncpg", ""))
    waiting = "SELECT count(*) FROM geo.wechat_pushes WHERE state = 'waiting'"
    try:
        async with asyncio.timeout(60):
            await asyncio.sleep(2)
            await connection.execute(
                "UPDATE geo.wechat_pushes SET due_at = now() WHERE state = 'waiting'"
            )
            while await connection.fetchval(waiting):
                await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def counts(urls: DatabaseUrls) -> dict[str, int]:
    connection = await asyncpg.connect(urls.superuser.replace("+asyncpg", ""))
    try:
        told = await connection.fetch(
            "SELECT type, count(DISTINCT event_id) FROM geo.outbox"
            " WHERE type LIKE 'social%' OR type IN ('check_in', 'identity_observed') GROUP BY 1"
        )
        return {
            "pushes": await connection.fetchval("SELECT count(*) FROM geo.wechat_pushes"),
            "check_ins": await connection.fetchval("SELECT count(*) FROM geo.check_ins"),
            "grants": await connection.fetchval("SELECT count(*) FROM geo.wechat_grants"),
            **{row["type"]: row["count"] for row in told},
            "told_twice": await connection.fetchval(
                "SELECT count(*) FROM (SELECT FROM geo.outbox GROUP BY event_id"
                " HAVING count(*) > 1) AS twice"
            ),
        }
    finally:
        await connection.close()
