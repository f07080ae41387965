"""Queries that write interactions, each for a whole batch at once."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.timeline.facts import Fact
from services.member_api.timeline.values import moment, uuid_of
from shared.contracts.events import EventType
from shared.direct import Statement

_REMOVE_ITEMS = text("""
    DELETE FROM member.timeline_items AS t
    USING unnest(CAST(:subjects AS uuid[]), CAST(:ids AS uuid[])) AS old (subject_id, event_id)
    WHERE t.subject_id = old.subject_id AND t.event_id = old.event_id
    RETURNING t.subject_id, t.type
""")

_ADD_ITEMS = text("""
    INSERT INTO member.timeline_items
        (subject_id, occurred_at, event_id, type, received_at, store_id, data)
    SELECT subject_id, occurred_at, event_id, type, received_at, store_id, data::jsonb
    FROM unnest(CAST(:rows AS member.new_item[]))
""")

_SPANS = text("""
    SELECT s.id, first.occurred_at AS first_at, last.occurred_at AS last_at
    FROM unnest(CAST(:subjects AS uuid[])) AS s (id)
    LEFT JOIN LATERAL (
        SELECT occurred_at FROM member.timeline_items
        WHERE subject_id = s.id ORDER BY occurred_at LIMIT 1
    ) AS first ON true
    LEFT JOIN LATERAL (
        SELECT occurred_at FROM member.timeline_items
        WHERE subject_id = s.id ORDER BY occurred_at DESC LIMIT 1
    ) AS last ON true
""")

_ENTERED = text("""
    INSERT INTO member.visits AS v (subject_id, visit_id, store_id, entered_at)
    SELECT subject, visit, store, entered_at
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:visits AS uuid[]), CAST(:stores AS text[]),
        CAST(:entered AS timestamptz[]), CAST(:left AS timestamptz[]))
        AS told (subject, visit, store, entered_at, left_at)
    ON CONFLICT (subject_id, visit_id) DO UPDATE SET entered_at = EXCLUDED.entered_at
""")

_EXITED = text("""
    INSERT INTO member.visits AS v (subject_id, visit_id, store_id, exited_from, exited_at)
    SELECT subject, visit, store, entered_at, left_at
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:visits AS uuid[]), CAST(:stores AS text[]),
        CAST(:entered AS timestamptz[]), CAST(:left AS timestamptz[]))
        AS told (subject, visit, store, entered_at, left_at)
    ON CONFLICT (subject_id, visit_id) DO UPDATE SET
        exited_from = EXCLUDED.exited_from, exited_at = EXCLUDED.exited_at
""")

_EXPIRED = text("""
    INSERT INTO member.visits AS v (subject_id, visit_id, store_id, expired_from, expired_at)
    SELECT subject, visit, store, entered_at, left_at
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:visits AS uuid[]), CAST(:stores AS text[]),
        CAST(:entered AS timestamptz[]), CAST(:left AS timestamptz[]))
        AS told (subject, visit, store, entered_at, left_at)
    ON CONFLICT (subject_id, visit_id) DO UPDATE SET
        expired_from = EXCLUDED.expired_from, expired_at = EXCLUDED.expired_at
""")

_DWELLED = text("""
    INSERT INTO member.visits AS v (subject_id, visit_id, store_id, dwelled)
    SELECT subject, visit, store, string_to_array(reached, ',')::integer[]
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:visits AS uuid[]), CAST(:stores AS text[]),
        CAST(:reached AS text[])) AS told (subject, visit, store, reached)
    ON CONFLICT (subject_id, visit_id) DO UPDATE SET
        dwelled = ARRAY(SELECT DISTINCT unnest(v.dwelled || EXCLUDED.dwelled) ORDER BY 1)
""")

_NOT_DWELLED = text("""
    UPDATE member.visits AS v
    SET dwelled = ARRAY(SELECT d FROM unnest(v.dwelled) AS d
        WHERE d <> ALL(string_to_array(told.missed, ',')::integer[]) ORDER BY d)
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:visits AS uuid[]), CAST(:missed AS text[]))
        AS told (subject, visit, missed)
    WHERE v.subject_id = told.subject AND v.visit_id = told.visit
