"""Deliveries of new outputs: one for each destination, in the transaction that records the output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.ledger import history
from gateway.ledger.corrections import settle
from gateway.ledger.database import each_of
from gateway.ledger.history import Transition
from gateway.ledger.records import DeidentifiedResult
from gateway.ledger.schema import deliveries, outputs
from gateway.ledger.states import DeliveryState
from gateway.ledger.turns import call

__all__ = ["CREATE", "create_deliveries"]

_NOW: Final = sa.bindparam("now", type_=deliveries.c.due_at.type)
_NO_WORDS: Final = sa.literal("", sa.Text)
#: The deliveries of outputs to one destination, in one state.
CREATE: Final = sa.insert(deliveries).from_select(
    (
        "instance_id", "destination", "study_uid", "size", "state",
        "created_at", "changed_at", "attempts", "due_at", "code", "detail",
    ),
    sa.select(
        outputs.c.instance_id,
        sa.bindparam("destination", type_=deliveries.c.destination.type),
        outputs.c.study_uid,
        outputs.c.size,
        sa.bindparam("state", type_=deliveries.c.state.type),
        _NOW, _NOW,
        sa.literal(0),
        _NOW,
        _NO_WORDS, _NO_WORDS,
    )
    .where(outputs.c.instance_id.in_(each_of("ids")))
    .order_by(outputs.c.instance_id),
)  # fmt: skip
_EARLIER: Final = (
    sa.select(deliveries.c.id, deliveries.c.instance_id, deliveries.c.destination, deliveries.c.state)
    .where(deliveries.c.instance_id.in_(each_of("ids")))
    .order_by(deliveries.c.id)
    .with_for_update()
)


def create_deliveries(
    connection: Connection, results: Sequence[DeidentifiedResult], *, now: datetime, actor: str
) -> None:
    """Create the deliveries of outputs, one per destination, in the transaction that records the outputs.

    An instance that was made anew has deliveries: those that were cancelled for it are pending again.
    """
    if not results:
        return
    earlier: defaultdict[int, dict[str, tuple[int, DeliveryState]]] = defaultdict(dict)
    for row in connection.execute(_EARLIER, {"ids": [result.instance_id for result in results]}):
        earlier[row.instance_id][row.destination] = (row.id, row.state)
    new = [result for result in results if result.instance_id not in earlier]
    for state in (DeliveryState.PENDING, DeliveryState.SENT):
        alike = [result for result in new if result.ask_first == (state is DeliveryState.SENT)]
        _create(connection, alike, state, now=now, actor=actor)
    redone = [result for result in results if result.instance_id in earlier]
    for result in redone:
        _renew(connection, result, earlier[result.instance_id], now=now, actor=actor)
    wanted: dict[tuple[str, str], int] = {}
    for result in results:
        for destination in result.destinations:
            study = (destination, result.study_uid)
            wanted[study] = max(result.priority, wanted.get(study, 0))
    call(connection, dict.fromkeys(wanted, now), wanted)
    # Of one that every destination has kept, nothing is left to deliver.
    settle(connection, [result.instance_id for result in redone], now=now, actor=actor)


def _create(
    connection: Connection, results: Sequence[DeidentifiedResult], state: DeliveryState, *, now: datetime, actor: str
) -> None:
    outgoing: defaultdict[str, list[int]] = defaultdict(list)
    for result in results:
        for destination in result.destinations:
            outgoing[destination].append(result.instance_id)
    for destination, ids in outgoing.items():
        connection.execute(CREATE, {"destination": destination, "now": now, "ids": ids, "state": state})
    if results:
        history.record_created(connection, [result.instance_id for result in results], state, at=now, actor=actor)


def _renew(
    connection: Connection,
    result: DeidentifiedResult,
    earlier: dict[str, tuple[int, DeliveryState]],
    *,
    now: datetime,
    actor: str,
) -> None:
    """The deliveries of an instance that was made anew."""
    transitions: list[Transition] = []
    number = result.instance_id
    missing = [destination for destination in result.destinations if destination not in earlier]
    for destination in result.destinations:
        if destination in missing:
            where = {"destination": destination, "now": now, "ids": [number], "state": DeliveryState.PENDING}
            connection.execute(CREATE, where)
            continue
        delivery_id, before = earlier[destination]
        if before is not DeliveryState.CANCELLED:
            continue
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == delivery_id)
            .values(
                study_uid=result.study_uid,
                size=result.output_size,
                state=DeliveryState.PENDING,
                changed_at=now,
                attempts=0,
                due_at=now,
                code="",
                detail="",
            )
        )
        transitions.append(Transition(number, before, DeliveryState.PENDING, delivery_id))
    if missing:
        rows = connection.execute(_EARLIER, {"ids": [number]}).all()
        transitions += [
            Transition(number, None, DeliveryState.PENDING, row.id) for row in rows if row.destination in missing
        ]
    history.record(connection, transitions, at=now, actor=actor)
    # What was confirmed before and is wanted no more still counts as one of its destinations.
    kept = {destination for destination, (_, state) in earlier.items() if state is not DeliveryState.CANCELLED}
    connection.execute(
        sa.update(outputs)
        .where(outputs.c.instance_id == number)
        .values(destinations=len(kept | set(result.destinations)))
    )
