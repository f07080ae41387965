"""One coupon, many tills at once. The last test shows that only the walls hold the race."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import TextClause, text

from services.geo_api.offers.repository import coupons as repository
from shared.db import Database
from tests.conftest import DatabaseUrls
from tests.geo_api.redemptions.helpers import TOLD, Till, scalar, won_coupon

CROWD = 64


@pytest.fixture
async def wide(geo_app: FastAPI, database_urls: DatabaseUrls) -> AsyncIterator[FastAPI]:
    """geo_api with a connection for each of the crowd, as many processes would have."""
    narrow = geo_app.state.database
    geo_app.state.database = Database.connect(database_urls.geo, pool_size=CROWD)
    yield geo_app
    await geo_app.state.database.close()
    geo_app.state.database = narrow


def outcomes(answers: list[httpx.Response]) -> Counter[str]:
    return Counter(a.json().get("reason", str(a.status_code)) for a in answers)


async def test_of_many_tills_one_redeems_and_all_others_are_told(wide: FastAPI, till: Till) -> None:
    coupon = await won_coupon(wide)

    answers = await asyncio.gather(*(till.redeem(coupon.code) for _ in range(CROWD)))

    assert outcomes(answers) == {"201": 1, "already_redeemed": CROWD - 1}
    assert {a.status_code for a in answers} == {201, 409}
    assert await scalar(wide, "SELECT count(*) FROM geo.redemptions") == 1
    assert await scalar(wide, TOLD) == 1
    winner = next(a.json() for a in answers if a.status_code == 201)
    losers = [a.json() for a in answers if a.status_code == 409]
    assert {loser["redeemed_at"] for loser in losers} == {winner["redeemed_at"]}


async def test_the_same_request_sent_many_times_at_once_is_one_redemption(
    wide: FastAPI, till: Till
) -> None:
    coupon = await won_coupon(wide)

    answers = await asyncio.gather(*(till.redeem(coupon.code, key="k") for _ in range(16)))

    assert Counter(a.status_code for a in answers) == {201: 1, 200: 15}
    assert len({a.content for a in answers}) == 1


async def test_reversals_and_redemptions_at_once_agree_in_the_end(
    wide: FastAPI, till: Till
) -> None:
    coupon = await won_coupon(wide)
    first = (await till.redeem(coupon.code)).json()

    undone = [till.reverse(first["id"]) for _ in range(8)]
    redeemed = [till.redeem(coupon.code) for _ in range(24)]
    answers = await asyncio.gather(*undone, *redeemed)

    reversals, redemptions = answers[:8], answers[8:]
    assert outcomes(reversals) == {"201": 1, "already_reversed": 7}
    won = [a for a in redemptions if a.status_code == 201]
    assert len(won) <= 1
    assert {a.status_code for a in redemptions} <= {201, 409}
    standing = await scalar(wide, "SELECT count(*) FROM geo.redemptions WHERE reversed_at IS NULL")
    state = await scalar(wide, "SELECT state FROM geo.coupons")
    assert (standing, state) == ((1, "redeemed") if won else (0, "granted"))
    assert await scalar(wide, "SELECT uses FROM geo.coupons") == 1 + len(won)


def without_guard(statement: TextClause) -> TextClause:
    """Whoever saw the coupon good a moment ago uses it: the order look, then act.

    The number of the use is the one that was seen, as a program would count that looks first.
    """
    sql = statement.text
    guard = "AND state = 'granted' AND valid_from <= :now AND :now < valid_until"
    assert guard in sql
    return text(sql.replace(guard, "AND CAST(:now AS timestamptz) IS NOT NULL"))


@pytest.mark.slow
async def test_the_same_race_redeems_twice_when_guard_and_constraint_are_gone(
    wide: FastAPI, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    coupon = await won_coupon(wide)
    monkeypatch.setattr(repository, "_USE", without_guard(repository._USE))
    async with wide.state.database.begin() as connection:
        await connection.execute(
            text(
                "ALTER TABLE geo.redemptions"
                " DROP CONSTRAINT uq_redemptions_subject_id_coupon_id_use_number"
            )
        )

    answers = await asyncio.gather(*(till.redeem(coupon.code) for _ in range(CROWD)))

    assert outcomes(answers)["201"] > 1
    assert await scalar(wide, "SELECT count(*) FROM geo.redemptions") > 1
