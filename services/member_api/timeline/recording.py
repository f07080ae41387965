"""Taking interactions in: each once, in any order, a whole batch in one transaction."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.member_api.people import service as people
from services.member_api.people.announcing import Happening
from services.member_api.people.domain import is_erased
from services.member_api.people.service import Touch
from services.member_api.tables import FEED
from services.member_api.timeline import (
    counting,
    forgetting,
    social,
    social_facts,
    whereabouts,
    writing,
)
from services.member_api.timeline.consequences import Consequences, concerned
from services.member_api.timeline.facts import TIMELINE_TYPES, Fact, read_event, subjects_of
from services.member_api.timeline.values import UnreadableEvent, uuid_of
from services.member_api.transactions import (
    Contended,
    in_direct_transaction,
    in_transaction,
    sqlstate,
)
from shared.contracts.events import Applied, EventType
from shared.db import Database
from shared.direct import read_together, run_together
from shared.feed.inbox import claim_new
from shared.keys import MemberKeys

_DATA_ERRORS = ("21", "22", "23")
"""Cardinality violation, data exception, integrity violation: the fault of what was sent.

Source: PostgreSQL documentation, appendix A.
"""

_OUR_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What a mistake in this service's code raises, for one fact and whenever it is tried."""

_log = structlog.get_logger(__name__)

Result = dict[str, Any]
"""An ``EventResult`` as it is sent."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """What recording needs beside a connection; ``wake`` tells the feed that it may have news."""

    database: Database
    keys: MemberKeys
    consequences: Consequences
    wake: Callable[[], None]

    async def ingest(self, raws: Sequence[Any], now: datetime) -> list[Result]:
        """Apply a batch of CloudEvents; one result each, in order. A bad one harms no other."""
        results: list[Result] = []
        readable: dict[int, Fact] = {}
        for position, raw in enumerate(raws):
            try:
                readable[position] = read_event(raw, self.keys)
                results.append(_result(raw, Applied.DUPLICATE))
            except UnreadableEvent as unreadable:
                results.append(_result(raw, Applied.REFUSED, unreadable.reason))
        await self._apply(readable, results, now)
        return results

    async def _apply(self, facts: Mapping[int, Fact], results: list[Result], now: datetime) -> None:
        """Record facts in one transaction; if one is at fault, in halves down to that one."""
        if not facts:
            return
        positions = list(facts)
        try:
            applied = await self._record(list(facts.values()), now)
        except (DBAPIError, *_OUR_ERRORS) as error:
            reason = _fault_of(error)
            if reason is None:
                raise
            if len(positions) == 1:
                _log.error("event_not_applied", id=results[positions[0]]["id"], exc_info=error)
                results[positions[0]].update(status=Applied.REFUSED.value, reason=reason)
                return
            middle = len(positions) // 2
            for half in (positions[:middle], positions[middle:]):
                await self._apply({position: facts[position] for position in half}, results, now)
        else:
            for index in applied:
                results[positions[index]]["status"] = Applied.APPLIED.value

    async def _record(self, facts: Sequence[Fact], now: datetime) -> list[int]:
        """The short way, unless whole people are concerned: most facts say what somebody did."""

        async def act(connection: AsyncConnection) -> list[int]:
            applied = await record(connection, self.keys, facts, now)
            await self.consequences.draw(connection, [facts[index] for index in applied], now)
            return applied

        async def act_in_session(session: AsyncSession) -> list[int]:
            return await act(await session.connection())

        if not concerned(facts):
            return await in_direct_transaction(self.database, act)
        applied = await in_transaction(self.database, act_in_session)
        self.wake()
        return applied


def _fault_of(error: Exception) -> str | None:
    """How the sender's operator is told of a fact that cannot be applied; None: it is not at fault.

    A mistake of ours must not hold up the facts behind it: it is parked, and replayed once mended.
    """
    if not isinstance(error, DBAPIError):
        return f"not_applied_{type(error).__name__}"
    state = sqlstate(error)
    return f"not_storable_{state}" if state.startswith(_DATA_ERRORS) else None


async def record(
    connection: AsyncConnection, keys: MemberKeys, facts: Sequence[Fact], now: datetime
) -> list[int]:
    """Apply facts in the caller's transaction; gives the positions of those that were new.

    What lies before an erasure is forgotten, but for the amounts in the books, and so are
    whereabouts that were revoked. The people that ``concerned`` tells are locked. Raises Contended.
    """
    subjects = {subject for fact in facts for subject in subjects_of(fact)}
    graves = people.graves_of(keys.identity, subjects)
    located = whereabouts.tell_whereabouts(facts)
    erased, revoked = await _barred(connection, graves, located)
    forgotten = await _forgotten(connection, facts, erased) if erased else frozenset()
    alive = [position for position in range(len(facts)) if position not in forgotten]
    claims = [(facts[p].subject_id, facts[p].event_id, facts[p].revision) for p in alive]
    claimed = await claim_new(connection, FEED, claims, now)
    applied = [alive[index] for index in claimed]
    amended = [facts[alive[index]] for index, replaces in claimed.items() if replaces]
    news = whereabouts.withheld([facts[position] for position in applied], revoked)
    await _write(connection, news, amended)
    await _keep_books(connection, [facts[position] for position in sorted(forgotten)])
    if revoked:
        await whereabouts.drop_empty_visits(connection, revoked)
    if await _barred(connection, graves, located) != (erased, revoked):
        raise Contended
    return applied


async def _barred(
    connection: AsyncConnection, graves: Mapping[bytes, UUID], located: Iterable[UUID]
) -> tuple[dict[UUID, datetime], dict[UUID, datetime]]:
    """When subjects were erased, and up to when the whereabouts of ``located`` are revoked."""
    questions = [people.asking_erasures(graves), whereabouts.asking_revocations(located)]
    erased, revoked = await read_together(connection, questions)
    return {graves[grave]: at for grave, at in erased}, dict(revoked)


async def record_happenings(
    connection: AsyncConnection, keys: MemberKeys, happenings: Sequence[Happening], now: datetime
) -> None:
    """Put what member_api itself saw into the timeline, in the caller's transaction."""
    facts = [
        Fact(
            event_id=happening.event_id,
            type=happening.type.value,
            subject_id=happening.subject_id,
            at=happening.at,
            received_at=now,
            store_id=happening.store_id,
            revision=1,
            retracted=False,
            data=happening.data,
        )
        for happening in happenings
    ]
    await record(connection, keys, facts, now)


