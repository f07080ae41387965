"""The worker: failures, parking and replay, retention, several at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY

from services.geo_api.wechat.pushes.domain import MAX_ATTEMPTS
from services.geo_api.wechat.pushes.handling.batch import Handler
from services.geo_api.wechat.pushes.handling.effects import Opened
from services.geo_api.wechat.pushes.repository import Claimed
from services.geo_api.wechat.pushes.retention import forget_nonces, forget_pushes
from services.geo_api.wechat.pushes.worker import BATCH, Worker
from shared.direct import OwnConnection
from tests.conftest import Tokens
from tests.geo_api.checkins.helpers import LAT, LON
from tests.geo_api.wechat.pushes.phone import Phone, WeChat

pytestmark = pytest.mark.slow


class Allergic(Handler):
    """Cannot handle what somebody pushes."""

    def open(self, row: Claimed) -> Opened:
        opened = super().open(row)
        if opened.identity and opened.identity.value == "oPoison":
            raise RuntimeError("poison")
        return opened


async def test_a_push_that_fails_again_and_again_is_parked_shown_and_replayed(
    wechat: WeChat, geo_app: FastAPI, tokens: Tokens
) -> None:
    worker: Worker = geo_app.state.pushes.on_kept.__self__
    handler = worker.handler
    path = f"/v1/wechat/{wechat.account_id}/pushes"
    headers = tokens("server")
    async with wechat.held():
        worker.handler = Allergic(handler.tools, handler.committer, handler.fences)
        lane = OwnConnection(worker.url)
        await wechat.deliver(Phone("oPoison").says())
        await wechat.deliver(Phone("oHealthy").says())
        for _ in range(MAX_ATTEMPTS):
            assert await worker.turn(lane)
            await wechat.rows("UPDATE geo.wechat_pushes SET due_at = now() - interval '1 s'")
        assert await worker.turn(lane) == 0
        await lane.close()
        worker.handler = handler
    parked = (await wechat.geo.get(path, headers=headers, params={"state": "parked"})).json()
    [one] = parked["items"]
    assert (one["attempts"], one["reason"]) == (MAX_ATTEMPTS, "RuntimeError")
    assert await wechat.rows("SELECT kind FROM geo.wechat_notices") == [("pushes_parked",)]
    assert len(await wechat.facts("social_message_received")) == 1

    answer = await wechat.geo.post(f"{path}/replay", json={"ids": "all"}, headers=headers)
    assert answer.json() == {"replayed": 1}
    await wechat.settled()
    assert len(await wechat.facts("social_message_received")) == 2


async def test_one_bad_push_harms_none_that_are_written_with_it(
    wechat: WeChat, geo_app: FastAPI
) -> None:
    class Picky(Handler):
        async def write(self, connection: Any, opened: Any, words: Any, now: Any) -> Any:
            if any(one.identity.value == "oPoison" for one in opened):
                raise RuntimeError("one of these")
            return await super().write(connection, opened, words, now)

    worker: Worker = geo_app.state.pushes.on_kept.__self__
    handler = worker.handler
    async with wechat.held():
        worker.handler = Picky(handler.tools, handler.committer, handler.fences)
        for name in ("oA", "oB", "oPoison", "oC", "oD"):
            await wechat.deliver(Phone(name).says())
        lane = OwnConnection(worker.url)
        await worker.turn(lane)
        await lane.close()
        worker.handler = handler
        states = "SELECT state, count(*) FROM geo.wechat_pushes GROUP BY 1 ORDER BY 1"
        assert await wechat.rows(states) == [("handled", 4), ("waiting", 1)]
        await wechat.rows("UPDATE geo.wechat_pushes SET due_at = now()")


async def test_several_workers_handle_each_push_once(wechat: WeChat, geo_app: FastAPI) -> None:
    await wechat.connect(consent_version="2026-11")
    first: Worker = geo_app.state.pushes.on_kept.__self__
    async with wechat.held():
        phones = [Phone(f"o{number % 7}") for number in range(120)]
        said = [
            phone.says() if number % 2 else phone.reports(LAT, LON, number)
            for number, phone in enumerate(phones)
        ]
        await asyncio.gather(*map(wechat.deliver, said))
        others = [Worker(first.url, first.handler) for _ in range(3)]
        for worker in others:
            worker.start()
        await wechat.settled()
        for worker in others:
            await worker.stop()
    told = await wechat.rows(
        "SELECT event_id, count(*) FROM geo.outbox GROUP BY 1 HAVING count(*) > 1"
    )
    assert told == []
    assert len(await wechat.facts("social_message_received")) == 60
    assert await wechat.ask("SELECT count(*) FROM geo.check_ins") == 60
    assert len(await wechat.facts("identity_observed")) == 7


async def test_more_than_a_batch_is_handled_at_once(wechat: WeChat) -> None:
    async with wechat.held():
        said = [Phone(f"o{number % 50}").says() for number in range(BATCH + 20)]
        await asyncio.gather(*map(wechat.deliver, said))
    assert len(await wechat.facts("social_message_received")) == BATCH + 20


async def test_what_is_done_with_goes_after_a_week_and_nonces_after_minutes(
    wechat: WeChat, geo_app: FastAPI
) -> None:
    await wechat.push(Phone().says())
    await wechat.rows("UPDATE geo.wechat_pushes SET state = 'parked'")
    await wechat.push(Phone().says(), Phone().reports(LAT, LON))
    database, now = geo_app.state.database, datetime.now(UTC)

    async def forget(after: timedelta) -> tuple[int, int]:
        async with database.begin() as connection:
            nonces = await forget_nonces(connection, now + after)
            return nonces, await forget_pushes(connection, now + after)

    assert await forget(timedelta(minutes=10)) == (0, 0)
    assert await forget(timedelta(minutes=12)) == (3, 0)
    assert await forget(timedelta(days=7, minutes=1)) == (0, 2)
    assert await wechat.rows("SELECT state FROM geo.wechat_pushes") == [("parked",)]


@pytest.mark.parametrize("outcome", ["kept", "repeat"])
async def test_acknowledgements_are_counted(wechat: WeChat, outcome: str) -> None:
    def count() -> float:
        name = "solomo_wechat_pushes_acknowledged_total"
        return REGISTRY.get_sample_value(name, {"outcome": outcome}) or 0.0

    before = count()
    document = Phone().says()
    for _ in range(2):
        await wechat.deliver(document, nonce="n")
    assert count() == before + 1
    await wechat.settled()
