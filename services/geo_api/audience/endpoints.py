"""HTTP of the feed's way back: member_api tells who a subject is now."""

from typing import Annotated

from fastapi import APIRouter, Request

from services.geo_api.audience import service
from shared.access import allow
from shared.auth import Principal, Role
from shared.contracts.events import EventBatch, EventResults
from shared.db import Session
from shared.errors import Malformed
from shared.problems import documented

router = APIRouter(prefix="/v1/audience", tags=["feed"])


@router.post("/batch", responses=documented(Malformed))
async def apply_audience(
    request: Request,
    body: EventBatch,
    session: Session,
    caller: Annotated[Principal, allow(Role.SERVICE)],
) -> EventResults:
    """Apply audience facts and erasures; an answer for each, in order."""
    caller.must_come_from("member")
    state = request.app.state
    results = await service.apply(
        await session.connection(), state.feed_tables, state.keys, body.events, state.clock()
    )
    return EventResults(results=results)
