"""What happened that people want to be told of, how things stand, and the messages."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from gateway.ledger.columns import Moment, RowId, Words

revision: Final = "0014"
down_revision: Final = "0013"
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "occurrences",
        sa.Column("id", RowId, sa.Identity(), nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("instance_id", RowId, nullable=True),
        sa.Column("destination", Words(64), nullable=False),
        sa.Column("code", Words(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("occurrences_pkey")),
        if_not_exists=True,
    )
    op.create_table(
        "conditions",
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("what", name=op.f("conditions_pkey")),
        if_not_exists=True,
    )
    op.create_table(
        "study_notices",
        sa.Column("notifier", sa.Text, nullable=False),
        sa.Column("project", Words(64), nullable=False),
        sa.Column("study_uid", Words(128), nullable=False),
        sa.Column("instance_id", RowId, nullable=False),
        sa.Column("last_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("notifier", "project", "study_uid", name=op.f("study_notices_pkey")),
        if_not_exists=True,
    )
    op.create_table(
        "notices",
        sa.Column("notifier", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("project", Words(64), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("tally", sa.JSON, nullable=False),
        sa.Column("waits", sa.Boolean, nullable=False),
        sa.Column("sending", sa.JSON, nullable=True),
        sa.Column("is_sending", sa.Boolean, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due_at", Moment, nullable=False),
        sa.Column("sent_at", Moment, nullable=True),
        sa.PrimaryKeyConstraint("notifier", "event", "project", name=op.f("notices_pkey")),
        if_not_exists=True,
    )
