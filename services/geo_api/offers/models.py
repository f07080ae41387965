"""Tables of offers, their counters, and the coupons granted."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.geo_api.tables import Base, Timestamp


class Offer(Base):
    """An offer through its versions: ``version`` is the one in force, ``state`` its life."""

    __tablename__ = "offers"

    offer_id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    updated_at: Mapped[datetime] = mapped_column(Timestamp)


class OfferVersion(Base):
    """What an offer says. It is never altered; a change makes the next version.

    ``terms`` is the wire form of trigger, stores, caps, benefit and coupon. ``frozen_at`` is
    when the version first could grant.
    """

    __tablename__ = "offer_versions"
    __table_args__ = (
        ForeignKeyConstraint(["offer_id"], [Offer.offer_id]),
        CheckConstraint("starts_at < ends_at", name="starts_before_it_ends"),
    )

    offer_id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    starts_at: Mapped[datetime] = mapped_column(Timestamp)
    ends_at: Mapped[datetime] = mapped_column(Timestamp)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    frozen_at: Mapped[datetime | None] = mapped_column(Timestamp)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    created_by: Mapped[str] = mapped_column(Text)


class OfferCounter(Base):
    """Units granted under one cap of an offer, across its versions.

    ``scope`` is ``total`` (others may come: by store, by day). ``cap`` null means no limit.
    ``granting_version`` is the version that may take units, null while the offer is not active:
    so one row says all that the guarded update asks. ``taken`` is what the last update took.
    The check is the second wall behind that update.
    """

    __tablename__ = "offer_counters"
    __table_args__ = (
        CheckConstraint("used >= 0 AND (cap IS NULL OR used <= cap)", name="cap_holds"),
    )

    offer_id: Mapped[str] = mapped_column(ForeignKey(Offer.offer_id), primary_key=True)
    scope: Mapped[str] = mapped_column(Text, primary_key=True)
    used: Mapped[int] = mapped_column(BigInteger)
    cap: Mapped[int | None] = mapped_column(BigInteger)
    granting_version: Mapped[int | None] = mapped_column(Integer)
    taken: Mapped[int] = mapped_column(BigInteger)


class Coupon(Base):
    """A grant: one unit of an offer for one subject.

    ``grant_key`` is the visit, or the check-in where no visit came of it: granted at most once
    per (offer, subject, visit). ``code`` is encrypted; it is looked up by ``coupon_codes``.
    ``occurred_at`` is when the person was where it was won, and so tells the visit too.
    ``evidence`` keeps the verdict that won it: fence, version, band of distance, kind.
    """

    __tablename__ = "coupons"
    __table_args__ = (
        UniqueConstraint("subject_id", "offer_id", "grant_key"),
        CheckConstraint("valid_from < valid_until", name="valid_for_some_time"),
        CheckConstraint("state IN ('granted', 'redeemed', 'revoked')", name="state_is_known"),
        Index(None, "offer_id", "granted_at"),
        Index(None, "subject_id", "granted_at"),
    )

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    coupon_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    offer_id: Mapped[str] = mapped_column(ForeignKey(Offer.offer_id))
    offer_version: Mapped[int] = mapped_column(Integer)
    grant_key: Mapped[UUID] = mapped_column(Uuid)
    visit_id: Mapped[UUID | None] = mapped_column(Uuid)
    check_in_id: Mapped[UUID] = mapped_column(Uuid)
    store_id: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    benefit: Mapped[dict[str, Any]] = mapped_column(JSONB)
    code: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(Timestamp)
    granted_at: Mapped[datetime] = mapped_column(Timestamp)
    valid_from: Mapped[datetime] = mapped_column(Timestamp)
    valid_until: Mapped[datetime] = mapped_column(Timestamp)
    uses: Mapped[int] = mapped_column(Integer)
    evidence: Mapped[dict[str, Any]] = mapped_column(JSONB)


class CouponCode(Base):
    """From the keyed hash of a code to its coupon; written with the coupon."""

    __tablename__ = "coupon_codes"
    __table_args__ = (Index(None, "subject_id"),)

    code_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(Uuid)
    coupon_id: Mapped[UUID] = mapped_column(Uuid)


class OfferBookVersion(Base):
    """One row, counted up in the transaction of every change to offers."""

    __tablename__ = "offer_book_version"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(BigInteger)
