"""Visits and what they are made of: the fixes of a subject, and the closings of stores.

Visits are a pure function of the two. Fixes are ordered by (occurred_at, check_in_id); each says of
every store whether the subject arrives, is there tentatively, is in doubt (the state stays), at a
geofence that is not in force, or outside (all others). Closings stand between them by their own
time. A pause of more than the rule's gap between two fixes ends every stay before it, so what lies
on both sides of such a pause never influences each other: those are different episodes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from services.geo_api.presence.verdict import ANY_STORE, CHOSEN_POINT, VAGUE


class VisitState(StrEnum):
    OPEN = "open"
    EXITED = "exited"
    EXPIRED = "expired"


class ClosedBy(StrEnum):
    """Why a visit ended.

    ``left``: seen outside. ``gap``: the next fix came after a pause. ``silence``: no fix since, so
    far. ``store_closed``: for good, or for a while. ``fence_removed``: the last one of the store.
    ``fence_expired``: the schedule is over, for the day or for good, and nobody was seen to leave.
    """

    LEFT = "left"
    GAP = "gap"
    SILENCE = "silence"
    STORE_CLOSED = "store_closed"
    FENCE_REMOVED = "fence_removed"
    FENCE_EXPIRED = "fence_expired"


class Transition(StrEnum):
    """What a fix did at a matched store; ``cross`` is a way through without a visit."""

    ENTER = "enter"
    STAY = "stay"
    EXIT = "exit"
    CROSS = "cross"


class Fix(NamedTuple):
    """One accepted check-in, as visits see it: its standing at the stores that it speaks of.

    A store that both ``arrives`` and is ``uncertain`` was proven and has no geofence; one that is
    both ``tentative`` and ``uncertain`` has one there that is not in force. ``uncertain`` may also
    hold the marks ANY_STORE, VAGUE and CHOSEN_POINT.
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
        return store_id in self.arrives or (
            store_id in self.tentative and store_id not in self.uncertain
        )

    def is_shut_out(self, store_id: str) -> bool:
        """Whether it is at a geofence of the store, of which none is in force there and then."""
        return store_id in self.tentative and store_id in self.uncertain

    def is_unfenced(self, store_id: str) -> bool:
        """Whether it is at a store of which no coordinates tell that one left it."""
        return store_id in self.arrives and store_id in self.uncertain

    def is_outside(self, store_id: str) -> bool:
        in_doubt = store_id in self.uncertain or ANY_STORE in self.uncertain
        return not in_doubt and not self.is_inside(store_id)

    @property
    def is_vague(self) -> bool:
        """Whether another fix must bear out that the subject left a store."""
        return VAGUE in self.uncertain

    @property
    def is_sensed(self) -> bool:
        """Whether it bears out others: at a point chosen on a map nobody was seen."""
        return CHOSEN_POINT not in self.uncertain

    def without(self, stores: AbstractSet[str]) -> "Fix":
        """The same, saying nothing of ``stores`` where it was inside."""
        if stores.isdisjoint(self.arrives) and stores.isdisjoint(self.tentative):
            return self
        return self._replace(
            arrives=self.arrives - stores,
            tentative=self.tentative - stores,
            uncertain=self.uncertain | stores,
        )


class Visit(NamedTuple):
    """A stay of a subject at a store.

    ``last_inside_at`` is the latest fix inside, ``left_at`` the same once the visit is closed.
    ``provisional``: closed only because the device fell silent; a later fix may undo it.
    ``revision`` counts what was told of it to others. ``dwelled`` are the thresholds in seconds
    that the stay has reached, ascending. ``unfenced``: no fix says that it was left, so it ends when
    nothing has proven it anew for as long as the rule's gap. ``sensed_at`` is its earliest fix that
    bears out others, None where all of them are points chosen on a map.
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
    unfenced: bool = False
    sensed_at: datetime | None = None

    @property
    def may_go_on(self) -> bool:
        return self.state is VisitState.OPEN or self.provisional


class Change(NamedTuple):
    """A visit before and after; ``before`` None is a new one, ``after`` None one that ceased."""

    before: Visit | None
    after: Visit | None


class Closing(NamedTuple):
    """At ``at`` a store closed, or its last geofence ceased: a fact of the place, not of a visit.

    Whoever is in then has a visit that ends. ``index_version`` is that of the first index without
    its geofences, None where they stay.
    """

    at: datetime
    store_id: str
    closed_by: ClosedBy
    index_version: int | None = None

    @property
    def is_for_good(self) -> bool:
        """Whether the store is no more, so that nobody can be in it later."""
        return self.closed_by is ClosedBy.STORE_CLOSED and self.index_version is not None


NewId = Callable[[], UUID]
Dwelled = Callable[[str, datetime, datetime], Sequence[int]]
"""The thresholds in seconds that a stay at a store, from the first to the last fix, has reached."""


def never(_store_id: str, _entered_at: datetime, _last_inside_at: datetime) -> Sequence[int]:
    """No store has thresholds."""
    return ()


def closed(visit: Visit, closed_by: ClosedBy) -> Visit:
    """The visit, ended at its last fix inside. Silence alone ends it provisionally."""
    return visit._replace(
        state=VisitState.EXITED if closed_by is ClosedBy.LEFT else VisitState.EXPIRED,
        left_at=visit.last_inside_at,
        closed_by=closed_by,
        provisional=closed_by is ClosedBy.SILENCE,
        revision=visit.revision + 1,
    )


def reopened(visit: Visit) -> Visit:
    return visit._replace(
        state=VisitState.OPEN,
        left_at=None,
        closed_by=None,
        provisional=False,
        revision=visit.revision + 1,
    )


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
