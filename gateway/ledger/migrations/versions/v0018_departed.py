"""Whole instances of long ago go into files; what they were is counted, and their receipts stay."""

from __future__ import annotations

import re
from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0018"
down_revision: Final = "0017"
branch_labels: Final = None
depends_on: Final = None

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: Table -> its column whose row may leave before it.
_LOOSE: Final = {"history": "delivery_id", "receipts": "delivery_id", "identities": "instance_id"}


def upgrade() -> None:
    """Create the tables, columns and indexes, and let go of what would keep rows."""
    for table, column in _LOOSE.items():
        _drop_foreign_key(table, column)
    for name in ("lowest", "highest"):
        op.add_column("archives", sa.Column(name, _ID))
    op.create_table(
        "departed",
        sa.Column("id", _ID, sa.Identity(), nullable=False),
        sa.Column("original_id", _ID, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("patient_id", sa.Text, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("series_uid", sa.Text, nullable=False),
        sa.Column("archive", _ID, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("receipts", sa.BigInteger, nullable=False),
        sa.Column("first_received", sa.BigInteger, nullable=False),
        sa.Column("last_received", sa.BigInteger, nullable=False),
        sa.Column("last_event", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("departed_pkey")),
        sa.UniqueConstraint(
            "original_id",
            "project",
            "source",
            "state",
            "code",
            "patient_id",
            "study_uid",
            "series_uid",
            name=op.f("alike"),
        ),
    )
    op.create_table(
        "departed_deliveries",
        sa.Column("departed_id", _ID, autoincrement=False, nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("departed_id", "destination", "state", "code", name=op.f("departed_deliveries_pkey")),
        sa.ForeignKeyConstraint(["departed_id"], ["departed.id"], name=op.f("departed_deliveries_departed_id_fkey")),
    )
    _partial("instances_without_bytes", "instances", ["purged_at", "id"], where="purged_at IS NOT NULL")
    _partial("instances_duplicates", "instances", ["duplicate_of"], where="duplicate_of IS NOT NULL")
    _partial("outputs_replacing", "outputs", ["replaces"], where="replaces IS NOT NULL")
    op.create_index("identities_instance", "identities", ["instance_id"])
    for name in ("patient_id", "study_uid"):
        op.create_index(f"departed_{name}", "departed", [name])


def _drop_foreign_key(table: str, column: str) -> None:
    """Drop it; in SQLite where the table is described, as its manual has it, for the table itself stays as it is."""
    name = f"{table}_{column}_fkey"
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.drop_constraint(name, table, type_="foreignkey")
        return
    text = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).scalar_one()
    without = re.sub(rf",\s*CONSTRAINT {name} FOREIGN KEY\(\w+\) REFERENCES \w+ \(id\)", "", text)
    connection.exec_driver_sql("PRAGMA writable_schema = on")
    connection.exec_driver_sql("UPDATE sqlite_master SET sql = ? WHERE name = ?", (without, table))
    connection.exec_driver_sql("PRAGMA writable_schema = reset")


def _partial(name: str, table: str, columns: list[str], *, where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
