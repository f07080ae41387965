"""Visits: from the fixes of one subject, in the order in which they occurred, to its stays.

A visit is a pure function of the fixes. Fixes are ordered by (occurred_at, check_in_id); each
says of every store whether the subject is inside, uncertain (the state stays) or outside (all
others). A pause of more than ``GAP`` between two fixes ends every stay before it, so fixes on
both sides of such a pause never influence each other: they are different episodes.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

GAP = timedelta(minutes=30)
"""A longer pause between two fixes of a subject ends its visits (``expired``, not ``exited``)."""


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
    """What a fix did to the visit at a matched store."""

    ENTER = "enter"
    STAY = "stay"
    EXIT = "exit"


ANY_STORE = "*"
"""Among the uncertain stores of a fix: it is so coarse that it says of no store "outside"."""


@dataclass(frozen=True, slots=True)
class Fix:
    """One accepted check-in, as visits see it: the stores it is inside of and those in doubt."""

    check_in_id: UUID
    occurred_at: datetime
    received_at: datetime
    inside: frozenset[str]
    uncertain: frozenset[str]

    @property
    def order(self) -> tuple[datetime, UUID]:
        return self.occurred_at, self.check_in_id

    def is_outside(self, store_id: str) -> bool:
        in_doubt = store_id in self.uncertain or ANY_STORE in self.uncertain
        return not in_doubt and store_id not in self.inside


@dataclass(frozen=True, slots=True)
class Visit:
    """A stay of a subject at a store.

    ``last_inside_at`` is the latest fix inside, ``left_at`` the same once the visit is closed.
    ``provisional``: closed only because the device fell silent; a later fix may undo it.
    ``revision`` counts what was told of it to others.
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

    @property
    def may_go_on(self) -> bool:
        return self.state is VisitState.OPEN or self.provisional


@dataclass(frozen=True, slots=True)
class Change:
    """A visit before and after; ``before`` None is a new one, ``after`` None one that ceased."""

    before: Visit | None
    after: Visit | None


NewId = Callable[[], UUID]


@dataclass(slots=True)
class Stays:
    """The stays of one subject that the next fix may prolong, and the time of the last fix.

    ``last_occurred_at`` None means that there was no fix before.
    """

    subject_id: UUID
    going_on: dict[str, Visit]
    last_occurred_at: datetime | None

    def advance(self, fix: Fix, new_id: NewId) -> list[Change]:
        """Take the next fix in order; exits come before enters."""
        changes: list[Change] = []
        if self.last_occurred_at is not None and fix.occurred_at - self.last_occurred_at > GAP:
            changes += [self._close(visit, ClosedBy.GAP) for visit in [*self.going_on.values()]]
        for visit in [*self.going_on.values()]:
            if visit.store_id in fix.inside:
                changes.append(self._prolong(visit, fix))
            elif fix.is_outside(visit.store_id):
                changes.append(self._close(visit, ClosedBy.LEFT))
            elif visit.provisional:
                changes.append(self._put(visit, _reopened(visit)))
        entered = sorted(fix.inside - self.going_on.keys())
        changes += [self._put(None, _entered(self.subject_id, s, fix, new_id())) for s in entered]
        self.last_occurred_at = fix.occurred_at
        return changes

    def _prolong(self, visit: Visit, fix: Fix) -> Change:
        going_on = _reopened(visit) if visit.provisional else visit
        received_at = max(visit.last_received_at, fix.received_at)
        after = replace(going_on, last_inside_at=fix.occurred_at, last_received_at=received_at)
        return self._put(visit, after)

    def _put(self, before: Visit | None, after: Visit) -> Change:
        self.going_on[after.store_id] = after
        return Change(before, after)

    def _close(self, visit: Visit, closed_by: ClosedBy) -> Change:
        del self.going_on[visit.store_id]
        return Change(visit, closed(visit, closed_by))


def closed(visit: Visit, closed_by: ClosedBy) -> Visit:
    """The visit, ended at its last fix inside. Silence alone ends it provisionally."""
    state = VisitState.EXITED if closed_by is ClosedBy.LEFT else VisitState.EXPIRED
    return replace(
        visit,
        state=state,
        left_at=visit.last_inside_at,
        closed_by=closed_by,
        provisional=closed_by is ClosedBy.SILENCE,
        revision=visit.revision + 1,
    )


def _reopened(visit: Visit) -> Visit:
    return replace(
        visit,
        state=VisitState.OPEN,
        left_at=None,
        closed_by=None,
        provisional=False,
        revision=visit.revision + 1,
    )


def _entered(subject_id: UUID, store_id: str, fix: Fix, visit_id: UUID) -> Visit:
    return Visit(
        subject_id=subject_id,
        visit_id=visit_id,
        store_id=store_id,
        state=VisitState.OPEN,
        entered_at=fix.occurred_at,
        last_inside_at=fix.occurred_at,
        left_at=None,
        closed_by=None,
        provisional=False,
        revision=1,
        last_received_at=fix.received_at,
    )


def fold(subject_id: UUID, fixes: Iterable[Fix], new_id: NewId) -> list[Visit]:
    """All visits that ``fixes`` give, whatever order they come in."""
    stays = Stays(subject_id, {}, None)
    latest: dict[UUID, Visit] = {}
    for fix in sorted(fixes, key=lambda fix: fix.order):
        for change in stays.advance(fix, new_id):
            if change.after is not None:
                latest[change.after.visit_id] = change.after
    return list(latest.values())


