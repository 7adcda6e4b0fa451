"""What is known of held images, who has seen them, and decisions about the faces of whole series."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0009"
down_revision: Final = "0008"
branch_labels: Final = None
depends_on: Final = None

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables; what is held already has no row in them, and is found by what its own row says."""
    op.create_table(
        "holds",
        sa.Column("instance_id", _ID, autoincrement=False, nullable=False),
        sa.Column("study_key", sa.Text, nullable=False),
        sa.Column("series_key", sa.Text, nullable=False),
        sa.Column("maker", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("modality", sa.Text, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("columns", sa.Integer, nullable=False),
        sa.Column("frames", sa.Integer, nullable=False),
        sa.Column("boxes", sa.JSON, nullable=False),
        sa.Column("left", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("holds_pkey")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("holds_instance_id_fkey")),
    )
    op.create_index("holds_series", "holds", ["series_key"])
    op.create_index("holds_study", "holds", ["study_key"])
    op.create_table(
        "viewings",
        sa.Column("instance_id", _ID, autoincrement=False, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("instance_id", "actor", name=op.f("viewings_pkey")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("viewings_instance_id_fkey")),
    )
    op.create_table(
        "series_reviews",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("series_key", sa.Text, nullable=False),
        sa.Column("decided_at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("because", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project", "series_key", name=op.f("series_reviews_pkey")),
    )
    op.add_column("reviews", sa.Column("settles", sa.Text, nullable=True))
