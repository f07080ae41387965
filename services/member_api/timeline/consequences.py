"""What new facts mean for who somebody is, and for what is kept of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.consents.service import Consents, Given
from services.member_api.people import service as people
from services.member_api.people.announcing import Announcer, Eraser
from services.member_api.people.domain import MergeWish
from services.member_api.timeline import whereabouts
from services.member_api.timeline.facts import Fact, other_of, subjects_of
from services.member_api.timeline.values import moment
from shared.contracts.events import ConsentState, EventType, Purpose
from shared.keys import MemberKeys

_ACTOR = "geo_api"
_VERSION = "revoked"
"""Who takes a permission back was shown no text."""

_REVOKED = (Purpose.LOCATE_NOW, Purpose.VISIT_HISTORY)
_REDEMPTIONS = frozenset({EventType.COUPON_REDEEMED.value, EventType.REDEMPTION_REVERSED.value})
_OF_WHOLE_PEOPLE = _REDEMPTIONS | {
    EventType.IDENTITIES_JOINED.value,
    EventType.WHEREABOUTS_REVOKED.value,
    EventType.ERASURE_REQUESTED.value,
}


def concerned(facts: Iterable[Fact]) -> set[UUID]:
    """Subjects whose whole people must be locked for what the facts mean.

    Those that redeem, are joined, revoke or erase, or prove to be a number that a person has once.
    """
    return {
        subject
        for fact in facts
        if fact.type in _OF_WHOLE_PEOPLE or (fact.identity and people.is_unique(fact.identity))
        for subject in subjects_of(fact)
    }


@dataclass(frozen=True, slots=True)
class Consequences:
    """Drawn in the transaction of the facts; the people concerned are locked."""

    keys: MemberKeys
    announcer: Announcer
    eraser: Eraser

    async def draw(
        self, connection: AsyncConnection, applied: Sequence[Fact], now: datetime
    ) -> None:
        """First who is one person, then what is taken back, and at last who is to be forgotten."""
        observed = [fact.identity for fact in applied if fact.identity is not None]
        await people.vouch_for(connection, observed, self.announcer, now)
        joined = _of_type(applied, EventType.IDENTITIES_JOINED)
        for fact in joined:
            await self._join(connection, fact, now)
        revoked = _of_type(applied, EventType.WHEREABOUTS_REVOKED)
        await self._revoke(connection, joined, revoked, now)
        buyers = {fact.subject for fact in applied if fact.type in _REDEMPTIONS}
        if buyers:
            await self.announcer.people_changed(connection, buyers, now)
        erased = {fact.subject for fact in _of_type(applied, EventType.ERASURE_REQUESTED)}
        if erased:
            await self.eraser.erase(connection, erased)

    async def _join(self, connection: AsyncConnection, fact: Fact, now: datetime) -> None:
        other = other_of(fact)
        assert other is not None  # noqa: S101 - read_event lets no other through
        ends = (fact.subject, other)
        wish = MergeWish(ends, fact.data["evidence"], _ACTOR, now, shown_at=min(fact.at, now))
        await people.join(connection, wish, self.announcer)

    async def _revoke(
        self,
        connection: AsyncConnection,
        joined: Sequence[Fact],
        revoked: Sequence[Fact],
        now: datetime,
    ) -> None:
        """Forget whereabouts; a join may make an earlier revocation reach further."""
        if not joined and not revoked:
            return
        until: dict[UUID, datetime] = {}
        for fact in sorted(revoked, key=lambda fact: _revoked_at(fact, now)):
            until[fact.subject] = _revoked_at(fact, now)
        touched = {subject for fact in joined for subject in subjects_of(fact)}
        await whereabouts.revoke(connection, until, touched)
        for fact in revoked:
            await self._withdraw(connection, fact, now)

    async def _withdraw(self, connection: AsyncConnection, fact: Fact, now: datetime) -> None:
        """The revocation counts as a withdrawal of what whereabouts rest on."""
        proof = orjson.dumps({"event": str(fact.event_id), "data": fact.data}).decode()
        consents = Consents(self.keys, self.announcer)
        for purpose in _REVOKED:
            given = Given(
                fact.subject, purpose, ConsentState.WITHDRAWN, _VERSION,
                _revoked_at(fact, now), _ACTOR, proof=proof,
            )  # fmt: skip
            await consents.note(connection, given, now)


def _of_type(facts: Iterable[Fact], kind: EventType) -> list[Fact]:
    return [fact for fact in facts if fact.type == kind]


def _revoked_at(fact: Fact, now: datetime) -> datetime:
    """A time ahead of ours, by another clock, counts as now."""
    return min(moment(fact.data["revoked_at"], "bad_revoked_at"), now)
