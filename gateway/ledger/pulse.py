"""Whether the ledger takes writes at this moment: a disk that is full still answers every question."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.ledger.columns import utc_now
from gateway.ledger.database import OnDatabase, insert
from gateway.ledger.schema import pulse

_BEAT: Final = sa.update(pulse).where(pulse.c.id == 1).values(at=sa.bindparam("now"))


class Pulse(OnDatabase):
    """The ledger's one row that is written to find out whether rows can be written."""

    def beat(self, *, now: datetime | None = None) -> None:
        """Write that row, and commit it.

        Parameters
        ----------
        now
            What is written, timezone-aware; by default the present moment.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable, full or read-only.
        """
        at = now or utc_now()

        def work(connection: Connection) -> None:
            if not connection.execute(_BEAT, {"now": at}).rowcount:
                connection.execute(insert(connection, pulse).on_conflict_do_nothing(), {"id": 1, "at": at})

        self._database.write("be written", work)
