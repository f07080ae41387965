"""A till with a coupon in front of it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from fastapi import FastAPI
from sqlalchemy import text

from services.geo_api.offers.domain import GrantedCoupon
from services.geo_api.offers.service.grants import GrantContext
from tests.geo_api.offers.helpers import book_of, grant_all, presence, situation, store_offer

TOLD = "SELECT count(*) FROM geo.outbox WHERE type = 'coupon_redeemed'"
START = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


@dataclass
class SetClock:
    """A clock that stands until it is moved."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Till:
    """Calls geo_api as one bearer of a token does; a fresh key each time unless one is given."""

    geo: httpx.AsyncClient
    headers: dict[str, str]
    store_id: str = "s1"
    more: dict[str, str] = field(default_factory=dict)

    async def redeem(self, code: str, *, key: str | None = None, **changes: Any) -> httpx.Response:
        body = {"code": code, "store_id": self.store_id} | changes
        return await self._post("", body, key or str(uuid4()))

    async def preview(self, code: str, **changes: Any) -> httpx.Response:
        body = {"code": code, "store_id": self.store_id} | changes
        return await self._post("/preview", body, None)

    async def reverse(
        self, redemption_id: str, reason: str = "wrong guest", *, key: str | None = None
    ) -> httpx.Response:
        path = f"/{redemption_id}/reversal"
        return await self._post(path, {"reason": reason}, key or str(uuid4()))

    async def _post(self, path: str, body: dict[str, Any], key: str | None) -> httpx.Response:
        headers = {**self.headers, **self.more} | ({"Idempotency-Key": key} if key else {})
        return await self.geo.post(f"/v1/redemptions{path}", json=body, headers=headers)


async def won_coupon(app: FastAPI, offer_id: str = "o1", **offer: Any) -> GrantedCoupon:
    """A coupon granted just now, by the app's clock and in store s1, of an offer so changed."""
    state = app.state
    await store_offer(state.database, offer_id, **offer)
    context = GrantContext(now=state.clock(), storage=state.keys.storage)
    seen = situation(presence(tags=frozenset({"test"})), occurred_at=state.clock())
    async with state.database.begin() as connection:
        book = await book_of(state.database)
        (granted,) = await grant_all(connection, book, [seen], context)
    return next(coupon for coupon in granted.coupons if coupon.offer_id == offer_id)


async def scalar(app: FastAPI, statement: str) -> Any:
    async with app.state.database.begin() as connection:
        return await connection.scalar(text(statement))
