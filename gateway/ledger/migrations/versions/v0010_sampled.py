"""Slices that a sample of their series speaks for, and series in which one had text."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0010"
down_revision: Final = "0009"
branch_labels: Final = None
depends_on: Final = None

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "sampled",
        sa.Column("instance_id", _ID, autoincrement=False, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("series_key", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("sampled_pkey")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("sampled_instance_id_fkey")),
    )
    op.create_index("sampled_series", "sampled", ["project", "series_key"])
    op.create_table(
        "text_series",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("series_key", sa.Text, nullable=False),
        sa.Column("found_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project", "series_key", name=op.f("text_series_pkey")),
    )
