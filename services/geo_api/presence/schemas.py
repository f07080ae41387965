"""The wire form of visits."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from services.geo_api.presence.domain import ClosedBy, Visit, VisitState


class VisitOut(BaseModel):
    """A visit in a list; ``subject_id`` names the person within this installation only."""

    id: UUID
    subject_id: UUID
    store_id: str
    state: VisitState
    entered_at: datetime
    last_inside_at: datetime
    left_at: datetime | None
    closed_by: ClosedBy | None

    @classmethod
    def of(cls, visit: Visit) -> "VisitOut":
        return cls(
            id=visit.visit_id,
            subject_id=visit.subject_id,
            store_id=visit.store_id,
            state=visit.state,
            entered_at=visit.entered_at,
            last_inside_at=visit.last_inside_at,
            left_at=visit.left_at,
            closed_by=visit.closed_by,
        )
