"""Tables of check-ins: receipts, the check-ins themselves by month received, and the day keys."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    Double,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.geo_api.tables import Base, Timestamp


class CheckInReceipt(Base):
    """Makes a check-in id count once, and keeps the answer that a repeat gets again.

    ``answer`` is the exact body and what explains it, encrypted under the key of the day of
    ``received_at``. After the retention horizon it is null, ``reduced`` holds what is left of the
    answer, and ``request_hash``, a keyed hash, is empty.

    Ids of version 7 grow, so the key leads with them and fills at its end: one that leads with the
    subject is written all over, and at eleven million rows most of its pages are out of memory.
    Answers lie in their row, as they are; random bytes cannot be compressed.
    """

    __tablename__ = "check_in_receipts"
    __table_args__ = (
        PrimaryKeyConstraint("check_in_id", "subject_id"),
        Index(
            "ix_check_in_receipts_reducible",
            "received_at",
            postgresql_where="reduced IS NULL",
        ),
        {"postgresql_with": {"toast_tuple_target": "8160"}},
    )

    subject_id: Mapped[UUID] = mapped_column(Uuid)
    check_in_id: Mapped[UUID] = mapped_column(Uuid)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = mapped_column(Timestamp)
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    reduced: Mapped[str | None] = mapped_column(Text)


class CheckIn(Base):
    """An accepted location report, without readable coordinates.

    ``exact`` holds the place as received and in WGS 84, encrypted under the key of ``day``; ``cell`` is the H3
    cell at resolution 7. ``arrives``, ``tentative`` and ``uncertain`` are the stores of the
    verdict by the ``rule`` of that name; every other store is outside. ``counts`` is off where it
    came too late to change visits. ``trust`` is its score, ``flags`` what took from it.

    The key leads with the time, so that it fills at its end and finds what is old.
    """

    __tablename__ = "check_ins"
    __table_args__ = (
        CheckConstraint("accuracy_m >= 0", name="accuracy_is_not_negative"),
        CheckConstraint("trust BETWEEN 0 AND 100", name="trust_is_a_score"),
        PrimaryKeyConstraint("received_at", "subject_id", "check_in_id"),
        Index(None, "subject_id", "occurred_at"),
        {"postgresql_partition_by": "RANGE (received_at)"},
    )

    subject_id: Mapped[UUID] = mapped_column(Uuid)
    check_in_id: Mapped[UUID] = mapped_column(Uuid)
    received_at: Mapped[datetime] = mapped_column(Timestamp)
    occurred_at: Mapped[datetime] = mapped_column(Timestamp)
    kind: Mapped[str] = mapped_column(Text)
    evidence: Mapped[str] = mapped_column(Text)
    trust: Mapped[int] = mapped_column(SmallInteger)
    flags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    datum: Mapped[str] = mapped_column(Text)
    accuracy_m: Mapped[float | None] = mapped_column(Double)
    day: Mapped[date] = mapped_column(Date)
    exact: Mapped[bytes | None] = mapped_column(LargeBinary)
    cell: Mapped[int | None] = mapped_column(BigInteger)
    arrives: Mapped[list[str]] = mapped_column(ARRAY(Text))
    tentative: Mapped[list[str]] = mapped_column(ARRAY(Text))
    uncertain: Mapped[list[str]] = mapped_column(ARRAY(Text))
    rule: Mapped[str] = mapped_column(Text)
    counts: Mapped[bool] = mapped_column(Boolean)
    signals: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    consent_purpose: Mapped[str] = mapped_column(Text)
    consent_version: Mapped[str] = mapped_column(Text)
    consent_given_at: Mapped[datetime] = mapped_column(Timestamp)
    source: Mapped[str] = mapped_column(Text)


class DayKey(Base):
    """The key of one day's exact coordinates, itself encrypted; destroying it deletes them."""

    __tablename__ = "day_keys"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    wrapped_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    destroyed_at: Mapped[datetime | None] = mapped_column(Timestamp)


class MaintenanceRun(Base):
    """When each periodic job last ran, so that an operator sees one that does not.

    ``ran_at`` is null until a run ended well; ``failures`` counts those since.
    """

    __tablename__ = "maintenance_runs"

    job: Mapped[str] = mapped_column(Text, primary_key=True)
    ran_at: Mapped[datetime | None] = mapped_column(Timestamp)
    changed: Mapped[int] = mapped_column(BigInteger)
    failures: Mapped[int] = mapped_column(SmallInteger)
