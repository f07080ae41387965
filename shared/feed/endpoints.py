"""The operator's view of the feed, the same on both services."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from shared.access import allow
from shared.auth import Role
from shared.db import Session
from shared.errors import FieldFault, Malformed
from shared.feed import parking
from shared.feed.parking import Choice, ParkedEvent
from shared.feed.tables import FeedTables
from shared.pagination import DEFAULT_LIMIT, Cursor, Limit, decode_cursor, encode_cursor

_TYPE_PATTERN = "^[a-z_]{1,64}$"
_MAX_IDS = 1_000


class ParkedEventOut(BaseModel):
    """``reason`` is what the other service said, or why it was not understood."""

    model_config = ConfigDict(from_attributes=True)

    event_id: UUID
    type: str
    reason: str | None
    attempts: int
    created_at: datetime
    parked_at: datetime


class FeedOut(BaseModel):
    """How far the other service is behind, and a page of the parked events."""

    waiting: int
    oldest_age_s: float
    parked: int
    items: list[ParkedEventOut]
    next_cursor: str | None


class ParkedEventsIn(BaseModel):
    """Which parked events: those of ``event_ids``, or ``all`` of them; ``type`` narrows either."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"event_ids": ["0f4f7cf4-5f61-5d0c-9d6c-2f6f7b1a2c3d"]},
                {"all": True, "type": "check_in"},
            ]
        },
    )

    event_ids: Annotated[list[UUID], Field(min_length=1, max_length=_MAX_IDS)] | None = None
    all: Literal[True] | None = None
    type: Annotated[str, Field(pattern=_TYPE_PATTERN)] | None = None

    def choice(self) -> Choice:
        """Raises Malformed: nobody shall mean all events by leaving something out."""
        if self.event_ids is None and self.all is None:
            detail = "is needed, or else all: true for every parked event"
            raise Malformed(FieldFault("/event_ids", detail))
        if self.event_ids is not None and self.all is not None:
            raise Malformed(FieldFault("/all", "does not go with event_ids: send one of both"))
        return Choice(event_ids=self.event_ids, type=self.type)


class ReplayedOut(BaseModel):
    replayed: int


class DiscardedOut(BaseModel):
    discarded: int


def feed_router(tables: FeedTables) -> APIRouter:
    """``GET /v1/feed``, ``POST /v1/feed/replay`` and ``POST /v1/feed/discard``, for server keys."""
    router = APIRouter(
        prefix="/v1/feed",
        tags=["operations"],
        dependencies=[allow(Role.SERVER)],
    )

    @router.get("")
    async def show_feed(
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
        type: Annotated[str | None, Query(pattern=_TYPE_PATTERN)] = None,  # noqa: A002 - wire name
    ) -> FeedOut:
        """How far the feed is behind, and the parked events, oldest first."""
        connection = await session.connection()
        found = await parking.list_parked(
            connection, tables, type=type, after_id=_after_id(cursor), limit=limit + 1
        )
        behind = await parking.lag(connection, tables)
        return FeedOut(
            waiting=behind.waiting,
            oldest_age_s=round(behind.oldest_age_s, 3),
            parked=behind.parked,
            items=[ParkedEventOut.model_validate(event) for event in found[:limit]],
            next_cursor=_next_cursor(found, limit),
        )

    @router.post("/replay")
    async def replay_parked(chosen: ParkedEventsIn, session: Session) -> ReplayedOut:
        """Have parked events told anew, once what was refused about them is mended."""
        connection = await session.connection()
        return ReplayedOut(replayed=await parking.replay(connection, tables, chosen.choice()))

    @router.post("/discard")
    async def discard_parked(chosen: ParkedEventsIn, session: Session) -> DiscardedOut:
        """Throw parked events away: the other service will never hear them.

        Withdrawals of consent and erasures go only if they are named in ``event_ids``.
        """
        connection = await session.connection()
        return DiscardedOut(discarded=await parking.discard(connection, tables, chosen.choice()))

    return router


def _after_id(cursor: str | None) -> int:
    if cursor is None:
        return 0
    (after_id,) = decode_cursor(cursor, parts=1)
    if not isinstance(after_id, int) or not 0 <= after_id < 1 << 63:
        raise Malformed(FieldFault("?cursor", "is not a cursor of this list"))
    return after_id


def _next_cursor(found: list[ParkedEvent], limit: int) -> str | None:
    return encode_cursor(found[limit - 1].id) if len(found) > limit else None
