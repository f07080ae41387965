"""Queries that forget interactions; the books keep the amounts, and lose the subject."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.timeline.facts import Fact
from services.member_api.timeline.values import uuid_of

_STATEMENTS = (
    """INSERT INTO member.erased_redemptions AS book
            (redemption_id, redeemed_at, store_id, amount_minor, currency, reversed_at)
        SELECT redemption_id, redeemed_at, store_id, amount_minor, currency, reversed_at
        FROM member.redemptions
        WHERE subject_id = ANY(CAST(:subjects AS uuid[]))
            AND (redeemed_at IS NOT NULL OR reversed_at IS NOT NULL)
        ORDER BY redemption_id
        ON CONFLICT (redemption_id) DO UPDATE SET
            redeemed_at = COALESCE(book.redeemed_at, EXCLUDED.redeemed_at),
            store_id = COALESCE(book.store_id, EXCLUDED.store_id),
            amount_minor = COALESCE(book.amount_minor, EXCLUDED.amount_minor),
            currency = COALESCE(book.currency, EXCLUDED.currency),
            reversed_at = COALESCE(book.reversed_at, EXCLUDED.reversed_at)""",
    """DELETE FROM member.redemptions WHERE subject_id = ANY(CAST(:subjects AS uuid[]))""",
    """DELETE FROM member.visits WHERE subject_id = ANY(CAST(:subjects AS uuid[]))""",
    """DELETE FROM member.social_touches WHERE subject_id = ANY(CAST(:subjects AS uuid[]))""",
    """DELETE FROM member.social_messages WHERE subject_id = ANY(CAST(:subjects AS uuid[]))""",
    """DELETE FROM member.whereabouts_revocations
        WHERE subject_id = ANY(CAST(:subjects AS uuid[]))""",
    """DELETE FROM member.timeline_items WHERE subject_id = ANY(CAST(:subjects AS uuid[]))""",
)

# The first word on a redemption stays, however often and in whatever order they are told.
_BOOK = text("""
    INSERT INTO member.erased_redemptions AS book
        (redemption_id, redeemed_at, store_id, amount_minor, currency)
    SELECT * FROM unnest(CAST(:redemptions AS uuid[]), CAST(:times AS timestamptz[]),
        CAST(:stores AS text[]), CAST(:amounts AS bigint[]), CAST(:currencies AS text[]))
    ON CONFLICT (redemption_id) DO UPDATE SET
        redeemed_at = EXCLUDED.redeemed_at, store_id = EXCLUDED.store_id,
        amount_minor = EXCLUDED.amount_minor, currency = EXCLUDED.currency
    WHERE book.redeemed_at IS NULL
""")

_BOOK_REVERSALS = text("""
    INSERT INTO member.erased_redemptions AS book (redemption_id, reversed_at)
    SELECT * FROM unnest(CAST(:redemptions AS uuid[]), CAST(:times AS timestamptz[]))
    ON CONFLICT (redemption_id) DO UPDATE SET reversed_at = EXCLUDED.reversed_at
    WHERE book.reversed_at IS NULL
""")

_BOOKED = text("""
    SELECT redemption_id FROM member.erased_redemptions
    WHERE redemption_id = ANY(CAST(:redemptions AS uuid[]))
""")


async def forget(connection: AsyncConnection, subjects: Iterable[UUID]) -> None:
    """Remove all that happened to subjects; what they redeemed goes into the books."""
    for statement in _STATEMENTS:
        await connection.execute(text(statement), {"subjects": list(subjects)})


async def booked(connection: AsyncConnection, redemptions: Iterable[UUID]) -> set[UUID]:
    """Those of ``redemptions`` that stand in the books, and belong to nobody any more."""
    wanted = list(redemptions)
    if not wanted:
        return set()
    rows = await connection.execute(_BOOKED, {"redemptions": wanted})
    return {row.redemption_id for row in rows}


async def book(connection: AsyncConnection, redeemed: Sequence[Fact]) -> None:
    """Enter redemptions whose subject was erased before they were told, each once."""
    facts = _by_redemption(redeemed)
    if not facts:
        return
    values = {
        "redemptions": list(facts),
        "times": [fact.at for fact in facts.values()],
        "stores": [fact.store_id for fact in facts.values()],
        "amounts": [fact.data.get("order_amount_minor") for fact in facts.values()],
        "currencies": [fact.data.get("currency") for fact in facts.values()],
    }
    await connection.execute(_BOOK, values)


async def book_reversals(connection: AsyncConnection, reversed_: Sequence[Fact]) -> None:
    """Enter reversals of such redemptions, told before or after them."""
    facts = _by_redemption(reversed_)
    if facts:
        times = [fact.at for fact in facts.values()]
        values = {"redemptions": list(facts), "times": times}
        await connection.execute(_BOOK_REVERSALS, values)


def _by_redemption(facts: Sequence[Fact]) -> dict[UUID, Fact]:
    """One fact a redemption, in the order of their ids, so that two batches do not deadlock."""
    return dict(sorted({uuid_of(fact.data, "redemption_id"): fact for fact in facts}.items()))
