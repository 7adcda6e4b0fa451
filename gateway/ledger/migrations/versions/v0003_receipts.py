"""Receipts, chained by project, and the priority of studies."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"
branch_labels: Final = None
depends_on: Final = None

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the receipts and the ends of their chains; let turns have a priority."""
    op.create_table(
        "receipts",
        sa.Column("id", _ID, sa.Identity(), nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("delivery_id", _ID, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("receipts_pkey")),
        sa.UniqueConstraint("project", "number", name=op.f("receipts_project_number_key")),
        sa.UniqueConstraint("delivery_id", name=op.f("receipts_delivery_id_key")),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("receipts_delivery_id_fkey")),
    )
    op.create_table(
        "receipt_chains",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project", name=op.f("receipt_chains_pkey")),
    )
    op.create_index("deliveries_study", "deliveries", ["destination", "study_uid"])
    # Turns follow from the open deliveries: the table is made anew.
    op.drop_table("turns")
    op.create_table(
        "turns",
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("turn_at", sa.BigInteger, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("destination", "study_uid", name=op.f("turns_pkey")),
    )
    op.create_index("turns_next", "turns", ["destination", "priority", "turn_at"])
    op.execute(
        "INSERT INTO turns (destination, study_uid, turn_at, priority)"
        " SELECT destination, study_uid, min(due_at), 0 FROM deliveries"
        " WHERE state IN ('pending', 'sent', 'failed') GROUP BY destination, study_uid"
    )
