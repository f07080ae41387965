"""Queries of sending: what is due, what a person permits and has got, and what became of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.outreach.domain import COUNTED_FOR, Past, Reason, Route, State

_CLAIM = text(f"""
    UPDATE geo.outreach_messages AS m SET claimed_until = :until
    FROM (
        SELECT subject_id, outreach_id FROM geo.outreach_messages
        WHERE state = '{State.WAITING}' AND due_at <= :now
            AND (claimed_until IS NULL OR claimed_until <= :now)
        ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE m.subject_id = due.subject_id AND m.outreach_id = due.outreach_id
    RETURNING m.subject_id, m.outreach_id
""")

_READ = text(f"""
    SELECT m.cause, m.coupon_id, m.store_id, m.reason, m.account_id, m.route, m.attempts,
        m.expires_at, m.sent_at, c.state AS coupon_state, c.title, c.code, p.name AS store
    FROM geo.outreach_messages AS m
    LEFT JOIN geo.coupons AS c ON c.subject_id = m.subject_id AND c.coupon_id = m.coupon_id
    LEFT JOIN geo.stores AS p ON p.store_id = m.store_id
    WHERE m.subject_id = :subject AND m.outreach_id = :id AND m.state = '{State.WAITING}'
        AND m.claimed_until = :until
    FOR UPDATE OF m
""")

# What failed was not got, and counts for nothing.
_PAST = text(f"""
    SELECT sent_at, state FROM geo.outreach_messages
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) AND sent_at > :since
        AND state IN ('{State.WAITING}', '{State.SENT}', '{State.DELIVERED}')
""")

_GRANTS = text("""
    SELECT DISTINCT subject_id, account_id, template_id FROM geo.wechat_grants
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) AND state = 'open'
""")

_WINDOWS = text("""
    SELECT DISTINCT subject_id, account_id FROM geo.wechat_windows
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) AND closes_at > :now AND used < allowed
""")

_MINE = f"""subject_id = :subject AND outreach_id = :id AND state = '{State.WAITING}'
    AND claimed_until = :until"""

_BEGIN = text(f"""
    UPDATE geo.outreach_messages SET sent_at = :now, account_id = :account_id, route = :route,
        attempts = least(attempts + 1, 32767)
    WHERE {_MINE}
""")

_PUT_OFF = text(f"""
    UPDATE geo.outreach_messages SET due_at = :due_at, reason = :reason, claimed_until = NULL,
        sent_at = NULL, account_id = NULL, route = NULL
    WHERE {_MINE}
    RETURNING outreach_id
""")

_END = text(f"""
    UPDATE geo.outreach_messages SET state = :state, reason = :reason, message_id = :message_id,
        claimed_until = NULL
    WHERE {_MINE}
    RETURNING subject_id, outreach_id, cause, coupon_id, store_id, account_id, route, state, reason,
        sent_at
""")

# Others of the person that waited because this one was under way.
_WAKE_NEXT = text(f"""
    UPDATE geo.outreach_messages SET due_at = :now
    WHERE subject_id = ANY(CAST(:subjects AS uuid[])) AND state = '{State.WAITING}'
        AND reason = '{Reason.OFTEN_ENOUGH}' AND due_at > :now
""")

_TAKE_RESULT = text("""
    DELETE FROM geo.outreach_results WHERE account_id = :account_id AND message_id = :message_id
    RETURNING delivered, reason, noted_at
""")

_FORGET_RESULTS = text("DELETE FROM geo.outreach_results WHERE noted_at < :before")

_BEHIND = text(f"""
    SELECT count(*) AS waiting, min(due_at) FILTER (WHERE due_at <= :now) AS due_since
    FROM geo.outreach_messages WHERE state = '{State.WAITING}'
