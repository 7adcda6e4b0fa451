"""Whose a study is, and who issued a Patient ID."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0008"
down_revision: Final = "0007"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "identities",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("whose", sa.Text, nullable=False),
        sa.Column("instance_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("project", "kind", "what", "whose", name=op.f("identities_pkey")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("identities_instance_id_fkey")),
        if_not_exists=True,
    )
