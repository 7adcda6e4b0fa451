"""What happened that somebody wants to be told of: written in the transaction in which it happens, so none is lost.

Nothing is written of events that nobody wants: who opens the ledger says which (``Ledger.open``). One process takes the
rows away again and sums them up (``gateway.ledger.notices``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.ledger.columns import utc_now
from gateway.ledger.database import WANTED, OnDatabase, insert
from gateway.ledger.schema import conditions, occurrences

__all__ = ["CONFIRMED", "DEAD", "HELD_EVENT", "WELL", "Occurrences", "occurred"]

#: Names of events, as the configuration has them; the first makes studies complete in the end.
CONFIRMED: Final = "study-complete"
HELD_EVENT: Final = "held"
DEAD: Final = "delivery-dead"

_INSERT: Final = sa.insert(occurrences)
_NOTHING: Final[Mapping[str, Any]] = {"instance_id": None, "destination": "", "code": ""}


def occurred(connection: Connection, event: str, rows: Iterable[Mapping[str, Any]], *, at: datetime) -> None:
    """Write that something happened, in the transaction in which it does, if somebody wants to be told of it.

    Parameters
    ----------
    connection
        Of that transaction.
    event
        What happened.
    rows
        One for each time: ``instance_id``, ``destination`` and ``code`` as far as there are any.
    at
        When, timezone-aware.
    """
    if event not in connection.get_execution_options().get(WANTED, ()):
        return
    if entries := [{**_NOTHING, **row, "event": event, "at": at} for row in rows]:
        connection.execute(_INSERT, entries)


class Occurrences(OnDatabase):
    """The ledger's knowledge of what is not in its history: how destinations, disks and profiles stand."""

    def stands(
        self,
        what: str,
        state: str,
        *,
        event: str | None,
        destination: str = "",
        code: str = "",
        now: datetime | None = None,
    ) -> bool:
        """How something stands; that it stands otherwise than before is an occurrence.

        Parameters
        ----------
        what
            The thing: a destination, a disk.
        state
            How it stands now.
        event
            What has happened if it stood otherwise; None if nobody need be told.
        destination, code
            Of that event.
        now
            When; by default the present moment.

        Returns
        -------
        bool
            Whether it stood otherwise; what was never seen before stood well.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; nothing is written.
        """
        at = now or utc_now()

        def work(connection: Connection) -> bool:
            columns = conditions.c
            before = connection.scalar(sa.select(columns.state).where(columns.what == what).with_for_update())
            if before == state:
                return False
            values = {"what": what, "state": state, "at": at}
            statement = insert(connection, conditions)
            connection.execute(
                statement.on_conflict_do_update(index_elements=["what"], set_={"state": state, "at": at}), values
            )
            # What was never seen before stood well.
            if before is None and state == WELL:
                return False
            if event is not None:
                occurred(connection, event, [{"destination": destination, "code": code}], at=at)
            return True

        return self._database.write("record how things stand", work)


#: The state of what is as it should be.
WELL: Final = "well"
