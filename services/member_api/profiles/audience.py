"""Telling geo_api who a subject is now, whenever that has changed and only then."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.consents import service as consents
from services.member_api.consents.domain import Statement, in_force
from services.member_api.membership import service as membership
from services.member_api.people import service as people
from services.member_api.people.announcing import Happening
from services.member_api.people.domain import SubjectState
from services.member_api.profiles.domain import (
    digest,
    lifecycle_after,
    lifecycle_changes,
    next_revision,
    stranger,
)
from services.member_api.tables import FEED
from services.member_api.timeline import reading
from services.member_api.timeline.recording import record_happenings
from shared.contracts.events import SCHEMA_VERSION, EventType, Lifecycle
from shared.feed.outbox import enqueue
from shared.feed.tables import Lane
from shared.ids import event_id
from shared.keys import MemberKeys

SOURCE = "/member_api"
_NATURAL_KEY = "audience"

_TOLD = text("""
    UPDATE member.subjects AS s SET
        audience_revision = told.revision, audience_digest = told.digest
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:revisions AS bigint[]),
        CAST(:digests AS bytea[])) AS told (id, revision, digest)
    WHERE s.subject_id = told.id
""")


@dataclass(frozen=True, slots=True)
class FeedAnnouncer:
    """The ``Announcer`` of people, membership and consents: timeline and feed."""

    keys: MemberKeys

    async def happened(
        self, connection: AsyncConnection, happenings: Sequence[Happening], now: datetime
    ) -> None:
        await record_happenings(connection, self.keys, happenings, now)

    async def people_changed(
        self,
        connection: AsyncConnection,
        subjects: Collection[UUID],
        now: datetime,
        *,
        urgent: bool = False,
    ) -> None:
        states = await people.with_siblings(connection, subjects)
        changed = await _changed(connection, states.values())
        if not changed:
            return
        first = [state.subject_id for state, _ in changed if state.audience_revision == 0]
        erased = await people.erasures(connection, self.keys.identity, first)
        events = [
            _event(
                state.subject_id,
                next_revision(state.audience_revision, erased.get(state.subject_id)),
                facts,
                now,
            )
            for state, facts in changed
        ]
        values = {
            "subjects": [event["subject"] for event in events],
            "revisions": [event["revision"] for event in events],
            "digests": [digest(facts) for _, facts in changed],
        }
        await connection.execute(_TOLD, values)
        await enqueue(connection, FEED, events, lane=Lane.URGENT if urgent else Lane.NORMAL)


async def _changed(
    connection: AsyncConnection, states: Iterable[SubjectState]
) -> list[tuple[SubjectState, dict[str, Any]]]:
    """The subjects whose facts are not those that were told last, with the facts of now."""
    by_person: dict[UUID, list[SubjectState]] = {}
    for state in states:
        by_person.setdefault(state.person_id, []).append(state)
    everybody = [state.subject_id for group in by_person.values() for state in group]
    purchases = await reading.purchases(connection, everybody)
    joined = await membership.memberships(connection, everybody)
    said = await consents.statements(connection, everybody)
    changed = []
    for group in by_person.values():
        subjects = {state.subject_id for state in group}
        lifecycle = lifecycle_after(
            lifecycle_changes(
                [purchase for subject in subjects for purchase in purchases.get(subject, ())],
                [one for one in joined if one.subject_id in subjects],
            )
        )
        statements = [one for one in said if one.subject_id in subjects]
        for state in group:
            facts = _facts(state, sorted(subjects), lifecycle, statements)
            told = state.audience_digest or digest(stranger(state.subject_id))
            if digest(facts) != told:
                changed.append((state, facts))
    return changed


def _facts(
    state: SubjectState,
    siblings: Sequence[UUID],
    lifecycle: Lifecycle,
    statements: Sequence[Statement],
) -> dict[str, Any]:
    """``AudienceFacts`` as JSON, without what member_api does not know of yet."""
    return {
        "person_id": str(state.person_id),
        "siblings": [str(sibling) for sibling in siblings],
        "lifecycle": lifecycle.value,
        "consents": {
            purpose.value: {
                "state": held.state.value,
                "version": held.version,
                "at": held.at.isoformat(),
            }
            for purpose, held in in_force(statements, state.subject_id).items()
        },
    }


def _event(subject_id: UUID, revision: int, facts: dict[str, Any], now: datetime) -> dict[str, Any]:
    kind = EventType.AUDIENCE_CHANGED
    return {
        "specversion": "1.0",
        "schemaversion": SCHEMA_VERSION,
        "id": str(event_id(subject_id, kind.value, _NATURAL_KEY)),
        "source": SOURCE,
        "type": kind.value,
        "subject": str(subject_id),
        "time": now,
        "received_at": now,
        "store_id": None,
        "revision": revision,
        "retracted": False,
        "data": facts,
    }
