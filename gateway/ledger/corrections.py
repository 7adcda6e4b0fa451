"""Versions of one SOP Instance: an older one never arrives after a newer one.

The same SOP Instance UID with other content is a correction. Of the versions that go to one destination the one
received last counts: what was not delivered of the older ones is superseded. A version that is being sent at that
moment is let finish, and the newer one waits for it; whatever becomes of that attempt, it is not repeated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.ledger import history
from gateway.ledger.database import each_of
from gateway.ledger.history import Transition
from gateway.ledger.schema import deliveries, instances, is_state, outputs
from gateway.ledger.states import SETTLED, STANDING, UNCONFIRMED, DeliveryState, InstanceState

#: The code of a delivery that has to end as superseded as soon as nobody works on it, and of one that has.
SUPERSEDED: Final = DeliveryState.SUPERSEDED.value


_OLDER: Final = instances.alias()
_SENDING: Final = deliveries.alias()
#: The condition, in a query of deliveries, instances and outputs at the moment ``now``, that an older version is being
#: sent there.
WAITS_FOR_AN_OLDER_ONE: Final = outputs.c.replaces.is_not(None) & sa.exists().where(
    _OLDER.c.project == instances.c.project,
    _OLDER.c.sop_key == instances.c.sop_key,
    _OLDER.c.sop_key.is_not(None),
    is_state(_OLDER.c.state, *STANDING),
    _OLDER.c.id < instances.c.id,
    _SENDING.c.instance_id == _OLDER.c.id,
    _SENDING.c.destination == deliveries.c.destination,
    _SENDING.c.lease_owner.is_not(None),
    _SENDING.c.due_at > sa.bindparam("now"),
)

_DELIVERIES: Final = sa.select(deliveries.c.instance_id, deliveries.c.state, deliveries.c.detail).where(
    deliveries.c.instance_id.in_(each_of("ids"))
)
_DELIVERED: Final = (
    sa.update(instances)
    .where(instances.c.id.in_(each_of("ids")), is_state(instances.c.state, InstanceState.DEIDENTIFIED))
    .values(
        state=InstanceState.DELIVERED,
        changed_at=sa.bindparam("changed_at"),
        code=sa.bindparam("code"),
        detail=sa.bindparam("detail"),
    )
    .returning(instances.c.id)
)


def supersede(connection: Connection, versions: Iterable[Sequence[int]], *, now: datetime, actor: str) -> None:
    """Let only the newest version go to each destination, in the transaction that creates its deliveries.

    Parameters
    ----------
    connection
        In a write transaction.
    versions
        For each SOP Instance the row ids of the instances that went out; a higher id was received later.
    now
        The moment for the history.
    actor
        Who finished one of the versions.
    """
    group_of = {number: group for group, numbers in enumerate(versions) for number in numbers}
    if not group_of:
        return
    ids = sorted(group_of)
    # The instances first: in this order who records outcomes locks them.
    connection.execute(
        sa.select(instances.c.id).where(instances.c.id.in_(ids)).order_by(instances.c.id).with_for_update()
    ).all()
    rows = connection.execute(
        sa.select(
            deliveries.c.id,
            deliveries.c.instance_id,
            deliveries.c.destination,
            deliveries.c.state,
            deliveries.c.lease_owner,
        )
        .where(deliveries.c.instance_id.in_(ids))
        .order_by(deliveries.c.id)
        .with_for_update()
    ).all()
    newest: defaultdict[tuple[int, str], int] = defaultdict(int)
    for row in rows:
        place = (group_of[row.instance_id], row.destination)
        newest[place] = max(newest[place], row.instance_id)
    ended: list[Transition] = []
    for row in rows:
        newer = newest[group_of[row.instance_id], row.destination]
        if row.instance_id == newer or row.state not in UNCONFIRMED:
            continue
        detail = f"by instance {newer}"
        connection.execute(
            sa.update(deliveries).where(deliveries.c.id == row.id).values(code=SUPERSEDED, detail=detail)
        )
        if row.lease_owner is None:
            ended.append(
                Transition(row.instance_id, row.state, DeliveryState.SUPERSEDED, row.id, code=SUPERSEDED, detail=detail)
            )
    end(connection, ended, now=now, actor=actor)


def end(connection: Connection, superseded: Sequence[Transition], *, now: datetime, actor: str) -> None:
    """Make the transitions of deliveries to superseded, and those of instances that have nothing else to deliver."""
    if not superseded:
        return
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id.in_([one.delivery_id for one in superseded]))
        .values(state=DeliveryState.SUPERSEDED, changed_at=now, lease_owner=None)
    )
    history.record(connection, superseded, at=now, actor=actor)
    settle(connection, sorted({one.instance_id for one in superseded}), now=now, actor=actor)


def settle(connection: Connection, ids: Sequence[int], *, now: datetime, actor: str) -> tuple[int, ...]:
    """Move those instances to delivered of which every delivery is confirmed or superseded; return their ids.

    An instance of which nothing was confirmed says by its code that a newer version went out in its place.
    """
    if not ids:
        return ()
    rows = connection.execute(_DELIVERIES, {"ids": ids}).all()
    waiting = {row.instance_id for row in rows if row.state not in SETTLED}
    arrived = {row.instance_id for row in rows if row.state is DeliveryState.CONFIRMED}
    details = {row.instance_id: row.detail for row in rows}
    reasons = {
        number: ("", "") if number in arrived else (SUPERSEDED, details.get(number, ""))
        for number in ids
        if number not in waiting
    }
    done: set[int] = set()
    for code, detail in sorted(set(reasons.values())):
        alike = [number for number, reason in reasons.items() if reason == (code, detail)]
        values = {"ids": alike, "changed_at": now, "code": code, "detail": detail}
        done.update(connection.scalars(_DELIVERED, values))
    history.record(
        connection,
        (
            Transition(number, InstanceState.DEIDENTIFIED, InstanceState.DELIVERED, code=code, detail=detail)
            for number, (code, detail) in reasons.items()
            if number in done
        ),
        at=now,
        actor=actor,
    )
    return tuple(number for number in ids if number in done)
