"""Tables of people as WeChat accounts know them, and of what may be sent to them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Index, LargeBinary, SmallInteger, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from services.geo_api.tables import Base, Timestamp


class User(Base):
    """A person at an account; the subject is that of its openid there.

    ``openid`` is encrypted under the storage key, bound to the subject. ``follows`` is what the
    latest follow or unfollow said, at ``follows_since``; null where neither came.
    ``session_key`` is the newest of a mini-program's logins, encrypted; it never leaves.
    ``union_known_at`` is when WeChat was asked for a follower's unionid; null: it is still to be.
    """

    __tablename__ = "wechat_users"
    __table_args__ = (
        Index(None, "account_id"),
        Index(
            "ix_wechat_users_union_wanted",
            "account_id",
            postgresql_where="follows AND union_known_at IS NULL",
        ),
    )

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[str] = mapped_column(Text, primary_key=True)
    openid: Mapped[bytes] = mapped_column(LargeBinary)
    follows: Mapped[bool | None] = mapped_column(Boolean)
    follows_since: Mapped[datetime | None] = mapped_column(Timestamp)
    session_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    session_at: Mapped[datetime | None] = mapped_column(Timestamp)
    union_known_at: Mapped[datetime | None] = mapped_column(Timestamp)
    created_at: Mapped[datetime] = mapped_column(Timestamp)


class Grant(Base):
    """The permission to send one subscribe message of a template, from one acceptance.

    ``grant_id`` is derived from the push that told of it. ``state`` is open, spent or refused.
    """

    __tablename__ = "wechat_grants"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'spent', 'refused')", name="state_is_known"),
        Index(
            "ix_wechat_grants_open",
            "subject_id",
            "account_id",
            "template_id",
            postgresql_where="state = 'open'",
        ),
    )

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    grant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[str] = mapped_column(Text)
    template_id: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    granted_at: Mapped[datetime] = mapped_column(Timestamp)
    closed_at: Mapped[datetime | None] = mapped_column(Timestamp)


class Window(Base):
    """The time in which custom messages may be sent, opened by what a person did.

    Each trigger of a person at an account has one row: a later one opens it anew.
    """

    __tablename__ = "wechat_windows"
    __table_args__ = (CheckConstraint("used BETWEEN 0 AND allowed", name="within_its_limit"),)

    subject_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[str] = mapped_column(Text, primary_key=True)
    trigger: Mapped[str] = mapped_column(Text, primary_key=True)
    opened_at: Mapped[datetime] = mapped_column(Timestamp)
    closes_at: Mapped[datetime] = mapped_column(Timestamp)
    allowed: Mapped[int] = mapped_column(SmallInteger)
    used: Mapped[int] = mapped_column(SmallInteger)
