"""Telling member_api what became of a message."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.geo_api.feeding import tell
from shared.contracts.events import EventType
from shared.feed.outbox import PreparedEvent


class Told(NamedTuple):
    """A message as ``social_message_sent`` tells it (``docs/contracts.md``)."""

    subject_id: UUID
    outreach_id: UUID
    cause: str
    coupon_id: UUID | None
    store_id: str | None
    account_id: str | None
    route: str | None
    state: str
    reason: str | None
    sent_at: datetime | None


def outcome(message: Told, at: datetime, *, revision: int = 1) -> PreparedEvent:
    """``at`` is when this was learnt; the event stands at the time of sending, if it was sent."""
    return tell(
        EventType.SOCIAL_MESSAGE_SENT,
        message.subject_id,
        str(message.outreach_id),
        time=message.sent_at or at,
        received_at=at,
        store_id=message.store_id,
        revision=revision,
        data={
            "channel": "wechat",
            "account_id": message.account_id,
            "scene": None,
            "campaign": None,
            "kol": None,
            "outreach_id": str(message.outreach_id),
            "coupon_id": None if message.coupon_id is None else str(message.coupon_id),
            "cause": message.cause,
            "route": message.route,
            "state": message.state,
            "reason": message.reason,
        },
    )
