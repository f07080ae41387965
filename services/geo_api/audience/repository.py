"""Erasing a subject from every table of geo_api."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.auth import Role

NOBODY = UUID(int=0)
"""Stands for the subject in ledger rows that outlive an erasure."""

RECEIPTS = text("""
    DELETE FROM geo.check_in_receipts AS r USING geo.check_ins AS c
    WHERE c.subject_id = :subject
        AND r.check_in_id = c.check_in_id AND r.subject_id = c.subject_id
""")
"""Found by the check-ins that they belong to: their key leads with the check-in."""

_DELETIONS = [
    text(f"DELETE FROM geo.{table} WHERE subject_id = :subject")
    for table in (
        "check_ins",
        "visits",
        "visit_aliases",
        "coupon_codes",
        "coupons",
        "fix_sightings",
        "outreach_messages",
        "wechat_grants",
        "wechat_pushes",
        "wechat_users",
        "wechat_windows",
        "subjects",
    )
]

# Under a member's own keys lie the answers that it was given, until they expire.
_ANSWERS = text("DELETE FROM geo.idempotency_keys WHERE scope = :scope")

# The ledger keeps what was given and for how much, and loses whom. Use numbers were unique per
# subject and coupon, and coupon ids are unique by themselves, so they stay unique for nobody.
_ANONYMISE = text("UPDATE geo.redemptions SET subject_id = :nobody WHERE subject_id = :subject")

_SIBLINGS = text("""
    UPDATE geo.subjects SET siblings = array_remove(siblings, :subject)
    WHERE :subject = ANY(siblings) AND subject_id <> :subject
""")


async def erase(connection: AsyncConnection, subject: UUID) -> None:
    """Remove every row about a subject; redemptions stay as amounts of nobody."""
    for statement in (RECEIPTS, *_DELETIONS):
        await connection.execute(statement, {"subject": subject})
    await connection.execute(_ANSWERS, {"scope": f"{Role.MEMBER}:{subject}"})
    await connection.execute(_ANONYMISE, {"subject": subject, "nobody": NOBODY})
    await connection.execute(_SIBLINGS, {"subject": subject})
