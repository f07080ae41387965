"""Many check-ins in one request: an answer each, in order, and no bad line harms another."""

from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from services.geo_api.checkins import endpoints
from tests.conftest import DatabaseUrls, Tokens
from tests.geo_api.checkins.helpers import ago, body, person
from tests.geo_api.checkins.tables import rows

pytestmark = pytest.mark.slow

PATH = "/v1/check-ins/batch"


def ndjson(check_ins: list[dict[str, Any]]) -> bytes:
    return b"\n".join(map(orjson.dumps, check_ins))


async def send(
    geo: httpx.AsyncClient, headers: dict[str, str], content: bytes
) -> list[dict[str, Any]]:
    kind = {"Content-Type": "application/x-ndjson"}
    response = await geo.post(PATH, content=content, headers=headers | kind)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    return [orjson.loads(line) for line in response.content.splitlines()]


async def test_lines_and_array_are_answered_in_order(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    check_ins = [body() for _ in range(7)]
    lines = await send(geo, server, ndjson(check_ins))
    again = (await geo.post(PATH, json=check_ins, headers=server)).content.splitlines()
    assert [line["line"] for line in lines] == [*range(1, 8)]
    assert [line["check_in"]["id"] for line in lines] == [sent["id"] for sent in check_ins]
    assert {line["http_status"] for line in lines} == {201}
    repeats = [orjson.loads(line) for line in again]
    assert {line["http_status"] for line in repeats} == {200}
    assert [{**line, "http_status": 201} for line in repeats] == lines


async def test_a_batch_line_and_a_single_call_give_the_same_body(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    sent = body()
    [line] = await send(geo, server, ndjson([sent]))
    single = await geo.post("/v1/check-ins", json=sent, headers=server)
    assert single.json() == {k: v for k, v in line.items() if k not in ("line", "http_status")}


async def test_a_bad_line_is_a_problem_with_its_number_and_harms_no_other(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    content = b"\n".join(
        [
            orjson.dumps(body()),
            b"{not json",
            orjson.dumps(body(latitude=99)),
            b"[1]",
            orjson.dumps(body()),
            b'{"id": NaN}',
            b"[" * 5_000,
        ]
    )
    lines = await send(geo, server, content)
    assert [line["http_status"] for line in lines] == [201, 422, 422, 422, 201, 422, 422]
    assert [line["line"] for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    assert lines[2]["errors"][0]["pointer"] == "/latitude"


async def test_what_an_array_nests_too_deeply_harms_no_other(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    deep = b"[" * 500 + b"]" * 500
    content = b"[" + b",".join([orjson.dumps(body()), deep, orjson.dumps(body())]) + b"]"
    lines = await send(geo, server, content)
    assert [line["http_status"] for line in lines] == [201, 422, 201]
    assert lines[1]["errors"] == [{"pointer": "", "detail": "is nested too deeply"}]


async def test_the_same_id_far_apart_in_a_batch_is_a_repeat(
    geo: httpx.AsyncClient, server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "MAX_GROUP", 2)
    sent = body()
    lines = await send(geo, server, ndjson([sent, body(), sent, body(), body(), sent]))
    assert [line["http_status"] for line in lines] == [201, 201, 200, 201, 201, 200]
    assert lines[0]["visits"] == lines[2]["visits"] == lines[5]["visits"]


async def test_the_same_id_twice_in_a_batch_counts_once(
    geo: httpx.AsyncClient, server: dict[str, str], database_urls: DatabaseUrls
) -> None:
    sent = body()
    other = {**sent, "accuracy_m": 20}
    lines = await send(geo, server, ndjson([sent, sent, other]))
    assert [line["http_status"] for line in lines] == [201, 200, 409]
    assert len((await rows(database_urls))["check_ins"]) == 1


async def test_a_walk_in_one_batch_gives_each_line_its_own_transition(
    geo: httpx.AsyncClient, server: dict[str, str]
) -> None:
    who = person("walker")
    walk = [
        body(subject=who, occurred_at=ago(minutes=9)),
        body(subject=who, occurred_at=ago(minutes=7)),
        body(subject=who, occurred_at=ago(minutes=5), latitude=40.75),
        body(subject=who, occurred_at=ago(minutes=3)),
    ]
    lines = await send(geo, server, ndjson(walk))
    seen = [line["matches"][0]["transition"] for line in lines]
    assert seen == ["enter", "stay", "exit", "enter"]
    assert lines[0]["visits"][0]["id"] == lines[2]["visits"][0]["id"]
    assert lines[3]["visits"][0]["id"] != lines[2]["visits"][0]["id"]


async def test_a_batch_has_its_limit(geo: httpx.AsyncClient, server: dict[str, str]) -> None:
    response = await geo.post(PATH, content=b"{}\n" * 10_001, headers=server)
    assert response.status_code == 413
    assert "10000" in response.json()["detail"]


async def test_what_the_database_refuses_is_found_and_the_others_are_kept(
    geo: httpx.AsyncClient, server: dict[str, str], database_urls: DatabaseUrls
) -> None:
    """A row that no rule of ours foresaw: here a constraint made for the purpose."""
    import asyncpg  # noqa: PLC0415 - used here only

    connection = await asyncpg.connect(database_urls.superuser.replace("+asyncpg", ""))
    await connection.execute(
        "ALTER TABLE geo.check_ins ADD CHECK (NOT signals ? 'source' OR signals->>'source' <> 'x')"
    )
    await connection.close()
    poison = body(signals={"source": "x"})
    lines = await send(geo, server, ndjson([*(body() for _ in range(9)), poison, body()]))
    assert [line["http_status"] for line in lines] == [201] * 9 + [422, 201]
    assert len((await rows(database_urls))["check_ins"]) == 10


async def test_a_member_sends_a_thousand_at_once_and_not_many_times_over(
    geo: httpx.AsyncClient, tokens: Tokens
) -> None:
    headers = tokens("member", subject_id=uuid4())
    line = {key: value for key, value in body().items() if key not in ("subject", "consent")}
    too_many = await geo.post(PATH, json=[line] * 1_001, headers=headers)
    assert (too_many.status_code, too_many.json()["type"]) == (413, "/problems/too-large")
    statuses = [
        (await geo.post(PATH, json=[line] * 1_000, headers=headers)).status_code for _ in range(12)
    ]
    assert statuses[0] == 200
    assert statuses[-1] == 429
