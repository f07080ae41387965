"""People, membership, consents, timeline and the feed.

The months of the timeline are partitions of their own, made by the running service.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


MAKE_TIMELINE_MONTHS = """
CREATE FUNCTION member.make_timeline_months(first date, months integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' AS $$
DECLARE
    month timestamptz;
    name text;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('member.make_timeline_months'));
    FOR ahead IN 0 .. months - 1 LOOP
        month := date_trunc('month', first::timestamptz) + make_interval(months => ahead);
        name := 'timeline_items_p_' || to_char(month, 'YYYY_MM');
        CONTINUE WHEN to_regclass('member.' || name) IS NOT NULL;
        -- Whoever is writing chose its partition before this one was there: let it end first.
        LOCK TABLE member.timeline_items IN SHARE ROW EXCLUSIVE MODE;
        EXECUTE format('CREATE TABLE member.%I (LIKE member.timeline_items INCLUDING ALL)', name);
        EXECUTE format(
            'WITH moved AS (DELETE FROM member.timeline_items_p_default'
            ' WHERE occurred_at >= %L AND occurred_at < %L RETURNING *)'
            ' INSERT INTO member.%I SELECT * FROM moved',
            month, month + interval '1 month', name
        );
        EXECUTE format(
            'ALTER TABLE member.timeline_items ATTACH PARTITION member.%I'
            ' FOR VALUES FROM (%L) TO (%L)',
            name, month, month + interval '1 month'
        );
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$
"""
"""Run by the service with the owner's rights; rows that wait in the default partition move."""

# Items are written as one array of these. Another form of row gets a type of another name: processes
# of the version before go on with theirs.
NEW_ITEM = """
CREATE TYPE member.new_item AS (
    subject_id uuid, occurred_at timestamptz, event_id uuid, type text, received_at timestamptz,
    store_id text, data text
)
"""


