"""The first schema of geo_api."""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geography, Geometry
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# The service's role may not create tables; this function, run as the owner, makes one month.
MAKE_MONTH = """
CREATE FUNCTION geo.ensure_check_in_month(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    first date := date_trunc('month', month);
    name text := 'check_ins_p_' || to_char(first, 'YYYYMM');
BEGIN
    IF to_regclass('geo.' || name) IS NULL THEN
        EXECUTE format(
            'CREATE TABLE geo.%I PARTITION OF geo.check_ins FOR VALUES FROM (%L) TO (%L)',
            name, first::timestamp AT TIME ZONE 'UTC',
            (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$
"""

# A group of rows is written as one array of one of these types. Another form of row gets a type of
# another name: processes of the version before go on with theirs.
ROWS = {
    "new_check_in": """
        subject_id uuid, check_in_id uuid, received_at timestamptz, occurred_at timestamptz,
        kind text, evidence text, trust smallint, flags text, datum text, accuracy_m float8,
        exact bytea, cell bigint, arrives text, tentative text, uncertain text, rule text,
        counts boolean, signals text, consent_purpose text, consent_version text,
        consent_given_at timestamptz, source text
    """,
    "new_receipt": """
        subject_id uuid, check_in_id uuid, request_hash bytea, received_at timestamptz,
        answer bytea
    """,
    "new_visit": """
        subject_id uuid, visit_id uuid, store_id text, state text, entered_at timestamptz,
        last_inside_at timestamptz, left_at timestamptz, closed_by text, provisional boolean,
        revision integer, last_received_at timestamptz, dwelled text,
        unfenced boolean, sensed_at timestamptz
    """,
    "seen_subject": """
        subject_id uuid, occurred_at timestamptz, received_at timestamptz, told boolean,
        erased_at timestamptz, check_in_id uuid, day date, exact bytea, maybe text
    """,
}


