"""Wire shapes of consents."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from services.member_api.people.schemas import IdentityIn
from shared.contracts.events import ConsentState, Purpose
from shared.pagination import DEFAULT_LIMIT, Cursor, Limit
from shared.wire import Moment, WireModel

MAX_PROOF = 2_000


class ConsentTermsIn(WireModel):
    """What somebody says about one purpose. One purpose a consent: nothing is bundled.

    ``version`` names the text that was shown, ``given_at`` when the person answered (now, if
    left out). ``confirms_person`` marks a grant that speaks for all subjects of the person
    as it is then; who joins it later is not among them.
    """

    purpose: Purpose
    state: ConsentState = ConsentState.GRANTED
    version: Annotated[str, Field(min_length=1, max_length=64)]
    given_at: Moment | None = None
    language: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{2,35}$")] | None = None
    channel: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    proof: Annotated[str, Field(min_length=1, max_length=MAX_PROOF)] | None = None
    confirms_person: bool = False

    @field_validator("confirms_person")
    @classmethod
    def _only_a_grant_confirms(cls, value: bool, others: ValidationInfo) -> bool:
        if value and others.data.get("state") is not ConsentState.GRANTED:
            raise PydanticCustomError("only_grants_confirm", "is for grants only")
        return value


class ConsentIn(ConsentTermsIn):
    """A member speaks for itself; a server names whose consent it is by one of both."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "subject": {"namespace": "app_user", "issuer": "demo", "value": "42"},
                    "purpose": "visit_history",
                    "state": "granted",
                    "version": "2026-11",
                    "given_at": "2026-11-20T09:00:00Z",
                    "language": "en",
                    "channel": "app",
                }
            ]
        }
    )

    subject: IdentityIn | None = None
    person_id: UUID | None = None


class ConsentsQuery(BaseModel):
    """``at`` asks what was in force at an instant, as far as it was known by then."""

    at: Moment | None = None
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor = None


class ConsentOut(BaseModel):
    """A consent as it was written down; ``at`` is when the person said it."""

    consent_id: UUID
    subject_id: UUID
    purpose: Purpose
    state: ConsentState
    version: str
    at: datetime
    recorded_at: datetime
    confirms_person: bool
    withdraws: UUID | None
    language: str | None
    channel: str | None
    proof: str | None


class ConsentGivenOut(ConsentOut):
    """With ``receipt``, a signed token for check-ins, if the grant holds at once."""

    person_id: UUID
    receipt: str | None


class HoldingOut(BaseModel):
    """What holds for a subject; ``said_by`` is the subject whose word it is."""

    subject_id: UUID
    purpose: Purpose
    state: ConsentState
    version: str
    at: datetime
    consent_id: UUID
    said_by: UUID


class ConsentsOut(BaseModel):
    """What holds now, or held at the instant asked for, and all that was ever said."""

    in_force: list[HoldingOut]
    items: list[ConsentOut]
    next_cursor: str | None
