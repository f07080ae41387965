"""Tables of subjects: what geo_api knows of who somebody is, without any identity's value."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Boolean, Date, Index, LargeBinary, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.geo_api.tables import Base, Timestamp


class Subject(Base):
    """One row a subject: the audience facts told by member_api, and the lock of its decisions.

    ``facts_revision`` 0 means that member_api has told nothing yet. ``last_occurred_at`` is the
    time of the latest accepted fix; an earlier one is late. ``last_check_in_id`` is that fix,
    ``last_exact`` its place, encrypted under the key of the day ``last_day`` of its receipt.
    ``maybe`` holds, by store, the times of tentative fixes that may yet be corroborated.
    ``ended_at`` is when a place last ended a visit of the subject. ``erased_at`` is set where
    somebody joined anew after an erasure. ``whereabouts_revoked_at`` is when the person last took the
    permission to locate them back at a platform.

    Every check-in updates a row. Half of each page is left for that, since a new version in the
    page of the old one needs no entry in any index.
    """

    __tablename__ = "subjects"
    __table_args__ = (Index(None, "person_id"), {"postgresql_with": {"fillfactor": "50"}})

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    last_occurred_at: Mapped[datetime | None] = mapped_column(Timestamp)
    last_received_at: Mapped[datetime | None] = mapped_column(Timestamp)
    last_check_in_id: Mapped[UUID | None] = mapped_column(Uuid)
    last_day: Mapped[date | None] = mapped_column(Date)
    last_exact: Mapped[bytes | None] = mapped_column(LargeBinary)
    maybe: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    ended_at: Mapped[datetime | None] = mapped_column(Timestamp)
    identity_told: Mapped[bool] = mapped_column(Boolean)
    facts_revision: Mapped[int] = mapped_column(BigInteger)
    person_id: Mapped[UUID | None] = mapped_column(Uuid)
    siblings: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    lifecycle: Mapped[str] = mapped_column(Text)
    tier: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    segments: Mapped[list[str]] = mapped_column(ARRAY(Text))
    consents: Mapped[dict[str, Any]] = mapped_column(JSONB)
    erased_at: Mapped[datetime | None] = mapped_column(Timestamp)
    whereabouts_revoked_at: Mapped[datetime | None] = mapped_column(Timestamp)


class Tombstone(Base):
    """All that an erasure leaves: a keyed hash and when. What occurred before is not recorded."""

    __tablename__ = "tombstones"

    subject_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(Timestamp)
