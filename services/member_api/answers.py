"""Answers of endpoints that create: the same request gets the same answer, refusals included."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from fastapi import Request, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.member_api.context import Context
from services.member_api.tables import IDEMPOTENCY_KEYS
from services.member_api.transactions import in_transaction
from shared.errors import Conflict
from shared.idempotency import StoredAnswer, once
from shared.problems import MEDIA_TYPE, problem_body, status_of

REMEMBERED_FOR = timedelta(hours=24)

Act = Callable[[AsyncConnection], Awaitable[tuple[int, BaseModel]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request under an idempotency key; ``scope`` says whose key it is."""

    request: Request
    scope: str
    key: str
    body: BaseModel

    @property
    def endpoint(self) -> str:
        return str(self.request.scope["route"].name)

    @property
    def canonical(self) -> bytes:
        document = self.body.model_dump(mode="json")
        asked = [self.request.scope["path"], document]
        return orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)


async def answer_once(context: Context, asked: Asked, act: Act) -> Response:
    """Run ``act`` once under the request's key, in one transaction, and answer what it gives.

    A Conflict that ``act`` raises undoes its writes and is remembered as the answer.
    """

    async def transact(session: AsyncSession) -> StoredAnswer:
        async def guarded() -> tuple[int, dict[str, Any]]:
            connection = await session.connection()
            try:
                async with session.begin_nested():
                    status, body = await act(connection)
            except Conflict as refusal:
                return status_of(type(refusal)), problem_body(refusal, asked.request.url.path)
            return status, body.model_dump(mode="json")

        return await once(
            session,
            IDEMPOTENCY_KEYS,
            scope=asked.scope,
            endpoint=asked.endpoint,
            key=asked.key,
            request=asked.canonical,
            ttl=REMEMBERED_FOR,
            now=context.clock(),
            act=guarded,
        )

    stored = await in_transaction(context.database, transact)
    context.wake()
    is_problem = stored.status >= 400  # noqa: PLR2004 - HTTP's own numbers
    media_type = MEDIA_TYPE if is_problem else "application/json"
    return Response(orjson.dumps(stored.body), stored.status, media_type=media_type)
