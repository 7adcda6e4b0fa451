"""History of long ago goes into files; the account keeps its sums."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0017"
down_revision: Final = "0016"
branch_labels: Final = None
depends_on: Final = None

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables, the column and its index."""
    op.create_table(
        "archives",
        sa.Column("number", _ID, autoincrement=False, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("instances", sa.BigInteger, nullable=False),
        sa.Column("archived_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("archives_pkey")),
    )
    op.create_table(
        "archived_history",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("of_delivery", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("state_before", sa.Text, nullable=False),
        sa.Column("state_after", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "of_delivery", "state_before", "state_after", name=op.f("archived_history_pkey")
        ),
    )
    op.add_column("instances", sa.Column("archived_in", sa.BigInteger))
    where = sa.text("purged_at IS NOT NULL AND archived_in IS NULL")
    op.create_index(
        "instances_unarchived", "instances", ["purged_at", "id"], sqlite_where=where, postgresql_where=where
    )
