"""Deliveries may be superseded by those of a newer version of the instance."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0005"
down_revision: Final = "0004"
branch_labels: Final = None
depends_on: Final = None

_BEFORE: Final = "state IN ('pending', 'sent', 'confirmed', 'failed', 'dead')"
_AFTER: Final = "state IN ('pending', 'sent', 'confirmed', 'failed', 'dead', 'superseded')"


def upgrade() -> None:
    """Widen the check of a delivery's state; no row changes."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.drop_constraint(op.f("deliveries_state_check"), "deliveries", type_="check")
        op.create_check_constraint(op.f("deliveries_state_check"), "deliveries", _AFTER)
        return
    # SQLite cannot alter a check, and a copy of the table would break the references to it. Its manual (ALTER TABLE,
    # section 7) has this procedure for changes that no stored row depends on.
    text = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'deliveries'").scalar_one()
    if "'superseded'" in text:
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
        raise RuntimeError("the table of deliveries is not as the first version of the schema made it")
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = off")
