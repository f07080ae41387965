"""A short route answers the same by either way, to the byte and the header."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import pytest
from asyncpg import DeadlockDetectedError
from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from sqlalchemy.exc import DBAPIError
from starlette.types import Message, Scope

from shared.access import allow
from shared.auth import Principal, Role
from shared.errors import Conflict, FieldFault, Malformed, TooManyRequests
from shared.http import CLIENT_GONE
from shared.short_way import ShortRoute, read_whole, short_ways
from tests.conftest import Tokens
from tests.shared.platform import build_app
from tests.shared.test_http import LoggedApp
from tests.shared.ways import Ways

CALLER = allow(Role.SERVER)
MALFORMED = Malformed(FieldFault("/amount", "must be a number"))


class Taken(Conflict):
    slug = "taken"
    title = "It is taken"


RAISED: dict[str, Exception] = {
    "malformed": MALFORMED,
    "taken": Taken("Somebody has it.", by="p1"),
    "too_many": TooManyRequests("Wait.", retry_after_s=7),
    "not_found": HTTPException(404),
    "unreachable": ConnectionError("10.0.0.1"),
    "deadlock": DBAPIError("SELECT 1", None, DeadlockDetectedError("deadlock")),
    "unknown_to_the_database": DBAPIError("SELECT 1", None, ValueError("hunter2")),
    "unexpected": RuntimeError("hunter2"),
}


class EchoRoute(ShortRoute):
    async def answer(self, request: Request) -> Response:
        return await echo(request, await CALLER.dependency(request))


quick = APIRouter(prefix="/v1/echo", route_class=EchoRoute)


@quick.post("", status_code=201)
async def echo(request: Request, caller: Annotated[Principal, CALLER]) -> Response:
    """What came in; ``?raise=`` names an error to raise, ``?kept`` lets the answer be kept."""
    body = await read_whole(request)
    name = request.query_params.get("raise")
    if name is not None:
        raise RAISED[name]
    headers = {"Cache-Control": "max-age=5"} if "kept" in request.query_params else None
    told = orjson.dumps({"by": caller.name, "size": len(body)})
    return Response(told, 201, headers=headers, media_type="application/json")


@pytest.fixture
def ways(installation_keys: Path) -> Ways:
    return Ways(build_app(installation_keys, quick, access_log=False, max_body_bytes=8192))


async def chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 1024


@pytest.mark.parametrize(
    ("query", "status"),
    [
        *[("", 201), ("?kept", 201), ("?raise=malformed", 422), ("?raise=taken", 409)],
        *[("?raise=too_many", 429), ("?raise=not_found", 404), ("?raise=unreachable", 503)],
        *[("?raise=deadlock", 503), ("?raise=unknown_to_the_database", 500)],
        *[("?raise=unexpected", 500), ("?a=%00", 422)],
    ],
)
@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_both_ways_answer_the_same(
    ways: Ways, tokens: Tokens, query: str, status: int, language: str
) -> None:
    headers = tokens("server") | {"Accept-Language": language}

    short, long = await ways.both("POST", f"/v1/echo{query}", content=b"{}", headers=headers)

    assert short == long
    assert short[0]["status"] == status
    assert b"hunter2" not in short[1]["body"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"headers": {"Authorization": "Bearer nonsense"}}, 401),
        ({"headers": {"Authorization": "Basic eA=="}}, 401),
        ({"headers": {"Authorization": ""}}, 401),
        ({"content": b"x" * 8193}, 413),
        ({"content": b"x", "headers": {"Content-Type": "text/csv"}}, 415),
        ({"method": "GET"}, 405),
        ({"url": "/v1/echo/"}, 404),
    ],
)
async def test_both_ways_refuse_the_same(
    ways: Ways, tokens: Tokens, request_: dict[str, Any], status: int
) -> None:
    request = {"method": "POST", "url": "/v1/echo", **request_}
    request["headers"] = tokens("server") | request_.get("headers", {})

    short, long = await ways.both(**request)

    assert short == long
    assert short[0]["status"] == status


async def test_both_ways_turn_a_wrong_role_away(ways: Ways, tokens: Tokens) -> None:
    short, long = await ways.both("POST", "/v1/echo", headers=tokens("marketer"))

    assert short == long
    assert short[0]["status"] == 403


@pytest.mark.parametrize(("count", "status"), [(8, 201), (9, 413)])
async def test_both_ways_read_a_body_in_pieces(
    ways: Ways, tokens: Tokens, count: int, status: int
) -> None:
    headers = tokens("server") | {"Content-Type": "application/json"}

    answers = [
        await ways.send(way, "POST", "/v1/echo", content=chunks(count), headers=headers)
        for way in (ways.app, ways.long())
    ]

    assert answers[0] == answers[1]
    assert answers[0][0]["status"] == status


async def test_the_short_way_is_taken(
    ways: Ways, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def passed_on(*_: Any) -> None:
        raise AssertionError("the framework was asked")

    monkeypatch.setattr(ways.app.router, "app", passed_on)

    short = await ways.send(ways.app, "POST", "/v1/echo", headers=tokens("server"))

    assert short[0]["status"] == 201


async def test_a_refusal_that_is_raised_again_and_again_keeps_no_frames(
    ways: Ways, tokens: Tokens
) -> None:
    await ways.send(ways.app, "POST", "/v1/echo?raise=malformed", headers=tokens("server"))

    assert MALFORMED.__traceback__ is None


@pytest.mark.parametrize("short", [True, False])
async def test_either_way_is_logged_with_its_route_and_role(
    installation_keys: Path, tokens: Tokens, *, short: bool
) -> None:
    logged = LoggedApp(installation_keys, quick)
    if not short:
        logged.platform.short_ways = {}

    for query in ("", "?raise=taken", "?raise=unexpected"):
        await Ways(logged.app).send(
            logged.app, "POST", f"/v1/echo{query}", headers=tokens("server")
        )

    lines = [(line["route"], line["role"], line["status"]) for line in logged.lines()]
    assert lines == [("/v1/echo", "server", status) for status in (201, 409, 500)]


@pytest.mark.parametrize("short", [True, False])
async def test_who_hangs_up_before_its_body_is_there_is_logged_as_gone(
    installation_keys: Path, tokens: Tokens, *, short: bool
) -> None:
    logged = LoggedApp(installation_keys, quick)
    if not short:
        logged.platform.short_ways = {}
    headers = [(n.lower().encode(), v.encode()) for n, v in tokens("server").items()]
    scope: Scope = {
        "type": "http", "method": "POST", "path": "/v1/echo", "query_string": b"", "headers": headers,
    }  # fmt: skip
    sent: list[Message] = []
    pieces = iter(({"type": "http.request", "body": b"{", "more_body": True},))

    async def receive() -> Message:
        return next(pieces, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        sent.append(message)

    await asyncio.wait_for(logged.app(scope, receive, send), 5)

    assert (sent, logged.lines()[0]["status"]) == ([], CLIENT_GONE)


def test_a_short_route_stands_in_the_document(ways: Ways) -> None:
    responses = ways.app.openapi()["paths"]["/v1/echo"]["post"]["responses"]

    assert {"201", "401", "403", "422"} <= responses.keys()


def test_no_other_route_has_a_short_way(ways: Ways) -> None:
    app: FastAPI = ways.app

    assert [*short_ways(app)] == [("POST", "/v1/echo")]
