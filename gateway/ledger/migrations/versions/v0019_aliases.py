"""Studies are found by other Patient IDs and by the accession numbers of each request, too."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0019"
down_revision: Final = "0018"
branch_labels: Final = None
depends_on: Final = None

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table; what was received before is found by what it was found by."""
    op.create_table(
        "aliases",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("original_id", _ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("kind", "token", "original_id", name=op.f("aliases_pkey")),
    )
