"""An app by its two ways: with the short ones, and all by the framework."""

from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http import Platform

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@dataclass
class Overheard:
    """``app`` and all that it sent: the messages themselves, before a client reads them."""

    app: ASGIApp
    sent: list[Message] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def overhear(message: Message) -> None:
            self.sent.append(dict(message))
            await send(message)

        await self.app(scope, receive, overhear)


@dataclass
class Ways:
    """The same app served by either way."""

    app: FastAPI

    async def both(self, method: str, url: str, **request: Any) -> list[list[Message]]:
        """What is sent to the same request by the short way, and by the long one."""
        return [await self.send(way, method, url, **request) for way in (self.app, self.long())]

    async def send(self, way: ASGIApp, method: str, url: str, **request: Any) -> list[Message]:
        """The messages, for a request with a trace of its own, so that answers can be equal."""
        overheard = Overheard(way)
        transport = httpx.ASGITransport(overheard)
        headers = {"traceparent": TRACEPARENT, **request.pop("headers", {})}
        async with httpx.AsyncClient(transport=transport, base_url="http://probe") as client:
            await client.request(method, url, headers=headers, **request)
        return overheard.sent

    def long(self) -> ASGIApp:
        """Without any short way."""
        stack: Any = self.app.build_middleware_stack()
        assert isinstance(stack, Platform)
        stack.short_ways = {}

        async def as_the_app_does(scope: Scope, receive: Receive, send: Send) -> None:
            scope["app"] = self.app
            await stack(scope, receive, send)

        return as_the_app_does
