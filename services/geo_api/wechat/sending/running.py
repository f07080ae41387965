"""Sending beside the requests, from the start of a process to its end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import State

from services.geo_api.wechat.sending.sender import Sender


@asynccontextmanager
async def sending(state: State) -> AsyncIterator[None]:
    """Send what is due, ``state.sender``; what was begun is finished before the end."""
    state.sender = Sender(state.wechat)
    state.sender.start()
    try:
        yield
    finally:
        await state.sender.stop()
