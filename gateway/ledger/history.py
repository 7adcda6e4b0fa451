"""The history: one row per transition of an instance or a delivery.

Every change of state writes its row here, and here it is checked against the table of allowed transitions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import IllegalTransition
from gateway.ledger.database import OnDatabase
from gateway.ledger.records import HistoryEntry, Provenance
from gateway.ledger.schema import deliveries, history, instances, outputs
from gateway.ledger.states import DELIVERY_TRANSITIONS, INSTANCE_TRANSITIONS, DeliveryState, InstanceState


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state: of the delivery if there is one, else of the instance."""

    instance_id: int
    before: InstanceState | DeliveryState | None
    after: InstanceState | DeliveryState
    delivery_id: int | None = None
    code: str = ""
    detail: str = ""


def record(connection: Connection, transitions: Iterable[Transition], *, at: datetime, actor: str) -> None:
    """Write the transitions of a transaction that makes them.

    Raises
    ------
    IllegalTransition
        One is not in the table of transitions; the transaction must not be committed.
    """
    rows = []
    for transition in transitions:
        change = (transition.before, transition.after)
        if change not in (INSTANCE_TRANSITIONS if transition.delivery_id is None else DELIVERY_TRANSITIONS):
            raise illegal(transition)
        rows.append(
            {
                "instance_id": transition.instance_id,
                "delivery_id": transition.delivery_id,
                "at": at,
                "state_before": None if transition.before is None else transition.before.value,
                "state_after": transition.after.value,
                "actor": actor,
                "code": transition.code,
                "detail": transition.detail,
            }
        )
    if rows:
        connection.execute(sa.insert(history), rows)


def illegal(transition: Transition) -> IllegalTransition:
    """The error for a transition that the tables do not allow."""
    return IllegalTransition(
        kind="instance" if transition.delivery_id is None else "delivery",
        id=transition.instance_id if transition.delivery_id is None else transition.delivery_id,
        before=transition.before or "nothing",
        after=transition.after,
    )


class Histories(OnDatabase):
    """The ledger's answers about the past."""

    def ping(self) -> None:
        """Ask the database for nothing.

        Raises
        ------
        LedgerUnavailable
            It does not answer.
        """
        self._database.read("answer", lambda connection: connection.execute(sa.select(sa.literal(1))).scalar_one())

    def check(self) -> None:
        """Look for damage in an SQLite ledger's file; reads it whole, a second or so per gigabyte.

        Raises
        ------
        LedgerDamaged
            There is some.
        LedgerUnavailable
            The ledger cannot be read.
        """
        self._database.check()

    def provenance(self, instance_id: int) -> Provenance:
        """What made the output of a de-identified instance.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        LookupError
            There is no such instance, or it has no output.
        """
        query = (
            sa.select(
                instances.c.project,
                outputs.c.profile_digest,
                instances.c.source,
                instances.c.calling_ae,
                instances.c.called_ae,
            )
            .join_from(outputs, instances, outputs.c.instance_id == instances.c.id)
            .where(outputs.c.instance_id == instance_id)
        )
        row = self._database.read("read the provenance", lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise LookupError(instance_id)
        return Provenance(**row._mapping)  # noqa: SLF001 - documented, named to avoid clashes

    def history(self, instance_id: int) -> list[HistoryEntry]:
        """The transitions of an instance and its deliveries, in the order in which they were made.

        Returns
        -------
        list[HistoryEntry]
            Empty if there is no such instance.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        query = (
            sa.select(
                history.c.at,
                history.c.delivery_id,
                deliveries.c.destination,
                history.c.state_before,
                history.c.state_after,
                history.c.actor,
                history.c.code,
                history.c.detail,
            )
            .outerjoin_from(history, deliveries, history.c.delivery_id == deliveries.c.id)
            .where(history.c.instance_id == instance_id)
            .order_by(history.c.id)
        )
        rows = self._database.read("read the history", lambda connection: connection.execute(query).all())
        return [
            HistoryEntry(
                at=row.at,
                delivery_id=row.delivery_id,
                destination=row.destination,
                before=row.state_before,
                after=row.state_after,
                actor=row.actor,
                code=row.code,
                detail=row.detail,
            )
            for row in rows
        ]
