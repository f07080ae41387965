"""What a sign-up asks for, once it is known who asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.member_api.membership.domain import Invited
from shared.errors import FieldFault, Gone, Malformed
from shared.identity import Namespace


class InvitationErased(Gone):
    """The person asked to be forgotten after the invitation was given out. Check in anew."""

    slug = "invitation-erased"
    title = "The invitation was given out before an erasure"


class Attached(StrEnum):
    """What became of an identity of a sign-up.

    ``claimed`` is said of every unverified one, so that it tells nobody whether such a person
    exists. ``review`` means that a rule spoke against the join and a human is to look at it.
    """

    JOINED = "joined"
    CLAIMED = "claimed"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class AttachedIdentity:
    namespace: Namespace
    status: Attached
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who signs up. ``is_vouched`` says that a server key stands for the identities."""

    subject_id: UUID
    actor: str
    is_vouched: bool
    invited: Invited | None
    profile: Mapping[str, str]


def applicant_subject(own: UUID | None, invited: Invited | None, vouched: Sequence[UUID]) -> UUID:
    """The subject that joins: the token's, else the invitation's, else the first vouched for.

    Raises Malformed where there is none.
    """
    if own is not None:
        return own
    if invited is not None:
        return invited.subject_id
    if vouched:
        return vouched[0]
    raise Malformed(FieldFault("/identities", "need at least one where there is no invitation"))


def is_forgotten(invited: Invited | None, erased_at: datetime | None) -> bool:
    """Whether an invitation was given out at or before an erasure of its subject."""
    return invited is not None and erased_at is not None and invited.issued_at <= erased_at
