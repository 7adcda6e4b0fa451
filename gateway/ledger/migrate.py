"""Bringing the ledger's schema to the version that this program is written for (promise P12)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import ConfigurationError
from gateway.ledger.database import Database
from gateway.ledger.schema import SCHEMA_VERSION

_SCRIPTS: Final = Path(__file__).parent / "migrations"
_VERSION: Final = sa.table("alembic_version", sa.column("version_num", sa.Text))


def migrate(database: Database) -> None:
    """Create or upgrade the schema; several processes may do so at once, one of them works and the others wait.

    Raises
    ------
    ConfigurationError
        The schema is of a version that this program does not know: a newer gateway has upgraded it.
    LedgerUnavailable
        The database is locked, unreachable or full; the schema is as it was.
    """
    if database.read("read its schema version", _version) != SCHEMA_VERSION:
        database.write("upgrade its schema", lambda connection: _upgrade(database, connection))


def _version(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table(_VERSION.name):
        return None
    return connection.scalar(sa.select(_VERSION.c.version_num))


def _upgrade(database: Database, connection: Connection) -> None:
    # Imported here: hundreds of milliseconds that only an upgrade has to pay.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    database.migration_lock(connection)
    present = _version(connection)
    if present == SCHEMA_VERSION:
        return
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if present is not None and present not in known:
        raise ConfigurationError(
            place="storage.ledger",
            problem=f"the schema of {database.server} is version {present}; this gateway knows versions up to"
            f" {SCHEMA_VERSION}. A newer gateway has upgraded it: run that one",
        )
    command.upgrade(config, SCHEMA_VERSION)
