"""Tables of people: subjects, their identities, and the ledger that joins them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Text,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from services.member_api.tables import Base, Timestamp


class Subject(Base):
    """One row a subject: the person it belongs to now, what it did, and the lock of both.

    ``person_id`` is a cache of the ledger: the lowest birth person id of the component. The
    counts are the subject's own, whoever it is joined to. ``audience_revision`` 0 means that
    geo_api was told nothing, which is right while the facts are those of a stranger.
    """

    __tablename__ = "subjects"
    __table_args__ = (
        Index(None, "birth_person_id"),
        Index(None, "person_id"),
        CheckConstraint("person_id <= birth_person_id", name="lowest_id_survives"),
        CheckConstraint("first_seen_at <= last_seen_at", name="seen_in_order"),
        CheckConstraint("check_ins >= 0 AND coupons_granted >= 0", name="counts"),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    birth_person_id: Mapped[UUID] = mapped_column(Uuid)
    person_id: Mapped[UUID] = mapped_column(Uuid)
    first_seen_at: Mapped[datetime | None] = mapped_column(Timestamp)
    last_seen_at: Mapped[datetime | None] = mapped_column(Timestamp)
    check_ins: Mapped[int] = mapped_column(Integer)
    coupons_granted: Mapped[int] = mapped_column(Integer)
    audience_revision: Mapped[int] = mapped_column(BigInteger)
    audience_digest: Mapped[bytes | None] = mapped_column(LargeBinary)


class Identity(Base):
    """What a subject is called outside. ``sealed`` opens with member_api's private key only."""

    __tablename__ = "identities"

    subject_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey(Subject.subject_id), primary_key=True)
    namespace: Mapped[str] = mapped_column(Text)
    issuer: Mapped[str] = mapped_column(Text)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    verified: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(Timestamp)


class Merge(Base):
    """An edge of the ledger: two subjects are one person, until ``undone_at``."""

    __tablename__ = "merges"
    __table_args__ = (
        CheckConstraint("subject_a < subject_b", name="ends_in_order"),
        CheckConstraint("(undone_at IS NULL) = (undone_by IS NULL)", name="undone_by_somebody"),
        CheckConstraint("undone_at >= merged_at", name="undone_after"),
        Index(
            "uq_merges_live",
            "subject_a",
            "subject_b",
            unique=True,
            postgresql_where=text("undone_at IS NULL"),
        ),
        Index(None, "subject_b"),
        Index(None, "subject_a"),
    )

    merge_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    subject_a: Mapped[UUID] = mapped_column(Uuid)
    subject_b: Mapped[UUID] = mapped_column(Uuid)
    evidence: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    overrides: Mapped[str | None] = mapped_column(Text)
    """The rule that spoke against it and was overridden by the actor."""
    merged_at: Mapped[datetime] = mapped_column(Timestamp)
    holds_from: Mapped[datetime | None] = mapped_column(Timestamp)
    """When it happened that showed it; null where that is ``merged_at``."""
    undone_at: Mapped[datetime | None] = mapped_column(Timestamp)
    undone_by: Mapped[str | None] = mapped_column(Text)


class MergeReview(Base):
    """An automatic merge that a rule refused, for a human to look at."""

    __tablename__ = "merge_reviews"
    __table_args__ = (CheckConstraint("subject_a < subject_b", name="ends_in_order"),)

    subject_a: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    subject_b: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    evidence: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Timestamp)


class Tombstone(Base):
    """All that an erasure leaves: a keyed hash and when. What occurred before is forgotten."""

    __tablename__ = "tombstones"

    subject_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(Timestamp)
