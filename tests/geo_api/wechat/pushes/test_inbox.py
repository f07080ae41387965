"""The inbox of several processes: what comes to all of them at once is kept once."""

import asyncio
import random
from datetime import UTC, datetime

import pytest

from services.geo_api.wechat.pushes.inbox import Inbox
from services.geo_api.wechat.pushes.reading import read_request
from shared.wechat.callback import CallbackQuery, seal_push
from tests.geo_api.wechat.pushes.phone import Phone, WeChat, unix

pytestmark = pytest.mark.slow

PUSHES, PROCESSES = 100, 2


async def test_what_comes_to_several_processes_at_once_is_kept_once(wechat: WeChat) -> None:
    """The same requests, and the same pushes under other parameters, in another order for each."""
    state = wechat.app.state
    inboxes = [Inbox(state.wechat.database.url, state.keys, lambda: None) for _ in range(PROCESSES)]
    account, now = state.wechat.accounts.find(wechat.account_id), datetime.now(UTC)
    coming = []
    for number in range(PUSHES):
        document = Phone(f"oPerson{number}").follows()
        for nonce in (f"one{number}", f"another{number}"):
            query, body = seal_push(wechat.callback, document, timestamp=unix(now), nonce=nonce)
            asked = CallbackQuery.of(query)
            coming.append(read_request(state.keys.identity, account, asked, body, now))
    for inbox in inboxes:
        inbox.start()
    sent = [(inbox, request) for request in coming for inbox in inboxes]
    random.Random(3).shuffle(sent)
    await asyncio.gather(*(inbox.keep(request) for inbox, request in sent))
    for inbox in inboxes:
        await inbox.stop()
    state.pushes.on_kept()
    await wechat.settled()

    assert await wechat.ask("SELECT count(*) FROM geo.wechat_pushes") == PUSHES
    assert len(await wechat.facts("social_followed")) == PUSHES
