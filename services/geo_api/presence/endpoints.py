"""HTTP of visits: who is in the store now, and who was."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.geo_api.presence import repository
from services.geo_api.presence.domain import VisitState
from services.geo_api.presence.schemas import VisitOut
from services.geo_api.subjects.naming import About
from shared.access import allow
from shared.auth import Principal, Role
from shared.db import Session
from shared.errors import Forbidden, Malformed, NotFound
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

router = APIRouter(prefix="/v1/visits", tags=["visits"])
Caller = Annotated[Principal, allow(Role.SERVER, Role.MARKETER, Role.STAFF)]


class VisitUnknown(NotFound):
    slug = "visit-unknown"
    title = "There is no such visit of this person"


@router.get("", responses=documented(Malformed, Forbidden))
async def list_visits(
    session: Session,
    caller: Caller,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    store_id: Annotated[Slug | None, Query(description="staff: its own store only")] = None,
    state: Annotated[VisitState, Query()] = VisitState.OPEN,
) -> Page[VisitOut]:
    """Visits by entry, latest first. Without filters: who is in which store now."""
    visits = await repository.list_visits(
        await session.connection(),
        store_id=_visible_store(caller, store_id),
        state=state,
        after=moment_and_uuid(cursor),
        limit=limit + 1,
    )
    more = len(visits) > limit
    shown = visits[:limit]
    next_cursor = encode_cursor(shown[-1].entered_at, shown[-1].visit_id) if more else None
    return Page(items=[VisitOut.of(visit) for visit in shown], next_cursor=next_cursor)


@router.get("/{visit_id}", responses=documented(Malformed, VisitUnknown))
async def read_visit(session: Session, caller: Caller, visit_id: UUID, about: About) -> VisitOut:
    """A visit of the person named, under its id or a former one; staff: at its own store only.

    Where late check-ins have joined visits, the answer carries the id of the one that remains.
    """
    visit = await repository.read(await session.connection(), about, visit_id)
    if visit is None or (caller.role is Role.STAFF and visit.store_id != caller.store_id):
        raise VisitUnknown("Look at the id, and at whose visit it was.")
    return VisitOut.of(visit)


def _visible_store(caller: Principal, asked: str | None) -> str | None:
    """Staff see their own store; the others any, or all."""
    if caller.role is not Role.STAFF:
        return asked
    if asked not in (None, caller.store_id):
        raise Forbidden(f"This staff token sees store {caller.store_id} only.")
    return caller.store_id
