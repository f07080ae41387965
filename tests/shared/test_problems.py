from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import text

from shared import errors
from shared.db import Database
from shared.errors import FieldFault, Malformed, Refusal
from shared.problem_pages import refusals
from shared.problem_texts import ADVICE, TITLES_ZH
from shared.problems import documented, malformed, problem_body, status_of
from tests.conftest import DatabaseUrls
from tests.shared.platform import Parcel, ShelfIsFull, calling

JSON = {"content-type": "application/json"}


async def send(client: httpx.AsyncClient, body: bytes) -> dict[str, Any]:
    response = await client.post("/v1/parcels", content=body, headers=JSON)
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    return problem


def pointers(problem: dict[str, Any]) -> list[str]:
    return [error["pointer"] for error in problem["errors"]]


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        (b'{"label":"a","latitude":NaN}', "/latitude", "must be a finite number"),
        (b'{"label":"a","latitude":-Infinity}', "/latitude", "must be a finite number"),
        (b'{"label":"a","latitude":1e999}', "/latitude", "must be a finite number"),
        (b'{"label":"a","extras":{"deep":[NaN]}}', "/extras", "must be a finite number"),
        (b'{"label":"a","latitude":91}', "/latitude", "must be at most 90"),
        (b'{"label":"a","latitude":true}', "/latitude", "must be a number"),
        (b'{"label":"a","latitude":"40.7"}', "/latitude", "must be a number"),
        (b'{"label":"a","weight_g":1e30}', "/weight_g", "must be"),
        (b'{"label":"a","weight_g":9223372036854775808}', "/weight_g", "must be less than"),
        (b'{"label":"a\\u0000b"}', "/label", "holds a control character"),
        (b'{"label":"a\\u009bb"}', "/label", "holds a control character"),
        (b'{"label":"\\ud800"}', "/label", "holds a broken character"),
        (b'{"label":"a","notes":["a","b\\u0000"]}', "/notes", "holds a control character"),
        (b'{"label":"a","extras":{"k\\u0000":1}}', "/extras", "holds a control character"),
        (b'{"label":"a","extras":{"k":{"l":"\\udfff"}}}', "/extras", "holds a control character"),
        (b'{"label":"a","owner":{}}', "/owner/value", "is needed"),
        (b'{"label":"a","owner":{"value":7}}', "/owner/value", "must be text"),
        (b'{"label":"a","owner":{"value":"b","x~/y":1}}', "/owner/x~0~1y", "is not a known field"),
        (b'{"label":"a","notes":["b",3]}', "/notes/1", "must be text"),
        (b'{"label":"a","sent_at":1700000000}', "/sent_at", "must be RFC 3339"),
        (b'{"label":"a","sent_at":"1700000000"}', "/sent_at", "must be RFC 3339"),
        (b'{"label":"a","sent_at":"2026-01-01"}', "/sent_at", "must be RFC 3339"),
        (b'{"label":"a","sent_at":"2026-01-01T00:00:00"}', "/sent_at", "must name its offset"),
        (b'{"label":"a","sent_at":"1999-12-31T23:59:59Z"}', "/sent_at", "must lie between"),
        (b'{"label":"a","sent_at":"2100-01-01T00:00:00Z"}', "/sent_at", "must lie between"),
        (b'{"latitude":1}', "/label", "is needed"),
        (b'{"label":"' + b"x" * 201 + b'"}', "/label", "must have at most 200 characters"),
        (b'{"label":"a","story":"' + b"x" * 1001 + b'"}', "/story", "at most 1000 characters"),
        (b"[1]", "", "must be an object"),
        (b"null", "", "must be an object"),
        (b"", "", "is needed"),
        (b'{"label":', "", "is not JSON"),
        (b'{"label":"\xff"}', "", "is not UTF-8"),
        (b"[" * 3000, "", "is nested too deeply"),
        (b'{"label":"a","extras":{"k":' + b"[" * 40 + b"]" * 40 + b"}}", "/extras", "nested"),
        (b'{"label":"a","weight_g":' + b"1" * 4500 + b"}", "", "cannot be read as JSON"),
    ],
)  # fmt: skip
async def test_a_malformed_body_is_refused_with_the_field_that_is_wrong(
    probe: httpx.AsyncClient, body: bytes, pointer: str, said: str
) -> None:
    problem = await send(probe, body)

    assert pointers(problem) == [pointer]
    assert said in problem["errors"][0]["detail"]
    assert problem["instance"] == "/v1/parcels"


