"""What is told of visits: each change of a visit as events, with its revision."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from services.geo_api.feeding import tell
from services.geo_api.presence.domain import Change, Visit, VisitState
from shared.contracts.events import EventType
from shared.feed.outbox import PreparedEvent

_CLOSING = {
    VisitState.EXITED: EventType.VISIT_EXITED,
    VisitState.EXPIRED: EventType.VISIT_EXPIRED,
}


def visit_events(changes: Iterable[Change], received_at: datetime) -> Iterator[PreparedEvent]:
    """A visit that began, became a dwell, ended, was amended, reopened or ceased to be.

    Merely going on is no event. An end that no longer holds is retracted under the visit's new
    revision, before a new end of another kind is told.
    """
    for change in changes:
        before, after = change.before, change.after
        if after is None:
            if before is not None:
                yield from _ceased(before, received_at)
            continue
        if before is None or before.entered_at != after.entered_at:
            yield _entered(after, received_at)
        if after.dwelled or (before is not None and before.dwelled):
            yield from _dwelled(before, after, received_at)
        if before is None or _end(before) != _end(after):
            yield from _ended(before, after, received_at)


def _end(visit: Visit) -> tuple[object, ...]:
    """What is told of an end, which repeats when the visit began."""
    if visit.state not in _CLOSING:
        return (visit.state,)
    return visit.state, visit.entered_at, visit.left_at, visit.provisional, visit.closed_by


def _ceased(before: Visit, received_at: datetime) -> Iterator[PreparedEvent]:
    revision = before.revision + 1
    yield _entered(before, received_at, revision=revision, retracted=True)
    for dwell_s in before.dwelled:
        yield _dwell(before, dwell_s, received_at, revision=revision, retracted=True)
    if before.state in _CLOSING:
        yield _closing(before, received_at, revision=revision, retracted=True)


def _dwelled(before: Visit | None, after: Visit, received_at: datetime) -> Iterator[PreparedEvent]:
    """A threshold no longer reached is retracted; all are told anew when the stay began else."""
    known = before.dwelled if before is not None else ()
    moved = before is not None and before.entered_at != after.entered_at
    for dwell_s in known:
        if before is not None and dwell_s not in after.dwelled:
            revision = after.revision
            yield _dwell(before, dwell_s, received_at, revision=revision, retracted=True)
    for dwell_s in after.dwelled:
        if moved or dwell_s not in known:
            yield _dwell(after, dwell_s, received_at, revision=after.revision)


def _ended(before: Visit | None, after: Visit, received_at: datetime) -> Iterator[PreparedEvent]:
    if before is not None and before.state in _CLOSING and before.state is not after.state:
        yield _closing(before, received_at, revision=after.revision, retracted=True)
    if after.state in _CLOSING:
        yield _closing(after, received_at, revision=after.revision)


def _entered(
    visit: Visit, received_at: datetime, *, revision: int | None = None, retracted: bool = False
) -> PreparedEvent:
    return tell(
        EventType.VISIT_ENTERED,
        visit.subject_id,
        str(visit.visit_id),
        time=visit.entered_at,
        received_at=received_at,
        store_id=visit.store_id,
        revision=revision or visit.revision,
        retracted=retracted,
        data={"visit_id": str(visit.visit_id)},
    )


def _dwell(
    visit: Visit, dwell_s: int, received_at: datetime, *, revision: int, retracted: bool = False
) -> PreparedEvent:
    """Told of the moment at which the stay had lasted ``dwell_s``."""
    return tell(
        EventType.VISIT_DWELLED,
        visit.subject_id,
        f"{visit.visit_id}/{dwell_s}",
        time=visit.entered_at + timedelta(seconds=dwell_s),
        received_at=received_at,
        store_id=visit.store_id,
        revision=revision,
        retracted=retracted,
        data={"visit_id": str(visit.visit_id), "entered_at": visit.entered_at, "dwell_s": dwell_s},
    )


def _closing(
    visit: Visit, received_at: datetime, *, revision: int, retracted: bool = False
) -> PreparedEvent:
    data: dict[str, Any] = {
        "visit_id": str(visit.visit_id),
        "entered_at": visit.entered_at,
        "left_at": visit.left_at,
        "closed_by": visit.closed_by,
        "provisional": visit.provisional,
    }
    return tell(
        _CLOSING[visit.state],
        visit.subject_id,
        str(visit.visit_id),
        time=visit.left_at or visit.last_inside_at,
        received_at=received_at,
        store_id=visit.store_id,
        revision=revision,
        retracted=retracted,
        data=data,
    )
