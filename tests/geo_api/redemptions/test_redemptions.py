"""Redeeming, looking and undoing over HTTP."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from services.geo_api.offers.codes import new_code
from services.geo_api.redemptions import service
from shared.limits import Limiter, Rate
from tests.conftest import Tokens
from tests.geo_api.redemptions.helpers import TOLD, SetClock, Till, scalar, won_coupon

pytestmark = pytest.mark.slow


def refusal(response: httpx.Response) -> str:
    """The reason of a refusal, which is a problem document."""
    assert response.status_code == 409, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == "/problems/redemption-refused"
    assert body["message"]
    reason: str = body["reason"]
    return reason


async def test_a_coupon_is_redeemed_once_and_the_fact_is_told(
    geo_app: FastAPI, till: Till, clock: SetClock
) -> None:
    coupon = await won_coupon(geo_app)

    done = await till.redeem(coupon.code.lower(), order_amount_minor=4200, currency="CNY")
    again = await till.redeem(coupon.code)

    assert done.status_code == 201, done.text
    body = done.json()
    assert body["coupon_id"] == str(coupon.coupon_id)
    assert (body["store_id"], body["staff_id"]) == ("s1", "al")
    assert (body["order_amount_minor"], body["currency"]) == (4200, "CNY")
    assert body["message"] == "Give: 5 off. Done 2026-11-23 12:00."
    assert refusal(again) == "already_redeemed"
    told = orjson.loads(
        await scalar(geo_app, "SELECT payload FROM geo.outbox WHERE type = 'coupon_redeemed'")
    )
    assert told["data"] == {
        "redemption_id": body["id"],
        "coupon_id": str(coupon.coupon_id),
        "offer_id": "o1",
        "staff_id": "al",
        "order_amount_minor": 4200,
        "currency": "CNY",
        "benefit": dict(coupon.benefit),
    }
    assert (told["store_id"], told["time"]) == ("s1", "2026-11-23T17:00:00+00:00")


async def test_the_same_key_gets_the_same_answer_a_refusal_too(
    geo_app: FastAPI, till: Till
) -> None:
    coupon = await won_coupon(geo_app)

    done = [await till.redeem(coupon.code, key="a") for _ in range(2)]
    refused = [await till.redeem(coupon.code, key="b") for _ in range(2)]
    reused = await till.redeem(new_code(), key="a")

    assert [r.status_code for r in done] == [201, 200]
    assert done[0].content == done[1].content
    assert refusal(refused[0]) == refusal(refused[1]) == "already_redeemed"
    assert refused[0].content == refused[1].content
    assert reused.status_code == 409
    assert reused.json()["type"] == "/problems/key_reused"
    assert await scalar(geo_app, "SELECT count(*) FROM geo.redemptions") == 1
    assert await scalar(geo_app, TOLD) == 1


async def test_a_key_is_the_stores_and_means_nothing_elsewhere(
    geo_app: FastAPI, till: Till, other_till: Till
) -> None:
    coupon = await won_coupon(geo_app)

    assert (await till.redeem(coupon.code, key="a")).status_code == 201
    assert refusal(await other_till.redeem(coupon.code, key="a")) == "already_redeemed"


async def test_a_preview_says_what_redeeming_would_and_changes_nothing(
    geo_app: FastAPI, till: Till
) -> None:
    coupon = await won_coupon(geo_app)

    looked = [await till.preview(coupon.code) for _ in range(2)]
    assert await scalar(geo_app, "SELECT state FROM geo.coupons") == "granted"
    await till.redeem(coupon.code)
    late = await till.preview(coupon.code)

    assert [r.status_code for r in looked] == [200, 200]
    assert looked[0].json()["title"] == "5 off"
    assert looked[0].json()["benefit"] == dict(coupon.benefit)
    assert refusal(late) == "already_redeemed"
    assert late.json()["redeemed_by"] == "al"


async def test_what_another_store_is_told_does_not_name_the_staff(
    geo_app: FastAPI, till: Till, other_till: Till
) -> None:
    coupon = await won_coupon(geo_app)
    await till.redeem(coupon.code)

    told = (await other_till.redeem(coupon.code)).json()

    assert told["redeemed_store_id"] == "s1"
    assert told["redeemed_at"].startswith("2026-11-23T17:00:00")
    assert "redeemed_by" not in told
    assert "al" not in told["message"].replace("Already", "").split()


async def test_staff_redeem_in_their_own_store_only_and_servers_anywhere(
    geo_app: FastAPI, till: Till, other_till: Till, tokens: Tokens
) -> None:
    coupon = await won_coupon(geo_app)
    server = Till(till.geo, tokens("server"), "s2")

    assert refusal(await till.redeem(coupon.code, store_id="s2")) == "staff_not_allowed"
    assert refusal(await till.preview(coupon.code, store_id="s2")) == "staff_not_allowed"
    done = await server.redeem(coupon.code)
    assert done.status_code == 201
    assert refusal(await till.reverse(done.json()["id"])) == "staff_not_allowed"
    assert (await other_till.reverse(done.json()["id"])).status_code == 201


async def test_a_coupon_holds_in_the_stores_of_its_offer(
    geo_app: FastAPI, till: Till, other_till: Till, tokens: Tokens
) -> None:
    named = await won_coupon(geo_app, offer_id="named", stores={"ids": ["s1", "s9"]})
    tagged = await won_coupon(geo_app, offer_id="named", stores={"tags": ["test", "none"]})
    everywhere = await won_coupon(geo_app, offer_id="all")
    nowhere = Till(till.geo, tokens("server"), "s404")

    wrong = await other_till.redeem(named.code)

    assert refusal(wrong) == "wrong_store"
    assert wrong.json()["valid_store_ids"] == ["s1", "s9"]
    assert (await other_till.redeem(tagged.code)).status_code == 201
    assert refusal(await nowhere.redeem(everywhere.code)) == "wrong_store"


async def test_a_coupon_is_good_until_just_before_its_last_instant(
    geo_app: FastAPI, till: Till, clock: SetClock
) -> None:
    early, late = [await won_coupon(geo_app, coupon={"valid_for_s": 60}) for _ in range(2)]
    clock.move(microseconds=-1)
    before = await till.redeem(early.code)
    clock.move(seconds=60)
    last_instant = await till.redeem(early.code)
    clock.move(microseconds=1)
    too_late = await till.redeem(late.code)

    assert refusal(before) == "not_yet_valid"
    assert last_instant.status_code == 201
    assert refusal(too_late) == "expired"
    assert too_late.json()["valid_until"] == "2026-11-23T17:01:00Z"


async def test_a_revoked_coupon_is_refused(geo_app: FastAPI, till: Till) -> None:
    coupon = await won_coupon(geo_app)
    async with geo_app.state.database.begin() as connection:
        await connection.execute(text("UPDATE geo.coupons SET state = 'revoked'"))

    assert refusal(await till.redeem(coupon.code)) == "revoked"


async def test_an_order_in_another_currency_is_refused(geo_app: FastAPI, till: Till) -> None:
    coupon = await won_coupon(geo_app)

    refused = await till.redeem(coupon.code, order_amount_minor=100, currency="USD")

    assert refusal(refused) == "currency_mismatch"
    assert refused.json()["currency"] == "CNY"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"code": ""}, "/code"),
        ({"code": "x" * 65}, "/code"),
        ({"code": 7}, "/code"),
        ({"store_id": "no good"}, "/store_id"),
        ({"order_amount_minor": -1, "currency": "CNY"}, "/order_amount_minor"),
        ({"order_amount_minor": 1.5, "currency": "CNY"}, "/order_amount_minor"),
        ({"order_amount_minor": 1, "currency": "cny"}, "/currency"),
        ({"order_amount_minor": 1}, ""),
        ({"currency": "CNY"}, ""),
    ],
)
async def test_a_malformed_request_names_its_field_and_uses_no_key(
    geo_app: FastAPI, till: Till, changes: dict[str, Any], pointer: str
) -> None:
    refused = await till.redeem(changes.pop("code", new_code()), key="k", **changes)

    assert refused.status_code == 422, refused.text
    assert pointer in [fault["pointer"] for fault in refused.json()["errors"]]
    assert await scalar(geo_app, "SELECT count(*) FROM geo.idempotency_keys") == 0


async def test_a_redemption_without_a_key_is_malformed(till: Till) -> None:
    refused = await till._post("", {"code": new_code(), "store_id": "s1"}, None)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "header:Idempotency-Key"


@pytest.mark.parametrize(
    "code", ["lunch", "0000-0000-0000-0000", pytest.param(new_code(), id="never-given-out")]
)
async def test_an_unknown_code_is_refused_without_saying_how_it_is_wrong(
    till: Till, code: str
) -> None:
    refused = await till.redeem(code)

    assert refusal(refused) == "not_found"
    assert refused.json()["message"] == "Not ours, or damaged. Scan again or type the code."


async def test_guessing_is_throttled_and_leaves_the_key_free(
    geo_app: FastAPI, till: Till, other_till: Till
) -> None:
    limiter: Limiter = geo_app.state.limiter
    slow = Rate(per_s=0.1, burst=3)
    geo_app.state.limiter = Limiter({**limiter.rates, "code_guess": slow})

    answers = [await till.redeem(new_code(), key=f"k{n}") for n in range(5)]
    answers.append(await till.preview(new_code()))

    assert [r.status_code for r in answers] == [409, 409, 409, 429, 429, 429]
    assert int(answers[3].headers["retry-after"]) >= 1
    assert (await other_till.redeem(new_code())).status_code == 409
    coupon = await won_coupon(geo_app)
    geo_app.state.limiter = limiter
    assert (await till.redeem(coupon.code, key="k4")).status_code == 201


async def test_the_clerk_reads_chinese_where_it_is_asked_for(geo_app: FastAPI, till: Till) -> None:
    coupon = await won_coupon(geo_app, title="拿铁一杯")
    till.more = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}

    done = await till.redeem(coupon.code)
    refused = await till.redeem(coupon.code)

    assert done.json()["message"] == "请兑换：拿铁一杯。已于 2026-11-23 12:00 核销。"  # noqa: RUF001
    assert refused.json()["message"].startswith("已于 2026-11-23 12:00 在 s1 使用")


async def test_a_reversal_makes_the_coupon_good_again_and_is_told(
    geo_app: FastAPI, till: Till, clock: SetClock
) -> None:
    coupon = await won_coupon(geo_app)
    first = (await till.redeem(coupon.code, order_amount_minor=1, currency="CNY")).json()

    undone = [await till.reverse(first["id"], key="u") for _ in range(2)]
    second = await till.redeem(coupon.code)
    refused = await till.reverse(first["id"])

    assert [r.status_code for r in undone] == [201, 200]
    assert undone[0].content == undone[1].content
    assert undone[0].json()["reversal_reason"] == "wrong guest"
    assert second.status_code == 201
    assert refusal(refused) == "already_reversed"
    assert await scalar(geo_app, "SELECT uses FROM geo.coupons") == 2
    assert await scalar(geo_app, "SELECT state FROM geo.coupons") == "redeemed"
    told = orjson.loads(
        await scalar(geo_app, "SELECT payload FROM geo.outbox WHERE type = 'redemption_reversed'")
    )
    assert told["data"]["reason"] == "wrong guest"
    assert told["data"]["redemption_id"] == first["id"]
    assert told["data"]["order_amount_minor"] == 1


async def test_a_reversal_comes_within_the_hour(
    geo_app: FastAPI, till: Till, clock: SetClock
) -> None:
    coupons = [await won_coupon(geo_app) for _ in range(2)]
    done = [(await till.redeem(coupon.code)).json() for coupon in coupons]

    clock.move(hours=1)
    in_time = await till.reverse(done[0]["id"])
    clock.move(microseconds=1)
    too_late = await till.reverse(done[1]["id"])

    assert in_time.status_code == 201
    assert refusal(too_late) == "undo_too_late"
    assert too_late.json()["reversible_until"] == "2026-11-23T18:00:00Z"


async def test_a_coupon_given_back_after_its_time_stays_expired(
    geo_app: FastAPI, till: Till, clock: SetClock
) -> None:
    coupon = await won_coupon(geo_app, coupon={"valid_for_s": 60})
    done = (await till.redeem(coupon.code)).json()
    clock.move(seconds=60)

    assert (await till.reverse(done["id"])).status_code == 201
    assert refusal(await till.redeem(coupon.code)) == "expired"


async def test_a_redemption_that_is_unknown_is_not_found(till: Till) -> None:
    assert (await till.reverse(str(uuid4()))).status_code == 404
    assert (await till.reverse("seven")).status_code == 422


@pytest.mark.parametrize("reason", ["", "  ", "x" * 151])
async def test_a_reversal_has_a_reason_of_some_words(till: Till, reason: str) -> None:
    assert (await till.reverse(str(uuid4()), reason)).status_code == 422


async def test_reversing_frees_no_unit_of_the_cap(geo_app: FastAPI, till: Till) -> None:
    coupon = await won_coupon(geo_app)
    done = (await till.redeem(coupon.code)).json()
    await till.reverse(done["id"])

    assert await scalar(geo_app, "SELECT used FROM geo.offer_counters") == 1


async def test_members_and_marketers_redeem_nothing(till: Till, tokens: Tokens) -> None:
    for headers in (tokens("member", subject_id=uuid4()), tokens("marketer")):
        refused = await Till(till.geo, headers).redeem(new_code())
        assert refused.status_code == 403


async def test_a_redemption_killed_in_between_leaves_nothing_and_its_key_works(
    geo_app: FastAPI, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    coupon = await won_coupon(geo_app)

    async def die(*_: Any) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as killed:
        killed.setattr(service, "enqueue", die)
        assert (await till.redeem(coupon.code, key="k")).status_code == 503

    assert await scalar(geo_app, "SELECT state FROM geo.coupons") == "granted"
    assert await scalar(geo_app, "SELECT count(*) FROM geo.redemptions") == 0
    assert (await till.redeem(coupon.code, key="k")).status_code == 201
    await asyncio.sleep(0)