async def test_every_faulty_field_is_named_at_once(probe: httpx.AsyncClient) -> None:
    problem = await send(probe, b'{"latitude":100,"owner":{"value":null},"nonsense":1}')

    assert set(pointers(problem)) == {"/label", "/latitude", "/owner/value", "/nonsense"}


async def test_the_names_of_union_members_are_no_part_of_a_pointer(
    probe: httpx.AsyncClient,
) -> None:
    problem = await send(probe, b'{"label":"a","shape":{"kind":"circle"}}')

    assert "/shape/radius_m" in pointers(problem)
    assert not any("Circle" in pointer for pointer in pointers(problem))


async def test_what_was_sent_is_not_repeated_in_the_answer(probe: httpx.AsyncClient) -> None:
    problem = await send(probe, b'{"label":{"secret":"hunter2"},"latitude":95.123}')

    assert "hunter2" not in str(problem)
    assert "95.123" not in str(problem)


async def test_a_field_name_that_is_no_text_does_not_break_the_answer(
    probe: httpx.AsyncClient,
) -> None:
    problem = await send(probe, b'{"label":"a","\\ud800":1}')

    assert pointers(problem) == [""]


async def test_many_faults_are_cut_short(probe: httpx.AsyncClient) -> None:
    fields = ",".join(f'"f{number}":1' for number in range(300))

    problem = await send(probe, f'{{"label":"a",{fields}}}'.encode())

    assert len(problem["errors"]) == 50


async def test_texts_are_stored_in_their_composed_form(probe: httpx.AsyncClient) -> None:
    body = {"label": "Cafe\u0301", "extras": {"e\u0301": ["o\u0308"]}}

    answer = (await probe.post("/v1/parcels", json=body)).json()

    assert answer["label"] == "Caf\u00e9"
    assert answer["extras"] == {"\u00e9": ["\u00f6"]}


async def test_emoji_and_chinese_are_welcome(probe: httpx.AsyncClient) -> None:
    answer = await probe.post("/v1/parcels", json={"label": "\u5e97 \U0001f468\u200d\U0001f373"})

    assert answer.status_code == 200


async def test_times_become_utc(probe: httpx.AsyncClient) -> None:
    body = {"label": "a", "sent_at": "2026-11-23T12:00:00-05:00"}

    answer = (await probe.post("/v1/parcels", json=body)).json()

    assert answer["sent_at"] == "2026-11-23T17:00:00Z"


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/parcels?limit=501", "?limit"),
        ("/v1/parcels?limit=0", "?limit"),
        ("/v1/parcels?limit=x", "?limit"),
        ("/v1/parcels?cursor=***", "?cursor"),
        ("/v1/parcels?cursor=bnVsbA", "?cursor"),
        ("/v1/parcels?cursor=%00", "?cursor"),
        ("/v1/parcels?cur%00sor=1", "?"),
        ("/v1/parcels/x", "path:parcel_id"),
        ("/v1/parcels/%00", "path:"),
    ],
)
async def test_faults_of_query_and_path_are_pointed_at(
    probe: httpx.AsyncClient, path: str, pointer: str
) -> None:
    response = await probe.get(path)

    assert response.status_code == 422
    assert pointers(response.json()) == [pointer]


@pytest.mark.parametrize("key", [None, "", "a b", "x" * 129, "\u00e9".encode()])
async def test_a_missing_or_odd_idempotency_key_is_pointed_at(
    probe: httpx.AsyncClient, tokens: Any, key: str | bytes | None
) -> None:
    headers = tokens("server") | ({} if key is None else {"Idempotency-Key": key})

    response = await probe.put("/v1/shelves/1", headers=headers)

    assert response.status_code == 422
    assert pointers(response.json()) == ["header:Idempotency-Key"]


async def test_a_domain_refusal_becomes_its_problem(probe: httpx.AsyncClient, tokens: Any) -> None:
    headers = tokens("server") | {"Idempotency-Key": "k1"}

    response = await probe.put("/v1/shelves/7", headers=headers)

    assert response.status_code == 409
    assert response.json() == {
        "type": "/problems/shelf_full",
        "title": "The shelf is full",
        "status": 409,
        "detail": "Shelf 7 is full.",
        "instance": "/v1/shelves/7",
        "reason": "k1",
    }


async def test_an_unknown_address_is_a_problem_too(probe: httpx.AsyncClient) -> None:
    response = await probe.get("/v1/nothing")

    assert response.status_code == 404
    assert response.json()["type"] == "/problems/not-found"


async def test_a_trailing_slash_is_another_address(probe: httpx.AsyncClient) -> None:
    assert (await probe.get("/v1/parcels/")).status_code == 404


