"""Confirmations without a receipt are counted, and the ends of chains are sealed."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0016"
down_revision: Final = "0015"
branch_labels: Final = None
depends_on: Final = None

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_CHAINS: Final = """
INSERT INTO receipt_chains (project, number, digest, unproven)
SELECT DISTINCT instances.project, 0, '', 0 FROM deliveries JOIN instances ON instances.id = deliveries.instance_id
WHERE instances.project IS NOT NULL AND instances.project NOT IN (SELECT project FROM receipt_chains)
"""
_UNPROVEN: Final = """
UPDATE receipt_chains SET unproven = (
    SELECT count(*) FROM history JOIN instances ON instances.id = history.instance_id
    WHERE history.delivery_id IS NOT NULL AND history.state_after = 'confirmed'
    AND instances.project = receipt_chains.project
) - (SELECT count(*) FROM receipts WHERE receipts.project = receipt_chains.project)
"""


def upgrade() -> None:
    """Create the table and the column; what was confirmed without a receipt so far is as it should be."""
    op.create_table(
        "chain_seals",
        sa.Column("id", _ID, sa.Identity(), nullable=False),
        sa.Column("chain", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("sealed_at", sa.BigInteger, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("mac", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("chain_seals_pkey")),
    )
    op.create_index("chain_seals_chain", "chain_seals", ["chain", "id"])
    op.add_column("receipt_chains", sa.Column("unproven", sa.BigInteger, nullable=False, server_default="0"))
    op.execute(_CHAINS)
    op.execute(_UNPROVEN)
