"""The crosswalk's rows in the ledger: sealed, found by keyed tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.ledger.crosswalk_row import CrosswalkRow
from gateway.ledger.database import OnDatabase, insert
from gateway.ledger.schema import crosswalk

_COLUMNS = (
    crosswalk.c.project,
    crosswalk.c.kind,
    crosswalk.c.entry,
    crosswalk.c.original,
    crosswalk.c.replacement,
    crosswalk.c.key_id,
    crosswalk.c.sealed,
)


class Crosswalk(OnDatabase):
    """The ledger's crosswalk."""

    def rows(
        self, project: str, *, original: Sequence[str] = (), replacement: Sequence[str] = ()
    ) -> list[CrosswalkRow]:
        """The rows of a project with one of these tokens, oldest first.

        Parameters
        ----------
        project
            Name of the project.
        original, replacement
            Tokens of the original value, of the value in the outputs; under each key that the project has had.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        either = sa.or_(crosswalk.c.original.in_(original), crosswalk.c.replacement.in_(replacement))
        query = sa.select(*_COLUMNS).where(crosswalk.c.project == project, either).order_by(crosswalk.c.id)
        rows = self._database.read("read the crosswalk", lambda connection: connection.execute(query).all())
        return [CrosswalkRow(**row._mapping) for row in rows]  # noqa: SLF001 - documented, named to avoid clashes


def insert_rows(connection: Connection, rows: Iterable[CrosswalkRow], *, at: datetime) -> None:
    """Write rows in the transaction that finishes their instances; what is there already stays.

    Parameters
    ----------
    connection
        In that transaction.
    rows
        Any number, of any projects.
    at
        The moment, timezone-aware.
    """
    # Each once and in one order: who writes the same rows at the same time waits, and nobody waits in a circle.
    wanted = {(row.project, row.entry): row for row in rows}
    values = [
        {
            "project": row.project,
            "kind": row.kind,
            "entry": row.entry,
            "original": row.original,
            "replacement": row.replacement,
            "key_id": row.key_id,
            "sealed": row.sealed,
            "recorded_at": at,
        }
        for _, row in sorted(wanted.items())
    ]
    if values:
        connection.execute(
            insert(connection, crosswalk).on_conflict_do_nothing(index_elements=["project", "entry"]), values
        )
