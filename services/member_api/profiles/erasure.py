"""Forgetting a person: every row of it goes, and a keyed hash stays so that it stays gone."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.consents import service as consents
from services.member_api.membership import service as membership
from services.member_api.people import service as people
from services.member_api.profiles.audience import SOURCE
from services.member_api.tables import FEED
from services.member_api.timeline import forgetting
from shared.contracts.events import SCHEMA_VERSION, EventType
from shared.feed.outbox import enqueue, forget_subject
from shared.feed.tables import Lane
from shared.ids import birth_person_id, event_id
from shared.keys import MemberKeys

# A stored answer may name a person or subject anywhere, and a member's key names its subject.
_FORGET_ANSWERS = text("""
    DELETE FROM member.idempotency_keys AS k
    USING unnest(CAST(:names AS text[])) AS who (name)
    WHERE position(who.name IN k.scope) > 0 OR position(who.name IN k.answer::text) > 0
""")


async def erase(
    connection: AsyncConnection, keys: MemberKeys, person_id: UUID, now: datetime
) -> int:
    """Erase a person with all its subjects; gives how many these were.

    geo_api is told by the urgent lane. What occurred until ``now`` is forgotten whenever it
    comes. Raises PersonNotFound, or Contended.
    """
    states = await people.resolve(connection, person_id)
    locked = await people.lock_people(connection, [state.subject_id for state in states])
    subjects = sorted(locked)
    await forgetting.forget(connection, subjects)
    await consents.forget(connection, subjects)
    await membership.forget(connection, subjects)
    for subject in subjects:
        await forget_subject(connection, FEED, subject)
    names = [str(name) for subject in subjects for name in (subject, birth_person_id(subject))]
    await connection.execute(_FORGET_ANSWERS, {"names": names})
    await people.bury(connection, keys.identity, subjects, now)
    await _tell(connection, subjects, now)
    return len(subjects)


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
