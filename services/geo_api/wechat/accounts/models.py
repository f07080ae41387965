"""Tables of WeChat accounts: what each is, its access token, and what an operator should look at."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.geo_api.tables import Base, Timestamp


class Account(Base):
    """An official account or mini-program.

    ``kind`` is service, subscription or mini_program; ``format`` xml or json; ``mode`` plain,
    compatible or secure. ``token``, ``aes_key`` and ``app_secret`` are encrypted under the storage
    key, bound to the account and the column, and emptied when the account is closed.
    ``location_datum`` is that of the LOCATION event, null until somebody says which.
    ``consent_version`` is the version of the consent that sharing a location with the account
    implies; null: it implies none. ``token_api`` says how access tokens are fetched, stable or
    classic. ``settings`` are those of outreach.
    """

    __tablename__ = "wechat_accounts"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('service', 'subscription', 'mini_program')", name="kind_is_known"
        ),
        CheckConstraint("format IN ('xml', 'json')", name="format_is_known"),
        CheckConstraint("mode IN ('plain', 'compatible', 'secure')", name="mode_is_known"),
        CheckConstraint("token_api IN ('stable', 'classic')", name="token_api_is_known"),
        CheckConstraint("closed_at IS NOT NULL OR token IS NOT NULL", name="pushes_are_signed"),
        CheckConstraint(
            "closed_at IS NOT NULL OR mode = 'plain' OR aes_key IS NOT NULL",
            name="encryption_has_a_key",
        ),
        Index(
            "ix_wechat_accounts_app_id",
            "app_id",
            unique=True,
            postgresql_where="closed_at IS NULL",
        ),
    )

    account_id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    app_id: Mapped[str] = mapped_column(Text)
    original_id: Mapped[str | None] = mapped_column(Text)
    format: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    token: Mapped[bytes | None] = mapped_column(LargeBinary)
    aes_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    app_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    location_datum: Mapped[str | None] = mapped_column(Text)
    consent_version: Mapped[str | None] = mapped_column(Text)
    token_api: Mapped[str] = mapped_column(Text)
    settings: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    updated_at: Mapped[datetime] = mapped_column(Timestamp)
    closed_at: Mapped[datetime | None] = mapped_column(Timestamp)


class AccountsVersion(Base):
    """One row, counted up in the transaction of every change to an account."""

    __tablename__ = "wechat_accounts_version"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(BigInteger)


class AccessToken(Base):
    """The one access token of an account that all processes share, encrypted.

    ``refused_at`` are the times of the last day at which WeChat's refusal of a token led to another,
    ``forced_at`` those at which a new one was demanded, which WeChat allows 20 times a day.
    """

    __tablename__ = "wechat_tokens"

    account_id: Mapped[str] = mapped_column(Text, ForeignKey(Account.account_id), primary_key=True)
    access_token: Mapped[bytes | None] = mapped_column(LargeBinary)
    fetched_at: Mapped[datetime | None] = mapped_column(Timestamp)
    expires_at: Mapped[datetime | None] = mapped_column(Timestamp)
    refused_at: Mapped[list[datetime]] = mapped_column(ARRAY(Timestamp))
    forced_at: Mapped[list[datetime]] = mapped_column(ARRAY(Timestamp))


class Notice(Base):
    """Something an operator should look at; the same again is counted, not repeated."""

    __tablename__ = "wechat_notices"
    __table_args__ = (
        Index(
            "ix_wechat_notices_open",
            "account_id",
            "kind",
            unique=True,
            postgresql_where="settled_at IS NULL",
        ),
    )

    notice_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[str] = mapped_column(Text, ForeignKey(Account.account_id))
    kind: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
    count: Mapped[int] = mapped_column(BigInteger)
    first_at: Mapped[datetime] = mapped_column(Timestamp)
    last_at: Mapped[datetime] = mapped_column(Timestamp)
    settled_at: Mapped[datetime | None] = mapped_column(Timestamp)
