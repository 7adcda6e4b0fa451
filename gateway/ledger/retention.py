"""Which bytes may go. The ledger says so first: what it has not given up is never removed (promises P3, P14).

Between looking and removing an instance may be wanted again: a person resends it, its sender sends a copy, its series
is made anew. So the look and the mark are one transaction, and files are removed after it. Who wants the instance
before finds it delivered, and it is passed over here; who wants it after finds it purged, and needs a new copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.ledger.columns import utc_now
from gateway.ledger.database import OnDatabase, chunks, each_of
from gateway.ledger.moving import move
from gateway.ledger.records import Purged
from gateway.ledger.schema import PURGEABLE, instances
from gateway.ledger.states import InstanceState, Mover

__all__ = ["Retention"]

# What somebody else has at this moment comes the next time: who purges waits for nobody, and nobody for long for it.
_MAY_GO: Final = (
    sa.select(instances.c.id, instances.c.spool_name, instances.c.state)
    .where(PURGEABLE, instances.c.changed_at < sa.bindparam("before", type_=instances.c.changed_at.type))
    .order_by(instances.c.changed_at, instances.c.id)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
)
_PURGED: Final = sa.select(instances.c.spool_name).where(
    instances.c.spool_name.in_(each_of("names", sa.Text())), instances.c.purged_at.is_not(None)
)


class Retention(OnDatabase):
    """The ledger's word on bytes that are needed no more."""

    def purge(self, before: datetime, limit: int, *, now: datetime | None = None) -> list[Purged]:
        """Give up the bytes of instances that were delivered or rejected earlier than ``before``, oldest first.

        A delivered instance becomes purged; a rejected one stays rejected. The caller removes their files.

        Parameters
        ----------
        before
            Timezone-aware; what has changed its state since stays.
        limit
            How many at most.
        now
            The moment for the history, timezone-aware.

        Returns
        -------
        list[Purged]
            Those that were given up by this call.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; nothing was changed.
        """
        at = now or utc_now()

        def work(connection: Connection) -> list[Purged]:
            rows = connection.execute(_MAY_GO, {"before": before, "most": limit}).all()
            for state, after in (
                (InstanceState.REJECTED, InstanceState.REJECTED),
                (InstanceState.DELIVERED, InstanceState.PURGED),
            ):
                ids = sorted(row.id for row in rows if row.state is state)
                move(connection, ids, after, at, "retention", {"purged_at": at}, mover=Mover.RETENTION, only=state)
            return [Purged(instance_id=row.id, spool_name=row.spool_name) for row in rows]

        return self._database.write("purge instances", work)

    def purged_of(self, names: Sequence[str]) -> list[str]:
        """Those of these spool names whose bytes were given up: their files may go.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        return [
            name
            for part in chunks(names)
            for name in self._database.read("look for purged instances", lambda c, part=part: _purged(c, part))  # type: ignore[misc]
        ]


def _purged(connection: Connection, names: Sequence[str]) -> list[str]:
    return list(connection.scalars(_PURGED, {"names": names}))
