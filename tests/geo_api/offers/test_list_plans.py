"""Lists of offers and coupons take few statements, and read from an index."""

from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from services.geo_api.offers.repository import coupons, offers
from services.geo_api.offers.service.grants import GrantContext
from tests.conftest import Tokens
from tests.geo_api.offers.helpers import NOW, book_of, grant_all, situation, store_offer
from tests.geo_api.plans import plan, statements

pytestmark = pytest.mark.slow


async def test_a_page_of_offers_takes_one_statement_whatever_its_length(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    for number in range(12):
        await store_offer(geo_app.state.database, f"o{number}")
    for limit in (1, 12):
        with statements(geo_app) as sent:
            answer = await geo.get("/v1/offers", params={"limit": limit}, headers=tokens("server"))
        assert len(answer.json()["items"]) == limit
        assert len(sent) == 1


async def test_a_page_of_coupons_takes_two_statements_whatever_its_length(
    geo: httpx.AsyncClient, geo_app: FastAPI, tokens: Tokens
) -> None:
    database, who = geo_app.state.database, uuid4()
    for number in range(8):
        await store_offer(database, f"o{number}")
    context = GrantContext(now=NOW, storage=geo_app.state.keys.storage)
    async with database.begin() as connection:
        await grant_all(connection, await book_of(database), [situation(subject_id=who)], context)
    own = tokens("member", subject_id=who)
    for limit in (1, 8):
        with statements(geo_app) as sent:
            answer = await geo.get("/v1/coupons", params={"limit": limit}, headers=own)
        assert len(answer.json()["items"]) == limit
        assert len(sent) == 2


@pytest.mark.parametrize("state", [None, "active"])
async def test_a_page_of_offers_is_read_in_the_order_of_the_key(
    geo_app: FastAPI, state: str | None
) -> None:
    values = {"state": state, "now": NOW, "after": "o1", "most": 51}
    async with geo_app.state.database.begin() as connection:
        nodes = await plan(connection, offers._LIST, values)
    assert "pk_offers" in {node.get("Index Name") for node in nodes}
    assert not {node["Node Type"] for node in nodes} & {"Sort", "Seq Scan"}


async def test_a_page_of_coupons_reads_those_of_the_person_only(geo_app: FastAPI) -> None:
    values = {
        "subjects": [uuid4()],
        "granted_at": NOW,
        "coupon_id": UUID(int=1),
        "most": 51,
    }
    async with geo_app.state.database.begin() as connection:
        nodes = await plan(connection, coupons._LIST, values)
    [read] = [node for node in nodes if "Index Name" in node]
    assert "subject_id" in read["Index Cond"]
    assert "Seq Scan" not in {node["Node Type"] for node in nodes}
