"""Tables of the timeline: what happened, and the visits and redemptions it adds up to."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Boolean, CheckConstraint, Index, Integer, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.member_api.tables import Base, Timestamp


class TimelineItem(Base):
    """The effective revision of one interaction, in the partition of the month it happened.

    That an event stands here once is the inbox's key, since a partition cannot hold one that
    leaves out ``occurred_at``.
    """

    __tablename__ = "timeline_items"
    __table_args__ = ({"postgresql_partition_by": "RANGE (occurred_at)"},)

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(Timestamp, primary_key=True)
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    type: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(Timestamp)
    store_id: Mapped[str | None] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Visit(Base):
    """A visit as its facts tell it, each of which comes, changes and goes on its own.

    A closing fact repeats when the visit began, so that it says enough without the opening one.
    ``dwelled`` are the thresholds in seconds that it has reached. All times null: the visit has
    ceased to be.
    """

    __tablename__ = "visits"
    __table_args__ = (
        CheckConstraint("(exited_at IS NULL) = (exited_from IS NULL)", name="exit_whole"),
        CheckConstraint("(expired_at IS NULL) = (expired_from IS NULL)", name="expiry_whole"),
    )

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    visit_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    store_id: Mapped[str] = mapped_column(Text)
    entered_at: Mapped[datetime | None] = mapped_column(Timestamp)
    exited_from: Mapped[datetime | None] = mapped_column(Timestamp)
    exited_at: Mapped[datetime | None] = mapped_column(Timestamp)
    expired_from: Mapped[datetime | None] = mapped_column(Timestamp)
    expired_at: Mapped[datetime | None] = mapped_column(Timestamp)
    dwelled: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default="{}")


class Redemption(Base):
    """A coupon used, and perhaps taken back; either fact may come first.

    ``amount_minor`` is the order's amount in minor units of ``currency`` (ISO 4217).
    """

    __tablename__ = "redemptions"
    __table_args__ = (
        CheckConstraint("amount_minor IS NULL OR currency IS NOT NULL", name="amount_has_currency"),
    )

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    redemption_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    event_id: Mapped[UUID | None] = mapped_column(Uuid)
    redeemed_at: Mapped[datetime | None] = mapped_column(Timestamp)
    store_id: Mapped[str | None] = mapped_column(Text)
    amount_minor: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None] = mapped_column(Text)
    reversed_at: Mapped[datetime | None] = mapped_column(Timestamp)


class SocialTouch(Base):
    """A moment that tells by what somebody came to us, or whether they follow an account.

    ``came``: it is a follow, or led here by a scene. ``follows`` is what it says of the account's
    followers, null where it says nothing. The first and last of a subject come off the key.
    """

    __tablename__ = "social_touches"
    __table_args__ = (
        Index("ix_social_touches_follows", "subject_id", postgresql_where="follows IS NOT NULL"),
        CheckConstraint("came OR follows IS NOT NULL", name="says_something"),
    )

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    at: Mapped[datetime] = mapped_column(Timestamp, primary_key=True)
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    came: Mapped[bool] = mapped_column(Boolean)
    follows: Mapped[bool | None] = mapped_column(Boolean)
    channel: Mapped[str] = mapped_column(Text)
    account_id: Mapped[str] = mapped_column(Text)
    store_id: Mapped[str | None] = mapped_column(Text)
    scene: Mapped[str | None] = mapped_column(Text)
    campaign: Mapped[str | None] = mapped_column(Text)
    kol: Mapped[str | None] = mapped_column(Text)


class SocialMessage(Base):
    """What became of a message to a subject, by the last that was told of it."""

    __tablename__ = "social_messages"
    __table_args__ = (
        CheckConstraint("state IN ('sent', 'delivered', 'failed', 'dropped')", name="state_known"),
    )

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    state: Mapped[str] = mapped_column(Text)


class WhereaboutsRevocation(Base):
    """Up to when the whereabouts of a subject are forgotten, whenever they are told."""

    __tablename__ = "whereabouts_revocations"

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    revoked_at: Mapped[datetime] = mapped_column(Timestamp)


class ErasedRedemption(Base):
    """The amounts of a redemption whose subject was erased: the books must still add up.

    ``redeemed_at`` is null while only the reversal was told.
    """

    __tablename__ = "erased_redemptions"
    __table_args__ = (Index(None, "redeemed_at"),)

    redemption_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    redeemed_at: Mapped[datetime | None] = mapped_column(Timestamp)
    store_id: Mapped[str | None] = mapped_column(Text)
    amount_minor: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None] = mapped_column(Text)
    reversed_at: Mapped[datetime | None] = mapped_column(Timestamp)


class Store(Base):
    """What geo_api last told of a store."""

    __tablename__ = "stores"

    store_id: Mapped[str] = mapped_column(Text, primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(Text)
    brand: Mapped[str | None] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    timezone: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    closed: Mapped[bool] = mapped_column(Boolean)
