"""Taking over what member_api tells: who a subject is now, and that somebody is erased."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.audience import repository
from services.geo_api.subjects import repository as subjects
from services.geo_api.subjects.service import buried_name, erasures, lock
from shared.contracts.events import (
    SCHEMA_VERSION,
    Applied,
    AudienceFacts,
    Erasure,
    Event,
    EventResult,
    EventType,
)
from shared.direct import run_together
from shared.feed.outbox import forget_subject
from shared.feed.tables import FeedTables
from shared.keys import GeoKeys

Facts = tuple[Event, AudienceFacts]


async def apply(
    connection: AsyncConnection,
    tables: FeedTables,
    keys: GeoKeys,
    documents: Sequence[dict[str, Any]],
    now: datetime,
) -> list[EventResult]:
    """Apply each event once; a malformed one is refused alone. Results in order."""
    results: dict[int, EventResult] = {}
    facts: dict[int, Facts] = {}
    for position, document in enumerate(documents):
        try:
            event = _read(document)
            if event.type is EventType.SUBJECT_ERASED:
                await _erase(connection, tables, keys, event)
                results[position] = EventResult(id=str(event.id), status=Applied.APPLIED)
            else:
                facts[position] = (event, AudienceFacts.model_validate(event.data))
        except (ValidationError, ValueError) as error:
            results[position] = _refused(document, error)
    results |= await _apply_facts(connection, keys.identity, facts, now)
    return [results[position] for position in range(len(documents))]


def _read(document: dict[str, Any]) -> Event:
    event = Event.model_validate(document)
    if event.schemaversion > SCHEMA_VERSION:
        raise ValueError(f"schema version {event.schemaversion} is newer than this service")
    if event.type not in (EventType.AUDIENCE_CHANGED, EventType.SUBJECT_ERASED):
        raise ValueError(f"{event.type} is not for geo_api")
    if event.subject is None:
        raise ValueError("subject is missing")
    return event


def _refused(document: dict[str, Any], error: Exception) -> EventResult:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    else:
        reason = str(error)
    return EventResult(id=str(document.get("id")), status=Applied.REFUSED, reason=reason)


async def _apply_facts(
    connection: AsyncConnection, key: bytes, facts: dict[int, Facts], now: datetime
) -> dict[int, EventResult]:
    """Of several events of one subject the highest revision counts; the others are duplicates."""
    newest: dict[Any, int] = {}
    for position, (event, _) in facts.items():
        held = newest.get(event.subject)
        if held is None or facts[held][0].revision < event.revision:
            newest[event.subject] = position
    changed = set()
    if newest:
        chosen = [facts[position] for position in newest.values()]
        changed = await _take_over(connection, key, chosen, now)
    return {
        position: EventResult(
            id=str(event.id),
            status=Applied.APPLIED
            if newest[event.subject] == position and event.subject in changed
            else Applied.DUPLICATE,
        )
        for position, (event, _) in facts.items()
    }


async def _take_over(
    connection: AsyncConnection, key: bytes, told: Sequence[Facts], now: datetime
) -> set[UUID]:
    """Write facts, but none that is older than its subject's erasure; gives the subjects changed.

    The normal lane may bring such facts long after the urgent one has brought the erasure.
    member_api counts revisions on from the seconds of the erasure, which no count before reaches.
    """
    states = await lock(connection, key, {_subject(event) for event, _ in told}, now)
    erased = await erasures(connection, key, states)
    fresh = [
        (event, fact)
        for event, fact in told
        if event.subject not in erased or event.revision > int(erased[event.subject].timestamp())
    ]
    kept = {_subject(event) for event, _ in fresh}
    await subjects.forget(
        connection, [s for s, st in states.items() if st.is_new and s not in kept]
    )
    joined_anew = [subjects.Seen(s, erased_at=at) for s, at in erased.items() if s in kept]
    await run_together(connection, subjects.touching(joined_anew))
    return await subjects.apply_facts(connection, _columns(fresh), now) if fresh else set()


def _subject(event: Event) -> UUID:
    assert event.subject is not None  # noqa: S101 - ``_read`` refuses events without
    return event.subject


def _columns(facts: Iterable[Facts]) -> dict[str, object]:
    rows = [
        (
            event.subject,
            event.revision,
            fact.person_id,
            ",".join(map(str, fact.siblings)),
            fact.lifecycle.value,
            fact.tier,
            orjson.dumps(fact.tags).decode(),
            orjson.dumps(fact.segments).decode(),
            orjson.dumps(fact.model_dump(mode="json")["consents"]).decode(),
        )
        for event, fact in facts
    ]
    names = (
        "subjects", "revisions", "persons", "siblings", "lifecycles",
        "tiers", "tags", "segments", "consents",
    )  # fmt: skip
    columns = [list(column) for column in zip(*rows, strict=True)]
    return dict(zip(names, columns, strict=True))


async def _erase(
    connection: AsyncConnection, tables: FeedTables, keys: GeoKeys, event: Event
) -> None:
    """Lock the subject as check-ins do, so that no group keeps what is being erased."""
    erasure, subject = Erasure.model_validate(event.data), _subject(event)
    await subjects.lock(connection, [subject], event.received_at)
    await subjects.bury(connection, buried_name(keys.identity, subject), erasure.erased_at)
    await repository.erase(connection, subject)
    await forget_subject(connection, tables, subject)