def upgrade() -> None:
    for name, columns in ROWS.items():
        op.execute(f"CREATE TYPE geo.{name} AS ({columns})")
    op.create_table(
        "check_in_receipts",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("check_in_id", sa.Uuid(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("reduced", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("subject_id", "check_in_id", name=op.f("pk_check_in_receipts")),
        schema="geo",
    )
    op.create_index(
        "ix_check_in_receipts_reducible",
        "check_in_receipts",
        ["received_at"],
        unique=False,
        schema="geo",
        postgresql_where="reduced IS NULL",
    )
    op.create_table(
        "check_ins",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("check_in_id", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("trust", sa.SmallInteger(), nullable=False),
        sa.Column("flags", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("datum", sa.Text(), nullable=False),
        sa.Column("accuracy_m", sa.Double(), nullable=True),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("exact", sa.LargeBinary(), nullable=True),
        sa.Column("cell", sa.BigInteger(), nullable=True),
        sa.Column("arrives", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("tentative", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("uncertain", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("signals", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("consent_purpose", sa.Text(), nullable=False),
        sa.Column("consent_version", sa.Text(), nullable=False),
        sa.Column("consent_given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint("accuracy_m >= 0", name=op.f("ck_check_ins_accuracy_is_not_negative")),
        sa.CheckConstraint("trust BETWEEN 0 AND 100", name=op.f("ck_check_ins_trust_is_a_score")),
        sa.PrimaryKeyConstraint(
            "subject_id", "check_in_id", "received_at", name=op.f("pk_check_ins")
        ),
        schema="geo",
        postgresql_partition_by="RANGE (received_at)",
    )
    op.create_index(
        op.f("ix_check_ins_subject_id_occurred_at"),
        "check_ins",
        ["subject_id", "occurred_at"],
        unique=False,
        schema="geo",
    )
    op.create_index(
        op.f("ix_check_ins_received_at"),
        "check_ins",
        ["received_at"],
        unique=False,
        schema="geo",
        postgresql_using="brin",
    )
    op.create_table(
        "coupon_codes",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("coupon_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_coupon_codes")),
        schema="geo",
    )
    op.create_index(
        op.f("ix_coupon_codes_subject_id"),
        "coupon_codes",
        ["subject_id"],
        unique=False,
        schema="geo",
    )
    op.create_table(
        "day_keys",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_day_keys")),
        schema="geo",
    )
    op.create_table(
        "fence_index_version",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_fence_index_version_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fence_index_version")),
        schema="geo",
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
        schema="geo",
    )
    op.create_index(
        op.f("ix_idempotency_keys_expires_at"),
        "idempotency_keys",
        ["expires_at"],
        unique=False,
        schema="geo",
    )
    op.create_table(
        "inbox",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("applied_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "event_id", name=op.f("pk_inbox")),
        schema="geo",
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("identity_key_fingerprint", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_installation_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
        schema="geo",
    )
    op.create_table(
        "maintenance_runs",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("ran_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_maintenance_runs")),
        schema="geo",
    )
    op.create_table(
        "offer_book_version",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_offer_book_version_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer_book_version")),
        schema="geo",
    )
    op.create_table(
        "offers",
        sa.Column("offer_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("offer_id", name=op.f("pk_offers")),
        schema="geo",
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
        schema="geo",
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
        schema="geo",
        postgresql_where=sa.text("parked_at IS NULL"),
    )
    op.create_index(
        "ix_outbox_parked",
        "outbox",
        ["id"],
        unique=False,
        schema="geo",
        postgresql_where=sa.text("parked_at IS NOT NULL"),
    )
    op.create_table(
        "outbox_deliverers",
        sa.Column("holder", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("holder", name=op.f("pk_outbox_deliverers")),
        schema="geo",
    )
    op.create_table(
        "outbox_leases",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.Uuid(), nullable=True),
        sa.Column("expires_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("bucket BETWEEN 0 AND 63", name=op.f("ck_outbox_leases_bucket_exists")),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_outbox_leases")),
        schema="geo",
    )
    op.create_table(
        "redemptions",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("redemption_id", sa.Uuid(), nullable=False),
        sa.Column("coupon_id", sa.Uuid(), nullable=False),
        sa.Column("use_number", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.Text(), nullable=False),
        sa.Column("offer_version", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("order_amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("benefit", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("redeemed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reversed_by", sa.Text(), nullable=True),
        sa.Column("reversal_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(reversed_at IS NULL) = (reversed_by IS NULL)",
            name=op.f("ck_redemptions_reversed_by_somebody"),
        ),
        sa.CheckConstraint(
            "order_amount_minor >= 0", name=op.f("ck_redemptions_amount_is_not_negative")
        ),
        sa.PrimaryKeyConstraint("subject_id", "redemption_id", name=op.f("pk_redemptions")),
        sa.UniqueConstraint(
            "subject_id",
            "coupon_id",
            "use_number",
            name=op.f("uq_redemptions_subject_id_coupon_id_use_number"),
        ),
        schema="geo",
    )
    op.create_index(
        op.f("ix_redemptions_redemption_id"),
        "redemptions",
        ["redemption_id"],
        unique=True,
        schema="geo",
    )
    op.create_index(
        op.f("ix_redemptions_store_id_redeemed_at"),
        "redemptions",
        ["store_id", "redeemed_at"],
        unique=False,
        schema="geo",
    )
    op.create_table(
        "revoked_tokens",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_revoked_tokens")),
        schema="geo",
    )
    op.create_index(
        op.f("ix_revoked_tokens_expires_at"),
        "revoked_tokens",
        ["expires_at"],
        unique=False,
        schema="geo",
    )
    op.create_geospatial_table(
        "stores",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("tags", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("hours", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("next_closure_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "location",
            Geography(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeogFromText",
                name="geography",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column("received_latitude", sa.Double(), nullable=False),
        sa.Column("received_longitude", sa.Double(), nullable=False),
        sa.Column("datum", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("index_version", sa.BigInteger(), nullable=False),
        sa.Column("code_edition", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("store_id", name=op.f("pk_stores")),
        schema="geo",
    )
    op.create_table(
        "beacons",
        sa.Column("beacon_id", sa.Text(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("major", sa.Integer(), nullable=False),
        sa.Column("minor", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("major BETWEEN 0 AND 65535", name=op.f("ck_beacons_major_has_16_bits")),
        sa.CheckConstraint("minor BETWEEN 0 AND 65535", name=op.f("ck_beacons_minor_has_16_bits")),
        sa.ForeignKeyConstraint(
            ["store_id"], ["geo.stores.store_id"], name=op.f("fk_beacons_store_id_stores")
        ),
        sa.PrimaryKeyConstraint("beacon_id", name=op.f("pk_beacons")),
        sa.UniqueConstraint("uuid", "major", "minor", name=op.f("uq_beacons_uuid_major_minor")),
        schema="geo",
    )
    op.create_index(
        op.f("ix_beacons_store_id"), "beacons", ["store_id"], unique=False, schema="geo"
    )
    op.create_table(
        "fix_sightings",
        sa.Column("pair_hash", sa.LargeBinary(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pair_hash", "subject_id", name=op.f("pk_fix_sightings")),
        schema="geo",
    )
    op.create_index(
        op.f("ix_fix_sightings_received_at"),
        "fix_sightings",
        ["received_at"],
        unique=False,
        schema="geo",
    )
    op.create_index(
        op.f("ix_fix_sightings_subject_id"),
        "fix_sightings",
        ["subject_id"],
        unique=False,
        schema="geo",
    )
    op.create_index(
        op.f("ix_stores_index_version"), "stores", ["index_version"], unique=False, schema="geo"
    )
    op.create_geospatial_index(
        "ix_stores_location",
        "stores",
        ["location"],
        unique=False,
        schema="geo",
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_index(
        "ix_stores_next_closure_at",
        "stores",
        ["next_closure_at"],
        unique=False,
        schema="geo",
        postgresql_where="next_closure_at IS NOT NULL",
    )
    op.create_index(
        "ix_stores_tags", "stores", ["tags"], unique=False, schema="geo", postgresql_using="gin"
    )
    op.create_table(
        "subjects",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_occurred_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_check_in_id", sa.Uuid(), nullable=True),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("last_exact", sa.LargeBinary(), nullable=True),
        sa.Column("maybe", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("identity_told", sa.Boolean(), nullable=False),
        sa.Column("facts_revision", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("siblings", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("lifecycle", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=True),
        sa.Column("tags", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("segments", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("consents", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_subjects")),
        schema="geo",
    )
    op.create_index(
        op.f("ix_subjects_person_id"), "subjects", ["person_id"], unique=False, schema="geo"
    )
    op.create_table(
        "tombstones",
        sa.Column("subject_hash", sa.LargeBinary(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject_hash", name=op.f("pk_tombstones")),
        schema="geo",
    )
    op.create_table(
        "closings",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("index_version", sa.BigInteger(), nullable=True),
        sa.Column("settled", sa.Boolean(), server_default="false", nullable=False),
        sa.PrimaryKeyConstraint("store_id", "at", "closed_by", name=op.f("pk_closings")),
        schema="geo",
    )
    op.create_index(
        "ix_closings_unsettled",
        "closings",
        ["at"],
        unique=False,
        schema="geo",
        postgresql_where="NOT settled",
    )
    op.create_table(
        "visit_aliases",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("alias_id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "alias_id", name=op.f("pk_visit_aliases")),
        schema="geo",
    )
    op.create_table(
        "visits",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_inside_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("last_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dwelled", sa.ARRAY(sa.Integer()), server_default="{}", nullable=False),
        sa.Column("unfenced", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("sensed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'open') = (left_at IS NULL)", name=op.f("ck_visits_left_when_closed")
        ),
        sa.CheckConstraint(
            "last_inside_at >= entered_at", name=op.f("ck_visits_leaves_after_entering")
        ),
        sa.PrimaryKeyConstraint("subject_id", "visit_id", name=op.f("pk_visits")),
        schema="geo",
    )
    op.create_index(
        "ix_visits_closed",
        "visits",
        ["state", "entered_at", "visit_id"],
        unique=False,
        schema="geo",
        postgresql_where="state <> 'open'",
    )
    op.create_index(
        "ix_visits_closed_at_store",
        "visits",
        ["store_id", "state", "entered_at", "visit_id"],
        unique=False,
        schema="geo",
        postgresql_where="state <> 'open'",
    )
    op.create_index(
        "ix_visits_open",
        "visits",
        ["store_id", "entered_at"],
        unique=False,
        schema="geo",
        postgresql_where="state = 'open'",
    )
    op.create_index(
        "ix_visits_going_on",
        "visits",
        ["subject_id"],
        unique=False,
        schema="geo",
        postgresql_where="state = 'open' OR provisional",
    )
    op.create_index(
        op.f("ix_visits_subject_id_store_id_entered_at"),
        "visits",
        ["subject_id", "store_id", "entered_at"],
        unique=False,
        schema="geo",
    )
    op.create_table(
        "coupons",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("coupon_id", sa.Uuid(), nullable=False),
        sa.Column("offer_id", sa.Text(), nullable=False),
        sa.Column("offer_version", sa.Integer(), nullable=False),
        sa.Column("grant_key", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=True),
        sa.Column("check_in_id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("benefit", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("code", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "state IN ('granted', 'redeemed', 'revoked')", name=op.f("ck_coupons_state_is_known")
        ),
        sa.CheckConstraint("valid_from < valid_until", name=op.f("ck_coupons_valid_for_some_time")),
        sa.ForeignKeyConstraint(
            ["offer_id"], ["geo.offers.offer_id"], name=op.f("fk_coupons_offer_id_offers")
        ),
        sa.PrimaryKeyConstraint("subject_id", "coupon_id", name=op.f("pk_coupons")),
        sa.UniqueConstraint(
            "subject_id",
            "offer_id",
            "grant_key",
            name=op.f("uq_coupons_subject_id_offer_id_grant_key"),
        ),
        schema="geo",
    )
    op.create_index(
        op.f("ix_coupons_offer_id_granted_at"),
        "coupons",
        ["offer_id", "granted_at"],
        unique=False,
        schema="geo",
    )
    op.create_index(
        op.f("ix_coupons_subject_id_granted_at"),
        "coupons",
        ["subject_id", "granted_at"],
        unique=False,
        schema="geo",
    )
    op.create_table(
        "geofences",
        sa.Column("geofence_id", sa.Text(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("index_version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["store_id"], ["geo.stores.store_id"], name=op.f("fk_geofences_store_id_stores")
        ),
        sa.PrimaryKeyConstraint("geofence_id", name=op.f("pk_geofences")),
        schema="geo",
    )
    op.create_index(
        "ix_geofences_ends_at",
        "geofences",
        ["ends_at"],
        unique=False,
        schema="geo",
        postgresql_where="ends_at IS NOT NULL",
    )
    op.create_index(
        op.f("ix_geofences_index_version"),
        "geofences",
        ["index_version"],
        unique=False,
        schema="geo",
    )
    op.create_index(
        op.f("ix_geofences_store_id"), "geofences", ["store_id"], unique=False, schema="geo"
    )
    op.create_table(
        "offer_counters",
        sa.Column("offer_id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("cap", sa.BigInteger(), nullable=True),
        sa.Column("granting_version", sa.Integer(), nullable=True),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "used >= 0 AND (cap IS NULL OR used <= cap)", name=op.f("ck_offer_counters_cap_holds")
        ),
        sa.ForeignKeyConstraint(
            ["offer_id"], ["geo.offers.offer_id"], name=op.f("fk_offer_counters_offer_id_offers")
        ),
        sa.PrimaryKeyConstraint("offer_id", "scope", name=op.f("pk_offer_counters")),
        schema="geo",
    )
    op.create_table(
        "offer_versions",
        sa.Column("offer_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "starts_at < ends_at", name=op.f("ck_offer_versions_starts_before_it_ends")
        ),
        sa.ForeignKeyConstraint(
            ["offer_id"], ["geo.offers.offer_id"], name=op.f("fk_offer_versions_offer_id_offers")
        ),
        sa.PrimaryKeyConstraint("offer_id", "version", name=op.f("pk_offer_versions")),
        schema="geo",
    )
    op.create_geospatial_table(
        "geofence_versions",
        sa.Column("geofence_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "center",
            Geography(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeogFromText",
                name="geography",
            ),
            nullable=True,
        ),
        sa.Column("radius_m", sa.Double(), nullable=True),
        sa.Column(
            "area",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            nullable=True,
        ),
        sa.Column("received", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("datum", sa.Text(), nullable=False),
        sa.Column("schedule", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("dwell_s", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(center IS NOT NULL AND radius_m IS NOT NULL AND area IS NULL) OR (center IS NULL AND radius_m IS NULL AND area IS NOT NULL)",
            name=op.f("ck_geofence_versions_circle_or_area"),
        ),
        sa.CheckConstraint("radius_m > 0", name=op.f("ck_geofence_versions_radius_is_positive")),
        sa.ForeignKeyConstraint(
            ["geofence_id"],
            ["geo.geofences.geofence_id"],
            name=op.f("fk_geofence_versions_geofence_id_geofences"),
        ),
        sa.PrimaryKeyConstraint("geofence_id", "version", name=op.f("pk_geofence_versions")),
        schema="geo",
    )
    op.create_geospatial_index(
        "ix_geofence_versions_area",
        "geofence_versions",
        ["area"],
        unique=False,
        schema="geo",
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.execute("CREATE TABLE geo.check_ins_p_default PARTITION OF geo.check_ins DEFAULT")
    op.execute(MAKE_MONTH)
    op.execute(
        "SELECT geo.ensure_check_in_month(month::date) FROM generate_series("
        "date_trunc('month', now()), now() + interval '2 months', '1 month') AS month"
    )
    op.execute("INSERT INTO geo.fence_index_version (id, version) VALUES (1, 0)")
    op.execute("INSERT INTO geo.outbox_leases (bucket) SELECT generate_series(0, 63)")
    op.execute("INSERT INTO geo.offer_book_version (id, version) VALUES (1, 0)")


def downgrade() -> None:
    op.execute("DROP FUNCTION geo.ensure_check_in_month(date)")
    op.drop_table("beacons", schema="geo")
    op.drop_table("fix_sightings", schema="geo")
    op.drop_geospatial_index(
        "ix_geofence_versions_area",
        table_name="geofence_versions",
        schema="geo",
        postgresql_using="gist",
        column_name="area",
    )
    op.drop_geospatial_table("geofence_versions", schema="geo")
    op.drop_table("offer_versions", schema="geo")
    op.drop_table("offer_counters", schema="geo")
    op.drop_index(op.f("ix_geofences_store_id"), table_name="geofences", schema="geo")
    op.drop_index(op.f("ix_geofences_index_version"), table_name="geofences", schema="geo")
    op.drop_index(
        "ix_geofences_ends_at",
        table_name="geofences",
        schema="geo",
        postgresql_where="ends_at IS NOT NULL",
    )
    op.drop_table("geofences", schema="geo")
    op.drop_index(op.f("ix_coupons_subject_id_granted_at"), table_name="coupons", schema="geo")
    op.drop_index(op.f("ix_coupons_offer_id_granted_at"), table_name="coupons", schema="geo")
    op.drop_table("coupons", schema="geo")
    op.drop_index(
        op.f("ix_visits_subject_id_store_id_entered_at"), table_name="visits", schema="geo"
    )
    op.drop_index(
        "ix_visits_going_on",
        table_name="visits",
        schema="geo",
        postgresql_where="state = 'open' OR provisional",
    )
    op.drop_index(
        "ix_visits_open", table_name="visits", schema="geo", postgresql_where="state = 'open'"
    )
    op.drop_index(
        "ix_visits_closed_at_store",
        table_name="visits",
        schema="geo",
        postgresql_where="state <> 'open'",
    )
    op.drop_index(
        "ix_visits_closed", table_name="visits", schema="geo", postgresql_where="state <> 'open'"
    )
    op.drop_table("visits", schema="geo")
    op.drop_table("visit_aliases", schema="geo")
    op.drop_table("closings", schema="geo")
    op.drop_table("tombstones", schema="geo")
    op.drop_index(op.f("ix_subjects_person_id"), table_name="subjects", schema="geo")
    op.drop_table("subjects", schema="geo")
    op.drop_index(
        "ix_stores_next_closure_at",
        table_name="stores",
        schema="geo",
        postgresql_where="next_closure_at IS NOT NULL",
    )
    op.drop_index("ix_stores_tags", table_name="stores", schema="geo", postgresql_using="gin")
    op.drop_geospatial_index(
        "ix_stores_location",
        table_name="stores",
        schema="geo",
        postgresql_using="gist",
        column_name="location",
    )
    op.drop_index(op.f("ix_stores_index_version"), table_name="stores", schema="geo")
    op.drop_geospatial_table("stores", schema="geo")
    op.drop_index(op.f("ix_revoked_tokens_expires_at"), table_name="revoked_tokens", schema="geo")
    op.drop_table("revoked_tokens", schema="geo")
    op.drop_index(
        op.f("ix_redemptions_store_id_redeemed_at"), table_name="redemptions", schema="geo"
    )
    op.drop_index(op.f("ix_redemptions_redemption_id"), table_name="redemptions", schema="geo")
    op.drop_table("redemptions", schema="geo")
    op.drop_table("outbox_leases", schema="geo")
    op.drop_table("outbox_deliverers", schema="geo")
    op.drop_index(
        "ix_outbox_parked",
        table_name="outbox",
        schema="geo",
        postgresql_where=sa.text("parked_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_outbox_due",
        table_name="outbox",
        schema="geo",
        postgresql_where=sa.text("parked_at IS NULL"),
    )
    op.drop_table("outbox", schema="geo")
    op.drop_table("offers", schema="geo")
    op.drop_table("offer_book_version", schema="geo")
    op.drop_table("maintenance_runs", schema="geo")
    op.drop_table("installation", schema="geo")
    op.drop_table("inbox", schema="geo")
    op.drop_index(
        op.f("ix_idempotency_keys_expires_at"), table_name="idempotency_keys", schema="geo"
    )
    op.drop_table("idempotency_keys", schema="geo")
    op.drop_table("fence_index_version", schema="geo")
    op.drop_table("day_keys", schema="geo")
    op.drop_index(op.f("ix_coupon_codes_subject_id"), table_name="coupon_codes", schema="geo")
    op.drop_table("coupon_codes", schema="geo")
    op.drop_index(
        op.f("ix_check_ins_received_at"),
        table_name="check_ins",
        schema="geo",
        postgresql_using="brin",
    )
    op.drop_index(op.f("ix_check_ins_subject_id_occurred_at"), table_name="check_ins", schema="geo")
    op.drop_table("check_ins", schema="geo")
    op.drop_index(
        "ix_check_in_receipts_reducible",
        table_name="check_in_receipts",
        schema="geo",
        postgresql_where="reduced IS NULL",
    )
    op.drop_table("check_in_receipts", schema="geo")
    for name in ROWS:
        op.execute(f"DROP TYPE geo.{name}")
