"""At most once, one after the other, and no more than allowed: with many at work, and one killed."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from services.geo_api.wechat.sending.sender import Sender
from shared.db import Database
from shared.direct import OwnConnection
from tests.conftest import ROOT
from tests.geo_api.wechat.sending.shop import MINI, Shop

pytestmark = pytest.mark.slow

OFFERS = [f"o{number}" for number in range(1, 11)]


@asynccontextmanager
async def two_senders(shop: Shop) -> AsyncIterator[list[tuple[Sender, OwnConnection]]]:
    """As two processes have them, each with connections of its own; the app's own rests."""
    await shop.rehearsal.app.state.sender.stop()
    async with AsyncExitStack() as stack:
        pair = []
        for _ in range(2):
            database = Database.connect(shop.urls.geo, pool_size=8)
            stack.push_async_callback(database.close)
            lane = OwnConnection(shop.urls.geo)
            stack.push_async_callback(lane.close)
            pair.append((Sender(replace(shop.rehearsal.tools, database=database)), lane))
        yield pair


async def work(pair: list[tuple[Sender, OwnConnection]]) -> None:
    """Both claim at once, and all is finished."""
    await asyncio.gather(*(sender.turn(lane) for sender, lane in pair))
    await asyncio.gather(*(sender.finish() for sender, _ in pair))


async def win_ten(shop: Shop, per_day: int) -> None:
    await shop.connect(MINI, per_person_per_day=per_day)
    await shop.accept_many(len(OFFERS))
    await shop.offer(*OFFERS[1:])
    shop.rehearsal.world.send_takes_s = 0.05


async def test_of_ten_coupons_won_at_once_one_is_told_where_one_a_day_is_allowed(
    shop: Shop,
) -> None:
    await win_ten(shop, per_day=1)
    async with two_senders(shop) as pair:
        await shop.win()
        assert len(await shop.messages()) == 10
        await work(pair)
        await shop.rows("UPDATE geo.outreach_messages SET due_at = now() WHERE state = 'waiting'")
        await work(pair)
    await shop.heard()
    found = await shop.messages()
    reasons = sorted(f"{one['state']} {one['reason']}" for one in found)
    assert reasons == ["delivered None"] + ["waiting often_enough"] * 9
    assert len(shop.inbox()) == 1
    assert shop.rehearsal.calls("subscribe/send") == 1
    assert (await shop.grants()).count("open") == 9


async def test_messages_to_one_person_go_one_after_the_other(shop: Shop) -> None:
    """WeChat refuses the second of two at once (43108)."""
    await win_ten(shop, per_day=20)
    async with two_senders(shop) as pair:
        await shop.win()
        async with asyncio.timeout(30):
            while len(shop.inbox()) < 10:
                await work(pair)
                query = "UPDATE geo.outreach_messages SET due_at = now() WHERE state = 'waiting'"
                await shop.rows(query)
    assert all(call.errcode == 0 for call in shop.rehearsal.world.calls)
    assert shop.rehearsal.calls("subscribe/send") == 10


async def test_a_process_killed_while_it_sends_leaves_a_message_that_counts_as_sent(
    shop: Shop, installation_keys: Path
) -> None:
    """Its permission is used, and WeChat is never asked again, whether or not it was asked."""
    await shop.rehearsal.app.state.sender.stop()
    await shop.connect(MINI)
    await shop.accept()
    await shop.win()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.geo_api.wechat.sending.sending_process",
        shop.urls.geo,
        str(installation_keys / "geo"),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"asking\n"
    process.kill()
    await process.wait()
    assert await shop.grants() == ["spent"]

    async with two_senders(shop) as pair:
        await work(pair)
        (message,) = await shop.messages()
        assert message["state"] == "waiting"  # it might be alive yet
        await shop.rows("UPDATE geo.outreach_messages SET claimed_until = now()")
        await work(pair)
    (message,) = await shop.messages()
    assert (message["state"], message["reason"]) == ("sent", "unknown")
    assert await shop.told() == [(1, "sent", "unknown")]
    assert await shop.grants() == ["spent"]
    assert shop.inbox() == []
    assert shop.rehearsal.calls("subscribe/send") == 0


async def test_an_arrival_that_outruns_the_answer_is_told_after_the_sending(shop: Shop) -> None:
    await shop.connect(MINI)
    await shop.accept()
    await shop.rehearsal.fault(kind="slow", seconds=1.5, path="/cgi-bin/message", left=1)
    await shop.win()
    async with asyncio.timeout(10):
        while not await shop.value("SELECT count(*) FROM geo.outreach_results"):
            await asyncio.sleep(0.02)
    assert await shop.told() == []
    await shop.becomes("delivered")
    assert await shop.told() == [(1, "sent", None), (2, "delivered", None)]
    assert await shop.value("SELECT count(*) FROM geo.outreach_results") == 0


async def test_a_sender_that_stops_finishes_what_it_began(shop: Shop) -> None:
    await shop.connect(MINI)
    await shop.accept()
    await shop.rehearsal.fault(kind="slow", seconds=1, path="/cgi-bin/message", left=1)
    await shop.win()
    async with asyncio.timeout(10):
        while await shop.value("SELECT sent_at FROM geo.outreach_messages") is None:
            await asyncio.sleep(0.01)
    await shop.rehearsal.app.state.sender.stop()
    (message,) = await shop.messages()
    assert message["state"] in {"sent", "delivered"}
    assert message["reason"] is None
