"""The table that remembers for a day who was seen at which exact pair of coordinates."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, LargeBinary, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from services.geo_api.tables import Base, Timestamp


class FixSighting(Base):
    """A subject at an exact pair, of which only a keyed hash of pair and day is kept."""

    __tablename__ = "fix_sightings"
    __table_args__ = (Index(None, "received_at"), Index(None, "subject_id"))

    pair_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(Timestamp)
