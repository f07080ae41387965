"""What an operator sees of messages: which there are, in which state, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.outreach.domain import Route, State

_FILTERS = """(CAST(:account_id AS text) IS NULL OR account_id = :account_id)
        AND (CAST(:route AS text) IS NULL OR route = :route)
        AND (CAST(:reason AS text) IS NULL OR reason = :reason)
        AND (CAST(:store_id AS text) IS NULL OR store_id = :store_id)
        AND (CAST(:after_at AS timestamptz) IS NULL
            OR (created_at, outreach_id) < (:after_at, CAST(:after_id AS uuid)))"""

_COLUMNS = """subject_id, outreach_id, cause, coupon_id, store_id, state, reason, account_id, route,
    attempts, created_at, due_at, expires_at, sent_at"""

_ALL = text(f"""
    SELECT {_COLUMNS} FROM geo.outreach_messages
    WHERE {_FILTERS}
    ORDER BY created_at DESC, outreach_id DESC LIMIT :most
""")

_IN_STATE = text(f"""
    SELECT {_COLUMNS} FROM geo.outreach_messages
    WHERE state = :state AND {_FILTERS}
    ORDER BY created_at DESC, outreach_id DESC LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class Sought:
    """Which messages; None: any."""

    state: State | None = None
    account_id: str | None = None
    route: Route | None = None
    reason: str | None = None
    store_id: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    subject_id: UUID
    outreach_id: UUID
    cause: str
    coupon_id: UUID | None
    store_id: str | None
    state: State
    reason: str | None
    account_id: str | None
    route: Route | None
    attempts: int
    created_at: datetime
    due_at: datetime
    expires_at: datetime
    sent_at: datetime | None


async def list_messages(
    connection: AsyncConnection, sought: Sought, after: tuple[datetime, UUID] | None, most: int
) -> Sequence[Listed]:
    """The newest first; ``after`` is (created_at, outreach_id) of the last one that was seen."""
    after_at, after_id = after or (None, None)
    values = {
        "state": sought.state and sought.state.value,
        "account_id": sought.account_id,
        "route": sought.route and sought.route.value,
        "reason": sought.reason,
        "store_id": sought.store_id,
        "after_at": after_at,
        "after_id": after_id,
        "most": most,
    }
    query = _ALL if sought.state is None else _IN_STATE
    rows = await connection.execute(query, values)
    return [
        Listed(
            **row | {"state": State(row["state"]), "route": row["route"] and Route(row["route"])}
        )
        for row in map(dict, rows.mappings())
    ]