def upgrade() -> None:
    op.execute(NEW_ITEM)
    op.create_table(
        "erased_redemptions",
        sa.Column("redemption_id", sa.Uuid(), nullable=False),
        sa.Column("redeemed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("store_id", sa.Text(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("redemption_id", name=op.f("pk_erased_redemptions")),
        schema="member",
    )
    op.create_index(
        op.f("ix_erased_redemptions_redeemed_at"),
        "erased_redemptions",
        ["redeemed_at"],
        unique=False,
        schema="member",
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("answer", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("scope", "endpoint", "key", name=op.f("pk_idempotency_keys")),
        schema="member",
    )
    op.create_index(
        op.f("ix_idempotency_keys_expires_at"),
        "idempotency_keys",
        ["expires_at"],
        unique=False,
        schema="member",
    )
    op.create_table(
        "inbox",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("applied_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "event_id", name=op.f("pk_inbox")),
        schema="member",
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("identity_key_fingerprint", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_installation_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
        schema="member",
    )
    op.create_table(
        "merge_reviews",
        sa.Column("subject_a", sa.Uuid(), nullable=False),
        sa.Column("subject_b", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("subject_a < subject_b", name=op.f("ck_merge_reviews_ends_in_order")),
        sa.PrimaryKeyConstraint("subject_a", "subject_b", name=op.f("pk_merge_reviews")),
        schema="member",
    )
    op.create_table(
        "merges",
        sa.Column("merge_id", sa.Uuid(), nullable=False),
        sa.Column("subject_a", sa.Uuid(), nullable=False),
        sa.Column("subject_b", sa.Uuid(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("overrides", sa.Text(), nullable=True),
        sa.Column("merged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(undone_at IS NULL) = (undone_by IS NULL)", name=op.f("ck_merges_undone_by_somebody")
        ),
        sa.CheckConstraint("subject_a < subject_b", name=op.f("ck_merges_ends_in_order")),
        sa.CheckConstraint("undone_at >= merged_at", name=op.f("ck_merges_undone_after")),
        sa.PrimaryKeyConstraint("merge_id", name=op.f("pk_merges")),
        schema="member",
    )
    op.create_index(
        op.f("ix_merges_subject_a"), "merges", ["subject_a"], unique=False, schema="member"
    )
    op.create_index(
        op.f("ix_merges_subject_b"), "merges", ["subject_b"], unique=False, schema="member"
    )
    op.create_index(
        "uq_merges_live",
        "merges",
        ["subject_a", "subject_b"],
        unique=True,
        schema="member",
        postgresql_where=sa.text("undone_at IS NULL"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "next_attempt_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("parked_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint("bucket BETWEEN 0 AND 63", name=op.f("ck_outbox_bucket_exists")),
        sa.CheckConstraint("lane IN (0, 1)", name=op.f("ck_outbox_lane_exists")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        schema="member",
        postgresql_with={
            "autovacuum_vacuum_scale_factor": "0",
            "autovacuum_vacuum_threshold": "20000",
            "autovacuum_vacuum_cost_delay": "0",
        },
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["bucket", "lane", "next_attempt_at", "id"],
        unique=False,
        schema="member",
        postgresql_where=sa.text("parked_at IS NULL"),
    )
    op.create_index(
        "ix_outbox_parked",
        "outbox",
        ["id"],
        unique=False,
        schema="member",
        postgresql_where=sa.text("parked_at IS NOT NULL"),
    )
    op.create_table(
        "outbox_deliverers",
        sa.Column("holder", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("holder", name=op.f("pk_outbox_deliverers")),
        schema="member",
    )
    op.create_table(
        "outbox_leases",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.Uuid(), nullable=True),
        sa.Column("expires_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("bucket BETWEEN 0 AND 63", name=op.f("ck_outbox_leases_bucket_exists")),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_outbox_leases")),
        schema="member",
    )
    op.create_table(
        "redemptions",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("redemption_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("redeemed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("store_id", sa.Text(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "amount_minor IS NULL OR currency IS NOT NULL",
            name=op.f("ck_redemptions_amount_has_currency"),
        ),
        sa.PrimaryKeyConstraint("subject_id", "redemption_id", name=op.f("pk_redemptions")),
        schema="member",
    )
    op.create_table(
        "revoked_tokens",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_revoked_tokens")),
        schema="member",
    )
    op.create_index(
        op.f("ix_revoked_tokens_expires_at"),
        "revoked_tokens",
        ["expires_at"],
        unique=False,
        schema="member",
    )
    op.create_table(
        "stores",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=True),
        sa.Column("tags", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("store_id", name=op.f("pk_stores")),
        schema="member",
    )
    op.create_table(
        "subjects",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("birth_person_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_ins", sa.Integer(), nullable=False),
        sa.Column("coupons_granted", sa.Integer(), nullable=False),
        sa.Column("audience_revision", sa.BigInteger(), nullable=False),
        sa.Column("audience_digest", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "check_ins >= 0 AND coupons_granted >= 0", name=op.f("ck_subjects_counts")
        ),
        sa.CheckConstraint("first_seen_at <= last_seen_at", name=op.f("ck_subjects_seen_in_order")),
        sa.CheckConstraint(
            "person_id <= birth_person_id", name=op.f("ck_subjects_lowest_id_survives")
        ),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_subjects")),
        schema="member",
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index(
        op.f("ix_subjects_birth_person_id"),
        "subjects",
        ["birth_person_id"],
        unique=False,
        schema="member",
    )
    op.create_index(
        op.f("ix_subjects_person_id"), "subjects", ["person_id"], unique=False, schema="member"
    )
    op.create_table(
        "timeline_items",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint(
            "subject_id", "occurred_at", "event_id", name=op.f("pk_timeline_items")
        ),
        schema="member",
        postgresql_partition_by="RANGE (occurred_at)",
    )
    op.execute(
        "CREATE TABLE member.timeline_items_p_default PARTITION OF member.timeline_items DEFAULT"
    )
    op.execute(MAKE_TIMELINE_MONTHS)
    op.create_table(
        "tombstones",
        sa.Column("subject_hash", sa.LargeBinary(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject_hash", name=op.f("pk_tombstones")),
        schema="member",
    )
    op.create_table(
        "used_invitations",
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_used_invitations")),
        schema="member",
    )
    op.create_index(
        op.f("ix_used_invitations_expires_at"),
        "used_invitations",
        ["expires_at"],
        unique=False,
        schema="member",
    )
    op.create_table(
        "visits",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exited_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expired_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dwelled", sa.ARRAY(sa.Integer()), server_default="{}", nullable=False),
        sa.CheckConstraint(
            "(exited_at IS NULL) = (exited_from IS NULL)", name=op.f("ck_visits_exit_whole")
        ),
        sa.CheckConstraint(
            "(expired_at IS NULL) = (expired_from IS NULL)", name=op.f("ck_visits_expiry_whole")
        ),
        sa.PrimaryKeyConstraint("subject_id", "visit_id", name=op.f("pk_visits")),
        schema="member",
    )
    op.create_table(
        "claims",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("claimed_subject_id", sa.Uuid(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"],
            ["member.subjects.subject_id"],
            name=op.f("fk_claims_subject_id_subjects"),
        ),
        sa.PrimaryKeyConstraint("subject_id", "claimed_subject_id", name=op.f("pk_claims")),
        schema="member",
    )
    op.create_index(
        op.f("ix_claims_claimed_subject_id"),
        "claims",
        ["claimed_subject_id"],
        unique=False,
        schema="member",
    )
    op.create_table(
        "consents",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("consent_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirms_person", sa.Boolean(), nullable=False),
        sa.Column("withdraws", sa.Uuid(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("proof", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "state = 'granted' OR NOT confirms_person", name=op.f("ck_consents_only_grants_confirm")
        ),
        sa.CheckConstraint(
            "state = 'withdrawn' OR withdraws IS NULL",
            name=op.f("ck_consents_withdrawal_names_grant"),
        ),
        sa.CheckConstraint(
            "state IN ('granted', 'denied', 'withdrawn')", name=op.f("ck_consents_state_known")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"],
            ["member.subjects.subject_id"],
            name=op.f("fk_consents_subject_id_subjects"),
        ),
        sa.PrimaryKeyConstraint("subject_id", "consent_id", name=op.f("pk_consents")),
        schema="member",
    )
    op.create_table(
        "identities",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"],
            ["member.subjects.subject_id"],
            name=op.f("fk_identities_subject_id_subjects"),
        ),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_identities")),
        schema="member",
    )
    op.create_table(
        "memberships",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=True),
        sa.Column("campaign", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subject_id"],
            ["member.subjects.subject_id"],
            name=op.f("fk_memberships_subject_id_subjects"),
        ),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_memberships")),
        schema="member",
    )
    op.create_table(
        "personal_profiles",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"],
            ["member.subjects.subject_id"],
            name=op.f("fk_personal_profiles_subject_id_subjects"),
        ),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_personal_profiles")),
        schema="member",
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION member.make_timeline_months(date, integer)")
    op.drop_table("personal_profiles", schema="member")
    op.drop_table("memberships", schema="member")
    op.drop_table("identities", schema="member")
    op.drop_table("consents", schema="member")
    op.drop_index(op.f("ix_claims_claimed_subject_id"), table_name="claims", schema="member")
    op.drop_table("claims", schema="member")
    op.drop_table("visits", schema="member")
    op.drop_index(
        op.f("ix_used_invitations_expires_at"), table_name="used_invitations", schema="member"
    )
    op.drop_table("used_invitations", schema="member")
    op.drop_table("tombstones", schema="member")
    op.drop_table("timeline_items", schema="member")
    op.drop_index(op.f("ix_subjects_person_id"), table_name="subjects", schema="member")
    op.drop_index(op.f("ix_subjects_birth_person_id"), table_name="subjects", schema="member")
    op.drop_table("subjects", schema="member")
    op.drop_table("stores", schema="member")
    op.drop_index(
        op.f("ix_revoked_tokens_expires_at"), table_name="revoked_tokens", schema="member"
    )
    op.drop_table("revoked_tokens", schema="member")
    op.drop_table("redemptions", schema="member")
    op.drop_table("outbox_leases", schema="member")
    op.drop_table("outbox_deliverers", schema="member")
    op.drop_index(
        "ix_outbox_parked",
        table_name="outbox",
        schema="member",
        postgresql_where=sa.text("parked_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_outbox_due",
        table_name="outbox",
        schema="member",
        postgresql_where=sa.text("parked_at IS NULL"),
    )
    op.drop_table("outbox", schema="member")
    op.drop_index(
        "uq_merges_live",
        table_name="merges",
        schema="member",
        postgresql_where=sa.text("undone_at IS NULL"),
    )
    op.drop_index(op.f("ix_merges_subject_b"), table_name="merges", schema="member")
    op.drop_index(op.f("ix_merges_subject_a"), table_name="merges", schema="member")
    op.drop_table("merges", schema="member")
    op.drop_table("merge_reviews", schema="member")
    op.drop_table("installation", schema="member")
    op.drop_table("inbox", schema="member")
    op.drop_index(
        op.f("ix_idempotency_keys_expires_at"), table_name="idempotency_keys", schema="member"
    )
    op.drop_table("idempotency_keys", schema="member")
    op.drop_index(
        op.f("ix_erased_redemptions_redeemed_at"), table_name="erased_redemptions", schema="member"
    )
    op.drop_table("erased_redemptions", schema="member")
    op.execute("DROP TYPE member.new_item")
