"""Answers of endpoints that create: the same request gets the same answer, refusals included.

What was asked is kept as keyed hashes only: who asked, under which key, and for what. So the row
of a request can outlive an erasure of whom it was about, and still tell a repeat.
"""

import hmac
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from fastapi import Request, Response
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.member_api.context import Context
from services.member_api.people.domain import Erased
from services.member_api.tables import IDEMPOTENCY_KEYS
from services.member_api.transactions import in_transaction
from shared.auth import Role
from shared.errors import Conflict
from shared.idempotency import StoredAnswer, once
from shared.ids import birth_person_id
from shared.keys import MemberKeys
from shared.problems import MEDIA_TYPE, problem_body, status_of

REMEMBERED_FOR = timedelta(hours=24)

# A stored answer may name a person or subject anywhere.
_FORGET = text("""
    UPDATE member.idempotency_keys AS k SET status = :status, answer = CAST(:answer AS json)
    WHERE k.scope = ANY(CAST(:scopes AS text[])) OR EXISTS (
        SELECT FROM unnest(CAST(:names AS text[])) AS who (name)
        WHERE position(who.name IN k.answer::text) > 0
    )
""")

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

    The answer is remembered for 24 hours. A Conflict that ``act`` raises undoes its writes and
    is remembered too.
    """
    secret = context.keys.identity

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
            scope=_blind(secret, asked.scope.encode()),
            endpoint=asked.endpoint,
            key=_blind(secret, asked.key.encode()),
            request=_blind(secret, asked.canonical).encode(),
            ttl=REMEMBERED_FOR,
            now=context.clock(),
            act=guarded,
        )

    stored = await in_transaction(context.database, transact)
    context.wake()
    is_problem = stored.status >= 400  # noqa: PLR2004 - HTTP's own numbers
    media_type = MEDIA_TYPE if is_problem else "application/json"
    return Response(orjson.dumps(stored.body), stored.status, media_type=media_type)


async def forget_answers(
    connection: AsyncConnection, keys: MemberKeys, subjects: Collection[UUID]
) -> None:
    """Put a refusal in place of every answer to or about ``subjects``, which are being erased.

    Whoever repeats such a request is told of the erasure, and brings nobody back.
    """
    refusal = Erased("Whom this request was about was erased since. For another, use a new key.")
    names = [str(name) for who in subjects for name in (who, birth_person_id(who))]
    scopes = [_blind(keys.identity, f"{Role.MEMBER}:{who}".encode()) for who in subjects]
    values = {
        "status": status_of(Erased),
        "answer": orjson.dumps(problem_body(refusal)).decode(),
        "scopes": scopes,
        "names": names,
    }
    await connection.execute(_FORGET, values)


def _blind(secret: bytes, told: bytes) -> str:
    return hmac.digest(secret, b"idempotency" + told, "sha256").hex()
