"""Who may be granted what, in the light of all that the person was granted and visited before.

A person is all of its subjects together. What overlaps in time at one store is one visit of the
person, and an offer is granted at most once in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.geo_api.offers.domain import Candidate, Reason, Trigger


class Stay(NamedTuple):
    """A visit of one subject at a store. ``until`` is the latest moment that it may cover."""

    subject_id: UUID
    visit_id: UUID
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Grants:
    """What a person holds of one offer: how many in all, and when and in which visits of late."""

    total: int = 0
    won_at: Mapping[str, Sequence[datetime]] = field(default_factory=dict)
    visits: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Past:
    """What is stored about the persons of a group, read under their lock.

    ``grants`` by (person, offer), ``stays`` by (person, store); ``visited`` are the pairs of
    (person, store) with a visit that is not among ``stays``.
    """

    grants: Mapping[tuple[UUID, str], Grants]
    stays: Mapping[tuple[UUID, str], Sequence[Stay]]
    visited: frozenset[tuple[UUID, str]]


class Verdict(NamedTuple):
    """A candidate, and the reason why it is not granted; None grants it."""

    candidate: Candidate
    reason: Reason | None


NO_GRANTS = Grants()


def person_visit(stays: Iterable[Stay], moment: datetime) -> tuple[datetime, datetime]:
    """The whole visit of a person that covers ``moment``: its stays joined while they overlap.

    Stays that only touch overlap too. With no stay around ``moment`` it is that moment alone.
    """
    since = until = moment
    spread = True
    while spread:
        spread = False
        for stay in stays:
            touches = stay.since <= until and stay.until >= since
            if touches and (stay.since < since or stay.until > until):
                since, until, spread = min(since, stay.since), max(until, stay.until), True
    return since, until


def decide(
    seen: Sequence[Candidate], past: Past, units: Mapping[str, int] | None = None
) -> list[Verdict]:
    """Decide candidates in the order given; what is granted to one counts against the next.

    ``units`` are what each offer's counter gave (None: enough for all). Offers do not influence
    each other, so with ``n`` units exactly the first ``n`` grants of an offer stay.
    """
    tally = _Tally(past, None if units is None else dict(units))
    return [Verdict(candidate, tally.take(candidate)) for candidate in seen]


@dataclass(slots=True)
class _Tally:
    """The past, and what this group has granted on top of it."""

    past: Past
    units: dict[str, int] | None
    won: dict[tuple[UUID, str], list[Candidate]] = field(default_factory=dict)

    def take(self, candidate: Candidate) -> Reason | None:
        reason = self._refuse(candidate)
        if reason is None:
            key = candidate.situation.person, candidate.offer.offer_id
            self.won.setdefault(key, []).append(candidate)
            if self.units is not None:
                self.units[candidate.offer.offer_id] -= 1
        return reason

    def _refuse(self, candidate: Candidate) -> Reason | None:
        offer, person = candidate.offer, candidate.situation.person
        key = person, offer.offer_id
        held, won = self.past.grants.get(key, NO_GRANTS), self.won.get(key, ())
        span = self._span(candidate)
        if offer.trigger is Trigger.FIRST_VISIT and self._came_before(candidate, span[0]):
            return Reason.TRIGGER_NOT_MET
        if _granted_in(span, candidate, held, won):
            return Reason.ALREADY_GRANTED
        if offer.per_person is not None and held.total + len(won) >= offer.per_person:
            return Reason.MEMBER_LIMIT
        if self.units is not None and self.units.get(offer.offer_id, 0) < 1:
            return Reason.STOCK_OUT
        return None

    def _span(self, candidate: Candidate) -> tuple[datetime, datetime]:
        return person_visit(self._stays(candidate), candidate.situation.occurred_at)

    def _came_before(self, candidate: Candidate, since: datetime) -> bool:
        key = candidate.situation.person, candidate.presence.store_id
        return key in self.past.visited or any(
            stay.since < since for stay in self.past.stays.get(key, ())
        )

    def _stays(self, candidate: Candidate) -> list[Stay]:
        """The person's stays at the store, the candidate's own reaching to this moment."""
        key = candidate.situation.person, candidate.presence.store_id
        moment, visit_id = candidate.situation.occurred_at, candidate.presence.visit_id
        return [
            Stay(stay.subject_id, stay.visit_id, min(stay.since, moment), max(stay.until, moment))
            if stay.visit_id == visit_id
            else stay
            for stay in self.past.stays.get(key, ())
        ]


def _granted_in(
    span: tuple[datetime, datetime], candidate: Candidate, held: Grants, won: Iterable[Candidate]
) -> bool:
    """Whether the person holds a grant of this visit, from before or from this group.

    The visit's id is asked too: it is the key that the database holds unique.
    """
    store_id, visit_id = candidate.presence.store_id, candidate.presence.visit_id
    moments = [*held.won_at.get(store_id, ())]
    moments += [c.situation.occurred_at for c in won if c.presence.store_id == store_id]
    visits = {*held.visits, *(c.presence.visit_id for c in won)}
    return visit_id in visits or any(span[0] <= moment <= span[1] for moment in moments)
