"""Queries of messages to people.

Whoever plans, wakes or takes a message holds the lock of its subjects. What WeChat says of one
comes without; an advisory lock settles which of its answer and its last word is written first.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.geo_api.outreach.domain import COUPON_GRANTED, Reason, State
from services.geo_api.outreach.telling import Told, outcome
from services.geo_api.tables import FEED
from shared.direct import Statement
from shared.feed.outbox import enqueue

_PLAN = text(f"""
    INSERT INTO geo.outreach_messages (subject_id, outreach_id, cause, coupon_id, store_id, state,
        attempts, created_at, due_at, expires_at)
    SELECT won.subject_id, won.outreach_id, '{COUPON_GRANTED}', won.coupon_id, won.store_id,
        '{State.WAITING}', 0, won.granted_at, won.granted_at, won.valid_until
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:ids AS uuid[]), CAST(:coupons AS uuid[]),
        CAST(:stores AS text[]), CAST(:granted AS timestamptz[]), CAST(:valid AS timestamptz[]),
        CAST(:known AS boolean[]))
        AS won (subject_id, outreach_id, coupon_id, store_id, granted_at, valid_until, known)
    WHERE won.known OR EXISTS (
        SELECT FROM geo.subjects AS s
        JOIN geo.wechat_users AS u ON u.subject_id = ANY(s.siblings)
        WHERE s.subject_id = won.subject_id AND u.account_id = ANY(CAST(:accounts AS text[])))
    ON CONFLICT (subject_id, outreach_id) DO NOTHING
""")

_WAKE = text(f"""
    UPDATE geo.outreach_messages AS m SET due_at = :now
    FROM geo.subjects AS s
    WHERE s.subject_id = ANY(CAST(:subjects AS uuid[])) AND m.subject_id = ANY(s.siblings)
        AND m.state = '{State.WAITING}' AND m.due_at > :now
""")

_LOCK_ID = text("""
    SELECT pg_advisory_xact_lock(
        hashtextextended('solomo outreach ' || :account_id || ' ' || :message_id, 0))
""")

_SETTLE = text(f"""
    UPDATE geo.outreach_messages SET state = :state, reason = :reason
    WHERE account_id = :account_id AND message_id = :message_id AND state = '{State.SENT}'
    RETURNING subject_id, outreach_id, cause, coupon_id, store_id, account_id, route, state, reason,
        sent_at
""")

_KEEP_RESULT = text("""
    INSERT INTO geo.outreach_results (account_id, message_id, delivered, reason, noted_at)
    VALUES (:account_id, :message_id, :delivered, :reason, :noted_at)
    ON CONFLICT (account_id, message_id) DO NOTHING
""")


class NewMessage(NamedTuple):
    """``known``: an account that writes to people surely knows the subject."""

    subject_id: UUID
    outreach_id: UUID
    coupon_id: UUID
    store_id: str
    granted_at: datetime
    valid_until: datetime
    known: bool


def planning(messages: Sequence[NewMessage], account_ids: Iterable[str]) -> list[Statement]:
    """Insert those of ``messages`` whose person one of the accounts knows, each once."""
    if not messages:
        return []
    subjects, ids, coupons, stores, granted, valid, known = map(list, zip(*messages, strict=True))
    values = {
        "subjects": subjects,
        "ids": ids,
        "coupons": coupons,
        "stores": stores,
        "granted": granted,
        "valid": valid,
        "known": known,
        "accounts": [*account_ids],
    }
    return [Statement(_PLAN, values)]


def waking(subjects: Iterable[UUID], now: datetime) -> list[Statement]:
    """Have what waits for these people looked at anew: something opened for a subject of theirs.

    The caller holds the lock of the subjects, and opens what it opens in the same transaction.
    """
    whose = sorted(set(subjects))
    return [Statement(_WAKE, {"subjects": whose, "now": now})] if whose else []


class Said(NamedTuple):
    """WeChat's last word on a message: it is delivered, or ``reason`` is why not."""

    account_id: str
    message_id: str
    delivered: bool
    reason: str | None


async def note_outcome(
    connection: AsyncConnection,
    account_id: str,
    message_id: str,
    ok: bool,
    reason: str,
    at: datetime,
) -> None:
    """Note WeChat's last word on a message, once; ``at`` is when it came.

    What is not known yet is kept for the answer that brings its id; what is not ours is
    forgotten after a day.
    """
    said = Said(account_id, message_id, ok, reason or None)
    await lock_id(connection, account_id, message_id)
    if not await note_result(connection, said, at):
        await connection.execute(_KEEP_RESULT, {**said._asdict(), "noted_at": at})


async def note_result(connection: AsyncConnection, said: Said, at: datetime) -> bool:
    """Note and tell it of the message that has this id; False where none waits for it.

    The id is locked.
    """
    state, why = State.DELIVERED, None
    if not said.delivered:
        state, why = State.FAILED, said.reason or Reason.NOT_DELIVERED.value
    values = {"account_id": said.account_id, "message_id": said.message_id}
    rows = await connection.execute(_SETTLE, {**values, "state": state.value, "reason": why})
    settled = [told(row) for row in rows]
    await enqueue(connection, FEED, [outcome(one, at, revision=2) for one in settled])
    return bool(settled)


async def lock_id(connection: AsyncConnection, account_id: str, message_id: str) -> None:
    """Of two that write about one message, the second sees what the first wrote."""
    await connection.execute(_LOCK_ID, {"account_id": account_id, "message_id": message_id})


def told(row: Any) -> Told:
    """A row of the table, as its event tells it."""
    return Told(
        row.subject_id,
        row.outreach_id,
        row.cause,
        row.coupon_id,
        row.store_id,
        row.account_id,
        row.route,
        row.state,
        row.reason,
        row.sent_at,
    )
