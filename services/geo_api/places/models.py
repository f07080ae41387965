"""Tables of stores and geofences."""

from datetime import datetime
from typing import Any

from geoalchemy2 import Geography, Geometry, WKBElement
from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.geo_api.tables import Base, Timestamp


class Store(Base):
    """A place of business. ``location`` is WGS 84; the received pair and its datum are kept.

    ``index_version`` is the version of the fence index whose transaction changed the row last.
    Those transactions commit one after another, so whoever holds version n misses exactly the
    rows above n.

    ``hours`` is of the form of the wire. ``next_closure_at`` is the beginning of the first
    temporary closing at which visits have not been ended yet. ``code_edition`` is that of its
    printed check-in codes in force.
    """

    __tablename__ = "stores"
    __table_args__ = (
        Index("ix_stores_location", "location", postgresql_using="gist"),
        Index("ix_stores_tags", "tags", postgresql_using="gin"),
        Index(
            "ix_stores_next_closure_at",
            "next_closure_at",
            postgresql_where="next_closure_at IS NOT NULL",
        ),
        Index(None, "index_version"),
    )

    store_id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(Text)
    brand: Mapped[str | None] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    timezone: Mapped[str] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    hours: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    next_closure_at: Mapped[datetime | None] = mapped_column(Timestamp)
    location: Mapped[WKBElement] = mapped_column(
        Geography("POINT", srid=4326, spatial_index=False), nullable=False
    )
    received_latitude: Mapped[float] = mapped_column(Double)
    received_longitude: Mapped[float] = mapped_column(Double)
    datum: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    updated_at: Mapped[datetime] = mapped_column(Timestamp)
    closed_at: Mapped[datetime | None] = mapped_column(Timestamp)
    index_version: Mapped[int] = mapped_column(BigInteger)
    code_edition: Mapped[int] = mapped_column(Integer, server_default="1")


class Geofence(Base):
    """An outline of a store. It never changes its store; deleting closes it.

    ``index_version`` is as of ``Store``. ``ends_at`` is when its schedule ends for good, null
    once the visits were ended because of that.
    """

    __tablename__ = "geofences"
    __table_args__ = (
        Index(None, "store_id"),
        Index(None, "index_version"),
        Index("ix_geofences_ends_at", "ends_at", postgresql_where="ends_at IS NOT NULL"),
    )

    geofence_id: Mapped[str] = mapped_column(Text, primary_key=True)
    store_id: Mapped[str] = mapped_column(ForeignKey(Store.store_id))
    version: Mapped[int] = mapped_column(Integer)
    ends_at: Mapped[datetime | None] = mapped_column(Timestamp)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    updated_at: Mapped[datetime] = mapped_column(Timestamp)
    closed_at: Mapped[datetime | None] = mapped_column(Timestamp)
    index_version: Mapped[int] = mapped_column(BigInteger)


class GeofenceVersion(Base):
    """The geofence as it was from ``created_at`` on: a circle or an area, never both.

    ``schedule`` is of the form of the wire; ``dwell_s`` ascends.
    """

    __tablename__ = "geofence_versions"
    __table_args__ = (
        ForeignKeyConstraint(["geofence_id"], [Geofence.geofence_id]),
        CheckConstraint(
            "(center IS NOT NULL AND radius_m IS NOT NULL AND area IS NULL)"
            " OR (center IS NULL AND radius_m IS NULL AND area IS NOT NULL)",
            name="circle_or_area",
        ),
        CheckConstraint("radius_m > 0", name="radius_is_positive"),
        Index("ix_geofence_versions_area", "area", postgresql_using="gist"),
    )

    geofence_id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    center: Mapped[WKBElement | None] = mapped_column(
        Geography("POINT", srid=4326, spatial_index=False)
    )
    radius_m: Mapped[float | None] = mapped_column(Double)
    area: Mapped[WKBElement | None] = mapped_column(
        Geometry("MULTIPOLYGON", srid=4326, spatial_index=False)
    )
    received: Mapped[dict[str, Any]] = mapped_column(JSONB)
    datum: Mapped[str] = mapped_column(Text)
    schedule: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    dwell_s: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    created_by: Mapped[str] = mapped_column(Text)
