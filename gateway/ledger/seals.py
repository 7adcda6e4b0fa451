"""Ends of chains, sealed by keys that the ledger does not have; and what keeps the audit trail from being changed.

A chain shows that something in its middle was changed. Who can write to the database could write its tail anew, with
digests that fit. A seal names an end that the chain had, with a MAC: the tail that was there then cannot be replaced
without the key, and a seal that is missing is known from the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.ledger.database import OnDatabase
from gateway.ledger.schema import APPEND_ONLY, audit, audit_chain, chain_seals, receipt_chains, receipts

__all__ = ["AUDIT", "ChainEnd", "ChainSeal", "Seals", "chain_of"]

#: The chain of the audit trail; those of receipts are called by their project.
AUDIT: Final = "audit"
_RECEIPTS: Final = "receipts:"


def chain_of(project: str) -> str:
    """The name of the chain of a project's receipts."""
    return _RECEIPTS + project


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainEnd:
    """Where a chain ends at a moment: how many documents it has, and the digest of the last."""

    chain: str
    number: int
    digest: str

    @property
    def project(self) -> str | None:
        """Whose receipts it is of; None for the audit trail."""
        return None if self.chain == AUDIT else self.chain.removeprefix(_RECEIPTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSeal(ChainEnd):
    """An end that a chain had, with the MAC of that and of the seal before it.

    Attributes
    ----------
    key_id
        Which key made it; tells nothing of the key.
    mac
        In hexadecimal.
    sealed_at
        When.
    """

    key_id: str
    mac: str
    sealed_at: datetime


class Seals(OnDatabase):
    """The ledger's seals, and the guards of its audit trail."""

    def chain_ends(self) -> list[ChainEnd]:
        """Where the chains end that have begun.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """

        def work(connection: Connection) -> list[ChainEnd]:
            ends = connection.execute(sa.select(audit_chain.c.number, audit_chain.c.digest)).all()
            all_ends = [ChainEnd(chain=AUDIT, number=row.number, digest=row.digest) for row in ends]
            chains = connection.execute(sa.select(receipt_chains).order_by(receipt_chains.c.project)).all()
            all_ends += [ChainEnd(chain=chain_of(row.project), number=row.number, digest=row.digest) for row in chains]
            return [end for end in all_ends if end.number]

        return self._database.read("read the ends of chains", work)

    def read(self, *, newest: int | None = None) -> list[ChainSeal]:
        """The seals, oldest first.

        Parameters
        ----------
        newest
            Only the last so many.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        columns = [column for column in chain_seals.c if column.key != "id"]
        query = sa.select(*columns).order_by(chain_seals.c.id.desc()).limit(newest)
        rows = self._database.read("read seals", lambda connection: connection.execute(query).all())
        return [ChainSeal(**row._mapping) for row in reversed(rows)]  # noqa: SLF001 - documented

    def last(self) -> list[ChainSeal]:
        """The last seal of each chain.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        columns = [column for column in chain_seals.c if column.key != "id"]
        last = sa.select(sa.func.max(chain_seals.c.id)).group_by(chain_seals.c.chain)
        query = sa.select(*columns).where(chain_seals.c.id.in_(last)).order_by(chain_seals.c.chain)
        rows = self._database.read("read seals", lambda connection: connection.execute(query).all())
        return [ChainSeal(**row._mapping) for row in rows]  # noqa: SLF001 - documented

    def add(self, seals: Sequence[ChainSeal]) -> None:
        """Keep seals.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        rows = [
            {"chain": one.chain, "number": one.number, "digest": one.digest, "sealed_at": one.sealed_at,
             "key_id": one.key_id, "mac": one.mac}
            for one in seals
        ]  # fmt: skip
        if rows:
            self._database.write("keep seals", lambda connection: connection.execute(sa.insert(chain_seals), rows))

    def digests_at(self, ends: Iterable[ChainEnd]) -> dict[tuple[str, int], str]:
        """Chain and number -> the digest that the document there has now; what is not there is left out.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        wanted: dict[str, set[int]] = {}
        for end in ends:
            wanted.setdefault(end.chain, set()).add(end.number)

        def work(connection: Connection) -> dict[tuple[str, int], str]:
            digests = {}
            for chain, numbers in wanted.items():
                for number in sorted(numbers):
                    if chain == AUDIT:
                        query = sa.select(audit.c.digest).where(audit.c.number == number)
                    else:
                        project = chain.removeprefix(_RECEIPTS)
                        query = sa.select(receipts.c.digest).where(
                            receipts.c.project == project, receipts.c.number == number
                        )
                    digest = connection.scalar(query)
                    if digest is not None:
                        digests[chain, number] = digest
            return digests

        return self._database.read("compare seals", work)

    def missing_guards(self) -> list[str]:
        """The names of triggers that should keep the audit trail from being changed, and are missing, changed or off.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        return self._database.read("look at its guards", _missing_guards)

    def restore_guards(self) -> list[str]:
        """Put the triggers back that :meth:`missing_guards` names; return which they were.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full, or the account may not.
        """
        return self._database.write("put its guards back", _restore_guards)


def _restore_guards(connection: Connection) -> list[str]:
    missing = _missing_guards(connection)
    if not missing:
        return []
    dialect = connection.dialect.name
    on = " ON audit" if dialect == "postgresql" else ""
    for statement in APPEND_ONLY[dialect]:
        if (name := _trigger_of(statement)) is not None:
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}{on}")
        connection.exec_driver_sql(statement)
    return missing


def _trigger_of(statement: str) -> str | None:
    words = statement.split()
    return words[2] if words[:2] == ["CREATE", "TRIGGER"] else None


def _missing_guards(connection: Connection) -> list[str]:
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"
        there = {row.name: row.sql for row in connection.exec_driver_sql(query)}
        wanted = {_trigger_of(statement): statement for statement in APPEND_ONLY["sqlite"]}
        return sorted(str(name) for name, sql in wanted.items() if there.get(name) != sql)
    # Always on, or on where this session is no replica; and the function still raises.
    query = (
        "SELECT t.tgname AS name FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
        " WHERE t.tgrelid = 'audit'::regclass AND t.tgenabled IN ('O', 'A') AND p.proname = 'audit_is_append_only'"
        " AND left(p.prosrc, 21) = 'BEGIN RAISE EXCEPTION'"
        " AND (t.tgtype & 2) = 2 AND (t.tgtype & 8) = 8 AND (t.tgtype & 16) = 16 AND (t.tgtype & 32) = 32"
    )
    present = set(connection.exec_driver_sql(query).scalars())
    names = [_trigger_of(statement) for statement in APPEND_ONLY["postgresql"]]
    return sorted(name for name in names if name is not None and name not in present)