async def _write(
    connection: AsyncConnection, facts: Sequence[Fact], amended: Sequence[Fact]
) -> None:
    """Write claimed facts, of which those ``amended`` were told before under a lower revision.

    Their order does not matter, as each has a place of its own.
    """
    personal = [fact for fact in facts if fact.subject_id is not None]
    items = [fact for fact in personal if fact.type in TIMELINE_TYPES and not fact.retracted]
    again = [fact for fact in amended if fact.subject_id is not None]  # stores have no items
    removed = await writing.remove_items(connection, again)
    if personal:
        await _add(connection, personal, items)
    await counting.recount(connection, removed)
    for kinds, fold in _FOLDS.items():
        told = [fact for fact in facts if fact.type in kinds]
        if told:
            await fold(connection, told)


_FOLDS = {
    (EventType.VISIT_ENTERED.value,): writing.enter,
    (EventType.VISIT_DWELLED.value,): writing.dwell,
    (EventType.VISIT_EXITED.value,): writing.exit_,
    (EventType.VISIT_EXPIRED.value,): writing.expire,
    (EventType.COUPON_REDEEMED.value,): writing.redeem,
    (EventType.REDEMPTION_REVERSED.value,): writing.reverse,
    (EventType.STORE_CHANGED.value,): writing.change_stores,
    social_facts.TYPES - {EventType.SOCIAL_MESSAGE_SENT.value}: social.touch,
    (EventType.SOCIAL_MESSAGE_SENT.value,): social.tell_messages,
}


async def _forgotten(
    connection: AsyncConnection, facts: Sequence[Fact], erased: Mapping[UUID, datetime]
) -> frozenset[int]:
    """Positions of facts from before an erasure, or about a redemption from before one."""
    reversals = {
        position: uuid_of(fact.data, "redemption_id")
        for position, fact in enumerate(facts)
        if fact.type == EventType.REDEMPTION_REVERSED and fact.subject_id in erased
    }
    booked = await forgetting.booked(connection, reversals.values())
    return frozenset(
        position
        for position, fact in enumerate(facts)
        if any(is_erased(erased, subject, fact.at) for subject in subjects_of(fact))
        or reversals.get(position) in booked
    )


async def _keep_books(connection: AsyncConnection, forgotten: Sequence[Fact]) -> None:
    """The amounts of redemptions that are told only after their subject was erased."""
    redeemed = [f for f in forgotten if f.type == EventType.COUPON_REDEEMED and not f.retracted]
    await forgetting.book(connection, redeemed)
    reversed_ = [f for f in forgotten if f.type == EventType.REDEMPTION_REVERSED]
    await forgetting.book_reversals(connection, [f for f in reversed_ if not f.retracted])


async def _add(
    connection: AsyncConnection, personal: Sequence[Fact], items: Sequence[Fact]
) -> None:
    """Lock the subjects, adding what they did, and whole people where all of one matters."""
    touches = {subject: Touch() for fact in personal for subject in subjects_of(fact)}
    for item in items:
        touch = touches[item.subject]
        touch.first_at = item.at if touch.first_at is None else min(touch.first_at, item.at)
        touch.last_at = item.at if touch.last_at is None else max(touch.last_at, item.at)
        counting.count(touch, item.type)
    whole = concerned(personal)
    siblings = await people.with_siblings(connection, whole) if whole else {}
    touches.update({sibling: Touch() for sibling in siblings.keys() - touches.keys()})
    await run_together(connection, [people.touching(touches), writing.adding_items(items)])
    if whole:
        await people.require_whole(connection, whole | siblings.keys(), whole)


def _result(raw: Any, status: Applied, reason: str | None = None) -> Result:
    identifier = raw.get("id") if isinstance(raw, dict) else None
    return {"id": str(identifier or ""), "status": status.value, "reason": reason}
