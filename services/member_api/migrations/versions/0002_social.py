"""Social channels: how people came, what was sent to them, and whereabouts they took back."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "social_touches",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("came", sa.Boolean(), nullable=False),
        sa.Column("follows", sa.Boolean(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=True),
        sa.Column("scene", sa.Text(), nullable=True),
        sa.Column("campaign", sa.Text(), nullable=True),
        sa.Column("kol", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "came OR follows IS NOT NULL", name=op.f("ck_social_touches_says_something")
        ),
        sa.PrimaryKeyConstraint("subject_id", "at", "event_id", name=op.f("pk_social_touches")),
        schema="member",
    )
    op.create_index(
        "ix_social_touches_follows",
        "social_touches",
        ["subject_id"],
        unique=False,
        schema="member",
        postgresql_where="follows IS NOT NULL",
    )
    op.create_table(
        "social_messages",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('sent', 'delivered', 'failed', 'dropped')",
            name=op.f("ck_social_messages_state_known"),
        ),
        sa.PrimaryKeyConstraint("subject_id", "event_id", name=op.f("pk_social_messages")),
        schema="member",
    )
    op.create_table(
        "whereabouts_revocations",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_whereabouts_revocations")),
        schema="member",
    )
    op.add_column("memberships", sa.Column("kol", sa.Text(), nullable=True), schema="member")
    op.add_column(
        "merges",
        sa.Column("holds_from", sa.DateTime(timezone=True), nullable=True),
        schema="member",
    )


def downgrade() -> None:
    op.drop_column("merges", "holds_from", schema="member")
    op.drop_column("memberships", "kol", schema="member")
    op.drop_table("whereabouts_revocations", schema="member")
    op.drop_table("social_messages", schema="member")
    op.drop_index(
        "ix_social_touches_follows",
        table_name="social_touches",
        schema="member",
        postgresql_where="follows IS NOT NULL",
    )
    op.drop_table("social_touches", schema="member")
