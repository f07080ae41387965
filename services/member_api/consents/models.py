"""The table of consents. Rows are added and never changed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, LargeBinary, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from services.member_api.tables import Base, Timestamp


class Consent(Base):
    """One thing said about one purpose.

    ``at`` is when the person said it, ``recorded_at`` when it was written down.
    ``confirms_person`` marks a grant that speaks for the whole person. ``withdraws`` names the
    grant that a withdrawal takes back. ``proof`` is encrypted under this service's key.
    """

    __tablename__ = "consents"
    __table_args__ = (
        CheckConstraint("state IN ('granted', 'denied', 'withdrawn')", name="state_known"),
        CheckConstraint("state = 'granted' OR NOT confirms_person", name="only_grants_confirm"),
        CheckConstraint("state = 'withdrawn' OR withdraws IS NULL", name="withdrawal_names_grant"),
    )

    subject_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("member.subjects.subject_id"), primary_key=True
    )
    consent_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    purpose: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Timestamp)
    recorded_at: Mapped[datetime] = mapped_column(Timestamp)
    confirms_person: Mapped[bool] = mapped_column(Boolean)
    withdraws: Mapped[UUID | None] = mapped_column(Uuid)
    language: Mapped[str | None] = mapped_column(Text)
    channel: Mapped[str | None] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    proof: Mapped[bytes | None] = mapped_column(LargeBinary)
