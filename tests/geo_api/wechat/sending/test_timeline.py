"""What became of a message stands in the timeline of whom it was for, told by one service to the other."""

import httpx
import pytest
from fastapi import FastAPI

from tests.geo_api.wechat.sending.shop import MINI, Shop
from tests.journeys.test_main_job import drained, timeline

pytestmark = pytest.mark.slow


async def test_the_timeline_has_the_message_once_with_its_outcome(
    shop: Shop, member: httpx.AsyncClient, member_app: FastAPI
) -> None:
    await shop.connect(MINI)
    await shop.accept()
    coupon_id = await shop.win()
    await shop.becomes("delivered")
    await drained(shop.rehearsal.app, member_app)
    identity = shop.identity("mei", MINI)
    who = {"namespace": "wechat_openid", "issuer": identity.issuer, "value": identity.value}
    found = await member.get("/v1/people", params=who, headers=shop.rehearsal.server)
    person_id = found.json()["person_id"]
    items = await timeline(member, shop.rehearsal.server, person_id)
    (told,) = [item for item in items if item["type"] == "social_message_sent"]
    assert (told["data"]["state"], told["data"]["route"]) == ("delivered", "subscribe_message")
    assert (told["data"]["coupon_id"], told["store_id"]) == (coupon_id, "s1")
    kinds = [item["type"] for item in sorted(items, key=lambda item: item["occurred_at"])]
    assert kinds.index("coupon_granted") < kinds.index("social_message_sent")
