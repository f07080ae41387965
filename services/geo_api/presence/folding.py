"""The fold: from the fixes of one subject, in the order in which they occurred, to its visits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.geo_api.presence.domain import (
    Change,
    ClosedBy,
    Closing,
    Dwelled,
    Fix,
    NewId,
    Visit,
    VisitState,
    closed,
    never,
    reopened,
)
from services.geo_api.presence.rule import DEFAULT_RULE, ArrivalRule

Maybe = dict[str, list[datetime]]
"""By store the fixes that may yet be corroborated, in order: tentative ones, or, at a store with a
visit going on, the first vague one outside."""


@dataclass(slots=True)
class Stays:
    """The stays of one subject that the next fix may prolong, and the time of the last fix.

    ``last_occurred_at`` None means that there was no fix before. ``closings``, in order, are those
    that no fix has passed yet; ``ended_until`` is the latest that ended a visit.
    """

    subject_id: UUID
    going_on: dict[str, Visit]
    last_occurred_at: datetime | None
    maybe: Maybe = field(default_factory=dict)
    rule: ArrivalRule = DEFAULT_RULE
    dwelled: Dwelled = never
    closings: list[Closing] = field(default_factory=list)
    ended_until: datetime | None = None
    _gone: set[str] = field(default_factory=set)

    def advance(self, fix: Fix, new_id: NewId) -> list[Change]:
        """Take the next fix in order; exits come before enters."""
        changes: list[Change] = []
        if self.closings:
            changes += self.close_until(fix.occurred_at)
        if self._gone:
            fix = fix.without(self._gone)
        if self.going_on or self.maybe:
            self._go_on(fix, changes)
        if fix.arrives or fix.tentative:
            self._enter(fix, new_id, changes)
        self.last_occurred_at = fix.occurred_at
        return changes

    def close_until(self, moment: datetime | None) -> list[Change]:
        """What the closings before ``moment`` ended, None for all of them.

        The latter is for the end, after which a fix may still come that is earlier than they.
        """
        changes: list[Change] = []
        while self.closings and (moment is None or self.closings[0].at < moment):
            closing = self.closings.pop(0)
            visit = self.going_on.get(closing.store_id)
            if visit is not None and self._ends(closing, visit):
                changes.append(self._close(visit, closing.closed_by))
                self.ended_until = max(closing.at, self.ended_until or closing.at)
            if moment is not None:
                self._forget_before(closing)
            if closing.is_for_good:
                self._gone.add(closing.store_id)
        return changes

    def _ends(self, closing: Closing, visit: Visit) -> bool:
        """Not one that had ended by then, since nobody was seen for as long as the gap.

        Nor one that is known to have gone on: that comes only where a closing becomes known after
        later fixes were taken, and their episode has to be gone through again.
        """
        seen_at = visit.last_inside_at
        if not visit.unfenced and self.last_occurred_at is not None:
            seen_at = max(seen_at, self.last_occurred_at)
        return visit.last_inside_at <= closing.at <= seen_at + self.rule.gap

    def _forget_before(self, closing: Closing) -> None:
        moments = self.maybe.pop(closing.store_id, ())
        later = [moment for moment in moments if moment > closing.at]
        if later:
            self.maybe[closing.store_id] = later

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
            elif (ended := self._seen_to_end(visit, fix)) is not None:
                changes.append(self._close(visit, ended))
            elif visit.provisional:
                changes.append(self._put(visit, reopened(visit)))
        if self.maybe:
            self._forget_old(fix)

    def _forget_old(self, fix: Fix) -> None:
        """Tentative fixes count as long as no fix is outside, and no longer than they may."""
        since = fix.occurred_at - self.rule.corroborated_within
        for store_id in self.maybe.keys() - self.going_on.keys():
            recent = [moment for moment in self.maybe[store_id] if moment >= since]
            if recent and not fix.is_outside(store_id):
                self.maybe[store_id] = recent
            else:
                del self.maybe[store_id]

    def _seen_to_end(self, visit: Visit, fix: Fix) -> ClosedBy | None:
        """Why a fix that is not inside ends a visit; None where it goes on.

        A vague one outside must be borne out by another one outside, with none inside in between.
        """
        if visit.unfenced:
            return None
        if fix.is_shut_out(visit.store_id):
            return ClosedBy.FENCE_EXPIRED
        if not fix.is_outside(visit.store_id):
            return None
        if fix.is_vague:
            first = self.maybe.setdefault(visit.store_id, [fix.occurred_at])[0]
            if fix.occurred_at - first < self.rule.corroborated_after:
                return None
        return ClosedBy.LEFT

    def _enter(self, fix: Fix, new_id: NewId, changes: list[Change]) -> None:
        """Begin visits, at the first tentative fix that this one corroborates if there is one."""
        for store_id in sorted(fix.arrives - self.going_on.keys()):
            moments = self.maybe.pop(store_id, [])
            changes.append(self._begin(store_id, moments, fix, new_id()))
        for store_id in sorted(fix.tentative - fix.uncertain - self.going_on.keys()):
            moments = self.maybe.setdefault(store_id, [])
            if moments and fix.occurred_at - moments[0] >= self.rule.corroborated_after:
                del self.maybe[store_id]
                changes.append(self._begin(store_id, moments, fix, new_id()))
            else:
                moments.append(fix.occurred_at)

    def _begin(
        self, store_id: str, tentative: Sequence[datetime], fix: Fix, visit_id: UUID
    ) -> Change:
        entered_at = tentative[0] if tentative else fix.occurred_at
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
            sensed_at=entered_at if tentative or fix.is_sensed else None,
        )
        return self._put(None, visit)

    def _prolong(self, visit: Visit, fix: Fix) -> Change:
        """A threshold that is reached is told, hence a revision of its own."""
        going_on = reopened(visit) if visit.provisional else visit
        after = going_on._replace(
            last_inside_at=fix.occurred_at,
            last_received_at=max(visit.last_received_at, fix.received_at),
            unfenced=fix.is_unfenced(visit.store_id),
            sensed_at=visit.sensed_at or (fix.occurred_at if fix.is_sensed else None),
        )
        self.maybe.pop(visit.store_id, None)
        reached = self.dwelled(visit.store_id, visit.entered_at, fix.occurred_at)
        if reached and not set(visit.dwelled).issuperset(reached):
            dwelled = tuple(sorted({*visit.dwelled, *reached}))
            after = after._replace(dwelled=dwelled, revision=visit.revision + 1)
        return self._put(visit, after)

    def _put(self, before: Visit | None, after: Visit) -> Change:
        self.going_on[after.store_id] = after
        return Change(before, after)

    def _close(self, visit: Visit, closed_by: ClosedBy) -> Change:
        del self.going_on[visit.store_id]
        self.maybe.pop(visit.store_id, None)
        return Change(visit, closed(visit, closed_by))


def fold(fixes: Iterable[Fix], stays: Stays, new_id: NewId) -> list[Visit]:
    """All visits that ``fixes`` give, whatever order they come in, from ``stays`` on.

    ``stays`` is left as it stands after the last of them and of its closings.
    """
    latest: dict[UUID, Visit] = {}
    changes = [stays.advance(fix, new_id) for fix in sorted(fixes, key=lambda fix: fix.order)]
    for change in (change for of_fix in [*changes, stays.close_until(None)] for change in of_fix):
        if change.after is not None:
            latest[change.after.visit_id] = change.after
    return list(latest.values())
