"""A consistent copy of the ledger's database while it is being used, and what must lie beside it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from gateway.errors import LedgerUnavailable, SpoolCorrupt
from gateway.ledger.database import OnDatabase
from gateway.ledger.schema import instances, is_state
from gateway.ledger.states import InstanceState


class Snapshots(OnDatabase):
    """The ledger as a file."""

    @property
    def is_a_file(self) -> bool:
        """Whether :meth:`take` can copy it; PostgreSQL has tools of its own."""
        return self._database.dialect == "sqlite"

    def take(self, path: Path) -> None:
        """Copy an SQLite database as it is at one moment, by its own backup; others go on reading and writing.

        Parameters
        ----------
        path
            The copy, one file of mode 0600; it must not exist.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read or the copy not written; nothing is left at ``path``.
        """
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except OSError as error:
            raise LedgerUnavailable(operation="be copied", reason=error.strerror or "no file can be made") from None
        pooled = self._database.engine.raw_connection()
        source: sqlite3.Connection = pooled.driver_connection  # type: ignore[assignment]  # by ``is_a_file``
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as copy:
                # All pages in one step: they are of one moment, and nobody who writes meanwhile makes it start again.
                source.backup(copy)
                # The copy is one file, without a log beside it.
                copy.execute("PRAGMA journal_mode = delete").fetchall()
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except sqlite3.Error as error:
            path.unlink(missing_ok=True)
            raise self._database.failure("be copied", DBAPIError("", None, error)) from None
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            pooled.close()

    def needed_spool_names(self) -> list[str]:
        """The spool names of instances that are not yet delivered or rejected: without their files they are lost.

        Those that are held because their file is missing or damaged are left out.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        columns = instances.c
        waiting = is_state(columns.state, InstanceState.RECEIVED, InstanceState.DEIDENTIFIED)
        held = is_state(columns.state, InstanceState.HELD) & (columns.code != SpoolCorrupt.code)
        query = sa.select(columns.spool_name).where(waiting | held).order_by(columns.id)
        return list(self._database.read("list spool names", lambda connection: connection.scalars(query).all()))
