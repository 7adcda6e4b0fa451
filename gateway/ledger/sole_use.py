"""One gateway to a ledger: each takes the other's rows for its own, whose bytes it does not have.

On PostgreSQL an advisory lock says who works with it, held by a connection of its own for as long as that lives. SQLite
needs none: its file lies in the data directory, which is locked by the spool; one that is configured elsewhere has a
lock file beside it.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import PermanentError
from gateway.ledger.database import Database

__all__ = ["LedgerInUse", "SoleUse"]

#: "gatenode" in ASCII: any constant that nothing else in the database locks.
_KEY: Final = 0x676174656E6F6465
#: A gateway that was killed a moment ago still has a connection that the server has not noticed to be gone.
_PATIENCE_SECONDS: Final = 10.0

_TAKE: Final = sa.select(sa.func.pg_try_advisory_lock(_KEY))
_HOLDER: Final = sa.text(
    "SELECT activity.application_name, host(activity.client_addr) AS address"
    " FROM pg_locks AS lock JOIN pg_stat_activity AS activity USING (pid)"
    " WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1"
    " AND lock.classid::bigint = :high AND lock.objid::bigint = :low"
)


class LedgerInUse(PermanentError):
    """Another gateway works with the ledger{holder}: two of them would take each other's instances. End that one, or
    give this one a database of its own.
    """


class SoleUse:
    """The right to work with a ledger, until it is closed or its process ends.

    Parameters
    ----------
    database
        The ledger's.
    node
        This gateway's name, which another one is told.

    Raises
    ------
    LedgerInUse
        Another gateway has it.
    LedgerUnavailable
        The database does not answer.
    """

    def __init__(self, database: Database, node: str) -> None:
        self._database = database
        self._node = node
        self._connection: Connection | None = None
        self._file = -1
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._take():
            if time.monotonic() >= deadline:
                raise LedgerInUse(holder=self._holder())
            time.sleep(0.2)

    def keep(self) -> None:
        """Take it again if the connection was lost; while the database does not answer, nobody can have it.

        Raises
        ------
        LedgerInUse
            Another gateway has it now.
        """
        if self._database.dialect != "postgresql":
            return
        with suppress(SQLAlchemyError):
            if self._connection is not None:
                self._connection.execute(sa.select(1))
                return
        self._drop()
        try:
            taken = self._take()
        except SQLAlchemyError:
            return
        if not taken:
            raise LedgerInUse(holder=self._holder())

    def close(self) -> None:
        """Let another gateway have the ledger."""
        self._drop()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _take(self) -> bool:
        if self._database.dialect == "postgresql":
            return self._take_lock()
        return self._take_file()

    def _take_lock(self) -> bool:
        # Outside a transaction: the lock is the session's, and an idle transaction would keep old rows from vacuum.
        connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            name = f"gateway {self._node}"
            connection.execute(sa.select(sa.func.set_config("application_name", name, False)))
            taken = bool(connection.scalar(_TAKE))
        except SQLAlchemyError:
            connection.invalidate()
            connection.close()
            raise
        if taken:
            # Never given back to the pool: another user of the connection would hold the lock.
            connection.detach()
            self._connection = connection
        else:
            connection.close()
        return taken

    def _take_file(self) -> bool:
        name = self._database.engine.url.database
        if not name:
            return True
        # By whatever name the file is reached.
        path = Path(name).resolve()
        self._file = os.open(path.with_name(f"{path.name}.gateway"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            self._file = -1
            return False
        return True

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(SQLAlchemyError):
                self._connection.close()
            self._connection = None

    def _holder(self) -> str:
        """Who has it, as far as the database tells."""
        if self._database.dialect != "postgresql":
            return ""
        numbers = {"high": _KEY >> 32, "low": _KEY & 0xFFFFFFFF}
        with suppress(SQLAlchemyError), self._database.engine.connect() as connection:
            row = connection.execute(_HOLDER, numbers).first()
            if row is not None:
                return f": {row.application_name}" + (f" at {row.address}" if row.address else "")
        return ""
