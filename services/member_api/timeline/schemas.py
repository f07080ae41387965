"""Wire shapes of the timeline."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.ids import Slug
from shared.pagination import DEFAULT_LIMIT, Cursor, Limit
from shared.wire import Moment

TimelineType = Literal[
    "check_in",
    "visit_entered",
    "visit_dwelled",
    "visit_exited",
    "visit_expired",
    "coupon_granted",
    "coupon_redeemed",
    "redemption_reversed",
    "invitation_shown",
    "signed_up",
    "consent_changed",
    "social_followed",
    "social_unfollowed",
    "social_scanned",
    "social_menu_used",
    "social_message_received",
    "social_subscription_changed",
    "social_message_sent",
    "social_event",
]


class TimelineQuery(BaseModel):
    """Which items; ``since`` is included, ``until`` is not. ``type`` may be given several times."""

    type: list[TimelineType] | None = Field(default=None, max_length=20)
    store_id: Slug | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor = None


class TimelineItemOut(BaseModel):
    """An interaction. ``data`` is described per type in the contracts between the services.

    ``store_name`` is the store's present name, null where it is not known.
    """

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    type: str
    occurred_at: datetime
    store_id: str | None
    data: dict[str, Any]
    store_name: str | None