async def test_a_wrong_method_is_told_which_are_right(probe: httpx.AsyncClient) -> None:
    response = await probe.delete("/v1/me")

    assert response.status_code == 405
    assert response.json()["type"] == "/problems/method-not-allowed"
    assert response.headers["allow"] == "GET"


async def test_an_unexpected_error_gives_nothing_away(probe: httpx.AsyncClient) -> None:
    response = await probe.post("/v1/broken", content=b"hunter2")

    assert response.status_code == 500
    assert "hunter2" not in response.text
    assert response.json()["trace_id"] == response.headers["x-trace-id"]


@pytest.mark.parametrize(
    ("wanted", "title", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "未找到", "zh-CN"),
        ("zh", "未找到", "zh-CN"),
        ("en-US,zh;q=0.5", "Not found", "en"),
        ("de", "Not found", "en"),
        ("zh;q=nonsense", "Not found", "en"),
        ("zh;q=0", "Not found", "en"),
        ("", "Not found", "en"),
    ],
)
async def test_titles_are_in_the_language_the_caller_prefers(
    probe: httpx.AsyncClient, wanted: str, title: str, language: str
) -> None:
    response = await probe.get("/nothing", headers={"accept-language": wanted})

    assert response.json()["title"] == title
    assert response.headers["content-language"] == language


def test_a_refusal_without_a_chinese_title_takes_its_categorys() -> None:
    body = problem_body(ShelfIsFull("full"), language="zh-CN")

    assert body["title"] == TITLES_ZH["conflict"]


def test_a_refusal_outside_every_category_is_a_programming_error() -> None:
    with pytest.raises(TypeError, match="must subclass a category"):
        status_of(Refusal)


def test_every_category_has_advice_and_a_chinese_title() -> None:
    for category in ADVICE:
        assert category.slug in TITLES_ZH
        assert 400 <= status_of(category) < 600


def test_a_line_of_a_batch_is_explained_like_a_body() -> None:
    line = {"label": "a", "owner": {"value": 1}}
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Parcel).validate_python(line)

    refusal = malformed(caught.value, line, at="/4")

    assert refusal.faults == (FieldFault("/4/owner/value", "must be text"),)
    assert problem_body(refusal)["status"] == 422


def test_refusals_of_one_status_are_documented_together() -> None:
    responses = documented(ShelfIsFull, errors.Conflict, errors.NotFound)

    assert set(responses) == {404, 409}
    assert "shelf_full" in responses[409]["description"]


async def test_each_problem_has_a_page_for_people(probe: httpx.AsyncClient) -> None:
    for slug in [*refusals(), "internal"]:
        page = await probe.get(f"/problems/{slug}")
        assert page.status_code == 200, slug
        assert "What to do" in page.text


async def test_a_page_of_a_problem_escapes_its_texts(probe: httpx.AsyncClient) -> None:
    page = await probe.get("/problems/shelf_full")

    assert "&lt;for now&gt;" in page.text
    assert (await probe.get("/problems/<script>")).status_code == 404


async def test_a_database_that_is_away_is_503_and_may_be_tried_again(probe_app: FastAPI) -> None:
    async def ask() -> None:
        database = Database.connect("postgresql+asyncpg://nobody@127.0.0.1:1/none")
        async with database.transaction() as session:
            await session.execute(text("SELECT 1"))

    probe_app.add_api_route("/ask", ask)
    async with calling(probe_app) as client:
        response = await client.get("/ask")

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.json()["type"] == "/problems/unavailable"


@pytest.mark.parametrize(
    ("statement", "status"),
    [
        ("SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)", 503),
        ("SELECT chr(0)", 500),
        ("SELECT pg_terminate_backend(pg_backend_pid())", 503),
        ("SELECT 1/0", 500),
        ("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$", 503),
        ("DO $$ BEGIN RAISE SQLSTATE '22021'; END $$", 422),
    ],
)
async def test_errors_of_the_database_are_told_by_whether_trying_again_helps(
    probe_app: FastAPI, database_urls: DatabaseUrls, statement: str, status: int
) -> None:
    database = Database.connect(database_urls.geo)

    async def ask() -> None:
        async with database.transaction() as session:
            for part in statement.split("; ") if "DO" not in statement else [statement]:
                await session.execute(text(part))

    probe_app.add_api_route("/ask", ask)
    async with calling(probe_app) as client:
        response = await client.get("/ask")
    await database.close()

    assert response.status_code == status
    assert "SELECT" not in response.text


def test_the_body_as_a_whole_is_named_in_words() -> None:
    body = problem_body(Malformed(FieldFault("", "is needed")))

    assert body["detail"] == "the body is needed"
