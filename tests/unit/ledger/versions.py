"""Looking at and tampering with the version of a ledger's schema."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

import gateway.ledger
from gateway.ledger import Ledger
from gateway.ledger.database import Database
from gateway.ledger.schema import metadata


def differences(ledger: Ledger) -> list[Any]:
    """What the migrations made that ``gateway.ledger.schema`` does not say, or the other way round.

    Alembic compares tables, columns, types, keys and indexes, but not the conditions of indexes and checks: their
    text is compared here, between the ledger's database and one made of the metadata.
    """
    with ledger._database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = list(compare_metadata(context, metadata))
        migrated = _conditions(connection)
        for table in reversed(metadata.sorted_tables):
            connection.exec_driver_sql(f"DROP TABLE {table.name}")
        metadata.create_all(connection)
        expected = _conditions(connection)
        connection.rollback()
    return found + sorted(migrated ^ expected)


def _conditions(connection: sa.Connection) -> set[str]:
    if connection.dialect.name == "sqlite":
        query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name != 'alembic_version'"
    else:
        query = (
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename != 'alembic_version'"
            " UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace AND conrelid != 'alembic_version'::regclass"
        )
    # Columns stand on lines of their own: those of a table may differ in order, not in what they are.
    return {
        " ".join(line.split()).rstrip(",") for text in connection.exec_driver_sql(query).scalars()
        for line in _ADDED.sub("\n", text).splitlines()
    }  # fmt: skip


#: Where SQLite adds a column to the line of the last one.
_ADDED: Final = re.compile(r", (?=\w+ (?:TEXT|INTEGER|BIGINT|JSON)\b)")


def create_at(url: str, revision: str) -> None:
    """Make an empty ledger with the schema of an earlier version, by that version's own migrations."""
    config = Config()
    config.set_main_option("script_location", str(Path(gateway.ledger.__file__).parent / "migrations"))
    database = Database(url)

    def upgrade(connection: sa.Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    database.write("be made", upgrade)
    database.close()


def pretend_newer(ledger: Ledger) -> None:
    with ledger._database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
