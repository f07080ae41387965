"""HTTP of the timeline: interactions come in by the feed, and are read by person."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response

from services.member_api.context import InContext
from services.member_api.people import service as people
from services.member_api.people.access import PersonRef, person_allowed
from services.member_api.people.domain import PersonNotFound
from services.member_api.timeline import reading
from services.member_api.timeline.consequences import Consequences
from services.member_api.timeline.reading import TimelineFilter
from services.member_api.timeline.recording import Recorder
from services.member_api.timeline.schemas import TimelineItemOut, TimelineQuery
from shared.access import allow
from shared.auth import Principal, Role
from shared.contracts.events import MAX_EVENTS, EventResults
from shared.db import Session
from shared.errors import FieldFault, Malformed
from shared.pagination import Page, encode_cursor, moment_and_uuid
from shared.problems import documented
from shared.wire import parse_json

router = APIRouter(prefix="/v1")

_EXAMPLE = {
    "events": [
        {
            "specversion": "1.0",
            "schemaversion": 1,
            "id": "0f4f7cf4-5f61-5d0c-9d6c-2f6f7b1a2c3d",
            "source": "/geo_api",
            "type": "check_in",
            "subject": "3b1e9a3c-54f5-5a0e-8a53-0b6d6b1f0c77",
            "time": "2026-11-23T12:00:00Z",
            "received_at": "2026-11-23T12:00:01Z",
            "store_id": "dunkin-1",
            "revision": 1,
            "retracted": False,
            "data": {
                "check_in_id": "0198f1c2-7a3b-7c44-9d55-66f7a8b9c0d1",
                "kind": "manual",
                "consent": {
                    "purpose": "visit_history",
                    "version": "2026-11",
                    "given_at": "2026-11-20T09:00:00Z",
                },
            },
        }
    ]
}
_BATCH_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["events"],
                "properties": {
                    "events": {
                        "type": "array",
                        "items": {"type": "object"},
                        "maxItems": MAX_EVENTS,
                    }
                },
            },
            "example": _EXAMPLE,
        }
    },
}


@router.post(
    "/interactions/batch",
    response_model=EventResults,
    openapi_extra={"requestBody": _BATCH_BODY},
    tags=["feed"],
)
async def record_interactions(
    request: Request,
    caller: Annotated[Principal, allow(Role.SERVICE)],
    context: InContext,
) -> Response:
    """Apply up to 1,000 events, each once; an answer for each, in order."""
    caller.must_come_from("geo")
    events = _events(parse_json(await request.body()))
    consequences = Consequences(context.keys, context.announcer, context.eraser)
    recorder = Recorder(context.database, context.keys, consequences, context.wake)
    results = await recorder.ingest(events, context.clock())
    return Response(orjson.dumps({"results": results}), media_type="application/json")


@router.get("/people/{person_id}/timeline", tags=["people"], responses=documented(PersonNotFound))
async def read_timeline(
    person_id: PersonRef,
    caller: Annotated[Principal, allow(Role.SERVER, Role.MARKETER, Role.MEMBER)],
    session: Session,
    asked: Annotated[TimelineQuery, Query()],
) -> Page[TimelineItemOut]:
    """What happened to a person, newest first; ``since`` is included, ``until`` is not."""
    connection = await session.connection()
    person = await person_allowed(connection, caller, person_id)
    subjects = [state.subject_id for state in await people.resolve(connection, person)]
    wanted = TimelineFilter(asked.type, asked.store_id, asked.since, asked.until)
    before = moment_and_uuid(asked.cursor)
    found = await reading.page(connection, subjects, wanted, before, asked.limit + 1)
    items = [TimelineItemOut.model_validate(item) for item in found[: asked.limit]]
    if len(found) <= asked.limit:
        return Page(items=items, next_cursor=None)
    return Page(items=items, next_cursor=encode_cursor(items[-1].occurred_at, str(items[-1].id)))


def _events(document: Any) -> list[Any]:
    events = document.get("events") if isinstance(document, dict) else None
    if not isinstance(events, list):
        raise Malformed(FieldFault("/events", "must be an array"))
    if not 1 <= len(events) <= MAX_EVENTS:
        raise Malformed(FieldFault("/events", f"must have 1 to {MAX_EVENTS} items"))
    return events
