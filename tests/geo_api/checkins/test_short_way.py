"""Check-ins take the short way, and are answered by it as by the framework."""

from typing import Any

import pytest
from fastapi import FastAPI

from services.geo_api.checkins.committer import Committer
from shared.short_way import short_ways
from tests.conftest import Tokens
from tests.geo_api.checkins.helpers import body, person
from tests.shared.ways import Ways

pytestmark = pytest.mark.slow

PATH = "/v1/check-ins"


def test_only_check_ins_have_a_short_way(geo_app: FastAPI) -> None:
    assert [*short_ways(geo_app)] == [("POST", PATH)]


async def test_a_repeat_is_answered_the_same(geo_app: FastAPI, server: dict[str, str]) -> None:
    ways, sent = Ways(geo_app), body()
    first = await ways.send(geo_app, "POST", PATH, json=sent, headers=server)

    for query in ("", "?explain=true", "?explain=0&further=1"):
        short, long = await ways.both("POST", PATH + query, json=sent, headers=server)
        assert short == long
        assert (first[0]["status"], short[0]["status"]) == (201, 200)
        assert (first[1] == short[1]) == (query != "?explain=true")


async def test_each_refusal_is_the_same(
    geo_app: FastAPI, server: dict[str, str], tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways, taken = Ways(geo_app), body()
    await ways.send(geo_app, "POST", PATH, json=taken, headers=server)

    async def refused(status: int, query: str = "", **request: Any) -> None:
        short, long = await ways.both("POST", PATH + query, **{"headers": server, **request})
        assert short == long
        assert short[0]["status"] == status, short

    await refused(401, headers={}, json=taken)
    await refused(403, headers=tokens("marketer"), json=taken)
    await refused(403, headers=tokens("staff", store_id="s1"), json=taken)
    await refused(409, json=taken | {"accuracy_m": 11})
    await refused(413, content=b" " * (1 << 20) + b"{}")
    await refused(415, content=b"{}", headers=server | {"Content-Type": "text/xml"})
    await refused(422, content=b"")
    await refused(422, content=b'{"id": ')
    await refused(422, content=b"[" * 100_000)
    await refused(422, content=b'{"kind": "\xff"}')
    await refused(422, query="?explain=perhaps", json=taken)
    await refused(422, json=body(latitude=91, unknown=1))
    await refused(422, json=body(subject=person("null")))

    async def breaks(*_: Any) -> Any:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(Committer, "submit", breaks)
    await refused(500, json=body())
