"""Words of sites: for how many patients the cleaner did not know one, and what a person said of it."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from gateway.ledger.columns import Moment

revision: Final = "0011"
down_revision: Final = "0010"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "word_sightings",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("word", sa.Text, nullable=False),
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("seen_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("project", "word", "patient", name=op.f("word_sightings_pkey")),
        if_not_exists=True,
    )
    op.create_table(
        "site_words",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("word", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("text", sa.Text, nullable=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("patients", sa.Integer, nullable=False),
        sa.Column("proposed_at", Moment, nullable=False),
        sa.Column("decided_at", Moment, nullable=True),
        sa.Column("decided_by", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("project", "word", name=op.f("site_words_pkey")),
        if_not_exists=True,
    )
