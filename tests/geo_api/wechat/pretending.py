"""WeChat's API as far as checking an account needs it, plugged in under its own host name."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

API_HOSTS = ("api.weixin.qq.com", "api2.weixin.qq.com")


@dataclass
class PretendedWeChat:
    """``answers`` are those of paths that shall answer otherwise; ``ahead`` sets its clock."""

    answers: dict[str, Any] = field(default_factory=dict)
    ahead: timedelta = timedelta(0)
    asked: list[str] = field(default_factory=list)
    app: FastAPI = field(default_factory=FastAPI)

    def __post_init__(self) -> None:
        self.answers = {
            "/cgi-bin/stable_token": {"access_token": "the-access-token-0001", "expires_in": 7200},
            "/cgi-bin/getcallbackip": {"ip_list": ["127.0.0.1"]},
        } | self.answers

        @self.app.api_route("/{path:path}", methods=["GET", "POST"])
        async def answer(request: Request) -> Response:
            self.asked.append(request.url.path)
            date = format_datetime(datetime.now(UTC) + self.ahead, usegmt=True)
            body = self.answers[request.url.path]
            return JSONResponse(body, headers={"Date": date})
