"""What subjects are counted by: the span of their timeline, and how much of some kinds it has."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.member_api.people import service as people
from services.member_api.people.service import Touch
from services.member_api.timeline import writing
from shared.contracts.events import EventType


def count(touch: Touch, kind: str) -> None:
    touch.check_ins += kind == EventType.CHECK_IN
    touch.coupons_granted += kind == EventType.COUPON_GRANTED


async def recount(connection: AsyncConnection, removed: Sequence[tuple[UUID, str]]) -> None:
    """Take what was removed from the counts, and set the span of those subjects anew."""
    if not removed:
        return
    spans = await writing.spans(connection, {subject for subject, _ in removed})
    lost = {subject: Touch(*span) for subject, span in spans.items()}
    for subject, kind in removed:
        count(lost[subject], kind)
    await people.recount(connection, lost)
