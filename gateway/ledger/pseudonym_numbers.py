"""Numbers for sequential pseudonyms: the same token has the same number for ever."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.ledger.database import OnDatabase
from gateway.ledger.schema import numbers


class Numbers(OnDatabase):
    """The ledger's numbers."""

    def of(self, project: str, purpose: str, token: str) -> int:
        """The number of ``token`` within a project and a purpose: the next free one from 1 when it is first asked for.

        Parameters
        ----------
        project
            Name of the project.
        purpose
            What is numbered; each purpose has numbers of its own.
        token
            What has the number, as a keyed token: it must not tell the original (promise P9).

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; no number was given.
        """
        given = self._database.read("look up a number", lambda connection: _find(connection, project, purpose, token))
        if given is not None:
            return given
        return self._database.write("give a number", lambda connection: self._give(connection, project, purpose, token))

    def skip(self, count: int, *, token: str) -> None:
        """Leave ``count`` numbers out in every project and purpose that has given some.

        After a restore the numbers that were given since the backup are forgotten; they must not become somebody
        else's.

        Parameters
        ----------
        count
            How many, at least 1.
        token
            What the last of them is noted under: no token of anybody.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; no number was left out.
        """
        columns = numbers.c
        last = sa.select(columns.project, columns.purpose, sa.func.max(columns.number).label("last"))

        def work(connection: Connection) -> None:
            rows = connection.execute(last.group_by(columns.project, columns.purpose)).all()
            values = [
                {"project": row.project, "purpose": row.purpose, "token": token, "number": row.last + count}
                for row in rows
            ]
            if values:
                connection.execute(sa.insert(numbers), values)

        self._database.write("leave numbers out", work)

    def _give(self, connection: Connection, project: str, purpose: str, token: str) -> int:
        # Whoever waited for the lock may find that the number has been given meanwhile.
        self._database.exclude(connection, _lock(project, purpose))
        given = _find(connection, project, purpose, token)
        if given is not None:
            return given
        last = connection.scalar(
            sa.select(sa.func.max(numbers.c.number)).where(numbers.c.project == project, numbers.c.purpose == purpose)
        )
        number = (last or 0) + 1
        connection.execute(
            sa.insert(numbers), {"project": project, "purpose": purpose, "token": token, "number": number}
        )
        return number


def _find(connection: Connection, project: str, purpose: str, token: str) -> int | None:
    return connection.scalar(
        sa.select(numbers.c.number).where(
            numbers.c.project == project, numbers.c.purpose == purpose, numbers.c.token == token
        )
    )


def _lock(project: str, purpose: str) -> int:
    """A signed 64-bit number that stands for the series."""
    digest = hashlib.sha256(f"numbers\0{project}\0{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
