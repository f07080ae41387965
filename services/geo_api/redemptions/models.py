"""Tables of redemptions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, Text, UniqueConstraint, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.geo_api.tables import Base, Timestamp


class Redemption(Base):
    """One use of a coupon at a till. A ledger row: reversed, never edited or deleted.

    ``use_number`` counts the coupon's redemptions; unique, it is the second wall against a
    double redemption. After an erasure ``subject_id`` is the nil UUID.
    """

    __tablename__ = "redemptions"
    __table_args__ = (
        UniqueConstraint("subject_id", "coupon_id", "use_number"),
        CheckConstraint("order_amount_minor >= 0", name="amount_is_not_negative"),
        CheckConstraint(
            "(reversed_at IS NULL) = (reversed_by IS NULL)", name="reversed_by_somebody"
        ),
        Index(None, "redemption_id", unique=True),
        Index(None, "store_id", "redeemed_at"),
    )

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    redemption_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    coupon_id: Mapped[UUID] = mapped_column(Uuid)
    use_number: Mapped[int] = mapped_column(Integer)
    offer_id: Mapped[str] = mapped_column(Text)
    offer_version: Mapped[int] = mapped_column(Integer)
    store_id: Mapped[str] = mapped_column(Text)
    staff_id: Mapped[str] = mapped_column(Text)
    order_amount_minor: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None] = mapped_column(Text)
    benefit: Mapped[dict[str, Any]] = mapped_column(JSONB)
    redeemed_at: Mapped[datetime] = mapped_column(Timestamp)
    reversed_at: Mapped[datetime | None] = mapped_column(Timestamp)
    reversed_by: Mapped[str | None] = mapped_column(Text)
    reversal_reason: Mapped[str | None] = mapped_column(Text)
