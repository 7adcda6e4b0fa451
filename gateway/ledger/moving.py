"""Moving instances from state to state by other hands than a worker's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import GatewayError, PixelHold, PixelsUnreadable
from gateway.ledger import history
from gateway.ledger.database import chunks, each_of
from gateway.ledger.history import Transition
from gateway.ledger.redo import TAKEN_UP_ANEW
from gateway.ledger.schema import HELD, face_masks, instances, reviews
from gateway.ledger.states import INSTANCE_TRANSITIONS, InstanceState, Mover

__all__ = ["PIXEL_CODES", "move", "reopen", "still_held"]


def _codes(kind: type[GatewayError]) -> frozenset[str]:
    return frozenset({kind.code}).union(*(_codes(below) for below in kind.__subclasses__()))


#: The codes of instances that wait for somebody to look at their pixels.
PIXEL_CODES: Final = _codes(PixelHold) | _codes(PixelsUnreadable)

_HELD_ABOUT_PIXELS: Final = sa.select(instances.c.id).where(
    HELD, instances.c.id.in_(each_of("ids")), instances.c.code.in_(sorted(PIXEL_CODES))
)
_STILL_HELD: Final = (
    sa.select(instances.c.id).where(HELD, instances.c.id.in_(each_of("ids"))).order_by(instances.c.id).with_for_update()
)


def still_held(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Those of ``ids`` that are held, locked."""
    return [number for part in chunks(ids) for number in connection.scalars(_STILL_HELD, {"ids": part})]


def reopen(connection: Connection, ids: Sequence[int], *, at: datetime, actor: str, detail: str = "") -> None:
    """Send held instances through the workers again, by the rules of today.

    What a person decided before about the pixels of one that is held for its pixels does not count any more.

    Raises
    ------
    IllegalTransition
        One is not held; the transaction must not be committed.
    """
    for part in chunks(ids):
        about_pixels = connection.scalars(_HELD_ABOUT_PIXELS, {"ids": part}).all()
        connection.execute(sa.delete(reviews).where(reviews.c.instance_id.in_(about_pixels)))
        # Their series are looked at anew.
        connection.execute(sa.delete(face_masks).where(face_masks.c.instance_id.in_(about_pixels)))
    values = {**TAKEN_UP_ANEW, "detail": detail}
    move(connection, ids, InstanceState.RECEIVED, at, actor, values, mover=Mover.OPERATOR, only=InstanceState.HELD)


def move(
    connection: Connection,
    ids: Sequence[int],
    state: InstanceState,
    now: datetime,
    actor: str,
    values: Mapping[str, object],
    *,
    mover: Mover,
    only: InstanceState | None = None,
) -> None:
    """Move instances to ``state`` from whatever state they are in, or from ``only``, as far as ``mover`` may.

    ``values`` are the columns that change with it; ``code`` and ``detail`` among them are entered into the history.

    Raises
    ------
    IllegalTransition
        One is not there, or in a state from which there is no way; the transaction must not be committed.
    """
    code, detail = str(values.get("code", "")), str(values.get("detail", ""))
    for part in chunks(ids):
        query = sa.select(instances.c.id, instances.c.state).where(instances.c.id.in_(part)).order_by(instances.c.id)
        before = {row.id: row.state for row in connection.execute(query.with_for_update())}
        for number in part:
            was = before.get(number)
            if INSTANCE_TRANSITIONS.get((was, state)) is not mover or only not in (None, was):
                raise history.illegal(Transition(number, before.get(number), state))
        moved = [Transition(number, before[number], state, code=code, detail=detail) for number in part]
        history.record(connection, moved, at=now, actor=actor)
        connection.execute(
            sa.update(instances).where(instances.c.id.in_(part)).values(state=state, changed_at=now, **values)
        )
