"""What was found of faces in whole series, and where each of their instances is blanked."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0015"
down_revision: Final = "0014"
branch_labels: Final = None
depends_on: Final = None

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "face_series",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("series_key", sa.Text, nullable=False),
        sa.Column("lease_owner", sa.Text, nullable=True),
        sa.Column("lease_until", sa.BigInteger, nullable=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("found_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("project", "series_key", name=op.f("face_series_pkey")),
    )
    leased = sa.text("lease_owner IS NOT NULL")
    op.create_index("face_series_leased", "face_series", ["lease_owner"], sqlite_where=leased, postgresql_where=leased)
    op.create_table(
        "face_masks",
        sa.Column("instance_id", _ID, autoincrement=False, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("mask", sa.LargeBinary, nullable=True),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("face_masks_pkey")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("face_masks_instance_id_fkey")),
    )
