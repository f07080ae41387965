"""Forgetting a person: every row of it goes, and a keyed hash stays so that it stays gone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.answers import forget_answers
from services.member_api.consents import service as consents
from services.member_api.membership import service as membership
from services.member_api.people import service as people
from services.member_api.profiles.audience import SOURCE
from services.member_api.tables import FEED
from services.member_api.timeline import forgetting
from shared.clock import Clock
from shared.contracts.events import SCHEMA_VERSION, EventType
from shared.feed.outbox import enqueue, forget_subject
from shared.feed.tables import Lane
from shared.ids import event_id
from shared.keys import MemberKeys


async def erase(
    connection: AsyncConnection, keys: MemberKeys, person_id: UUID, clock: Clock
) -> tuple[datetime, int]:
    """Erase a person with all its subjects; gives when it was done and how many these were.

    geo_api is told by the urgent lane. What occurred until that moment is forgotten whenever it
    comes. Raises PersonNotFound, or Contended.
    """
    states = await people.resolve(connection, person_id)
    return await _erase(connection, keys, [state.subject_id for state in states], clock)


@dataclass(frozen=True, slots=True)
class PersonEraser:
    """The ``Eraser`` of the timeline: for who asks for it elsewhere."""

    keys: MemberKeys
    clock: Clock

    async def erase(self, connection: AsyncConnection, subjects: Collection[UUID]) -> None:
        await _erase(connection, self.keys, subjects, self.clock)


async def _erase(
    connection: AsyncConnection, keys: MemberKeys, asked: Collection[UUID], clock: Clock
) -> tuple[datetime, int]:
    locked = await people.lock_people(connection, asked)
    subjects, now = sorted(locked), clock()  # after whatever the locks had to wait for
    await forgetting.forget(connection, subjects)
    await consents.forget(connection, subjects)
    await membership.forget(connection, subjects)
    for subject in subjects:
        await forget_subject(connection, FEED, subject)
    await forget_answers(connection, keys, subjects)
    await people.bury(connection, keys.identity, subjects, now)
    await _tell(connection, subjects, now)
    return now, len(subjects)


async def _tell(connection: AsyncConnection, subjects: Sequence[UUID], now: datetime) -> None:
    kind = EventType.SUBJECT_ERASED
    events = [
        {
            "specversion": "1.0",
            "schemaversion": SCHEMA_VERSION,
            "id": event_id(subject, kind.value, now.isoformat()),
            "source": SOURCE,
            "type": kind.value,
            "subject": str(subject),
            "time": now,
            "received_at": now,
            "store_id": None,
            "revision": 1,
            "retracted": False,
            "data": {"erased_at": now},
        }
        for subject in subjects
    ]
    await enqueue(connection, FEED, events, lane=Lane.URGENT)
