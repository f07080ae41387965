"""The other service, for the feed's tests: it claims events and logs each application.

``member.applied`` has no unique key: an event applied twice stands there twice. As a program:
``python -m tests.shared.feed.receiver DATABASE_URL PORT``.
"""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Column, Integer, Table, Uuid, insert

from shared.db import Database, schema_metadata
from shared.feed.inbox import claim_new
from shared.feed.tables import feed_tables

MEMBER = schema_metadata("member")
MEMBER_FEED = feed_tables(MEMBER)
APPLIED = Table("applied", MEMBER, Column("event_id", Uuid), Column("revision", Integer))

Events = list[dict[str, Any]]


@dataclass
class Behaviour:
    """What a test has the receiver do; ``batches`` are the ids it was sent, batch by batch.

    ``before`` and ``after`` applying may give an answer of their own, or None to go on.
    """

    before: Callable[[Events], Response | None] = lambda _: None
    after: Callable[[Events], Response | None] = lambda _: None
    refuses: set[UUID] = field(default_factory=set)
    claims: bool = True
    batches: list[list[UUID]] = field(default_factory=list)

    @property
    def heard(self) -> list[UUID]:
        return [event_id for batch in self.batches for event_id in batch]


def receiver(database: Database, behaviour: Behaviour) -> FastAPI:
    app = FastAPI()

    @app.post("/events")
    async def hear(request: Request) -> Response:
        events: Events = (await request.json())["events"]
        behaviour.batches.append([UUID(event["id"]) for event in events])
        if (answer := behaviour.before(events)) is not None:
            return answer
        results = await _apply(database, behaviour, events)
        return behaviour.after(events) or JSONResponse({"results": results})

    return app


async def _apply(database: Database, behaviour: Behaviour, events: Events) -> Events:
    wanted = [e for e in events if UUID(e["id"]) not in behaviour.refuses]
    keys = [(UUID(e["subject"]), UUID(e["id"]), int(e.get("revision", 1))) for e in wanted]
    async with database.begin() as connection:
        new = [*range(len(keys))]
        if behaviour.claims:
            new = [*await claim_new(connection, MEMBER_FEED, keys, datetime.now(UTC))]
        rows = [{"event_id": keys[at][1], "revision": keys[at][2]} for at in new]
        if rows:
            await connection.execute(insert(APPLIED), rows)
    fresh = {str(keys[at][1]) for at in new}
    return [_result(e["id"], fresh, behaviour) for e in events]


def _result(event_id: str, fresh: set[str], behaviour: Behaviour) -> dict[str, Any]:
    if UUID(event_id) in behaviour.refuses:
        return {"id": event_id, "status": "refused", "reason": "not of this world"}
    return {"id": event_id, "status": "applied" if event_id in fresh else "duplicate"}


def main(database_url: str, port: str) -> None:
    """Serve for ever; with ``SOLOMO_TEST_DIES`` set, die at the first batch, applied but unanswered."""

    def die(_: Events) -> Response | None:
        if os.environ.get("SOLOMO_TEST_DIES"):
            os.kill(os.getpid(), signal.SIGKILL)
        return None

    app = receiver(Database.connect(database_url), Behaviour(after=die))
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="error")


if __name__ == "__main__":
    main(*sys.argv[1:])
