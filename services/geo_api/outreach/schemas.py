"""Wire shapes of messages to people."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel

from services.geo_api.outreach.domain import Route, State
from services.geo_api.outreach.listing import Listed


class MessageOut(BaseModel):
    """``reason`` says why it waits, ended, or is not known to have arrived.

    ``due_at`` is when one that waits is looked at next, unless something opens before. ``sent_at``
    is when WeChat was asked. ``subject_id`` is null for marketers.
    """

    outreach_id: UUID
    subject_id: UUID | None
    cause: str
    coupon_id: UUID | None
    store_id: str | None
    state: State
    reason: str | None
    account_id: str | None
    route: Route | None
    attempts: int
    created_at: datetime
    due_at: datetime | None
    expires_at: datetime
    sent_at: datetime | None

    @classmethod
    def of(cls, message: Listed, *, whose: bool) -> Self:
        return cls(
            outreach_id=message.outreach_id,
            subject_id=message.subject_id if whose else None,
            cause=message.cause,
            coupon_id=message.coupon_id,
            store_id=message.store_id,
            state=message.state,
            reason=message.reason,
            account_id=message.account_id,
            route=message.route,
            attempts=message.attempts,
            created_at=message.created_at,
            due_at=message.due_at if message.state is State.WAITING else None,
            expires_at=message.expires_at,
            sent_at=message.sent_at,
        )
