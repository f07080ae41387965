"""Wire shapes of a person."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from services.member_api.consents.schemas import ConsentOut
from services.member_api.people.schemas import IdentityIn, IdentityOut, LedgerEntryOut
from services.member_api.profiles.domain import LifecycleChange
from services.member_api.profiles.service import Profile
from services.member_api.timeline.schemas import TimelineItemOut
from shared.contracts.events import EventType, Lifecycle


class SearchIn(IdentityIn):
    """The documented form of the search that keeps a phone number out of addresses."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"namespace": "app_user", "issuer": "demo", "value": "42"}]}
    )


class MembershipOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    subject_id: UUID
    joined_at: datetime
    store_id: str | None
    campaign: str | None
    kol: str | None
    event_id: UUID


class ArrivalOut(BaseModel):
    """By what a person came: a channel's follow or scene, else ``visit`` or ``sign_up``.

    ``store_id`` is where it led, which for a scene is not where somebody stood.
    """

    model_config = ConfigDict(from_attributes=True)

    channel: str
    account_id: str | None
    store_id: str | None
    scene: str | None
    campaign: str | None
    kol: str | None
    at: datetime


class FollowOut(BaseModel):
    """Whether an account is followed, and since when that is so."""

    model_config = ConfigDict(from_attributes=True)

    channel: str
    account_id: str
    follows: bool
    since: datetime


class TraitsOut(BaseModel):
    """Of all the person's subjects together; visits are counted as unions of intervals.

    ``dwells_by_store`` counts those of them that lasted as long as a geofence's ``dwell_s`` says.
    ``acquisition`` is the first follow or scene, or without any the first visit or sign-up;
    ``last_touch`` the latest follow or scene. ``messages`` counts each message to the person once,
    by what became of it.
    """

    model_config = ConfigDict(from_attributes=True)

    first_seen_at: datetime | None
    last_seen_at: datetime | None
    check_ins: int
    visits: int
    visits_by_store: dict[str, int]
    dwells_by_store: dict[str, int]
    coupons_granted: int
    redemptions: int
    spend_minor: dict[str, int]
    acquisition: ArrivalOut | None
    last_touch: ArrivalOut | None
    follows: list[FollowOut]
    messages: dict[str, int]


class CauseOut(BaseModel):
    type: EventType
    event_id: UUID
    store_id: str | None
    campaign: str | None
    kol: str | None


class LifecycleChangeOut(BaseModel):
    to: Lifecycle
    at: datetime
    cause: CauseOut

    @classmethod
    def of(cls, change: LifecycleChange) -> "LifecycleChangeOut":
        cause = CauseOut(
            type=change.cause_type,
            event_id=change.event_id,
            store_id=change.store_id,
            campaign=change.campaign,
            kol=change.kol,
        )
        return cls(to=change.to, at=change.at, cause=cause)


class PersonOut(BaseModel):
    """A person. ``merged_into`` is its present id where it was asked for by a former one."""

    person_id: UUID
    merged_into: UUID | None
    lifecycle: Lifecycle
    identities: list[IdentityOut]
    memberships: list[MembershipOut]
    profile: dict[str, str]
    traits: TraitsOut
    lifecycle_changes: list[LifecycleChangeOut]
    subjects: list[UUID]

    @classmethod
    def of(cls, profile: Profile) -> "PersonOut":
        return cls(
            person_id=profile.person_id,
            merged_into=profile.merged_into,
            lifecycle=profile.lifecycle,
            identities=[IdentityOut.model_validate(one) for one in profile.identities],
            memberships=[MembershipOut.model_validate(one) for one in profile.memberships],
            profile=profile.profile,
            traits=TraitsOut.model_validate(profile.traits),
            lifecycle_changes=[LifecycleChangeOut.of(one) for one in profile.lifecycle_changes],
            subjects=profile.subjects,
        )


class ExportOut(BaseModel):
    """Everything that is held about a person."""

    exported_at: datetime
    person: PersonOut
    timeline: list[TimelineItemOut]
    consents: list[ConsentOut]
    merges: list[LedgerEntryOut]
    visits: list[dict[str, Any]]
    redemptions: list[dict[str, Any]]
    social_touches: list[dict[str, Any]]
    social_messages: list[dict[str, Any]]
    whereabouts_revocations: list[dict[str, Any]]


class ErasedOut(BaseModel):
    """``subjects_erased`` is how many identities were forgotten with the person."""

    erased_at: datetime
    subjects_erased: int
