"""Labels that the gateway has given at its destinations: one is somebody's for ever, whatever its case."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.ledger.database import InsertInto, OnDatabase, spelt
from gateway.ledger.schema import labels


class Labels(OnDatabase):
    """The ledger's labels."""

    def hold(self, destination: str, kind: str, label: str, holder: str) -> tuple[str, str]:
        """Who has a label at a destination, and how it is written; it is ``holder``'s if nobody has it.

        Parameters
        ----------
        destination
            Name of the destination.
        kind
            What is labelled; each kind has labels of its own.
        label
            The label; two that differ by case only are one.
        holder
            The pseudonym, or the new UID, that it is to stand for.

        Returns
        -------
        tuple[str, str]
            The label as it was first written, and its holder.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; no label was given.
        """
        key = {"destination": destination, "kind": kind, "folded": label.casefold()}
        held = self._database.read("look up a label", lambda connection: _find(connection, key))
        if held is not None:
            return held

        def work(connection: Connection) -> tuple[str, str]:
            connection.execute(_GIVE[connection.dialect.name], {**key, "label": label, "holder": holder})
            # Somebody else may have been first.
            given = _find(connection, key)
            assert given is not None
            return given

        return self._database.write("give a label", work)


def _give(insert: InsertInto) -> sa.Insert:
    return insert(labels).on_conflict_do_nothing()


_GIVE = spelt(_give)


def _find(connection: Connection, key: dict[str, str]) -> tuple[str, str] | None:
    columns = labels.c
    row = connection.execute(
        sa.select(columns.label, columns.holder).where(
            columns.destination == key["destination"], columns.kind == key["kind"], columns.folded == key["folded"]
        )
    ).one_or_none()
    return None if row is None else (row.label, row.holder)
