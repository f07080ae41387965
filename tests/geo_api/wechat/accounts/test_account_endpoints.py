import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from services.geo_api.wechat.accounts.notices import NoticeKind, note
from services.geo_api.wechat.accounts.schemas import ACCOUNT_EXAMPLE
from tests.conftest import Tokens
from tests.geo_api.wechat.factories import NOW

pytestmark = pytest.mark.slow

SECRETS = ("token", "aes_key", "app_secret")
URL = "/v1/wechat/accounts"


@pytest.fixture
def server(geo: httpx.AsyncClient, tokens: Tokens) -> httpx.AsyncClient:
    geo.headers.update(tokens("server"))
    return geo


def body(**said: Any) -> dict[str, Any]:
    return ACCOUNT_EXAMPLE | said


def without_secrets(**said: Any) -> dict[str, Any]:
    return {name: value for name, value in body().items() if name not in SECRETS} | said


async def test_an_account_is_created_read_listed_and_closed(server: httpx.AsyncClient) -> None:
    created = await server.put(f"{URL}/tea", json=body())
    assert created.status_code == 201
    assert created.headers["etag"] == '"1"'
    document = created.json()
    assert document["callback_url"] == "/v1/wechat/tea/callback"
    assert document["outreach"] == ACCOUNT_EXAMPLE["outreach"]

    assert (await server.get(f"{URL}/tea")).json() == document
    assert (await server.get(URL)).json() == {"items": [document], "next_cursor": None}

    assert (await server.delete(f"{URL}/tea")).status_code == 204
    assert (await server.delete(f"{URL}/tea")).status_code == 204
    closed = (await server.get(f"{URL}/tea")).json()
    assert closed["closed_at"] is not None
    assert [closed[name] for name in SECRETS] == [{"set": False}] * 3
    assert (await server.get(URL)).json()["items"] == []
    assert (await server.get(URL, params={"closed": True})).json()["items"] == [closed]


async def test_a_secret_goes_in_and_never_comes_out(
    server: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [
        await server.put(f"{URL}/tea", json=body()),
        await server.put(f"{URL}/tea", json=body(name="Tea")),
        await server.put(f"{URL}/other", json=body()),
        await server.put(f"{URL}/tea", json=body(kind="none")),
        await server.get(f"{URL}/tea"),
        await server.get(URL),
    ]
    shown = "".join(answer.text for answer in answers) + "".join(capsys.readouterr())
    for name in SECRETS:
        assert body()[name] not in shown
    assert answers[0].json()["token"] == {"set": True}


async def test_a_secret_that_is_left_out_stays_and_the_same_again_makes_no_version(
    server: httpx.AsyncClient,
) -> None:
    await server.put(f"{URL}/tea", json=body())
    again = await server.put(f"{URL}/tea", json=without_secrets())
    assert (again.status_code, again.json()["version"]) == (200, 1)

    changed = await server.put(f"{URL}/tea", json=without_secrets(app_secret="f" * 32))
    assert changed.json()["version"] == 2
    assert [changed.json()[name]["set"] for name in SECRETS] == [True] * 3


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"token": "a b"}, "/token"),
        ({"token": None}, "/token"),
        ({"aes_key": "short"}, "/aes_key"),
        ({"aes_key": None}, "/aes_key"),
        ({"app_secret": "x"}, "/app_secret"),
        ({"app_id": "wx 1"}, "/app_id"),
        ({"location_datum": "bd09"}, "/location_datum"),
        ({"mode": "none"}, "/mode"),
        ({"outreach": {"timezone": "Mars/Base"}}, "/outreach/timezone"),
        ({"outreach": {"quiet_hours": {"from": "9", "until": "10:00"}}}, "/outreach/quiet_hours/from"),
        ({"outreach": {"coupon": {"text": "{price}"}}}, "/outreach/coupon/text"),
        ({"outreach": {"coupon": {"text": "{title"}}}, "/outreach/coupon/text"),
        ({"outreach": {"coupon": {"template_id": "a"}}}, "/outreach/coupon"),
        ({"outreach": {"coupon": {}}}, "/outreach/coupon"),
        ({"outreach": {"coupon": {"template_id": "a", "data": {"a b": "c"}}}},
         "/outreach/coupon/data/a b"),
        ({"outreach": {"coupon": {"page": "/pages/a", "text": "a"}}}, "/outreach/coupon/page"),
    ],
)  # fmt: skip
async def test_what_is_malformed_is_named_and_changes_nothing(
    server: httpx.AsyncClient, said: dict[str, Any], pointer: str
) -> None:
    refused = await server.put(f"{URL}/tea", json=body(**said))
    assert refused.status_code == 422, refused.text
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]
    assert (await server.get(f"{URL}/tea")).status_code == 404


