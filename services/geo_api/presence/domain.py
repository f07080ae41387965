"""Visits: from the fixes of one subject, in the order in which they occurred, to its stays.

A visit is a pure function of the fixes. Fixes are ordered by (occurred_at, check_in_id); each
says of every store whether the subject arrives, is there tentatively, is in doubt (the state
stays) or is outside (all others). A pause of more than the rule's gap between two fixes ends
every stay before it, so fixes on both sides of such a pause never influence each other: they are
different episodes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from services.geo_api.presence.rule import DEFAULT_RULE, ArrivalRule
from services.geo_api.presence.verdict import ANY_STORE


class VisitState(StrEnum):
    OPEN = "open"
    EXITED = "exited"
    EXPIRED = "expired"


class ClosedBy(StrEnum):
    LEFT = "left"
    GAP = "gap"
    SILENCE = "silence"
    STORE_CLOSED = "store_closed"
    FENCE_REMOVED = "fence_removed"
    FENCE_EXPIRED = "fence_expired"


BY_THE_PLACE = frozenset({ClosedBy.STORE_CLOSED, ClosedBy.FENCE_REMOVED, ClosedBy.FENCE_EXPIRED})
"""Ends that no fix tells of: the store or its last geofence ceased to be."""


class Transition(StrEnum):
    """What a fix did at a matched store; ``cross`` is a way through without a visit."""

    ENTER = "enter"
    STAY = "stay"
    EXIT = "exit"
    CROSS = "cross"


class Fix(NamedTuple):
    """One accepted check-in, as visits see it: its standing at the stores that it speaks of.

    A store that both ``arrives`` and is ``uncertain`` was proven and has no geofence.
    """

    check_in_id: UUID
    occurred_at: datetime
    received_at: datetime
    arrives: frozenset[str]
    tentative: frozenset[str]
    uncertain: frozenset[str]

    @property
    def order(self) -> tuple[datetime, UUID]:
        return self.occurred_at, self.check_in_id

    def is_inside(self, store_id: str) -> bool:
        """Whether it keeps a visit going."""
        return store_id in self.arrives or store_id in self.tentative

    def is_unfenced(self, store_id: str) -> bool:
        """Whether it is at a store of which no coordinates tell that one left it."""
        return store_id in self.arrives and store_id in self.uncertain

    def is_outside(self, store_id: str) -> bool:
        in_doubt = store_id in self.uncertain or ANY_STORE in self.uncertain
        return not in_doubt and not self.is_inside(store_id)


class Visit(NamedTuple):
    """A stay of a subject at a store.

    ``last_inside_at`` is the latest fix inside, ``left_at`` the same once the visit is closed.
    ``provisional``: closed only because the device fell silent; a later fix may undo it.
    ``revision`` counts what was told of it to others. ``dwelled`` are the thresholds in seconds
    that the stay has reached, ascending. ``ended_at`` is when the place itself ended it: fixes up
    to then may still change it, later ones never. ``unfenced``: no fix says that it was left, so it
    ends when nothing has proven it anew for as long as the rule's gap.
    """

    subject_id: UUID
    visit_id: UUID
    store_id: str
    state: VisitState
    entered_at: datetime
    last_inside_at: datetime
    left_at: datetime | None
    closed_by: ClosedBy | None
    provisional: bool
    revision: int
    last_received_at: datetime
    dwelled: tuple[int, ...] = ()
    ended_at: datetime | None = None
    unfenced: bool = False

    @property
    def may_go_on(self) -> bool:
        return self.state is VisitState.OPEN or self.provisional


class Change(NamedTuple):
    """A visit before and after; ``before`` None is a new one, ``after`` None one that ceased."""

    before: Visit | None
    after: Visit | None


class Ending(NamedTuple):
    """At ``at`` a store closed or lost its geofence: whoever was in has a visit that ended."""

    at: datetime
    store_id: str
    closed_by: ClosedBy


NewId = Callable[[], UUID]
Dwelled = Callable[[str, datetime, datetime], Sequence[int]]
"""The thresholds in seconds that a stay at a store, from the first to the last fix, has reached."""
Maybe = dict[str, list[datetime]]
"""By store the tentative fixes that may yet be corroborated, in order."""


def never(_store_id: str, _entered_at: datetime, _last_inside_at: datetime) -> Sequence[int]:
    """No store has thresholds."""
    return ()


@dataclass(slots=True)
class Stays:
    """The stays of one subject that the next fix may prolong, and the time of the last fix.

    ``last_occurred_at`` None means that there was no fix before. ``endings``, in order, are known
    only where the past is gone through again.
    """

    subject_id: UUID
    going_on: dict[str, Visit]
    last_occurred_at: datetime | None
    maybe: Maybe = field(default_factory=dict)
    rule: ArrivalRule = DEFAULT_RULE
    dwelled: Dwelled = never
    endings: list[Ending] = field(default_factory=list)

    def advance(self, fix: Fix, new_id: NewId) -> list[Change]:
        """Take the next fix in order; exits come before enters."""
        changes: list[Change] = []
        if self.endings:
            changes += self.end_until(fix.occurred_at)
        if self.going_on or self.maybe:
            self._go_on(fix, changes)
        if fix.arrives or fix.tentative:
            self._enter(fix, new_id, changes)
        self.last_occurred_at = fix.occurred_at
        return changes

    def end_until(self, moment: datetime | None) -> list[Change]:
        """What the places ended before ``moment``, None for all of it."""
        changes: list[Change] = []
        while self.endings and (moment is None or self.endings[0].at < moment):
            ending = self.endings.pop(0)
            visit = self.going_on.get(ending.store_id)
            if visit is not None:
                changes.append(self._close(visit, ending.closed_by, ending.at))
        return changes

    def _go_on(self, fix: Fix, changes: list[Change]) -> None:
        """What becomes of the visits and of the tentative beginnings."""
        last = self.last_occurred_at
        if last is not None and fix.occurred_at - last > self.rule.gap:
            changes += [self._close(visit, ClosedBy.GAP) for visit in [*self.going_on.values()]]
            self.maybe.clear()
        for visit in [*self.going_on.values()]:
            if visit.unfenced and fix.occurred_at - visit.last_inside_at > self.rule.gap:
                changes.append(self._close(visit, ClosedBy.GAP))
            elif fix.is_inside(visit.store_id):
                changes.append(self._prolong(visit, fix))
            elif fix.is_outside(visit.store_id) and not visit.unfenced:
                changes.append(self._close(visit, ClosedBy.LEFT))
            elif visit.provisional:
                changes.append(self._put(visit, _reopened(visit)))
        for store_id in [*self.maybe]:
            since = fix.occurred_at - self.rule.corroborated_within
            recent = [moment for moment in self.maybe[store_id] if moment >= since]
            if recent and not fix.is_outside(store_id):
                self.maybe[store_id] = recent
            else:
                del self.maybe[store_id]

    def _enter(self, fix: Fix, new_id: NewId, changes: list[Change]) -> None:
        """Begin visits, at the first tentative fix that this one corroborates if there is one."""
        for store_id in sorted(fix.arrives - self.going_on.keys()):
            entered_at = self.maybe.pop(store_id, [fix.occurred_at])[0]
            changes.append(self._begin(store_id, entered_at, fix, new_id()))
        for store_id in sorted(fix.tentative - self.going_on.keys()):
            moments = self.maybe.setdefault(store_id, [])
            if moments and fix.occurred_at - moments[0] >= self.rule.corroborated_after:
                del self.maybe[store_id]
                changes.append(self._begin(store_id, moments[0], fix, new_id()))
            else:
                moments.append(fix.occurred_at)

    def _begin(self, store_id: str, entered_at: datetime, fix: Fix, visit_id: UUID) -> Change:
        visit = Visit(
            subject_id=self.subject_id,
            visit_id=visit_id,
            store_id=store_id,
            state=VisitState.OPEN,
            entered_at=entered_at,
            last_inside_at=fix.occurred_at,
            left_at=None,
            closed_by=None,
            provisional=False,
            revision=1,
            last_received_at=fix.received_at,
            dwelled=tuple(self.dwelled(store_id, entered_at, fix.occurred_at)),
            unfenced=fix.is_unfenced(store_id),
        )
        return self._put(None, visit)

    def _prolong(self, visit: Visit, fix: Fix) -> Change:
        """A threshold that is reached is told, hence a revision of its own."""
        going_on = _reopened(visit) if visit.provisional else visit
        after = going_on._replace(
            last_inside_at=fix.occurred_at,
            last_received_at=max(visit.last_received_at, fix.received_at),
            unfenced=fix.is_unfenced(visit.store_id),
        )
        reached = self.dwelled(visit.store_id, visit.entered_at, fix.occurred_at)
        if reached and not set(visit.dwelled).issuperset(reached):
            dwelled = tuple(sorted({*visit.dwelled, *reached}))
            after = after._replace(dwelled=dwelled, revision=visit.revision + 1)
        return self._put(visit, after)

    def _put(self, before: Visit | None, after: Visit) -> Change:
        self.going_on[after.store_id] = after
        return Change(before, after)

    def _close(self, visit: Visit, closed_by: ClosedBy, at: datetime | None = None) -> Change:
        del self.going_on[visit.store_id]
        return Change(visit, closed(visit, closed_by, at))


def closed(visit: Visit, closed_by: ClosedBy, at: datetime | None = None) -> Visit:
    """The visit, ended at its last fix inside. Silence alone ends it provisionally.

    ``at`` is when the place ended it, where it did; a device whose clock is ahead may have been
    inside later.
    """
    by_place = closed_by in BY_THE_PLACE
    return visit._replace(
        state=VisitState.EXITED if closed_by is ClosedBy.LEFT else VisitState.EXPIRED,
        left_at=visit.last_inside_at,
        closed_by=closed_by,
        provisional=closed_by is ClosedBy.SILENCE,
        revision=visit.revision + 1,
        ended_at=max(at or visit.last_inside_at, visit.last_inside_at) if by_place else None,
    )


def _reopened(visit: Visit) -> Visit:
    return visit._replace(
        state=VisitState.OPEN,
        left_at=None,
        closed_by=None,
        provisional=False,
        revision=visit.revision + 1,
    )


def fold(fixes: Iterable[Fix], stays: Stays, new_id: NewId) -> list[Visit]:
    """All visits that ``fixes`` give, whatever order they come in, from ``stays`` on.

    ``stays`` is left as it stands after the last of them and of its endings.
    """
    latest: dict[UUID, Visit] = {}
    changes = [stays.advance(fix, new_id) for fix in sorted(fixes, key=lambda fix: fix.order)]
    for change in (change for of_fix in [*changes, stays.end_until(None)] for change in of_fix):
        if change.after is not None:
            latest[change.after.visit_id] = change.after
    return list(latest.values())


def transitions(changes: Iterable[Change]) -> Mapping[str, Transition]:
    """Per store what one fix did, an exit and re-entry in one fix counting as an entry."""
    seen: dict[str, Transition] = {}
    for change in changes:
        visit = change.after or change.before
        if visit is None:
            continue
        if change.before is None:
            seen[visit.store_id] = Transition.ENTER
        elif change.after is None or not change.after.may_go_on:
            seen[visit.store_id] = Transition.EXIT
        else:
            seen[visit.store_id] = Transition.STAY
    return seen
