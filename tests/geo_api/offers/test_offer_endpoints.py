"""Offers and coupons over HTTP."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from services.geo_api.offers.service.grants import GrantContext
from services.geo_api.subjects import repository as subjects
from shared.db import Database
from shared.identity import Namespace, normalise, subject_id
from tests.conftest import Tokens
from tests.geo_api.offers.helpers import CONTEXT, NOW, book_of, grant_all, offer_body, situation

pytestmark = pytest.mark.slow

URL = "/v1/offers/o1"


@pytest.fixture
def marketer(tokens: Tokens) -> dict[str, str]:
    return tokens("marketer", name="mia")


async def put(geo: httpx.AsyncClient, headers: dict[str, str], **changes: Any) -> httpx.Response:
    return await geo.put(URL, json=offer_body(**changes), headers=headers)


async def test_an_offer_is_a_draft_until_it_is_activated(
    geo: httpx.AsyncClient, marketer: dict[str, str]
) -> None:
    made = await put(geo, marketer)
    states = [made.json()["state"]]
    for verb in ("activate", "activate", "pause", "activate", "end", "end"):
        moved = await geo.post(f"{URL}/{verb}", headers=marketer)
        assert moved.status_code == 200, moved.text
        states.append(moved.json()["state"])

    assert made.status_code == 201
    assert made.headers["etag"] == '"1"'
    assert states == ["draft", "active", "active", "paused", "active", "ended", "ended"]
    assert (await geo.post(f"{URL}/activate", headers=marketer)).status_code == 409
    assert (await put(geo, marketer, title="Other")).status_code == 409


async def test_equal_content_changes_nothing_and_other_content_is_a_new_version(
    geo: httpx.AsyncClient, marketer: dict[str, str]
) -> None:
    await put(geo, marketer, stores={"ids": ["b", "a"]})
    await geo.post(f"{URL}/activate", headers=marketer)

    same = await put(geo, marketer, stores={"ids": ["a", "b", "a"]})
    other = await put(geo, marketer, title="6 off")

    assert (same.status_code, same.json()["version"]) == (200, 1)
    assert (other.status_code, other.json()["version"]) == (200, 2)
    assert other.json()["state"] == "active"
    assert other.headers["etag"] == '"2"'
    assert (await geo.get(URL, headers=marketer)).json() == other.json()


async def test_a_change_to_another_version_than_the_present_one_is_refused(
    geo: httpx.AsyncClient, marketer: dict[str, str]
) -> None:
    await put(geo, marketer)
    await put(geo, marketer, title="6 off")

    stale = await put(geo, {**marketer, "If-Match": '"1"'}, title="7 off")
    fresh = await put(geo, {**marketer, "If-Match": '"2"'}, title="7 off")
    again = await put(geo, {**marketer, "If-None-Match": "*"})

    assert [r.status_code for r in (stale, fresh, again)] == [412, 200, 412]


async def test_what_an_offer_requires_is_frozen_with_its_version(
    geo: httpx.AsyncClient, marketer: dict[str, str]
) -> None:
    asked = {"min_trust": 60, "min_confidence": 3, "evidence": ["store_qr", "gps", "store_qr"]}
    first = (await put(geo, marketer, requires=asked, when_closed=True)).json()
    assert first["requires"] == {**asked, "evidence": ["gps", "store_qr"]}
    assert first["when_closed"] is True
    again = (await put(geo, marketer, requires=asked, when_closed=True)).json()
    plain = (await put(geo, marketer)).json()
    assert (again["version"], plain["version"]) == (1, 2)
    assert (plain["requires"], plain["when_closed"]) == (None, False)


async def test_a_cap_below_what_is_granted_is_refused_with_the_number(
    geo: httpx.AsyncClient, geo_app: FastAPI, marketer: dict[str, str]
) -> None:
    await put(geo, marketer)
    await geo.post(f"{URL}/activate", headers=marketer)
    database: Database = geo_app.state.database
    async with database.begin() as connection:
        crowd = [situation(), situation()]
        await grant_all(connection, await book_of(database), crowd, CONTEXT)

    lowered = await put(geo, marketer, caps={"total": 1})

    assert lowered.status_code == 409
    assert lowered.json()["type"] == "/problems/cap-below-used"
    assert lowered.json()["granted"] == 2
    present = (await geo.get(URL, headers=marketer)).json()
    assert (present["version"], present["granted"], present["caps"]["total"]) == (1, 2, 10)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"title": ""}, "/title"),
        ({"title": "a\u0000b"}, "/title"),
        ({"title": "x" * 201}, "/title"),
        ({"trigger": {"type": "full_moon"}}, "/trigger/type"),
        ({"stores": {}}, "/stores"),
        ({"stores": {"all": True, "ids": ["a"]}}, "/stores"),
        ({"stores": {"all": False}}, "/stores/all"),
        ({"stores": {"ids": []}}, "/stores/ids"),
        ({"stores": {"ids": ["no good"]}}, "/stores/ids/0"),
        ({"starts_at": "2026-01-01T00:00:00"}, "/starts_at"),
        ({"ends_at": "1999-01-01T00:00:00Z"}, "/ends_at"),
        ({"caps": {"total": 0}}, "/caps/total"),
        ({"caps": {"total": 1.5}}, "/caps/total"),
        ({"caps": {"per_person": True}}, "/caps/per_person"),
        ({"caps": {"per_store": 1}}, "/caps/per_store"),
        ({"coupon": {"valid_for_s": 59}}, "/coupon/valid_for_s"),
        ({"requires": {"min_trust": 101}}, "/requires/min_trust"),
        ({"requires": {"min_confidence": 0}}, "/requires/min_confidence"),
        ({"requires": {"evidence": []}}, "/requires/evidence"),
        ({"requires": {"evidence": ["fuzzy"]}}, "/requires/evidence"),
        ({"requires": {"evidence": ["rumour"]}}, "/requires/evidence/0"),
        ({"when_closed": 1}, "/when_closed"),
    ],
)
async def test_a_malformed_offer_names_its_field_and_is_not_kept(
    geo: httpx.AsyncClient, marketer: dict[str, str], changes: dict[str, Any], pointer: str
) -> None:
    refused = await put(geo, marketer, **changes)

    assert refused.status_code == 422, refused.text
    assert pointer in [fault["pointer"] for fault in refused.json()["errors"]]
    assert (await geo.get(URL, headers=marketer)).status_code == 404


@pytest.mark.parametrize(
    "benefit",
    [
        {"type": "amount", "value_minor": 500, "currency": "XYZ"},
        {"type": "amount", "value_minor": 0, "currency": "CNY"},
        {"type": "amount", "value_minor": 5.5, "currency": "CNY"},
        {"type": "percent", "percent": 101},
        {"type": "item", "item": "latte", "quantity": 0},
        {"type": "points"},
        {"type": "magic"},
    ],
)
async def test_a_benefit_that_means_nothing_is_refused(
    geo: httpx.AsyncClient, marketer: dict[str, str], benefit: dict[str, Any]
) -> None:
    refused = await put(geo, marketer, benefit=benefit)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"].startswith("/benefit")


@pytest.mark.parametrize(
    "benefit",
    [
        {"type": "amount", "value_minor": 500, "currency": "JPY"},
        {"type": "percent", "percent": 15},
        {"type": "item", "item": "拿铁", "quantity": 1},
        {"type": "points", "points": 200},
        {"type": "text", "text": "A seat by the window"},
    ],
)
async def test_each_kind_of_benefit_is_kept_as_it_is(
    geo: httpx.AsyncClient, marketer: dict[str, str], benefit: dict[str, Any]
) -> None:
    assert (await put(geo, marketer, benefit=benefit)).json()["benefit"] == benefit


async def test_offers_that_end_before_they_start_are_refused(
    geo: httpx.AsyncClient, marketer: dict[str, str]
) -> None:
    backwards = {"starts_at": "2027-01-01T00:00:00Z", "ends_at": "2027-01-01T00:00:00Z"}

    assert (await put(geo, marketer, **backwards)).status_code == 422


async def test_offers_are_listed_by_state_in_pages(
    geo: httpx.AsyncClient, marketer: dict[str, str]
) -> None:
    for offer_id, starts_at in (("a", 2026), ("b", 2098), ("c", 2026), ("d", 2026)):
        body = offer_body(starts_at=f"{starts_at}-01-01T00:00:00Z")
        await geo.put(f"/v1/offers/{offer_id}", json=body, headers=marketer)
        if offer_id != "d":
            await geo.post(f"/v1/offers/{offer_id}/activate", headers=marketer)

    async def listed(**query: Any) -> tuple[list[str], str | None]:
        page = (await geo.get("/v1/offers", params=query, headers=marketer)).json()
        return [item["offer_id"] for item in page["items"]], page["next_cursor"]

    assert await listed(state="active") == (["a", "c"], None)
    assert await listed(state="scheduled") == (["b"], None)
    assert await listed(state="draft") == (["d"], None)
    first, cursor = await listed(limit=3)
    assert first == ["a", "b", "c"]
    assert await listed(limit=3, cursor=cursor) == (["d"], None)
    assert (await geo.get("/v1/offers?cursor=x", headers=marketer)).status_code == 422


async def test_who_may_do_what_with_offers(geo: httpx.AsyncClient, tokens: Tokens) -> None:
    staff = tokens("staff", store_id="s1")
    member = tokens("member", subject_id=uuid4())
    await put(geo, tokens("server"))

    assert (await geo.get(URL, headers=staff)).status_code == 200
    assert (await put(geo, staff)).status_code == 403
    assert (await geo.post(f"{URL}/activate", headers=staff)).status_code == 403
    assert (await geo.get(URL, headers=member)).status_code == 403
    assert (await geo.get(URL)).status_code == 401
    assert (await geo.get("/v1/coupons", headers=staff)).status_code == 403


async def test_a_member_sees_its_own_coupons_and_its_siblings(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    state = geo_app.state
    named = {"namespace": "app_user", "issuer": "demo", "value": "42"}
    me = subject_id(state.keys.identity, normalise(Namespace.APP_USER, "demo", "42"))
    sibling = uuid4()
    await put(geo, tokens("server"))
    await geo.post(f"{URL}/activate", headers=tokens("server"))
    book = await book_of(state.database)
    context = GrantContext(now=state.clock(), storage=state.keys.storage)
    async with state.database.begin() as connection:
        await subjects.lock(connection, [me, sibling], NOW)
        await connection.exec_driver_sql(
            "UPDATE geo.subjects SET siblings = ARRAY(SELECT subject_id FROM geo.subjects)"
        )
        crowd = [situation(subject_id=who, occurred_at=context.now) for who in (me, sibling)]
        granted = await grant_all(
            connection, book, [*crowd, situation(occurred_at=context.now)], context
        )

    own = await geo.get("/v1/coupons", headers=tokens("member", subject_id=me))
    named_by_server = await geo.get("/v1/coupons", params=named, headers=tokens("server"))
    mine = {str(coupon.coupon_id): coupon.code for one in granted[:2] for coupon in one.coupons}

    assert {item["id"]: item["code"] for item in own.json()["items"]} == mine
    assert {item["state"] for item in own.json()["items"]} == {"granted"}
    assert named_by_server.json() == own.json()
    pages = []
    cursor = None
    for _ in range(2):
        query = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = await geo.get("/v1/coupons", params=query, headers=tokens("member", subject_id=me))
        pages += page.json()["items"]
        cursor = page.json()["next_cursor"]
    assert pages == own.json()["items"]
    assert cursor is None


async def test_whose_coupons_are_shown_is_for_servers_to_say(
    geo: httpx.AsyncClient, tokens: Tokens
) -> None:
    named = {"namespace": "app_user", "issuer": "demo", "value": "42"}
    member = tokens("member", subject_id=uuid4())

    unnamed = await geo.get("/v1/coupons", headers=tokens("server"))
    curious = await geo.get("/v1/coupons", params=named, headers=member)
    stranger = await geo.get("/v1/coupons", params=named, headers=tokens("server"))

    assert [r.status_code for r in (unnamed, curious, stranger)] == [422, 403, 200]
    assert stranger.json()["items"] == []
