"""HTTP of the inbox for operators; the callback stands beside, in ``callback``."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from services.geo_api.wechat.accounts.domain import AccountUnknown
from services.geo_api.wechat.pushes import listing
from services.geo_api.wechat.pushes.callback import AccountId
from services.geo_api.wechat.pushes.domain import PushState
from shared.access import allow
from shared.auth import Principal, Role
from shared.db import Session
from shared.errors import Malformed
from shared.pagination import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Page,
    encode_cursor,
    moment_and_uuid,
)
from shared.problems import documented
from shared.wire import WireModel

MAX_IDS = 1_000

router = APIRouter(prefix="/v1/wechat/{account}/pushes", tags=["wechat"])


class PushOut(BaseModel):
    """Neither what a push says nor whom it is from is shown.

    ``reason`` says why it is not handled, or what became of its check-in.
    """

    model_config = ConfigDict(from_attributes=True)

    push_id: UUID
    kind: str
    state: PushState
    reason: str | None
    attempts: int
    occurred_at: datetime
    received_at: datetime
    due_at: datetime
    handled_at: datetime | None


class ReplayIn(WireModel):
    """``all``: every parked push of the account; or those named, unknown ones too."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"ids": "all"}, {"ids": ["5f0c4a4e-6f53-5a53-9a44-0b1d2c3e4f50"]}]
        }
    )

    ids: Literal["all"] | Annotated[list[UUID], Field(min_length=1, max_length=MAX_IDS)]


class ReplayedOut(BaseModel):
    replayed: int


@router.get("", responses=documented(AccountUnknown, Malformed))
async def list_pushes(
    request: Request,
    account: AccountId,
    session: Session,
    _caller: Annotated[Principal, allow(Role.SERVER, Role.MARKETER)],
    state: Annotated[PushState | None, Query(description="only those")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[PushOut]:
    """What an account was pushed in the last days and what became of it, the newest first."""
    account_id = request.app.state.wechat.accounts.known(account).account_id
    connection, after = await session.connection(), moment_and_uuid(cursor)
    found = await listing.list_pushes(connection, account_id, state, after, limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    return Page(
        items=[PushOut.model_validate(push) for push in found[:limit]],
        next_cursor=last and encode_cursor(last.received_at, last.push_id),
    )


@router.post("/replay", responses=documented(AccountUnknown, Malformed))
async def replay_pushes(
    request: Request,
    account: AccountId,
    body: ReplayIn,
    session: Session,
    _caller: Annotated[Principal, allow(Role.SERVER)],
) -> ReplayedOut:
    """Have pushes handled anew, once what was in their way is mended; nothing counts twice."""
    state = request.app.state
    account_id = state.wechat.accounts.known(account).account_id
    ids = None if body.ids == "all" else body.ids
    replayed = await listing.replay(await session.connection(), account_id, ids, state.clock())
    return ReplayedOut(replayed=replayed)
