"""The audit trail: appended to, never changed.

Entries are chained as receipts are, and the database itself refuses to change or remove one; what is done to the
ledger is written in the transaction that does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.audit import AuditEntry
from gateway.ledger.chain import ChainCheck, ChainFlaw, digest_of, facts_of, link_document
from gateway.ledger.columns import printable, utc_now
from gateway.ledger.database import OnDatabase, insert
from gateway.ledger.schema import audit, audit_chain

#: Version of the documents' form.
FORM: Final = 1
#: The only row of the table that keeps the end.
_END: Final = 1
_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """An entry as it was written.

    Attributes
    ----------
    number
        Its place in the trail, from 1.
    digest
        SHA-256 of ``document`` in UTF-8, in hexadecimal.
    document
        Canonical JSON: ``at``, ``actor``, ``action``, ``subject``, ``because``, ``facts``, ``number``, ``previous``.
    """

    number: int
    digest: str
    document: str

    def text(self, name: str) -> str:
        """One of the document's texts; empty if it is missing or no text."""
        value = (facts_of(self.document) or {}).get(name)
        return value if isinstance(value, str) else ""

    @property
    def facts(self) -> dict[str, str]:
        """The facts, as text."""
        facts = (facts_of(self.document) or {}).get("facts")
        return {name: _shown(value) for name, value in facts.items()} if isinstance(facts, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEnd:
    """The end of the trail: how many entries there are and the digest of the last."""

    number: int
    digest: str


class AuditTrail(OnDatabase):
    """The ledger's audit trail."""

    def write(self, entry: AuditEntry, *, now: datetime | None = None) -> int:
        """Write an entry in a transaction of its own; for a change of the ledger use :func:`append` inside it.

        Returns
        -------
        int
            The entry's number.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full: what was to be audited must not happen.
        """
        at = now or utc_now()
        return self._database.write("write the audit trail", lambda connection: append(connection, entry, at=at))

    def trail(self, *, after: int = 0, newest: int | None = None) -> Iterator[AuditRecord]:
        """Entries in the order in which they were written, read in pages.

        Parameters
        ----------
        after
            Only those with a higher number.
        newest
            Only the last so many.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        if newest is not None:
            after = max(after, (self.end() or AuditEnd(number=0, digest="")).number - newest)
        query = sa.select(audit).order_by(audit.c.number).limit(_AT_ONCE)
        while True:
            page = query.where(audit.c.number > after)
            rows = self._database.read("read the audit trail", lambda c, page=page: c.execute(page).all())  # type: ignore[misc]
            yield from (AuditRecord(**row._mapping) for row in rows)  # noqa: SLF001 - documented
            if len(rows) < _AT_ONCE:
                return
            after = rows[-1].number

    def end(self) -> AuditEnd | None:
        """The end of the trail; None if nothing was ever written, or the end is missing.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        query = sa.select(audit_chain.c.number, audit_chain.c.digest).where(audit_chain.c.id == _END)
        row = self._database.read("read the end of the audit trail", lambda c: c.execute(query).one_or_none())
        return None if row is None else AuditEnd(number=row.number, digest=row.digest)


def append(connection: Connection, entry: AuditEntry, *, at: datetime) -> int:
    """Write an entry in the transaction that does what it tells of; return its number.

    Parameters
    ----------
    connection
        In that transaction. To keep an order in which nobody waits for another in a circle, this is its last change.
    entry
        What is done.
    at
        When, timezone-aware.
    """
    connection.execute(
        insert(connection, audit_chain).on_conflict_do_nothing(), {"id": _END, "number": 0, "digest": ""}
    )
    # Locked: others who write at the same time wait here for their number.
    end = connection.execute(sa.select(audit_chain).where(audit_chain.c.id == _END).with_for_update()).one()
    number = end.number + 1
    document = link_document(_content(entry, at), number=number, previous=end.digest)
    digest = digest_of(document)
    connection.execute(sa.insert(audit), {"number": number, "digest": digest, "document": document})
    connection.execute(sa.update(audit_chain).where(audit_chain.c.id == _END).values(number=number, digest=digest))
    return int(number)


def verify_trail(records: Iterable[AuditRecord], end: AuditEnd | None, *, whole: bool = True) -> Iterator[ChainFlaw]:
    """Compare every entry with its digest and with the one before it, and the last with the end.

    Parameters
    ----------
    records
        The entries from the first.
    end
        The end that the ledger keeps.
    whole
        False for an exported copy, whose last entries nothing vouches for.
    """
    check = ChainCheck("entry", "entries")
    for record in records:
        yield from check.follow(record)
    if whole and (end is not None or check.number):
        yield from check.finish(end)


def compare_trail(exported: Iterable[AuditRecord], present: Iterable[AuditRecord]) -> Iterator[ChainFlaw]:
    """What an earlier export holds that the ledger's trail does not hold, or holds otherwise."""
    digests = {record.number: record.digest for record in present}
    for record in exported:
        digest = digests.get(record.number)
        if digest is None:
            yield ChainFlaw(record.number, "was exported and is missing")
        elif digest != record.digest:
            yield ChainFlaw(record.number, "was exported with another content")


def read_trail(lines: Iterable[str]) -> Iterator[AuditRecord]:
    """The entries of an export, in its order.

    Raises
    ------
    ValueError
        A line is no entry; its number is in the message.
    """
    for place, line in enumerate(lines, 1):
        document = line.rstrip("\n")
        match facts_of(document):
            case {"action": str(), "number": int(number)}:
                yield AuditRecord(number=number, digest=digest_of(document), document=document)
            case _:
                raise ValueError(f"line {place} is no entry of an audit trail")


def _content(entry: AuditEntry, at: datetime) -> dict[str, object]:
    return {
        "form": FORM,
        "at": at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "actor": printable(entry.actor),
        "action": entry.action.value,
        "subject": printable(entry.subject),
        "because": printable(entry.because),
        "facts": {name: _stored(value) for name, value in sorted(entry.facts.items())},
    }


def _stored(value: object) -> object:
    if isinstance(value, tuple):
        return [_stored(one) for one in value]
    return printable(value) if isinstance(value, str) else value


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


__all__ = [
    "AuditEnd",
    "AuditRecord",
    "AuditTrail",
    "append",
    "compare_trail",
    "read_trail",
    "verify_trail",
]