async def test_plain_mode_needs_no_key(server: httpx.AsyncClient) -> None:
    assert (
        await server.put(f"{URL}/tea", json=body(mode="plain", aes_key=None))
    ).status_code == 201


async def test_an_app_belongs_to_one_open_account_and_an_account_to_one_app(
    server: httpx.AsyncClient,
) -> None:
    await server.put(f"{URL}/tea", json=body())
    taken = await server.put(f"{URL}/coffee", json=body())
    assert (taken.status_code, taken.json()["type"]) == (409, "/problems/wechat-app-taken")
    other = await server.put(f"{URL}/tea", json=body(app_id="wx7766554433221100"))
    assert (other.status_code, other.json()["type"]) == (409, "/problems/wechat-other-app")

    await server.delete(f"{URL}/tea")
    assert (await server.put(f"{URL}/coffee", json=body())).status_code == 201
    assert (await server.put(f"{URL}/tea", json=body())).status_code == 409
    await server.delete(f"{URL}/coffee")
    reopened = await server.put(f"{URL}/tea", json=body())
    assert (reopened.status_code, reopened.json()["closed_at"]) == (200, None)


async def test_of_many_who_add_an_app_at_once_one_does(server: httpx.AsyncClient) -> None:
    put = [server.put(f"{URL}/tea-{number}", json=body()) for number in range(8)]
    answers = await asyncio.gather(*put)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


async def test_of_many_who_change_a_version_at_once_one_does(server: httpx.AsyncClient) -> None:
    await server.put(f"{URL}/tea", json=body())
    match = {"If-Match": '"1"'}
    put = [server.put(f"{URL}/tea", json=body(name=f"Tea {n}"), headers=match) for n in range(8)]
    answers = await asyncio.gather(*put)
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7


async def test_a_change_for_another_version_is_refused(server: httpx.AsyncClient) -> None:
    await server.put(f"{URL}/tea", json=body())
    stale = {"If-Match": '"7"'}
    for answer in (
        await server.put(f"{URL}/tea", json=body(name="Tea"), headers=stale),
        await server.delete(f"{URL}/tea", headers=stale),
        await server.put(f"{URL}/tea", json=body(), headers={"If-None-Match": "*"}),
    ):
        assert answer.status_code == 412
    assert (await server.get(f"{URL}/tea")).headers["etag"] == '"1"'


@pytest.mark.parametrize("word", ["accounts", "notices"])
async def test_a_word_of_the_addresses_is_no_id(server: httpx.AsyncClient, word: str) -> None:
    refused = await server.put(f"{URL}/{word}", json=body())
    assert refused.json()["errors"][0]["pointer"] == "path:account_id"


async def test_marketers_read_and_do_not_write(server: httpx.AsyncClient, tokens: Tokens) -> None:
    await server.put(f"{URL}/tea", json=body())
    marketer = tokens("marketer")
    assert (await server.get(URL, headers=marketer)).status_code == 200
    assert (await server.put(f"{URL}/tea", json=body(), headers=marketer)).status_code == 403
    assert (await server.post(f"{URL}/tea/check", headers=marketer)).status_code == 403


async def test_a_notice_is_counted_listed_and_settled(
    server: httpx.AsyncClient, geo_app: FastAPI
) -> None:
    await server.put(f"{URL}/tea", json=body())
    for detail in ("Once.", "Twice."):
        async with geo_app.state.database.begin() as connection:
            await note(connection, "tea", NoticeKind.PUSHES_PARKED, detail, NOW)
            await note(connection, "nobody", NoticeKind.PUSHES_PARKED, detail, NOW)

    [notice] = (await server.get("/v1/wechat/notices")).json()["items"]
    assert (notice["kind"], notice["detail"], notice["count"]) == ("pushes_parked", "Twice.", 2)
    settled = await server.post(f"/v1/wechat/notices/{notice['id']}/settlement")
    assert settled.json()["settled_at"] is not None
    assert (await server.post(f"/v1/wechat/notices/{notice['id']}/settlement")).json() == (
        settled.json()
    )
    assert (await server.get("/v1/wechat/notices")).json()["items"] == []

    async with geo_app.state.database.begin() as connection:
        await note(connection, "tea", NoticeKind.PUSHES_PARKED, "Anew.", NOW)
    listed = await server.get("/v1/wechat/notices", params={"settled": True, "limit": 1})
    pages = [listed.json()]
    pages.append(
        (
            await server.get(
                "/v1/wechat/notices",
                params={"settled": True, "limit": 1, "cursor": pages[0]["next_cursor"]},
            )
        ).json()
    )
    assert {page["items"][0]["detail"] for page in pages} == {"Twice.", "Anew."}
    assert pages[1]["next_cursor"] is None
    assert (await server.post(f"/v1/wechat/notices/{uuid4()}/settlement")).status_code == 404
