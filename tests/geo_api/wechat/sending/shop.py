"""A shop whose coupons are told by WeChat, and people who win them."""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from services.geo_api.wechat.users.domain import Answer
from services.geo_api.wechat.users.repository import answering
from shared.direct import run_together
from shared.identity import Namespace, normalise, subject_id
from tests.conftest import DatabaseUrls
from tests.geo_api.checkins.helpers import body
from tests.geo_api.offers.helpers import store_offer
from tests.geo_api.wechat.stand_in import MINI, SERVICE, Rehearsal
from wechat_sandbox.example import COUPON_TEMPLATE

COUPON = {
    "template_id": COUPON_TEMPLATE,
    "page": "pages/coupon/index",
    "data": {"thing1": "{title}", "thing2": "{store}", "time3": "{valid_until}"},
    "text": "{title} · {store}, until {valid_until}: {code}",
}
MARKETING = {"marketing_push": {"state": "granted", "version": "1", "at": "2026-11-20T09:00:00Z"}}
REFUSED = {"marketing_push": {"state": "denied", "version": "1", "at": "2026-11-20T09:00:00Z"}}


def settings(**said: Any) -> dict[str, Any]:
    """Outreach that is on, without quiet hours."""
    return {"enabled": True, "per_person_per_day": 20, "coupon": COUPON} | said


@dataclass
class Shop:
    """geo_api with an offer that each check-in wins, the stand-in, and a look into the tables."""

    rehearsal: Rehearsal
    urls: DatabaseUrls

    async def connect(self, account_id: str, **said: Any) -> None:
        """An account with outreach, whose pushes reach geo_api."""
        callback = f"http://geo/v1/wechat/{account_id}/callback"
        self.rehearsal.world.put_account(account_id, callback_url=callback)
        await self.rehearsal.connect(account_id, outreach=settings(**said))

    def subject(self, name: str, account_id: str = MINI) -> UUID:
        return subject_id(self.rehearsal.tools.keys.identity, self.identity(name, account_id))

    def identity(self, name: str, account_id: str) -> Any:
        account = self.rehearsal.world.accounts[account_id]
        openid = self.rehearsal.world.fan(name, account).openid
        return normalise(Namespace.WECHAT_OPENID, account.app_id, openid)

    async def accept(self, name: str = "mei", account_id: str = MINI) -> None:
        """Permit one message of the template."""
        answers = {COUPON_TEMPLATE: "accept"}
        await self.act(name, "answer_subscriptions", account_id, answers=answers)

    async def accept_many(self, count: int, name: str = "mei") -> None:
        """Permit many at once, which takes a person as many seconds: the pushes would be equal."""
        await self.accept(name)
        world, subject, at = self.rehearsal.world, self.subject(name), datetime.now(UTC)
        world.fan(name, world.accounts[MINI]).grants[COUPON_TEMPLATE] += count - 1
        answers = [
            Answer(subject, MINI, COUPON_TEMPLATE, uuid4(), granted=True, at=at)
            for _ in range(count - 1)
        ]
        async with self.rehearsal.tools.database.begin() as connection:
            await run_together(connection, answering(answers))

    async def act(self, name: str, act: str, account_id: str = MINI, **fields: Any) -> None:
        """Do something at the stand-in, and wait until geo_api has heard and handled it."""
        await self.rehearsal.act(name, act, account_id, **fields)
        await self.heard()

    async def heard(self) -> None:
        assert await self.rehearsal.world.pusher.settle(10)
        query = "SELECT count(*) FROM geo.wechat_pushes WHERE state = 'waiting'"
        async with asyncio.timeout(10):
            while await self.value(query):
                await asyncio.sleep(0.02)

    async def offer(self, *offer_ids: str) -> None:
        """Let each check-in win more."""
        state = self.rehearsal.app.state
        for offer_id in offer_ids:
            await store_offer(state.database, offer_id, caps={"total": 1000})
        async with asyncio.timeout(5):
            while not {*offer_ids} <= {offer.offer_id for offer in state.offers.current.offers}:
                await asyncio.sleep(0.01)

    async def win(self, name: str = "mei", account_id: str = MINI, **changes: Any) -> str:
        """Check in and win a coupon, or several; the id of the first."""
        identity = self.identity(name, account_id)
        subject = {
            "namespace": identity.namespace,
            "issuer": identity.issuer,
            "value": identity.value,
        }
        sent = body(**{"subject": subject} | changes)
        answer = await self.rehearsal.geo.post(
            "/v1/check-ins", json=sent, headers=self.rehearsal.server
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["coupons"][0]["id"])

    def inbox(self, name: str = "mei", account_id: str = MINI) -> list[dict[str, Any]]:
        world = self.rehearsal.world
        return world.fan(name, world.accounts[account_id]).inbox

    async def becomes(self, *states: str) -> list[dict[str, Any]]:
        """Wait until the messages are in these states, oldest first."""
        found: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(10):
                while [one["state"] for one in found] != [*states]:
                    await asyncio.sleep(0.02)
                    found = await self.messages()
        except TimeoutError:
            raise AssertionError(f"not {states}, but {found}") from None
        return found

    async def looked_at(self, reason: str, messages: int = 1) -> None:
        """Wait until the messages wait for this reason."""
        found: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(10):
                while [(m["state"], m["reason"]) for m in found] != [
                    ("waiting", reason)
                ] * messages:
                    await asyncio.sleep(0.02)
                    found = await self.messages()
        except TimeoutError:
            raise AssertionError(f"not {reason}, but {found}") from None

    async def messages(self) -> list[dict[str, Any]]:
        """All, oldest first, as operators see them."""
        answer = await self.rehearsal.geo.get("/v1/outreach", headers=self.rehearsal.server)
        assert answer.status_code == 200, answer.text
        return [*reversed(answer.json()["items"])]

    async def told(self) -> list[tuple[int, str, str | None]]:
        """What member_api, which is not there, would be told of messages: (revision, state, reason)."""
        query = "SELECT payload FROM geo.outbox WHERE type = 'social_message_sent' ORDER BY id"
        events = [json.loads(row[0]) for row in await self.rows(query)]
        return [(e["revision"], e["data"]["state"], e["data"]["reason"]) for e in events]

    async def grants(self) -> list[str]:
        rows = await self.rows("SELECT state FROM geo.wechat_grants ORDER BY granted_at, grant_id")
        return [row[0] for row in rows]

    async def value(self, query: str, *arguments: Any) -> Any:
        rows = await self.rows(query, *arguments)
        return rows[0][0] if rows else None

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.urls.superuser.replace("+asyncpg", ""))
        try:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()


__all__ = ["COUPON", "MARKETING", "MINI", "REFUSED", "SERVICE", "Shop", "settings"]
