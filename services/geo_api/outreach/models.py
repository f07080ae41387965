"""Table of what is to be told to people, and what became of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Index, SmallInteger, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from services.geo_api.tables import Base, Timestamp


class OutreachMessage(Base):
    """One message to a person about a coupon, written in the transaction of its grant.

    ``subject_id`` is the subject that won it; the message may go to a sibling that WeChat knows.
    ``state`` is waiting, sent, delivered, failed or dropped, ``reason`` why (of a waiting one: why
    it was not sent when it was last looked at). ``due_at`` is when it is looked at next,
    ``claimed_until`` the time until which one process does so. ``sent_at`` is when WeChat was
    asked; on a waiting one that is under way, and what became of it not known yet. ``account_id``
    and ``route`` are those by which it went, ``message_id`` is WeChat's.
    """

    __tablename__ = "outreach_messages"
    __table_args__ = (
        CheckConstraint(
            "state IN ('waiting', 'sent', 'delivered', 'failed', 'dropped')",
            name="state_is_known",
        ),
        Index("ix_outreach_messages_due", "due_at", postgresql_where="state = 'waiting'"),
        Index(
            "ix_outreach_messages_message_id",
            "account_id",
            "message_id",
            postgresql_where="message_id IS NOT NULL",
        ),
        Index(None, "created_at", "outreach_id"),
        Index(None, "state", "created_at", "outreach_id"),
    )

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    outreach_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    cause: Mapped[str] = mapped_column(Text)
    coupon_id: Mapped[UUID | None] = mapped_column(Uuid)
    store_id: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    account_id: Mapped[str | None] = mapped_column(Text)
    route: Mapped[str | None] = mapped_column(Text)
    message_id: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(SmallInteger)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    due_at: Mapped[datetime] = mapped_column(Timestamp)
    expires_at: Mapped[datetime] = mapped_column(Timestamp)
    claimed_until: Mapped[datetime | None] = mapped_column(Timestamp)
    sent_at: Mapped[datetime | None] = mapped_column(Timestamp)


class OutreachResult(Base):
    """WeChat's last word on a message that no row has the id of yet: it may outrun the answer.

    Kept for a day, for whoever writes the id down next.
    """

    __tablename__ = "outreach_results"
    __table_args__ = (Index(None, "noted_at"),)

    account_id: Mapped[str] = mapped_column(Text, primary_key=True)
    message_id: Mapped[str] = mapped_column(Text, primary_key=True)
    delivered: Mapped[bool] = mapped_column(Boolean)
    reason: Mapped[str | None] = mapped_column(Text)
    noted_at: Mapped[datetime] = mapped_column(Timestamp)
