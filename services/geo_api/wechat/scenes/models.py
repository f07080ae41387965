"""Table of scenes: codes on posters, tables and screens, and what each stands for."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from services.geo_api.places.models import Store
from services.geo_api.tables import Base, Timestamp
from services.geo_api.wechat.accounts.models import Account


class Scene(Base):
    """A scene code of an account: the store, campaign and KOL that its scans are owed to.

    ``kind`` is qr (a parametric QR code of an official account) or mini_code (opens ``page`` of a
    mini-program). ``ticket`` and ``url`` are WeChat's, once the code was made there. A closed one is
    listed no more, and what hangs somewhere still counts for what it was for.
    """

    __tablename__ = "wechat_scenes"
    __table_args__ = (
        CheckConstraint("kind IN ('qr', 'mini_code')", name="kind_is_known"),
        Index(None, "store_id"),
    )

    account_id: Mapped[str] = mapped_column(Text, ForeignKey(Account.account_id), primary_key=True)
    scene: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    store_id: Mapped[str | None] = mapped_column(Text, ForeignKey(Store.store_id))
    campaign: Mapped[str | None] = mapped_column(Text)
    kol: Mapped[str | None] = mapped_column(Text)
    page: Mapped[str | None] = mapped_column(Text)
    ticket: Mapped[str | None] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    created_by: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime | None] = mapped_column(Timestamp)
    closed_at: Mapped[datetime | None] = mapped_column(Timestamp)