""")


class Claimed(NamedTuple):
    """A message that this process looks at until ``until``; that moment tells whose claim it is."""

    subject_id: UUID
    outreach_id: UUID
    until: datetime

    @property
    def values(self) -> dict[str, Any]:
        return {"subject": self.subject_id, "id": self.outreach_id, "until": self.until}


@dataclass(frozen=True, slots=True)
class Due:
    """A claimed message, its row locked, with its coupon and store.

    ``coupon_state`` None: there is no such coupon. ``sent_at``: somebody has begun to send it.
    """

    claimed: Claimed
    reason: str | None
    attempts: int
    expires_at: datetime
    sent_at: datetime | None
    coupon_id: UUID | None
    coupon_state: str | None
    title: str | None
    code: bytes | None
    store: str | None


class Permitted(NamedTuple):
    """Open grants by (subject, account, template), windows with room by (subject, account)."""

    grants: frozenset[tuple[UUID, str, str]]
    windows: frozenset[tuple[UUID, str]]


async def claim(
    connection: AsyncConnection, now: datetime, until: datetime, most: int
) -> list[Claimed]:
    """What is due, for this process alone until ``until``."""
    rows = await connection.execute(_CLAIM, {"now": now, "until": until, "most": most})
    return [Claimed(row.subject_id, row.outreach_id, until) for row in rows]


async def read(connection: AsyncConnection, claimed: Claimed) -> Due | None:
    """The message, if it still waits under this claim."""
    for row in await connection.execute(_READ, claimed.values):
        return Due(
            claimed,
            row.reason,
            row.attempts,
            row.expires_at,
            row.sent_at,
            row.coupon_id,
            row.coupon_state,
            row.title,
            row.code,
            row.store,
        )
    return None


async def past(connection: AsyncConnection, subjects: Sequence[UUID], now: datetime) -> Past:
    """What a person got of late, and whether something is under way; subjects are locked."""
    rows = await connection.execute(_PAST, {"subjects": subjects, "since": now - COUNTED_FOR})
    each = [(row.sent_at, row.state) for row in rows]
    return Past([at for at, _ in each], any(state == State.WAITING for _, state in each))


async def permitted(
    connection: AsyncConnection, subjects: Sequence[UUID], now: datetime
) -> Permitted:
    """What the people permit now."""
    values = {"subjects": subjects, "now": now}
    grants = await connection.execute(_GRANTS, {"subjects": subjects})
    windows = await connection.execute(_WINDOWS, values)
    return Permitted(
        frozenset((row.subject_id, row.account_id, row.template_id) for row in grants),
        frozenset((row.subject_id, row.account_id) for row in windows),
    )


async def begin(
    connection: AsyncConnection, claimed: Claimed, account_id: str, route: Route, now: datetime
) -> None:
    """Note that it is being sent: whoever finds it so after a crash does not send it again."""
    values = {"account_id": account_id, "route": route.value, "now": now}
    await connection.execute(_BEGIN, {**claimed.values, **values})


async def put_off(
    connection: AsyncConnection, claimed: Claimed, due_at: datetime, reason: Reason
) -> bool:
    """Let it wait; False where it is not this claim's any more."""
    values = {**claimed.values, "due_at": due_at, "reason": reason.value}
    rows = await connection.execute(_PUT_OFF, values)
    return any(True for _ in rows)


async def end(
    connection: AsyncConnection,
    claimed: Claimed,
    state: State,
    reason: str | None,
    message_id: str | None = None,
) -> Any | None:
    """Give it another state than waiting; its row, None where it is not this claim's any more."""
    values = {"state": state.value, "reason": reason, "message_id": message_id}
    for row in await connection.execute(_END, {**claimed.values, **values}):
        return row
    return None


async def wake_next(connection: AsyncConnection, subjects: Sequence[UUID], now: datetime) -> None:
    """What waits because the person got enough is looked at anew: one of those was not got."""
    await connection.execute(_WAKE_NEXT, {"subjects": subjects, "now": now})


class EarlyResult(NamedTuple):
    delivered: bool
    reason: str | None
    noted_at: datetime


async def take_result(
    connection: AsyncConnection, account_id: str, message_id: str
) -> EarlyResult | None:
    """WeChat's last word on a message, if it came before the answer; the id is locked."""
    values = {"account_id": account_id, "message_id": message_id}
    for row in await connection.execute(_TAKE_RESULT, values):
        return EarlyResult(row.delivered, row.reason, row.noted_at)
    return None


async def forget_results(connection: AsyncConnection, before: datetime) -> None:
    """Of messages that are not ours."""
    await connection.execute(_FORGET_RESULTS, {"before": before})


class Behind(NamedTuple):
    """``due_since``: since when the oldest of those that are due has been so."""

    waiting: int
    due_since: datetime | None


async def behind(connection: AsyncConnection, now: datetime) -> Behind:
    rows: Iterator[Any] = iter(await connection.execute(_BEHIND, {"now": now}))
    row = next(rows)
    return Behind(row.waiting, row.due_since)
