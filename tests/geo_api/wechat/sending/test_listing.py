"""Messages as operators see them."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.geo_api.outreach import listing
from services.geo_api.outreach import repository as outreach
from services.geo_api.wechat.sending import repository as sending
from shared.db import Database
from tests.conftest import Tokens
from tests.geo_api.plans import plan
from tests.geo_api.wechat.sending.shop import Shop

pytestmark = pytest.mark.slow

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
INSERT = """
    INSERT INTO geo.outreach_messages (subject_id, outreach_id, cause, store_id, state, reason,
        account_id, route, attempts, created_at, due_at, expires_at)
    VALUES ($1, $2, 'coupon_granted', $3, $4, $5, $6, $7, 0, $8, $8, $8)
"""


async def fill(shop: Shop) -> None:
    rows = [
        ("s1", "dropped", "expired", None, None),
        ("s1", "sent", None, "mini", "subscribe_message"),
        ("s2", "sent", "unknown", "tea", "custom_message"),
        ("s2", "delivered", None, "mini", "subscribe_message"),
    ]
    for number, row in enumerate(rows):
        await shop.rows(INSERT, uuid4(), uuid4(), *row, NOON + timedelta(minutes=number))


async def test_messages_are_found_by_state_account_route_reason_and_store(
    shop: Shop, tokens: Tokens
) -> None:
    await fill(shop)

    async def seek(**sought: str) -> list[tuple[str, str]]:
        answer = await shop.rehearsal.geo.get(
            "/v1/outreach", params=sought, headers=tokens("marketer")
        )
        assert answer.status_code == 200, answer.text
        items = answer.json()["items"]
        assert {item["subject_id"] for item in items} <= {None}
        return [(item["store_id"], item["state"]) for item in items]

    everything = [("s2", "delivered"), ("s2", "sent"), ("s1", "sent"), ("s1", "dropped")]
    assert await seek() == everything
    assert await seek(state="sent") == [("s2", "sent"), ("s1", "sent")]
    assert await seek(account_id="mini") == [("s2", "delivered"), ("s1", "sent")]
    assert await seek(route="custom_message") == [("s2", "sent")]
    assert await seek(reason="expired") == [("s1", "dropped")]
    assert await seek(store_id="s1", state="sent") == [("s1", "sent")]


async def test_pages_follow_each_other_and_only_servers_learn_whose_they_are(shop: Shop) -> None:
    await fill(shop)
    geo, server, found, cursor = shop.rehearsal.geo, shop.rehearsal.server, [], None
    while True:
        params = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await geo.get("/v1/outreach", params=params, headers=server)).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(found) == len({item["outreach_id"] for item in found}) == 4
    assert all(item["subject_id"] for item in found)


async def test_a_filter_that_is_none_is_refused(shop: Shop) -> None:
    for params in ({"state": "lost"}, {"route": "pigeon"}, {"cursor": "x"}, {"reason": "A B"}):
        answer = await shop.rehearsal.geo.get(
            "/v1/outreach", params=params, headers=shop.rehearsal.server
        )
        assert answer.status_code == 422, params


async def test_each_query_goes_by_its_index(database: Database) -> None:
    sought = dict.fromkeys(("account_id", "route", "reason", "store_id", "after_at", "after_id"))
    values = {**sought, "state": "sent", "most": 51}
    due = {"now": NOON, "until": NOON, "most": 8}
    ids = {"account_id": "mini", "message_id": "1", "state": "delivered", "reason": None}
    for statement, asked, index in (
        (listing._ALL, values, "ix_outreach_messages_created_at_outreach_id"),
        (listing._IN_STATE, values, "ix_outreach_messages_state_created_at_outreach_id"),
        (sending._CLAIM, due, "ix_outreach_messages_due"),
        (sending._BEHIND, due, "ix_outreach_messages_due"),
        (sending._PAST, {"subjects": [uuid4()], "since": NOON}, "pk_outreach_messages"),
        (outreach._SETTLE, ids, "ix_outreach_messages_message_id"),
    ):
        async with database.begin() as connection:
            nodes = await plan(connection, statement, asked)
        assert index in {node.get("Index Name") for node in nodes}, statement