""")

_REDEEMED = text("""
    INSERT INTO member.redemptions AS r (subject_id, redemption_id, event_id, redeemed_at,
        store_id, amount_minor, currency)
    SELECT * FROM unnest(CAST(:subjects AS uuid[]), CAST(:redemptions AS uuid[]),
        CAST(:ids AS uuid[]), CAST(:times AS timestamptz[]), CAST(:stores AS text[]),
        CAST(:amounts AS bigint[]), CAST(:currencies AS text[]))
    ON CONFLICT (subject_id, redemption_id) DO UPDATE SET
        event_id = EXCLUDED.event_id, redeemed_at = EXCLUDED.redeemed_at,
        store_id = EXCLUDED.store_id, amount_minor = EXCLUDED.amount_minor,
        currency = EXCLUDED.currency
""")

_REVERSED = text("""
    INSERT INTO member.redemptions AS r (subject_id, redemption_id, reversed_at)
    SELECT * FROM unnest(CAST(:subjects AS uuid[]), CAST(:redemptions AS uuid[]),
        CAST(:times AS timestamptz[]))
    ON CONFLICT (subject_id, redemption_id) DO UPDATE SET reversed_at = EXCLUDED.reversed_at
""")

_STORES = text("""
    INSERT INTO member.stores AS s
        (store_id, revision, name, brand, address, timezone, tags, closed)
    SELECT store, revision, name, brand, address, zone,
        ARRAY(SELECT jsonb_array_elements_text(tags)), closed
    FROM unnest(CAST(:stores AS text[]), CAST(:revisions AS bigint[]), CAST(:names AS text[]),
        CAST(:brands AS text[]), CAST(:addresses AS text[]), CAST(:zones AS text[]),
        CAST(:tags AS jsonb[]), CAST(:closed AS boolean[]))
        AS told (store, revision, name, brand, address, zone, tags, closed)
    ORDER BY store
    ON CONFLICT (store_id) DO UPDATE SET revision = EXCLUDED.revision, name = EXCLUDED.name,
        brand = EXCLUDED.brand, address = EXCLUDED.address, timezone = EXCLUDED.timezone,
        tags = EXCLUDED.tags, closed = EXCLUDED.closed
    WHERE s.revision < EXCLUDED.revision
""")


class NewItem(NamedTuple):
    """An item of the timeline to be written, as ``member.new_item`` has it; ``data`` is JSON."""

    subject_id: UUID
    occurred_at: datetime
    event_id: UUID
    type: str
    received_at: datetime
    store_id: str | None
    data: str


async def remove_items(
    connection: AsyncConnection, facts: Sequence[Fact]
) -> list[tuple[UUID, str]]:
    """Take earlier revisions out of the timeline; gives (subject, type) of each."""
    if not facts:
        return []
    values = {"subjects": [f.subject for f in facts], "ids": [f.event_id for f in facts]}
    rows = await connection.execute(_REMOVE_ITEMS, values)
    return [(row.subject_id, row.type) for row in rows]


def adding_items(facts: Sequence[Fact]) -> Statement:
    items = [
        NewItem(
            fact.subject,
            fact.at,
            fact.event_id,
            fact.type,
            fact.received_at,
            fact.store_id,
            orjson.dumps(fact.data).decode(),
        )
        for fact in facts
    ]
    return Statement(_ADD_ITEMS, {"rows": items})


async def spans(
    connection: AsyncConnection, subjects: Iterable[UUID]
) -> dict[UUID, tuple[datetime | None, datetime | None]]:
    """When each subject's timeline begins and ends."""
    rows = await connection.execute(_SPANS, {"subjects": list(subjects)})
    return {row.id: (row.first_at, row.last_at) for row in rows}


async def enter(connection: AsyncConnection, facts: Sequence[Fact]) -> None:
    await _tell_visits(connection, _ENTERED, facts)


async def exit_(connection: AsyncConnection, facts: Sequence[Fact]) -> None:
    await _tell_visits(connection, _EXITED, facts)


async def expire(connection: AsyncConnection, facts: Sequence[Fact]) -> None:
    await _tell_visits(connection, _EXPIRED, facts)


async def dwell(connection: AsyncConnection, facts: Sequence[Fact]) -> None:
    """Thresholds that visits have reached, or no longer do; each is a fact of its own."""
    told: dict[tuple[UUID, UUID, int], Fact] = {}
    for fact in sorted(facts, key=lambda fact: fact.revision):
        told[fact.subject, uuid_of(fact.data, "visit_id"), fact.data["dwell_s"]] = fact
    stores = {(subject, visit): fact.store_id for (subject, visit, _), fact in told.items()}
    await take_back_dwells(connection, [key for key, fact in told.items() if fact.retracted])
    reached = _by_visit(key for key, fact in told.items() if not fact.retracted)
    if reached:
        of_visits = {"stores": [stores[key] for key in reached], "reached": _lists(reached)}
        await connection.execute(_DWELLED, {**_keys(reached), **of_visits})


