"""Queries that read the timeline and what it adds up to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.timeline.domain import Purchase, Stay

# Each subject's newest items come off the primary key, then the newest of all are kept; a filter
# that is not given is null.
_PAGE = text("""
    SELECT item.event_id, item.type, item.occurred_at, item.store_id, item.data, st.name
    FROM unnest(CAST(:subjects AS uuid[])) AS who (subject_id)
    CROSS JOIN LATERAL (
        SELECT t.event_id, t.type, t.occurred_at, t.store_id, t.data
        FROM member.timeline_items AS t
        WHERE t.subject_id = who.subject_id
            AND (CAST(:types AS text[]) IS NULL OR t.type = ANY(:types))
            AND (CAST(:store AS text) IS NULL
                OR t.store_id = :store OR t.data -> 'store_ids' ? :store)
            AND t.occurred_at >= COALESCE(CAST(:since AS timestamptz), '-infinity')
            AND t.occurred_at < COALESCE(CAST(:until AS timestamptz), 'infinity')
            AND (t.occurred_at, t.event_id)
                < (COALESCE(CAST(:before_at AS timestamptz), 'infinity'), CAST(:before_id AS uuid))
        ORDER BY t.occurred_at DESC, t.event_id DESC
        LIMIT :limit
    ) AS item
    LEFT JOIN member.stores AS st ON st.store_id = item.store_id
    ORDER BY item.occurred_at DESC, item.event_id DESC
    LIMIT :limit
""")

_STAYS = text("""
    SELECT store_id, COALESCE(entered_at, exited_from, expired_from) AS entered_at,
        COALESCE(exited_at, expired_at) AS left_at, dwelled <> '{}' AS dwelled
    FROM member.visits
    WHERE subject_id = ANY(CAST(:subjects AS uuid[]))
        AND COALESCE(entered_at, exited_from, expired_from) IS NOT NULL
""")

_PURCHASES = text("""
    SELECT subject_id, event_id, redeemed_at, store_id, amount_minor, currency
    FROM member.redemptions
    WHERE subject_id = ANY(CAST(:subjects AS uuid[]))
        AND redeemed_at IS NOT NULL AND reversed_at IS NULL
""")

_LAST_ID = UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True)
class TimelineFilter:
    """``since`` is included, ``until`` is not."""

    types: Sequence[str] | None = None
    store_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """An interaction as it stands in a timeline; ``store_name`` as geo_api last told it."""

    id: UUID
    type: str
    occurred_at: datetime
    store_id: str | None
    data: dict[str, Any]
    store_name: str | None


async def page(
    connection: AsyncConnection,
    subjects: Iterable[UUID],
    wanted: TimelineFilter,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Item]:
    """The newest ``limit`` items of subjects taken together, older than ``before``."""
    before_at, before_id = before or (None, _LAST_ID)
    values = {
        "subjects": list(subjects),
        "types": None if wanted.types is None else list(wanted.types),
        "store": wanted.store_id,
        "since": wanted.since,
        "until": wanted.until,
        "before_at": before_at,
        "before_id": before_id,
        "limit": limit,
    }
    return [Item(*row) for row in await connection.execute(_PAGE, values)]


async def stays(connection: AsyncConnection, subjects: Iterable[UUID]) -> list[Stay]:
    rows = await connection.execute(_STAYS, {"subjects": list(subjects)})
    return [Stay(*row) for row in rows]


async def purchases(
    connection: AsyncConnection, subjects: Iterable[UUID]
) -> dict[UUID, list[Purchase]]:
    """The redemptions that stand, by subject."""
    found: dict[UUID, list[Purchase]] = {}
    rows = await connection.execute(_PURCHASES, {"subjects": list(subjects)})
    for subject, *rest in rows:
        found.setdefault(subject, []).append(Purchase(*rest))
    return found
