"""The metadata of schema ``geo``; each package owns its own tables on it."""

from sqlalchemy import BigInteger, CheckConstraint, DateTime, SmallInteger, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.access import revoked_tokens_table
from shared.db import schema_metadata
from shared.feed.tables import feed_tables
from shared.idempotency import idempotency_table

Timestamp = DateTime(timezone=True)


class Base(DeclarativeBase):
    metadata = schema_metadata("geo")


class Installation(Base):
    """One row: what ties this database to its installation's keys."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    identity_key_fingerprint: Mapped[str] = mapped_column(Text)


class FenceIndexVersion(Base):
    """One row, counted up in the transaction of every change to stores and geofences."""

    __tablename__ = "fence_index_version"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(BigInteger)


FEED = feed_tables(Base.metadata)
REVOKED_TOKENS = revoked_tokens_table(Base.metadata)
IDEMPOTENCY = idempotency_table(Base.metadata)
