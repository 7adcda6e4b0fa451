"""A row that is written to find out whether rows can be written."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from gateway.ledger.columns import Moment

revision: Final = "0013"
down_revision: Final = "0012"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "pulse",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("pulse_one_row_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("pulse_pkey")),
        if_not_exists=True,
    )