@dataclass(slots=True)
class Track:
    """The presence of one subject while a group of check-ins is decided.

    Where the first new fix is not after all stored ones, ``fixes`` (in order) and ``visits`` hold
    those stored from its episode on; otherwise ``fixes`` is empty and ``visits`` what goes on.
    """

    stays: Stays
    fixes: list[Fix]
    visits: dict[UUID, Visit]
    aliases: dict[UUID, UUID]

    def take(self, fix: Fix, new_id: NewId) -> list[Change]:
        """Take one more fix, in order or late, and give what it changes."""
        in_order = not self.fixes or self.fixes[-1].order < fix.order
        insort(self.fixes, fix, key=lambda fix: fix.order)
        changes = self.stays.advance(fix, new_id) if in_order else self._take_late(fix, new_id)
        for change in changes:
            if change.after is not None:
                self.visits[change.after.visit_id] = change.after
            elif change.before is not None:
                del self.visits[change.before.visit_id]
        return changes

    def _take_late(self, fix: Fix, new_id: NewId) -> list[Change]:
        subject_id = self.stays.subject_id
        episode, follower = self._episode(fix)
        start, end = episode[0].occurred_at, episode[-1].occurred_at
        folded = fold(subject_id, [*episode, *follower], new_id)
        amendment = amend(
            [visit for visit in self.visits.values() if start <= visit.entered_at <= end],
            [visit for visit in folded if visit.entered_at <= end],
        )
        self.aliases |= amendment.aliases
        replaced = {change.before.visit_id for change in amendment.changes if change.before}
        going_on = [v for v in self.stays.going_on.values() if v.visit_id not in replaced]
        going_on += [c.after for c in amendment.changes if c.after and c.after.may_go_on]
        self.stays.going_on = {visit.store_id: visit for visit in going_on}
        return amendment.changes

    def _episode(self, fix: Fix) -> tuple[list[Fix], list[Fix]]:
        """The fixes around ``fix`` without a pause over the gap, and the one after, if any."""
        first = last = bisect_left(self.fixes, fix.order, key=lambda fix: fix.order)
        while first > 0 and not self._pause_before(first):
            first -= 1
        while last + 1 < len(self.fixes) and not self._pause_before(last + 1):
            last += 1
        return self.fixes[first : last + 1], self.fixes[last + 1 : last + 2]

    def _pause_before(self, position: int) -> bool:
        earlier, later = self.fixes[position - 1], self.fixes[position]
        return later.occurred_at - earlier.occurred_at > GAP


@dataclass(frozen=True, slots=True)
class Amendment:
    """What late fixes did to known visits: the changes, and ids that now stand for another."""

    changes: list[Change]
    aliases: dict[UUID, UUID]


def amend(known: Sequence[Visit], folded: Sequence[Visit]) -> Amendment:
    """Carry the ids of ``known`` visits over to the newly ``folded`` ones.

    A visit keeps its first id. Where several known ones became one, the lowest id survives and
    the others become aliases of it; where one was split, the earliest part keeps the id.
    A visit ended by the place itself stays ended.
    """
    heirs: dict[UUID, list[Visit]] = {visit.visit_id: [] for visit in folded}
    orphans: list[Visit] = []
    by_start = sorted(folded, key=lambda visit: visit.entered_at)
    for old in sorted(known, key=lambda visit: visit.visit_id):
        heir = next((new for new in by_start if _overlap(old, new)), None)
        (heirs[heir.visit_id] if heir else orphans).append(old)
    changes = [Change(old, None) for old in orphans]
    aliases: dict[UUID, UUID] = {}
    for new in by_start:
        survivor = next(iter(heirs[new.visit_id]), None)
        for other in heirs[new.visit_id][1:]:
            aliases[other.visit_id] = heirs[new.visit_id][0].visit_id
            changes.append(Change(other, None))
        change = Change(survivor, _inherit(survivor, new))
        if change.before != change.after:
            changes.append(change)
    return Amendment(changes, aliases)


def _overlap(old: Visit, new: Visit) -> bool:
    return (
        old.store_id == new.store_id
        and old.entered_at <= new.last_inside_at
        and new.entered_at <= old.last_inside_at
    )


def _inherit(old: Visit | None, new: Visit) -> Visit:
    """``new`` under the id of ``old``, its revision raised only if there is something to tell."""
    if old is None:
        return replace(new, revision=1)
    same_end = new.state is VisitState.OPEN and new.last_inside_at <= old.last_inside_at
    if same_end and (old.provisional or old.closed_by in BY_THE_PLACE):
        new = replace(
            new,
            state=old.state,
            left_at=old.left_at,
            closed_by=old.closed_by,
            provisional=old.provisional,
        )
    told = (new.state, new.entered_at, new.left_at, new.closed_by, new.provisional)
    known = (old.state, old.entered_at, old.left_at, old.closed_by, old.provisional)
    return replace(
        new,
        visit_id=old.visit_id,
        revision=old.revision + (told != known),
        last_received_at=max(old.last_received_at, new.last_received_at),
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
