"""Tables of visits."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Boolean, CheckConstraint, Index, Integer, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from services.geo_api.tables import Base, Timestamp


class Visit(Base):
    """A stay of one subject at one store.

    ``left_at`` is the last fix seen inside, null while the visit is open. ``provisional`` marks
    an ``expired`` that only the silence of the device decided, so that a later fix may undo it.
    ``dwelled`` are the thresholds in seconds that it has reached. ``unfenced``: it rests on a proof
    at a store without geofences, so that no coordinates end it. ``sensed_at`` is its earliest fix
    that was not chosen on a map.

    No index holds what a fix changes in a visit that goes on (``last_inside_at``,
    ``last_received_at``), so that such an update touches the row alone.
    """

    __tablename__ = "visits"
    __table_args__ = (
        CheckConstraint("(state = 'open') = (left_at IS NULL)", name="left_when_closed"),
        CheckConstraint("last_inside_at >= entered_at", name="leaves_after_entering"),
        Index(None, "subject_id", "store_id", "entered_at"),
        Index("ix_visits_open", "store_id", "entered_at", postgresql_where="state = 'open'"),
        Index(
            "ix_visits_closed",
            "state",
            "entered_at",
            "visit_id",
            postgresql_where="state <> 'open'",
        ),
        Index(
            "ix_visits_closed_at_store",
            "store_id",
            "state",
            "entered_at",
            "visit_id",
            postgresql_where="state <> 'open'",
        ),
        Index("ix_visits_going_on", "subject_id", postgresql_where="state = 'open' OR provisional"),
    )

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    visit_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    store_id: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    entered_at: Mapped[datetime] = mapped_column(Timestamp)
    last_inside_at: Mapped[datetime] = mapped_column(Timestamp)
    left_at: Mapped[datetime | None] = mapped_column(Timestamp)
    closed_by: Mapped[str | None] = mapped_column(Text)
    provisional: Mapped[bool] = mapped_column(Boolean)
    revision: Mapped[int] = mapped_column(Integer)
    last_received_at: Mapped[datetime] = mapped_column(Timestamp)
    dwelled: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default="{}")
    unfenced: Mapped[bool] = mapped_column(Boolean, server_default="false")
    sensed_at: Mapped[datetime | None] = mapped_column(Timestamp)


class Closing(Base):
    """A store closed, or its last geofence ceased: what the place adds to the fixes of visits.

    ``index_version`` is that of the first index without its geofences, null where they stay. Once
    ``settled``, every visit that it concerns was gone through with it.
    """

    __tablename__ = "closings"
    __table_args__ = (Index("ix_closings_unsettled", "at", postgresql_where="NOT settled"),)

    store_id: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime] = mapped_column(Timestamp, primary_key=True)
    closed_by: Mapped[str] = mapped_column(Text, primary_key=True)
    index_version: Mapped[int | None] = mapped_column(BigInteger)
    settled: Mapped[bool] = mapped_column(Boolean, server_default="false")


class VisitAlias(Base):
    """The former id of a visit that late fixes joined to another one."""

    __tablename__ = "visit_aliases"

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    alias_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    visit_id: Mapped[UUID] = mapped_column(Uuid)
