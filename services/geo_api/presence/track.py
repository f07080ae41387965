"""The presence of a subject when fixes come late: an episode is gone through again and amended."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from services.geo_api.presence.domain import Change, Closing, Fix, NewId, Visit, VisitState
from services.geo_api.presence.folding import Stays, fold

LATE_FOR = timedelta(days=7)
"""Visits change by late fixes for so long; then they stand, as the answers of that time do.

Counted from the receipt of the fixes of the episode that a late one falls into.
"""


@dataclass(slots=True)
class Track:
    """The presence of one subject while a group of check-ins is decided.

    Where the first new fix is not after all stored ones, ``fixes`` (in order) and ``visits`` hold
    those stored from its episode on; otherwise ``fixes`` is empty and ``visits`` what goes on.
    ``closings``, in order, are those of the stores that these fixes and visits are of.
    ``aliases`` are former ids of visits, ``beyond`` the fixes that came too late to count.
    """

    stays: Stays
    fixes: list[Fix] = field(default_factory=list)
    visits: dict[UUID, Visit] = field(default_factory=dict)
    aliases: dict[UUID, UUID] = field(default_factory=dict)
    beyond: set[UUID] = field(default_factory=set)
    closings: list[Closing] = field(default_factory=list)

    def take(self, fix: Fix, new_id: NewId) -> list[Change]:
        """Take one more fix, in order or late, and give what it changes."""
        if self._is_late(fix):
            changes = self._take_late(fix, new_id)
        else:
            self.fixes.append(fix)
            changes = self.stays.advance(fix, new_id)
        return self._note(changes)

    def finish(self) -> list[Change]:
        """What the closings end that come after the last fix."""
        return self._note(self.stays.close_until(None)) if self.stays.closings else []

    def go_through(self, moment: datetime, new_id: NewId) -> list[Change]:
        """Fold the episode around ``moment`` again: of a closing that became known later."""
        following = bisect_right(self.fixes, moment, key=lambda fix: fix.occurred_at)
        if following == 0:
            return []
        return self._note(self._fold_again(*self._episode(self.fixes[following - 1]), new_id))

    def _note(self, changes: list[Change]) -> list[Change]:
        for change in changes:
            if change.after is not None:
                self.visits[change.after.visit_id] = change.after
            elif change.before is not None:
                del self.visits[change.before.visit_id]
        return changes

    def before(self, check_in_id: UUID, occurred_at: datetime) -> UUID | None:
        """The check-in right before one, as far as the fixes here reach back."""
        order = occurred_at, check_in_id
        place = bisect_left(self.fixes, order, key=lambda fix: fix.order)
        return self.fixes[place - 1].check_in_id if place > 0 else None

    def _is_late(self, fix: Fix) -> bool:
        if self.fixes and fix.order < self.fixes[-1].order:
            return True
        ended_until = self.stays.ended_until
        return ended_until is not None and fix.occurred_at <= ended_until

    def _take_late(self, fix: Fix, new_id: NewId) -> list[Change]:
        insort(self.fixes, fix, key=lambda fix: fix.order)
        episode, follower = self._episode(fix)
        if any(fix.received_at - known.received_at > LATE_FOR for known in episode):
            self.fixes.remove(fix)
            self.beyond.add(fix.check_in_id)
            return []
        return self._fold_again(episode, follower, new_id)

    def _fold_again(
        self, episode: Sequence[Fix], follower: Sequence[Fix], new_id: NewId
    ) -> list[Change]:
        """From nothing before it: no visit lasts from one episode to the next."""
        start, end = episode[0].occurred_at, episode[-1].occurred_at
        known = [visit for visit in self.visits.values() if start <= visit.entered_at <= end]
        again = Stays(
            self.stays.subject_id,
            {},
            None,
            rule=self.stays.rule,
            dwelled=self.stays.dwelled,
            closings=[*self.closings],
            ended_until=self.stays.ended_until,
        )
        folded = fold([*episode, *follower], again, new_id)
        amendment = amend(known, [visit for visit in folded if visit.entered_at <= end])
        self.aliases |= amendment.aliases
        self.stays.ended_until = again.ended_until
        if not follower:
            self.stays.maybe = again.maybe
            self.stays.last_occurred_at = end
        self._put(amendment.changes)
        return amendment.changes

    def _put(self, changes: Sequence[Change]) -> None:
        replaced = {change.before.visit_id for change in changes if change.before}
        going_on = [v for v in self.stays.going_on.values() if v.visit_id not in replaced]
        going_on += [c.after for c in changes if c.after and c.after.may_go_on]
        self.stays.going_on = {visit.store_id: visit for visit in going_on}

    def _episode(self, fix: Fix) -> tuple[list[Fix], list[Fix]]:
        """The fixes around ``fix`` without a pause over the gap, and the one after, if any.

        A fix that comes last after a pause ends the visits of the episode before it, which
        therefore is part of this one.
        """
        first = last = bisect_left(self.fixes, fix.order, key=lambda fix: fix.order)
        if 0 < first == len(self.fixes) - 1:
            first -= 1
        while first > 0 and not self._pause_before(first):
            first -= 1
        while last + 1 < len(self.fixes) and not self._pause_before(last + 1):
            last += 1
        return self.fixes[first : last + 1], self.fixes[last + 1 : last + 2]

    def _pause_before(self, position: int) -> bool:
        earlier, later = self.fixes[position - 1], self.fixes[position]
        return later.occurred_at - earlier.occurred_at > self.stays.rule.gap


@dataclass(frozen=True, slots=True)
class Amendment:
    """What late fixes did to known visits: the changes, and ids that now stand for another."""

    changes: list[Change]
    aliases: dict[UUID, UUID]


def amend(known: Sequence[Visit], folded: Sequence[Visit]) -> Amendment:
    """Carry the ids of ``known`` visits over to the newly ``folded`` ones.

    A visit keeps its first id. Where several known ones became one, the lowest id survives and
    the others become aliases of it; where one was split, the earliest part keeps the id.
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
        return new._replace(revision=1)
    same_end = new.state is VisitState.OPEN and new.last_inside_at <= old.last_inside_at
    if same_end and old.provisional:
        new = new._replace(
            state=old.state,
            left_at=old.left_at,
            closed_by=old.closed_by,
            provisional=old.provisional,
        )
    lasted_s = (new.last_inside_at - new.entered_at).total_seconds()
    kept = {threshold for threshold in old.dwelled if threshold <= lasted_s}
    new = new._replace(dwelled=tuple(sorted(kept.union(new.dwelled))))
    return new._replace(
        visit_id=old.visit_id,
        revision=old.revision + (_told(new) != _told(old)),
        last_received_at=max(old.last_received_at, new.last_received_at),
    )


def _told(visit: Visit) -> tuple[object, ...]:
    """What others are told of a visit."""
    closing = visit.state, visit.left_at, visit.closed_by, visit.provisional
    return visit.entered_at, *closing, visit.dwelled
