"""Use cases of visits that no fix causes: a store closes, a device falls silent."""

from collections.abc import Callable, Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.presence import closing_rows, repository
from services.geo_api.presence.domain import Change, ClosedBy, Closing, Visit, closed
from services.geo_api.presence.events import visit_events
from services.geo_api.presence.rule import GAP
from services.geo_api.subjects import repository as subjects
from services.geo_api.subjects.domain import SubjectState
from shared.direct import run_together
from shared.feed.outbox import enqueue
from shared.feed.tables import FeedTables


async def close_visits_of_store(
    connection: AsyncConnection,
    tables: FeedTables,
    store_id: str,
    at: datetime,
    why: ClosedBy = ClosedBy.STORE_CLOSED,
) -> int:
    """End the open visits at a store, or at its last geofence, that is no more; gives how many.

    The closing is kept as a fact of the place, so that fixes that come later meet it, too. A visit
    that went on after it by then, or was begun by somebody who did not see this transaction, is
    gone through once that is settled (``checkins``).
    """
    await closing_rows.note(connection, Closing(at, store_id, why))
    present = await repository.subjects_at_store(connection, store_id)

    def ends(visit: Visit, state: SubjectState) -> ClosedBy | None:
        if visit.store_id != store_id or visit.last_inside_at > at:
            return None
        seen_at = visit.last_inside_at
        if state.last_occurred_at is not None and not visit.unfenced:
            seen_at = max(seen_at, state.last_occurred_at)
        if at <= seen_at + GAP:
            return why
        return None if visit.provisional else ClosedBy.SILENCE

    return await _close(connection, tables, present, at, ends)


async def expire_silent_visits(
    connection: AsyncConnection, tables: FeedTables, now: datetime, most: int = 500
) -> int:
    """End the visits of devices that fell silent, provisionally; gives how many.

    Both what was received and what occurred must be past the gap: a device that sends old
    fixes just now is not silent.
    """
    before = now - GAP
    candidates = await repository.perhaps_silent(connection, before, most)

    def silence(visit: Visit, state: SubjectState) -> ClosedBy | None:
        latest = (state.last_received_at, state.last_occurred_at, visit.last_received_at)
        fell_silent = all(moment is None or moment < before for moment in latest)
        return ClosedBy.SILENCE if fell_silent and not visit.provisional else None

    return await _close(connection, tables, candidates, now, silence)


async def _close(
    connection: AsyncConnection,
    tables: FeedTables,
    whose: Iterable[UUID],
    at: datetime,
    reason: Callable[[Visit, SubjectState], ClosedBy | None],
) -> int:
    """Lock subjects as check-ins do, look again, and close what ``reason`` gives a reason for."""
    wanted = list(whose)
    if not wanted:
        return 0
    states = await subjects.lock(connection, wanted, at)
    # One that was erased meanwhile has no row any more, and shall get none.
    await subjects.forget(connection, [s for s, state in states.items() if state.is_new])
    if not states:
        return 0
    visits = await repository.going_on(connection, list(states))
    reasons = {visit: reason(visit, states[visit.subject_id]) for visit in visits}
    changes = [Change(visit, closed(visit, why)) for visit, why in reasons.items() if why]
    ended = [change.after for change in changes if change.after]
    await run_together(connection, repository.changing(ended))
    await subjects.note_ends(connection, {v.subject_id: at for v in ended if not v.provisional})
    await enqueue(connection, tables, list(visit_events(changes, at)))
    return len(changes)
