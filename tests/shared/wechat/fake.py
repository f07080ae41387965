"""WeChat's API as a function of a request."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx

from shared.wechat.answers import Credentials

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TEA = Credentials("tea", "wx0011223344556677", "5e884898da28047151d0e56f8dc62927")
TOKEN = {"access_token": "the-access-token-0001", "expires_in": 7200}
PNG = b"\x89PNG\r\n\x1a\n..."
Handler = Callable[[httpx.Request], httpx.Response]


class Fake:
    """Answers by path: bytes as they are, anything else as JSON; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.answers: dict[str, Any] = {"/cgi-bin/stable_token": TOKEN}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers[request.url.path]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, httpx.Response):
            return answer
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return httpx.Response(200, content=content)

    @property
    def last(self) -> httpx.Request:
        return self.asked[-1]

    @property
    def body(self) -> Any:
        return json.loads(self.last.content)
