"""Wire shapes of identities and of the ledger of merges."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.identity import Identity, Namespace, normalise
from shared.wire import WireModel


class IdentityIn(WireModel):
    """An identity as the caller knows it; it is normalised before use."""

    namespace: Namespace
    issuer: str = ""
    value: str

    def identity(self, at: str = "") -> Identity:
        """Raises Malformed, at the JSON Pointer ``at``."""
        return normalise(self.namespace, self.issuer, self.value, at=at)


class IdentityOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    namespace: Namespace
    issuer: str
    value: str | None
    verified: bool


class PersonRefIn(WireModel):
    """Somebody, by person id or by an identity; not both."""

    person_id: UUID | None = None
    identity: IdentityIn | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "PersonRefIn":
        if (self.person_id is None) == (self.identity is None):
            raise ValueError("needs either person_id or identity")
        return self


class MergeIn(WireModel):
    """Two who are one person, and how that is known."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "people": [
                        {"identity": {"namespace": "phone", "value": "+8613800138000"}},
                        {"identity": {"namespace": "app_user", "issuer": "demo", "value": "42"}},
                    ],
                    "evidence": "showed the app at the till",
                }
            ]
        }
    )

    people: Annotated[list[PersonRefIn], Field(min_length=2, max_length=2)]
    evidence: Annotated[str, Field(min_length=1)]
    override: bool = False


class MergeOut(BaseModel):
    """An entry of the ledger. ``person_id`` is whom ``subjects`` have become by it."""

    model_config = ConfigDict(from_attributes=True)

    merge_id: UUID
    person_id: UUID
    subjects: list[UUID]
    evidence: str
    actor: str
    overrides: str | None
    merged_at: datetime
    undone_at: datetime | None
    undone_by: str | None


class LedgerEntryOut(BaseModel):
    """An entry of the ledger, as it stands there."""

    merge_id: UUID
    subjects: list[UUID]
    evidence: str
    actor: str
    overrides: str | None
    merged_at: datetime
    undone_at: datetime | None
    undone_by: str | None


class MergeReviewOut(BaseModel):
    """A merge that a rule refused: merge the two with ``override``, or leave them apart."""

    person_ids: list[UUID]
    subjects: list[UUID]
    reason: str
    evidence: str
    created_at: datetime
