"""Facts on their way between the services, as CloudEvents 1.0 with a schema version.

geo_api tells member_api interactions, identities and places; member_api tells geo_api audience
facts and erasures. Both go as ``{"events": [...]}`` (up to 1,000) and are answered per item with
``{"results": [...]}`` in the same order.

An event id is derived from the fact (``shared.ids.event_id``), so the same fact told twice has
the same id. ``revision`` counts amendments of the fact: the highest wins, an equal or lower one
is a duplicate. ``retracted`` withdraws the fact: it keeps its revision and leaves the timeline.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1
MAX_EVENTS = 1_000


class EventType(StrEnum):
    """Timeline types first; those of ``NOT_IN_TIMELINE`` never stand in a timeline."""

    CHECK_IN = "check_in"
    VISIT_ENTERED = "visit_entered"
    VISIT_DWELLED = "visit_dwelled"
    VISIT_EXITED = "visit_exited"
    VISIT_EXPIRED = "visit_expired"
    COUPON_GRANTED = "coupon_granted"
    COUPON_REDEEMED = "coupon_redeemed"
    REDEMPTION_REVERSED = "redemption_reversed"
    INVITATION_SHOWN = "invitation_shown"
    SIGNED_UP = "signed_up"
    CONSENT_CHANGED = "consent_changed"
    SOCIAL_FOLLOWED = "social_followed"
    SOCIAL_UNFOLLOWED = "social_unfollowed"
    SOCIAL_SCANNED = "social_scanned"
    SOCIAL_MENU_USED = "social_menu_used"
    SOCIAL_MESSAGE_RECEIVED = "social_message_received"
    SOCIAL_SUBSCRIPTION_CHANGED = "social_subscription_changed"
    SOCIAL_MESSAGE_SENT = "social_message_sent"
    SOCIAL_EVENT = "social_event"
    IDENTITY_OBSERVED = "identity_observed"
    IDENTITIES_JOINED = "identities_joined"
    WHEREABOUTS_REVOKED = "whereabouts_revoked"
    ERASURE_REQUESTED = "erasure_requested"
    STORE_CHANGED = "store_changed"
    AUDIENCE_CHANGED = "audience_changed"
    SUBJECT_ERASED = "subject_erased"


NOT_IN_TIMELINE = frozenset(
    {
        EventType.IDENTITY_OBSERVED,
        EventType.IDENTITIES_JOINED,
        EventType.WHEREABOUTS_REVOKED,
        EventType.ERASURE_REQUESTED,
        EventType.STORE_CHANGED,
        EventType.AUDIENCE_CHANGED,
        EventType.SUBJECT_ERASED,
    }
)


class Event(BaseModel):
    """One fact. ``subject`` is the subject_id it happened to (None for places).

    ``time`` is when it happened (aware, UTC), ``received_at`` when the system learnt of it.
    ``store_id`` is the deepest matching store or None. ``data`` is described per type in
    ``docs/contracts.md``; it never holds coordinates.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"] = "1.0"
    schemaversion: int = SCHEMA_VERSION
    id: UUID
    source: str
    type: EventType
    subject: UUID | None
    time: AwareDatetime
    received_at: AwareDatetime
    store_id: str | None = None
    revision: int = 1
    retracted: bool = False
    data: dict[str, Any] = Field(default_factory=dict)


class EventBatch(BaseModel):
    events: Annotated[list[dict[str, Any]], Field(max_length=MAX_EVENTS)]
    """Left unread here, so that one malformed event is refused alone."""


class Applied(StrEnum):
    APPLIED = "applied"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


class EventResult(BaseModel):
    """What became of one event. A refused one is parked by the sender with ``reason``."""

    id: str
    status: Applied
    reason: str | None = None


class EventResults(BaseModel):
    results: list[EventResult]


class Purpose(StrEnum):
    """What a consent is for; each is asked and kept on its own."""

    LOCATE_NOW = "locate_now"
    VISIT_HISTORY = "visit_history"
    MARKETING_PUSH = "marketing_push"
    PROFILING = "profiling"
    SHARING = "sharing"
    EXPORT = "export"


class ConsentState(StrEnum):
    GRANTED = "granted"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"


class Lifecycle(StrEnum):
    FAN = "fan"
    CUSTOMER = "customer"
    MEMBER = "member"


class ConsentFact(BaseModel):
    """The consent in force for one purpose of a subject.

    ``at`` is when it was given, denied or withdrawn by the person.
    """

    state: ConsentState
    version: str
    at: AwareDatetime


class AudienceFacts(BaseModel):
    """``data`` of ``audience_changed``: who a subject is now. ``Event.revision`` orders it.

    ``siblings`` are all subjects of the person, this one included, in id order. A denial or
    withdrawal by any of them stands in ``consents`` of each.
    """

    person_id: UUID
    siblings: list[UUID]
    lifecycle: Lifecycle
    tier: str | None = None
    tags: list[str] = Field(default_factory=list)
    segments: list[str] = Field(default_factory=list)
    consents: dict[Purpose, ConsentFact] = Field(default_factory=dict)


class Erasure(BaseModel):
    """``data`` of ``subject_erased``."""

    erased_at: datetime


class Invitation(BaseModel):
    """Claims of an invitation to join: a JWT signed by geo_api, ``aud`` ``sign-up``.

    ``sub`` is the subject it is bound to, ``jti`` makes it single-use.
    """

    sub: UUID
    jti: str
    store_id: str | None = None
    campaign: str | None = None
    kol: str | None = None
    aud: Literal["sign-up"] = "sign-up"


class ConsentReceipt(BaseModel):
    """Claims of a consent receipt: a JWT signed by member_api, ``aud`` ``consent``.

    A check-in may carry it so that allowing works before the feed has brought the consent.
    """

    sub: UUID
    purpose: Purpose
    version: str
    given_at: AwareDatetime
    aud: Literal["consent"] = "consent"
