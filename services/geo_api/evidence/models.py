"""The table of beacons; the edition of printed codes is a column of stores."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, Text, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from services.geo_api.tables import Base, Timestamp


class Beacon(Base):
    """A beacon at a store. What it sends is its own: no two send the same."""

    __tablename__ = "beacons"
    __table_args__ = (
        UniqueConstraint("uuid", "major", "minor"),
        CheckConstraint("major BETWEEN 0 AND 65535", name="major_has_16_bits"),
        CheckConstraint("minor BETWEEN 0 AND 65535", name="minor_has_16_bits"),
        Index(None, "store_id"),
    )

    beacon_id: Mapped[str] = mapped_column(Text, primary_key=True)
    store_id: Mapped[str] = mapped_column(ForeignKey("stores.store_id"))
    uuid: Mapped[UUID] = mapped_column(Uuid)
    major: Mapped[int] = mapped_column(Integer)
    minor: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    updated_at: Mapped[datetime] = mapped_column(Timestamp)
