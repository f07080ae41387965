"""Tables of membership: who joined, by which invitation, and what they said of themselves."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from services.member_api.tables import Base, Timestamp


class Membership(Base):
    """A subject that joined. ``event_id`` is its ``signed_up`` in the timeline."""

    __tablename__ = "memberships"

    subject_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("member.subjects.subject_id"), primary_key=True
    )
    event_id: Mapped[UUID] = mapped_column(Uuid)
    joined_at: Mapped[datetime] = mapped_column(Timestamp)
    store_id: Mapped[str | None] = mapped_column(Text)
    campaign: Mapped[str | None] = mapped_column(Text)
    kol: Mapped[str | None] = mapped_column(Text)


class PersonalProfile(Base):
    """What a member wrote of itself: a JSON object, encrypted under this service's key."""

    __tablename__ = "personal_profiles"

    subject_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("member.subjects.subject_id"), primary_key=True
    )
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    updated_at: Mapped[datetime] = mapped_column(Timestamp)


class Claim(Base):
    """An identity that somebody says is theirs and nobody has verified. It joins no one."""

    __tablename__ = "claims"
    __table_args__ = (Index(None, "claimed_subject_id"),)

    subject_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("member.subjects.subject_id"), primary_key=True
    )
    claimed_subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    namespace: Mapped[str] = mapped_column(Text)
    issuer: Mapped[str] = mapped_column(Text)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    claimed_at: Mapped[datetime] = mapped_column(Timestamp)


class UsedInvitation(Base):
    """Invitations that were taken up; past ``expires_at`` a row is of no use."""

    __tablename__ = "used_invitations"

    jti: Mapped[str] = mapped_column(Text, primary_key=True)
    used_at: Mapped[datetime] = mapped_column(Timestamp)
    expires_at: Mapped[datetime] = mapped_column(Timestamp, index=True)
