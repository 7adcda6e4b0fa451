"""Which key each version of a project's key is, so that another one does not go unnoticed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.audit import AuditEntry
from gateway.ledger.audit_trail import append
from gateway.ledger.database import OnDatabase, insert
from gateway.ledger.schema import project_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVersion:
    """A version of a project's key.

    Attributes
    ----------
    version
        Its number in the configuration.
    key_id
        Identifies the key and tells nothing of it.
    recorded_at
        When it was first used here.
    """

    version: int
    key_id: str
    recorded_at: datetime


class Keys(OnDatabase):
    """The ledger's record of keys."""

    def versions(self, project: str) -> tuple[KeyVersion, ...]:
        """The versions of a project's key that were used, in ascending order.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        return self._database.read("read the record of keys", lambda connection: _versions(connection, project))

    def record(
        self, project: str, version: int, key_id: str, *, now: datetime, entry: AuditEntry | None = None
    ) -> KeyVersion:
        """Record a version unless it is recorded already.

        Parameters
        ----------
        project, version, key_id
            What is recorded.
        now
            When, timezone-aware.
        entry
            Goes to the audit trail in the same transaction, if the version was not recorded before.

        Returns
        -------
        KeyVersion
            What the record holds afterwards: another gateway on the same ledger may have been first, with another key.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; nothing was recorded.
        """

        def record(connection: Connection) -> KeyVersion:
            row = {"project": project, "version": version, "key_id": key_id, "recorded_at": now}
            statement = insert(connection, project_keys).on_conflict_do_nothing().returning(project_keys.c.version)
            is_first = connection.execute(statement, row).one_or_none() is not None
            if is_first and entry is not None:
                append(connection, entry, at=now)
            return next(recorded for recorded in _versions(connection, project) if recorded.version == version)

        return self._database.write("record a key", record)


def _versions(connection: Connection, project: str) -> tuple[KeyVersion, ...]:
    columns = project_keys.c
    query = (
        sa.select(columns.version, columns.key_id, columns.recorded_at)
        .where(columns.project == project)
        .order_by(columns.version)
    )
    return tuple(KeyVersion(**row._mapping) for row in connection.execute(query))  # noqa: SLF001 - documented