async def take_back_dwells(
    connection: AsyncConnection, dwells: Iterable[tuple[UUID, UUID, int]]
) -> None:
    """Thresholds, as (subject, visit, seconds), that visits do not reach."""
    missed = _by_visit(dwells)
    if missed:
        await connection.execute(_NOT_DWELLED, {**_keys(missed), "missed": _lists(missed)})


def _by_visit(dwells: Iterable[tuple[UUID, UUID, int]]) -> dict[tuple[UUID, UUID], list[int]]:
    """Thresholds by (subject, visit), in key order."""
    found: dict[tuple[UUID, UUID], list[int]] = {}
    for subject, visit, dwell_s in sorted(dwells):
        found.setdefault((subject, visit), []).append(dwell_s)
    return found


def _keys(of_visits: Iterable[tuple[UUID, UUID]]) -> dict[str, list[UUID]]:
    subjects, visits = (list(column) for column in zip(*of_visits, strict=True))
    return {"subjects": subjects, "visits": visits}


def _lists(of_visits: Mapping[tuple[UUID, UUID], Sequence[int]]) -> list[str]:
    return [",".join(map(str, thresholds)) for thresholds in of_visits.values()]


async def redeem(connection: AsyncConnection, facts: Sequence[Fact]) -> None:
    chosen = _highest(facts, "redemption_id")
    live = [None if f.retracted else f for f in chosen.values()]
    values = {
        "subjects": [subject for subject, _ in chosen],
        "redemptions": [redemption for _, redemption in chosen],
        "ids": [f and f.event_id for f in live],
        "times": [f and f.at for f in live],
        "stores": [f and f.store_id for f in live],
        "amounts": [f and f.data.get("order_amount_minor") for f in live],
        "currencies": [f and f.data.get("currency") for f in live],
    }
    await connection.execute(_REDEEMED, values)


async def reverse(connection: AsyncConnection, facts: Sequence[Fact]) -> None:
    chosen = _highest(facts, "redemption_id")
    values = {
        "subjects": [subject for subject, _ in chosen],
        "redemptions": [redemption for _, redemption in chosen],
        "times": [None if f.retracted else f.at for f in chosen.values()],
    }
    await connection.execute(_REVERSED, values)


async def change_stores(connection: AsyncConnection, facts: Sequence[Fact]) -> None:
    latest: dict[str, Fact] = {}
    for fact in sorted(facts, key=lambda fact: fact.revision):
        latest[fact.data["store_id"]] = fact
    told = list(latest.values())
    values = {
        "stores": list(latest),
        "revisions": [f.revision for f in told],
        "names": [f.data["name"] for f in told],
        "brands": [f.data.get("brand") for f in told],
        "addresses": [f.data.get("address") for f in told],
        "zones": [f.data.get("timezone") for f in told],
        "tags": [orjson.dumps(f.data.get("tags", [])).decode() for f in told],
        "closed": [f.data.get("closed") is True or f.retracted for f in told],
    }
    await connection.execute(_STORES, values)


async def _tell_visits(
    connection: AsyncConnection, statement: TextClause, facts: Sequence[Fact]
) -> None:
    """One statement for one of the three facts of a visit; a retracted fact leaves nulls."""
    chosen = _highest(facts, "visit_id")
    spans = [_span(fact) for fact in chosen.values()]
    values: Mapping[str, Any] = {
        "subjects": [subject for subject, _ in chosen],
        "visits": [visit for _, visit in chosen],
        "stores": [fact.store_id for fact in chosen.values()],
        "entered": [entered for entered, _ in spans],
        "left": [left for _, left in spans],
    }
    await connection.execute(statement, values)


def _span(fact: Fact) -> tuple[datetime | None, datetime | None]:
    """(entered_at, left_at) as a closing fact tells them, or the time of an opening one."""
    if fact.retracted:
        return None, None
    if fact.type == EventType.VISIT_ENTERED:
        return fact.at, None
    entered_at = moment(fact.data["entered_at"], "bad_entered_at")
    return entered_at, moment(fact.data["left_at"], "bad_left_at")


def _highest(facts: Sequence[Fact], name: str) -> dict[tuple[UUID, UUID], Fact]:
    """One fact for each (subject, thing named in its data): the highest revision, in key order."""
    chosen: dict[tuple[UUID, UUID], Fact] = {}
    for fact in sorted(facts, key=lambda fact: fact.revision):
        chosen[fact.subject, uuid_of(fact.data, name)] = fact
    return dict(sorted(chosen.items()))
