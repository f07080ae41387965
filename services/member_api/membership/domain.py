"""What stands in the way of joining."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.errors import Conflict, Gone
from shared.ids import uuid7

MAX_PROFILE_FIELDS = 20
"""So many things a subject may say of itself in all."""

MAX_CLAIMS = 50
"""So many identities a subject may claim in all, as many as a person may have."""


class InvitationUsed(Conflict):
    """An invitation is good for one sign-up. Ask for a new one with the next check-in."""

    slug = "invitation-used"
    title = "The invitation was used already"


class InvitationExpired(Gone):
    """An invitation is good for 24 hours. Ask for a new one with the next check-in."""

    slug = "invitation-expired"
    title = "The invitation has expired"


class InvitationForAnother(Conflict):
    """The invitation is bound to another subject than the token or identities of the request."""

    slug = "invitation-for-another"
    title = "The invitation is for somebody else"


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation whose signature holds. Times are those of the token."""

    subject_id: UUID
    jti: str
    issued_at: datetime
    expires_at: datetime
    store_id: str | None = None
    campaign: str | None = None
    kol: str | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """A subject that joined; ``event_id`` is its sign-up in the timeline."""

    subject_id: UUID
    event_id: UUID
    joined_at: datetime
    store_id: str | None
    campaign: str | None
    kol: str | None = None


def sign_up_key(invited: Invited | None) -> str:
    """The natural key of a sign-up: its invitation, or a new id."""
    return str(uuid7()) if invited is None else invited.jti
