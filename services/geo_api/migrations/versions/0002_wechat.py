"""WeChat: accounts, pushes, people, scenes; and outreach."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outreach_messages",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("outreach_id", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("coupon_id", sa.Uuid(), nullable=True),
        sa.Column("store_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("route", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'sent', 'delivered', 'failed', 'dropped')",
            name=op.f("ck_outreach_messages_state_is_known"),
        ),
        sa.PrimaryKeyConstraint("subject_id", "outreach_id", name=op.f("pk_outreach_messages")),
        schema="geo",
    )
    op.create_index(
        "ix_outreach_messages_due",
        "outreach_messages",
        ["due_at"],
        unique=False,
        schema="geo",
        postgresql_where="state = 'waiting'",
    )
    op.create_index(
        "ix_outreach_messages_message_id",
        "outreach_messages",
        ["account_id", "message_id"],
        unique=False,
        schema="geo",
        postgresql_where="message_id IS NOT NULL",
    )
    op.create_index(
        op.f("ix_outreach_messages_created_at_outreach_id"),
        "outreach_messages",
        ["created_at", "outreach_id"],
        unique=False,
        schema="geo",
    )
    op.create_index(
        op.f("ix_outreach_messages_state_created_at_outreach_id"),
        "outreach_messages",
        ["state", "created_at", "outreach_id"],
        unique=False,
        schema="geo",
    )
    op.create_table(
        "outreach_results",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("delivered", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "message_id", name=op.f("pk_outreach_results")),
        schema="geo",
    )
    op.create_index(
        op.f("ix_outreach_results_noted_at"),
        "outreach_results",
        ["noted_at"],
        unique=False,
        schema="geo",
    )
    op.create_table(
        "wechat_accounts",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("original_id", sa.Text(), nullable=True),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=True),
        sa.Column("aes_key", sa.LargeBinary(), nullable=True),
        sa.Column("app_secret", sa.LargeBinary(), nullable=True),
        sa.Column("location_datum", sa.Text(), nullable=True),
        sa.Column("consent_version", sa.Text(), nullable=True),
        sa.Column("token_api", sa.Text(), nullable=False),
        sa.Column("settings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "format IN ('xml', 'json')", name=op.f("ck_wechat_accounts_format_is_known")
        ),
        sa.CheckConstraint(
            "kind IN ('service', 'subscription', 'mini_program')",
            name=op.f("ck_wechat_accounts_kind_is_known"),
        ),
        sa.CheckConstraint(
            "closed_at IS NOT NULL OR mode = 'plain' OR aes_key IS NOT NULL",
            name=op.f("ck_wechat_accounts_encryption_has_a_key"),
        ),
        sa.CheckConstraint(
            "closed_at IS NOT NULL OR token IS NOT NULL",
            name=op.f("ck_wechat_accounts_pushes_are_signed"),
        ),
        sa.CheckConstraint(
            "token_api IN ('stable', 'classic')",
            name=op.f("ck_wechat_accounts_token_api_is_known"),
        ),
        sa.CheckConstraint(
            "mode IN ('plain', 'compatible', 'secure')",
            name=op.f("ck_wechat_accounts_mode_is_known"),
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_wechat_accounts")),
        schema="geo",
    )
    op.create_index(
        "ix_wechat_accounts_app_id",
        "wechat_accounts",
        ["app_id"],
        unique=True,
        schema="geo",
        postgresql_where="closed_at IS NULL",
    )
    op.create_table(
        "wechat_accounts_version",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_wechat_accounts_version_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wechat_accounts_version")),
        schema="geo",
    )
    op.create_table(
        "wechat_grants",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("template_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'spent', 'refused')", name=op.f("ck_wechat_grants_state_is_known")
        ),
        sa.PrimaryKeyConstraint("subject_id", "grant_id", name=op.f("pk_wechat_grants")),
        schema="geo",
    )
    op.create_index(
        "ix_wechat_grants_open",
        "wechat_grants",
        ["subject_id", "account_id", "template_id"],
        unique=False,
        schema="geo",
        postgresql_where="state = 'open'",
    )
    op.create_table(
        "wechat_nonces",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "digest", name=op.f("pk_wechat_nonces")),
        schema="geo",
    )
    op.create_index(
        op.f("ix_wechat_nonces_received_at"),
        "wechat_nonces",
        ["received_at"],
        unique=False,
        schema="geo",
    )
    op.create_table(
        "wechat_pushes",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("push_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("pair_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'handled', 'unknown', 'parked')",
            name=op.f("ck_wechat_pushes_state_is_known"),
        ),
        sa.PrimaryKeyConstraint("account_id", "push_id", name=op.f("pk_wechat_pushes")),
        schema="geo",
    )
    op.create_index(
        "ix_wechat_pushes_due",
        "wechat_pushes",
        ["due_at"],
        unique=False,
        schema="geo",
        postgresql_where="state = 'waiting'",
    )
    op.create_index(
        "ix_wechat_pushes_parked",
        "wechat_pushes",
        ["account_id"],
        unique=False,
        schema="geo",
        postgresql_where="state = 'parked'",
    )
    op.create_index(
        "ix_wechat_pushes_pairs",
        "wechat_pushes",
        ["subject_id", "occurred_at"],
        unique=False,
        schema="geo",
        postgresql_where="pair_id IS NOT NULL",
    )
    op.create_index(
        op.f("ix_wechat_pushes_received_at"),
        "wechat_pushes",
        ["received_at"],
        unique=False,
        schema="geo",
    )
    op.create_index(
        op.f("ix_wechat_pushes_subject_id"),
        "wechat_pushes",
        ["subject_id"],
        unique=False,
        schema="geo",
    )
    op.create_table(
        "wechat_users",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("openid", sa.LargeBinary(), nullable=False),
        sa.Column("follows", sa.Boolean(), nullable=True),
        sa.Column("follows_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("session_key", sa.LargeBinary(), nullable=True),
        sa.Column("session_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("union_known_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "account_id", name=op.f("pk_wechat_users")),
        schema="geo",
    )
    op.create_index(
        "ix_wechat_users_union_wanted",
        "wechat_users",
        ["account_id"],
        unique=False,
        schema="geo",
        postgresql_where="follows AND union_known_at IS NULL",
    )
    op.create_index(
        op.f("ix_wechat_users_account_id"),
        "wechat_users",
        ["account_id"],
        unique=False,
        schema="geo",
    )
    op.create_table(
        "wechat_windows",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("allowed", sa.SmallInteger(), nullable=False),
        sa.Column("used", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint(
            "used BETWEEN 0 AND allowed", name=op.f("ck_wechat_windows_within_its_limit")
        ),
        sa.PrimaryKeyConstraint(
            "subject_id", "account_id", "trigger", name=op.f("pk_wechat_windows")
        ),
        schema="geo",
    )
    op.create_table(
        "wechat_notices",
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["geo.wechat_accounts.account_id"],
            name=op.f("fk_wechat_notices_account_id_wechat_accounts"),
        ),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_wechat_notices")),
        schema="geo",
    )
    op.create_index(
        "ix_wechat_notices_open",
        "wechat_notices",
        ["account_id", "kind"],
        unique=True,
        schema="geo",
        postgresql_where="settled_at IS NULL",
    )
    op.create_table(
        "wechat_scenes",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("scene", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=True),
        sa.Column("campaign", sa.Text(), nullable=True),
        sa.Column("kol", sa.Text(), nullable=True),
        sa.Column("page", sa.Text(), nullable=True),
        sa.Column("ticket", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('qr', 'mini_code')", name=op.f("ck_wechat_scenes_kind_is_known")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["geo.wechat_accounts.account_id"],
            name=op.f("fk_wechat_scenes_account_id_wechat_accounts"),
        ),
        sa.ForeignKeyConstraint(
            ["store_id"], ["geo.stores.store_id"], name=op.f("fk_wechat_scenes_store_id_stores")
        ),
        sa.PrimaryKeyConstraint("account_id", "scene", name=op.f("pk_wechat_scenes")),
        schema="geo",
    )
    op.create_index(
        op.f("ix_wechat_scenes_store_id"), "wechat_scenes", ["store_id"], unique=False, schema="geo"
    )
    op.create_table(
        "wechat_tokens",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("access_token", sa.LargeBinary(), nullable=True),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_at", postgresql.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.Column("forced_at", postgresql.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["geo.wechat_accounts.account_id"],
            name=op.f("fk_wechat_tokens_account_id_wechat_accounts"),
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_wechat_tokens")),
        schema="geo",
    )
    op.execute("INSERT INTO geo.wechat_accounts_version (id, version) VALUES (1, 0)")
    op.add_column(
        "subjects",
        sa.Column("whereabouts_revoked_at", sa.DateTime(timezone=True), nullable=True),
        schema="geo",
    )


def downgrade() -> None:
    op.drop_column("subjects", "whereabouts_revoked_at", schema="geo")
    op.drop_table("wechat_tokens", schema="geo")
    op.drop_index(op.f("ix_wechat_scenes_store_id"), table_name="wechat_scenes", schema="geo")
    op.drop_table("wechat_scenes", schema="geo")
    op.drop_index(
        "ix_wechat_notices_open",
        table_name="wechat_notices",
        schema="geo",
        postgresql_where="settled_at IS NULL",
    )
    op.drop_table("wechat_notices", schema="geo")
    op.drop_table("wechat_windows", schema="geo")
    op.drop_index(
        "ix_wechat_users_union_wanted",
        table_name="wechat_users",
        schema="geo",
        postgresql_where="follows AND union_known_at IS NULL",
    )
    op.drop_index(op.f("ix_wechat_users_account_id"), table_name="wechat_users", schema="geo")
    op.drop_table("wechat_users", schema="geo")
    op.drop_index(op.f("ix_wechat_pushes_subject_id"), table_name="wechat_pushes", schema="geo")
    op.drop_index(op.f("ix_wechat_pushes_received_at"), table_name="wechat_pushes", schema="geo")
    op.drop_index(
        "ix_wechat_pushes_pairs",
        table_name="wechat_pushes",
        schema="geo",
        postgresql_where="pair_id IS NOT NULL",
    )
    op.drop_index(
        "ix_wechat_pushes_parked",
        table_name="wechat_pushes",
        schema="geo",
        postgresql_where="state = 'parked'",
    )
    op.drop_index(
        "ix_wechat_pushes_due",
        table_name="wechat_pushes",
        schema="geo",
        postgresql_where="state = 'waiting'",
    )
    op.drop_table("wechat_pushes", schema="geo")
    op.drop_index(op.f("ix_wechat_nonces_received_at"), table_name="wechat_nonces", schema="geo")
    op.drop_table("wechat_nonces", schema="geo")
    op.drop_index(
        "ix_wechat_grants_open",
        table_name="wechat_grants",
        schema="geo",
        postgresql_where="state = 'open'",
    )
    op.drop_table("wechat_grants", schema="geo")
    op.drop_table("wechat_accounts_version", schema="geo")
    op.drop_index(
        "ix_wechat_accounts_app_id",
        table_name="wechat_accounts",
        schema="geo",
        postgresql_where="closed_at IS NULL",
    )
    op.drop_table("wechat_accounts", schema="geo")
    op.drop_table("outreach_results", schema="geo")
    op.drop_index(
        "ix_outreach_messages_message_id",
        table_name="outreach_messages",
        schema="geo",
        postgresql_where="message_id IS NOT NULL",
    )
    op.drop_index(
        "ix_outreach_messages_due",
        table_name="outreach_messages",
        schema="geo",
        postgresql_where="state = 'waiting'",
    )
    op.drop_table("outreach_messages", schema="geo")
