"""HTTP of redemptions: what a till asks, and the refusals that it is answered with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic_core import to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.background import BackgroundTask

from services.geo_api.offers.coupons import Coupon
from services.geo_api.redemptions import service
from services.geo_api.redemptions.domain import (
    RedemptionRefused,
    RedemptionUnknown,
    Refused,
    Till,
)
from services.geo_api.redemptions.messages import done_text, language_for, refusal_text
from services.geo_api.redemptions.schemas import (
    PreviewOut,
    RedemptionIn,
    RedemptionOut,
    ReversalIn,
)
from services.geo_api.redemptions.service import Redeemed, Tools
from shared.access import allow
from shared.auth import Principal, Role
from shared.db import Session
from shared.errors import Malformed, TooManyRequests, Unavailable
from shared.idempotency import Act, IdempotencyKey, KeyReused, once
from shared.problems import MEDIA_TYPE, documented, problem_body
from shared.wire import WireModel

router = APIRouter(prefix="/v1/redemptions", tags=["redemptions"])

Answer = tuple[int, dict[str, Any]]
Caller = Annotated[Principal, allow(Role.STAFF, Role.SERVER)]
_REFUSALS = documented(Malformed, RedemptionRefused, TooManyRequests)
_KEPT_REFUSALS = documented(Malformed, RedemptionRefused, KeyReused, TooManyRequests, Unavailable)


@dataclass(frozen=True, slots=True)
class Counter:
    """A request at a till: who asks, in which language, through which transaction."""

    request: Request
    session: AsyncSession
    caller: Principal

    @property
    def language(self) -> str:
        return language_for(self.request.headers.get("accept-language", ""))

    def till(self, store_id: str) -> Till:
        state = self.request.app.state
        store = state.fences.current.stores.get(store_id)
        return Till(
            store_id=store_id,
            store_tags=None if store is None else frozenset(store.tags),
            staff_id=self.caller.name,
            bound_store=self.caller.store_id,
            now=state.clock(),
        )

    def zone(self, store_id: str) -> ZoneInfo:
        """The store's time zone, in which its clerk reads the clock."""
        store = self.request.app.state.fences.current.stores.get(store_id)
        return ZoneInfo("UTC" if store is None else store.timezone)

    @property
    def tools(self) -> Tools:
        state, scope = self.request.app.state, self.caller.scope
        return Tools(
            storage=state.keys.storage,
            feed_tables=state.feed_tables,
            check_guesses=lambda: state.limiter.check("code_guess", scope),
            count_guess=lambda: state.limiter.take("code_guess", scope),
        )

    def refusal(self, refused: Refused, store_id: str) -> Answer:
        text = refusal_text(refused, self.language, self.zone(store_id))
        facts = to_jsonable_python(refused.facts)
        problem = RedemptionRefused(
            f"Refused: {refused.reason}.", reason=refused.reason, message=text, **facts
        )
        path = self.request.url.path
        return 409, problem_body(problem, path, language=self.language)

    async def once(self, endpoint: str, key: str, body: WireModel, act: Act) -> Response:
        """Act once for the key, for ever; what was answered is answered again."""
        state = self.request.app.state
        asked = orjson.dumps(body.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
        answer = await once(
            self.session,
            state.idempotency,
            scope=self.caller.scope,
            endpoint=endpoint,
            key=key,
            request=asked,
            ttl=None,
            now=state.clock(),
            act=act,
        )
        response = _response(answer.status, answer.body)
        if answer.status < 300 and not answer.repeated:  # noqa: PLR2004 - HTTP's own numbers
            response.background = BackgroundTask(state.feed.wake)
        return response


def _counter(request: Request, session: Session, caller: Caller) -> Counter:
    return Counter(request, session, caller)


AtCounter = Annotated[Counter, Depends(_counter)]


@router.post("/preview", response_model=PreviewOut, responses=_REFUSALS)
async def preview_redemption(body: RedemptionIn, counter: AtCounter) -> Response:
    """Whether a coupon can be used here and now, and what to give for it. Changes nothing."""
    till = counter.till(body.store_id)
    connection = await counter.session.connection()
    found = await service.preview(connection, counter.tools, till, body.code, body.order)
    return _response(*_previewed(counter, found, till))


@router.post("", status_code=201, response_model=RedemptionOut, responses=_KEPT_REFUSALS)
async def create_redemption(
    body: RedemptionIn, key: IdempotencyKey, counter: AtCounter
) -> Response:
    """Use a coupon. The same Idempotency-Key gets the same answer for ever, a refusal too."""
    till = counter.till(body.store_id)

    async def act() -> Answer:
        connection = await counter.session.connection()
        done = await service.redeem(connection, counter.tools, till, body.code, body.order)
        if isinstance(done, Refused):
            return counter.refusal(done, till.store_id)
        return 201, _done(counter, "redeemed", done)

    return await counter.once("redemptions", key, body, act)


@router.post(
    "/{redemption_id}/reversal",
    status_code=201,
    response_model=RedemptionOut,
    responses={**_KEPT_REFUSALS, **documented(RedemptionUnknown)},
)
async def reverse_redemption(
    redemption_id: UUID, body: ReversalIn, key: IdempotencyKey, counter: AtCounter
) -> Response:
    """Undo a redemption within the hour; the coupon can be used again while it is in date."""
    till = counter.till(counter.caller.store_id or "")

    async def act() -> Answer:
        connection = await counter.session.connection()
        undone = await service.reverse(connection, counter.tools, till, redemption_id, body.reason)
        if isinstance(undone, Refused):
            return counter.refusal(undone, till.store_id)
        return 201, _done(counter, "reversed", Redeemed(undone, ""))

    return await counter.once(f"redemptions/{redemption_id}/reversal", key, body, act)


def _previewed(counter: Counter, found: Coupon | Refused, till: Till) -> Answer:
    if isinstance(found, Refused):
        return counter.refusal(found, till.store_id)
    zone = counter.zone(till.store_id)
    text = done_text("valid", counter.language, zone, at=till.now, title=found.title)
    return 200, PreviewOut.of(found, text).model_dump(mode="json")


def _done(counter: Counter, deed: str, done: Redeemed) -> dict[str, Any]:
    redemption = done.redemption
    at = redemption.reversed_at or redemption.redeemed_at
    zone = counter.zone(redemption.store_id)
    text = done_text(deed, counter.language, zone, at=at, title=done.title)
    return RedemptionOut.of(redemption, text).model_dump(mode="json")


def _response(status: int, body: Mapping[str, Any]) -> Response:
    media_type = "application/json" if status < 300 else MEDIA_TYPE  # noqa: PLR2004 - HTTP's own
    return Response(orjson.dumps(body), status_code=status, media_type=media_type)
