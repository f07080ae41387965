"""Wire shapes of sign-ups."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.member_api.consents.schemas import ConsentGivenOut, ConsentTermsIn
from services.member_api.membership.domain import MAX_PROFILE_FIELDS
from services.member_api.people.schemas import IdentityIn
from services.member_api.signups.domain import Attached
from shared.contracts.events import Lifecycle
from shared.identity import Namespace
from shared.wire import MAX_TEXT, WireModel

MAX_IDENTITIES = 10
_MAX_TOKEN = 4_000

FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
FieldValue = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]


class SignUpIn(WireModel):
    """A person who joins. Without a token an invitation is needed, and used up."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "identities": [
                        {"namespace": "app_user", "issuer": "demo", "value": "42"},
                        {"namespace": "phone", "value": "+8613800138000"},
                    ],
                    "consents": [{"purpose": "marketing_push", "version": "2026-11"}],
                    "profile": {"name": "Li Lei"},
                }
            ]
        }
    )

    invitation: Annotated[str, Field(min_length=1, max_length=_MAX_TOKEN)] | None = None
    identities: Annotated[list[IdentityIn], Field(max_length=MAX_IDENTITIES, default_factory=list)]
    consents: Annotated[list[ConsentTermsIn], Field(max_length=6, default_factory=list)]
    profile: Annotated[
        dict[FieldName, FieldValue], Field(max_length=MAX_PROFILE_FIELDS, default_factory=dict)
    ]


class AttachedOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    namespace: Namespace
    status: Attached
    reason: str | None


class SignedUpOut(BaseModel):
    """The member. ``person_id`` is for later calls; ``consents`` have receipts for check-ins."""

    person_id: UUID
    member_since: datetime
    lifecycle: Lifecycle
    already_member: bool
    identities: list[AttachedOut]
    consents: list[ConsentGivenOut]
