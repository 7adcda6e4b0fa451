"""Deliveries may be cancelled, and made again: each time has its receipt."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0007"
down_revision: Final = "0006"
branch_labels: Final = None
depends_on: Final = None

_BEFORE: Final = "state IN ('pending', 'sent', 'confirmed', 'failed', 'dead', 'superseded')"
_AFTER: Final = "state IN ('pending', 'sent', 'confirmed', 'failed', 'dead', 'superseded', 'cancelled')"


def upgrade() -> None:
    """Widen the check of a delivery's state; let a delivery have several receipts. No row changes."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        _widen_check_of_sqlite(connection)
        _copy_receipts(connection)
    else:
        op.drop_constraint(op.f("deliveries_state_check"), "deliveries", type_="check")
        op.create_check_constraint(op.f("deliveries_state_check"), "deliveries", _AFTER)
        op.drop_constraint(op.f("receipts_delivery_id_key"), "receipts", type_="unique")
    op.create_index("receipts_delivery", "receipts", ["delivery_id"])


def _widen_check_of_sqlite(connection: sa.Connection) -> None:
    # As in version 5: no stored row depends on the check.
    text = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'deliveries'").scalar_one()
    if "'cancelled'" in text:
        return
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = on")
    changed = connection.execute(
        sa.text(
            "UPDATE sqlite_master SET sql = replace(sql, :before, :after)"
            " WHERE type = 'table' AND name = 'deliveries' AND instr(sql, :before) > 0"
        ),
        {"before": _BEFORE, "after": _AFTER},
    )
    if changed.rowcount != 1:
        raise RuntimeError("the table of deliveries is not as the versions before have made it")
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = off")


def _copy_receipts(connection: sa.Connection) -> None:
    """SQLite cannot drop a constraint; nothing refers to receipts, so a copy takes their place."""
    op.rename_table("receipts", "receipts_before")
    op.create_table(
        "receipts",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("delivery_id", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("receipts_pkey")),
        sa.UniqueConstraint("project", "number", name=op.f("receipts_project_number_key")),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("receipts_delivery_id_fkey")),
    )
    columns = "id, project, number, delivery_id, digest, document"
    connection.exec_driver_sql(
        f"INSERT INTO receipts ({columns}) SELECT {columns} FROM receipts_before ORDER BY id"  # noqa: S608 - fixed words
    )
    op.drop_table("receipts_before")
