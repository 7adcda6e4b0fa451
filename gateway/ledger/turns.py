"""Whose turn it is at each destination: a study with something due has one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from gateway.ledger.database import InsertInto, spelt
from gateway.ledger.schema import turns

__all__ = ["call"]


def _let_have_a_turn(insert: InsertInto) -> postgresql.Insert:
    """At the given moment or before, and with the given priority or more."""
    statement = insert(turns)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[turns.c.destination, turns.c.study_uid],
        set_={
            "turn_at": sa.case((new.turn_at < turns.c.turn_at, new.turn_at), else_=turns.c.turn_at),
            "priority": sa.case((new.priority > turns.c.priority, new.priority), else_=turns.c.priority),
        },
        where=(new.turn_at < turns.c.turn_at) | (new.priority > turns.c.priority),
    )


_CALL: Final = spelt(_let_have_a_turn)


def call(
    connection: Connection,
    wanted: Mapping[tuple[str, str], datetime],
    priorities: Mapping[tuple[str, str], int] | None = None,
) -> None:
    """Let studies have a turn at their destinations at the given moments or before, and with the priorities or more."""
    if not wanted:
        return
    priorities = priorities or {}
    connection.execute(
        _CALL[connection.dialect.name],
        # Sorted: in this order all transactions lock them.
        [
            {
                "destination": study[0],
                "study_uid": study[1],
                "turn_at": moment,
                "priority": priorities.get(study, 0),
            }
            for study, moment in sorted(wanted.items())
        ],
    )
