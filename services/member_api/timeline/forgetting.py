"""Queries that forget interactions; the books keep the amounts, and lose the subject."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_STATEMENTS = (
    """INSERT INTO member.erased_redemptions
            (redemption_id, redeemed_at, store_id, amount_minor, currency, reversed_at)
        SELECT redemption_id, redeemed_at, store_id, amount_minor, currency, reversed_at
        FROM member.redemptions
        WHERE subject_id = ANY(CAST(:subjects AS uuid[])) AND redeemed_at IS NOT NULL
        ON CONFLICT (redemption_id) DO NOTHING""",
    """DELETE FROM member.redemptions WHERE subject_id = ANY(CAST(:subjects AS uuid[]))""",
    """DELETE FROM member.visits WHERE subject_id = ANY(CAST(:subjects AS uuid[]))""",
    """DELETE FROM member.timeline_items WHERE subject_id = ANY(CAST(:subjects AS uuid[]))""",
)


async def forget(connection: AsyncConnection, subjects: Iterable[UUID]) -> None:
    for statement in _STATEMENTS:
        await connection.execute(text(statement), {"subjects": list(subjects)})
