"""What a check-in costs stays the same however many are stored.

New rows land at the end of the keys of check-ins and receipts, not anywhere in them; the rows of
subjects, which are updated at every check-in, leave room for that; answers stay in their row.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _take_time()
    _key("check_in_receipts", "check_in_id", "subject_id")
    _key("check_ins", "received_at", "subject_id", "check_in_id")
    op.drop_index(op.f("ix_check_ins_received_at"), table_name="check_ins", schema="geo")
    op.execute("ALTER TABLE geo.subjects SET (fillfactor = 50)")
    # An encrypted answer cannot be made smaller, and is read with its row.
    op.execute("ALTER TABLE geo.check_in_receipts ALTER COLUMN answer SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE geo.check_in_receipts SET (toast_tuple_target = 8160)")


def downgrade() -> None:
    _take_time()
    op.execute("ALTER TABLE geo.check_in_receipts RESET (toast_tuple_target)")
    op.execute("ALTER TABLE geo.check_in_receipts ALTER COLUMN answer SET STORAGE EXTENDED")
    op.execute("ALTER TABLE geo.subjects RESET (fillfactor)")
    op.create_index(
        op.f("ix_check_ins_received_at"),
        "check_ins",
        ["received_at"],
        unique=False,
        schema="geo",
        postgresql_using="brin",
    )
    _key("check_ins", "subject_id", "check_in_id", "received_at")
    _key("check_in_receipts", "subject_id", "check_in_id")


def _take_time() -> None:
    """Keys are built anew while check-ins wait: with eleven million of them, about a minute."""
    op.execute(sa.text("SET LOCAL statement_timeout = 0"))


def _key(table: str, *columns: str) -> None:
    name = op.f(f"pk_{table}")
    op.drop_constraint(name, table, schema="geo", type_="primary")
    op.create_primary_key(name, table, columns, schema="geo")
