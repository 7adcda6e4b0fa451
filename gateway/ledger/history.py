"""The history: one row per transition of an instance or a delivery.

Every change of state writes its row here, and here it is checked against the table of allowed transitions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import IllegalTransition, WaitsForSeries
from gateway.ledger.database import OnDatabase, each_of
from gateway.ledger.occurrences import DEAD, HELD_EVENT, occurred
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


class _Kind(NamedTuple):
    """What transitions have in common that differ only in what makes them."""

    of_delivery: bool
    state_before: str | None
    state_after: str
    code: str
    detail: str


#: So many transitions of one kind are written by one statement; fewer cost less one by one.
_SEVERAL: Final = 4

#: Whether it is of a delivery, and its state -> the event that somebody may want to be told of.
_TOLD: Final = {(False, InstanceState.HELD.value): HELD_EVENT, (True, DeliveryState.DEAD.value): DEAD}

_KIND: Final = tuple(
    sa.bindparam(name, type_=history.c[name].type)
    for name in ("at", "state_before", "state_after", "actor", "code", "detail")
)
_KIND_NAMES: Final = tuple(column.key for column in _KIND)
_RECORD_ONE: Final = sa.insert(history)
_RECORD_OF_INSTANCES: Final = sa.insert(history).from_select(
    ("instance_id", *_KIND_NAMES), sa.select(*each_of("ids").subquery().c, *_KIND)
)


def _record_of_deliveries(identified_by: sa.Column[int]) -> sa.Insert:
    return sa.insert(history).from_select(
        ("instance_id", "delivery_id", *_KIND_NAMES),
        sa.select(deliveries.c.instance_id, deliveries.c.id, *_KIND)
        .where(identified_by.in_(each_of("ids")))
        .order_by(deliveries.c.id),
    )


_RECORD_OF_DELIVERIES: Final = _record_of_deliveries(deliveries.c.id)
_RECORD_CREATED: Final = _record_of_deliveries(deliveries.c.instance_id)


def record(connection: Connection, transitions: Iterable[Transition], *, at: datetime, actor: str) -> None:
    """Write the transitions of a transaction that makes them: at most one of each instance and of each delivery.

    Raises
    ------
    IllegalTransition
        One is not in the table of transitions; the transaction must not be committed.
    """
    alike: defaultdict[_Kind, list[Transition]] = defaultdict(list)
    for one in transitions:
        of_delivery = one.delivery_id is not None
        if (one.before, one.after) not in (DELIVERY_TRANSITIONS if of_delivery else INSTANCE_TRANSITIONS):
            raise illegal(one)
        before = None if one.before is None else one.before.value
        alike[_Kind(of_delivery, before, one.after.value, one.code, one.detail)].append(one)
    rows: list[dict[str, object]] = []
    for kind, members in alike.items():
        common = {**kind._asdict(), "at": at, "actor": actor}
        of_delivery = common.pop("of_delivery")
        if len(members) < _SEVERAL:
            rows += ({**common, "instance_id": one.instance_id, "delivery_id": one.delivery_id} for one in members)
        elif of_delivery:
            connection.execute(_RECORD_OF_DELIVERIES, {**common, "ids": [one.delivery_id for one in members]})
        else:
            connection.execute(_RECORD_OF_INSTANCES, {**common, "ids": [one.instance_id for one in members]})
    if rows:
        connection.execute(_RECORD_ONE, rows)
    for (of_delivery, _, after, code, _), members in alike.items():
        event = _TOLD.get((of_delivery, after))
        # What waits for its series goes on by itself: nobody has to be told.
        if event is not None and code != WaitsForSeries.code:
            occurred(connection, event, ({"instance_id": one.instance_id, "code": code} for one in members), at=at)


def record_created(
    connection: Connection, instance_ids: Sequence[int], state: DeliveryState, *, at: datetime, actor: str
) -> None:
    """Write the first transition of every delivery of those instances, in the transaction that creates them all."""
    first = {"state_before": None, "state_after": state.value, "code": "", "detail": ""}
    connection.execute(_RECORD_CREATED, {**first, "ids": instance_ids, "at": at, "actor": actor})


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

    def of(self, instance_id: int) -> list[HistoryEntry]:
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
