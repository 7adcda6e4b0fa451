"""Numbers for sequential pseudonyms."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "numbers",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project", "purpose", "token", name=op.f("numbers_pkey")),
        sa.UniqueConstraint("project", "purpose", "number", name=op.f("numbers_project_purpose_number_key")),
    )
