"""The first schema.

Written out, not taken from ``gateway.ledger.schema``, which later versions change.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None
branch_labels: Final = None
depends_on: Final = None

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables and their indexes."""
    op.create_table(
        "instances",
        sa.Column("id", _ID, sa.Identity(), nullable=False),
        sa.Column("spool_name", sa.Text, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("crc32", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("calling_ae", sa.Text, nullable=False),
        sa.Column("called_ae", sa.Text, nullable=False),
        sa.Column("peer_address", sa.Text, nullable=False),
        sa.Column("sop_class_uid", sa.Text, nullable=False),
        sa.Column("transfer_syntax", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("project", sa.Text),
        sa.Column("sop_key", sa.Text),
        sa.Column("content_key", sa.Text),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("duplicate_of", _ID),
        sa.Column("purged_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name=op.f("instances_pkey")),
        sa.UniqueConstraint("spool_name", name=op.f("instances_spool_name_key")),
        sa.ForeignKeyConstraint(["duplicate_of"], ["instances.id"], name=op.f("instances_duplicate_of_fkey")),
        sa.CheckConstraint(
            "state IN ('received', 'rejected', 'held', 'deidentified', 'delivered', 'purged')",
            name=op.f("instances_state_check"),
        ),
    )
    op.create_table(
        "outputs",
        sa.Column("instance_id", _ID, autoincrement=False, nullable=False),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("profile_digest", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("patient_id", sa.Text, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("series_uid", sa.Text, nullable=False),
        sa.Column("sop_uid", sa.Text, nullable=False),
        sa.Column("sop_class_uid", sa.Text, nullable=False),
        sa.Column("transfer_syntax", sa.Text, nullable=False),
        sa.Column("actions", sa.JSON, nullable=False),
        sa.Column("destinations", sa.Integer, nullable=False),
        sa.Column("replaces", _ID),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("outputs_pkey")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("outputs_instance_id_fkey")),
        sa.ForeignKeyConstraint(["replaces"], ["instances.id"], name=op.f("outputs_replaces_fkey")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", _ID, sa.Identity(), nullable=False),
        sa.Column("instance_id", _ID, nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("deliveries_pkey")),
        sa.UniqueConstraint("instance_id", "destination", name=op.f("deliveries_instance_id_destination_key")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("deliveries_instance_id_fkey")),
        sa.CheckConstraint(
            "state IN ('pending', 'sent', 'confirmed', 'failed', 'dead')", name=op.f("deliveries_state_check")
        ),
    )
    op.create_table(
        "turns",
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("turn_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("destination", "study_uid", name=op.f("turns_pkey")),
    )
    op.create_table(
        "history",
        sa.Column("id", _ID, sa.Identity(), nullable=False),
        sa.Column("instance_id", _ID, nullable=False),
        sa.Column("delivery_id", _ID),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("state_before", sa.Text),
        sa.Column("state_after", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("history_pkey")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("history_instance_id_fkey")),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("history_delivery_id_fkey")),
    )

    _partial(
        "instances_waiting",
        "instances",
        "received_at",
        "id",
        "state",
        "lease_owner",
        where="state = 'received' AND lease_owner IS NULL",
    )
    _partial("instances_leased", "instances", "lease_owner", "lease_until", where="lease_owner IS NOT NULL")
    _partial(
        "instances_standing",
        "instances",
        "project",
        "sop_key",
        "content_key",
        where="sop_key IS NOT NULL AND state IN ('held', 'deidentified', 'delivered', 'purged')",
        unique=True,
    )
    _partial("instances_held", "instances", "state", "id", where="state = 'held'")
    _partial(
        "instances_purgeable",
        "instances",
        "changed_at",
        "id",
        where="state IN ('delivered', 'rejected') AND purged_at IS NULL",
    )
    _partial(
        "deliveries_open",
        "deliveries",
        "destination",
        "study_uid",
        "due_at",
        "id",
        where="state IN ('pending', 'sent', 'failed')",
    )
    _partial("deliveries_leased", "deliveries", "lease_owner", where="lease_owner IS NOT NULL")
    _partial(
        "deliveries_unconfirmed",
        "deliveries",
        "destination",
        "state",
        "created_at",
        "id",
        where="state IN ('pending', 'sent', 'failed', 'dead')",
    )
    op.create_index("turns_next", "turns", ["destination", "turn_at"])
    op.create_index("history_instance", "history", ["instance_id"])


def _partial(name: str, table: str, *columns: str, where: str, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, list(columns), unique=unique, sqlite_where=condition, postgresql_where=condition)
