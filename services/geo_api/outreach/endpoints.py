"""HTTP of messages to people, for operators."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import StringConstraints

from services.geo_api.outreach import listing
from services.geo_api.outreach.domain import Route, State
from services.geo_api.outreach.listing import Sought
from services.geo_api.outreach.schemas import MessageOut
from shared.access import allow
from shared.auth import Principal, Role
from shared.db import Session
from shared.errors import Malformed
from shared.ids import Slug
from shared.pagination import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Page,
    encode_cursor,
    moment_and_uuid,
)
from shared.problems import documented

router = APIRouter(prefix="/v1/outreach", tags=["outreach"])

Reason = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")]


def _sought(
    state: Annotated[State | None, Query()] = None,
    account_id: Annotated[Slug | None, Query(description="Sent by this account")] = None,
    route: Annotated[Route | None, Query(description="Sent by this route")] = None,
    reason: Annotated[Reason | None, Query(description="As docs/wechat.md lists them")] = None,
    store_id: Annotated[Slug | None, Query(description="Of coupons won at this store")] = None,
) -> Sought:
    return Sought(state, account_id, route, reason, store_id)


@router.get("", responses=documented(Malformed))
async def list_messages(
    sought: Annotated[Sought, Depends(_sought)],
    session: Session,
    caller: Annotated[Principal, allow(Role.SERVER, Role.MARKETER)],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[MessageOut]:
    """Messages about coupons, the newest first, and what became of each."""
    found = await listing.list_messages(
        await session.connection(), sought, moment_and_uuid(cursor), limit + 1
    )
    whose = caller.role is Role.SERVER
    last = found[limit - 1] if len(found) > limit else None
    return Page(
        items=[MessageOut.of(message, whose=whose) for message in found[:limit]],
        next_cursor=last and encode_cursor(last.created_at, last.outreach_id),
    )
