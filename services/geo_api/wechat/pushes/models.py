"""Tables of what WeChat pushes: the inbox, and the nonces that tell a repeat."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, SmallInteger, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from services.geo_api.tables import Base, Timestamp


class Push(Base):
    """One push, stored before it is acknowledged and handled afterwards.

    ``push_id`` is derived from the account and the message's id, or from the body under the
    identity key, so that a repeat finds its row. ``body`` is the JSON of the push, encrypted,
    without coordinates where there is no consent to keep them; null once it is handled.
    ``state`` is waiting, handled, unknown (kept, for nothing is done with its kind) or parked
    (failed too often). ``subject_id`` is whom it is from, where it says so. ``pair_id``: of two
    pushes that tell one chosen place, the one that makes the check-in.
    """

    __tablename__ = "wechat_pushes"
    __table_args__ = (
        CheckConstraint(
            "state IN ('waiting', 'handled', 'unknown', 'parked')", name="state_is_known"
        ),
        Index("ix_wechat_pushes_due", "due_at", postgresql_where="state = 'waiting'"),
        Index("ix_wechat_pushes_parked", "account_id", postgresql_where="state = 'parked'"),
        Index(
            "ix_wechat_pushes_pairs",
            "subject_id",
            "occurred_at",
            postgresql_where="pair_id IS NOT NULL",
        ),
        Index(None, "subject_id"),
        Index(None, "received_at"),
    )

    account_id: Mapped[str] = mapped_column(Text, primary_key=True)
    push_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    subject_id: Mapped[UUID | None] = mapped_column(Uuid)
    kind: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(Timestamp)
    received_at: Mapped[datetime] = mapped_column(Timestamp)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(SmallInteger)
    due_at: Mapped[datetime] = mapped_column(Timestamp)
    handled_at: Mapped[datetime | None] = mapped_column(Timestamp)
    reason: Mapped[str | None] = mapped_column(Text)
    pair_id: Mapped[UUID | None] = mapped_column(Uuid)


class Nonce(Base):
    """A keyed hash of the parameters of a request, kept while WeChat may repeat it.

    In plain mode the signature does not cover the body, so a request with known parameters is a
    repeat whatever it brings.
    """

    __tablename__ = "wechat_nonces"
    __table_args__ = (Index(None, "received_at"),)

    account_id: Mapped[str] = mapped_column(Text, primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(Timestamp)
