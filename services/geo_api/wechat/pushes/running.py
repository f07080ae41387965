"""Starting and stopping what takes pushes and what handles them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import State

from services.geo_api.wechat.pushes.handling.batch import Handler
from services.geo_api.wechat.pushes.inbox import Inbox
from services.geo_api.wechat.pushes.worker import Worker
from services.geo_api.wechat.tools import WeChatTools


@asynccontextmanager
async def receiving(state: State) -> AsyncIterator[None]:
    """Take pushes at ``state.pushes`` and handle them; what was taken is kept before the end."""
    tools: WeChatTools = state.wechat
    worker = Worker(tools.database.url, Handler(tools, state.committer, state.fences))
    state.pushes = Inbox(tools.database.url, tools.keys, worker.wake)
    worker.start()
    state.pushes.start()
    try:
        yield
    finally:
        await state.pushes.stop()
        await worker.stop()
