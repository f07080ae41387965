"""HTTP of the feed's way back: member_api tells who a subject is now."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request

from services.geo_api.audience import service
from shared.access import allow
from shared.auth import Principal, Role
from shared.contracts.events import EventBatch, EventResults
from shared.db import Session
from shared.errors import Malformed
from shared.problems import documented

router = APIRouter(prefix="/v1/audience", tags=["feed"])

_SUBJECT = "3b1e9a3c-54f5-5a0e-8a53-0b6d6b1f0c77"
_EXAMPLES: dict[str, Any] = {
    "a person became a member": {
        "value": {
            "events": [
                {
                    "specversion": "1.0",
                    "schemaversion": 1,
                    "id": "6a1d3b0e-5c0b-5e53-9f0e-0d8f3a3b7c11",
                    "source": "/member_api",
                    "type": "audience_changed",
                    "subject": _SUBJECT,
                    "time": "2026-11-20T12:00:00Z",
                    "received_at": "2026-11-20T12:00:00Z",
                    "revision": 1,
                    "data": {
                        "person_id": _SUBJECT,
                        "siblings": [_SUBJECT],
                        "lifecycle": "member",
                        "consents": {
                            "visit_history": {
                                "state": "granted",
                                "version": "2026-11",
                                "at": "2026-11-20T12:00:00Z",
                            }
                        },
                    },
                }
            ]
        }
    }
}


@router.post("/batch", responses=documented(Malformed))
async def apply_audience(
    request: Request,
    body: Annotated[EventBatch, Body(openapi_examples=_EXAMPLES)],
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
