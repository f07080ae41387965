"""What geo_api knows of a subject, and whether a check-in of it may be kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from shared.contracts.events import ConsentFact, ConsentState, Lifecycle, Purpose


@dataclass(frozen=True, slots=True)
class SubjectState:
    """A subject as of its lock. ``siblings`` holds at least itself.

    ``is_new``: this very transaction made the row. ``last`` is the latest fix, ``maybe`` what of
    its tentative fixes may yet be corroborated (times by store), ``ended_at`` when a place last
    ended a visit. ``erased_at`` is the latest erasure, if any; ``whereabouts_revoked_at`` is when the
    permission to locate the person was last taken back at a platform.
    """

    subject_id: UUID
    is_new: bool
    identity_told: bool
    last_occurred_at: datetime | None
    last_received_at: datetime | None
    person_id: UUID | None
    siblings: tuple[UUID, ...]
    lifecycle: Lifecycle
    consents: Mapping[Purpose, ConsentFact]
    erased_at: datetime | None
    last: "LastSeen | None" = None
    maybe: Mapping[str, Sequence[datetime]] | None = None
    ended_at: datetime | None = None
    whereabouts_revoked_at: datetime | None = None

    @property
    def visit_history(self) -> ConsentFact | None:
        """The consent in force to a history of visits; a permission taken back withdraws it."""
        recorded, revoked_at = self.consents.get(Purpose.VISIT_HISTORY), self.whereabouts_revoked_at
        if revoked_at is None or (recorded is not None and recorded.at > revoked_at):
            return recorded
        version = "" if recorded is None else recorded.version
        return ConsentFact(state=ConsentState.WITHDRAWN, version=version, at=revoked_at)

    @property
    def refuses_marketing(self) -> bool:
        """An explicit no to marketing; silence is neither yes nor no."""
        fact = self.consents.get(Purpose.MARKETING_PUSH)
        return fact is not None and fact.state is not ConsentState.GRANTED

    def erased(self, at: datetime) -> "SubjectState":
        return replace(self, erased_at=at)


class LastSeen(NamedTuple):
    """The latest fix: its place is sealed under the key of the day of its receipt."""

    check_in_id: UUID
    day: date
    exact: bytes


@dataclass(frozen=True, slots=True)
class Vouch:
    """A caller's word, or member_api's receipt, that the person consented.

    ``implied``: nobody said so, sharing a location with the account implies it; any refusal on
    record beats that, whenever it was.
    """

    purpose: Purpose
    version: str
    given_at: datetime
    implied: bool = False


class NotRecorded(StrEnum):
    """Why a check-in was answered and forgotten."""

    NO_CONSENT = "no_consent"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    ERASED = "erased"


def consent_for_visit(
    recorded: ConsentFact | None, vouch: Vouch | None, received_at: datetime
) -> Vouch | NotRecorded:
    """The consent under which a check-in may be kept, or why it may not.

    A vouch counts if it is for ``visit_history`` and was given at or before ``received_at``; a
    recorded denial or withdrawal at or after ``given_at`` beats it, and any beats one that is
    implied. Without a vouch the recorded state decides; nothing recorded is no consent.
    """
    refused = recorded is not None and recorded.state is not ConsentState.GRANTED
    if (
        vouch is not None
        and vouch.purpose is Purpose.VISIT_HISTORY
        and vouch.given_at <= received_at
        and not (
            refused and recorded is not None and (vouch.implied or recorded.at >= vouch.given_at)
        )
    ):
        return vouch
    if recorded is None:
        return NotRecorded.NO_CONSENT
    if refused or recorded.at > received_at:
        return NotRecorded.CONSENT_WITHDRAWN if refused else NotRecorded.NO_CONSENT
    return Vouch(Purpose.VISIT_HISTORY, recorded.version, recorded.at)


def falls_under_erasure(
    erased_at: datetime | None, occurred_at: datetime, vouch: Vouch | None
) -> bool:
    """Whether it occurred, or was vouched for, at or before the subject's erasure."""
    if erased_at is None:
        return False
    return occurred_at <= erased_at or (vouch is not None and vouch.given_at <= erased_at)


def falls_under_revocation(state: SubjectState, occurred_at: datetime) -> bool:
    """Whether it occurred at or before the person took the permission to locate them back."""
    revoked_at = state.whereabouts_revoked_at
    return revoked_at is not None and occurred_at <= revoked_at
