"""History of long ago: it leaves the ledger for a file, and the balance still counts it.

What an instance is keeps its row at first, so that a copy that is sent again is recognised; what happened to it step by
step, several rows for each, is what makes a ledger grow. Sums of it stay for the account. Later its rows may follow:
``departure``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.audit import SYSTEM, AuditAction, AuditEntry
from gateway.errors import LedgerUnavailable
from gateway.ledger.audit_trail import append
from gateway.ledger.columns import utc_now
from gateway.ledger.database import OnDatabase, each_of, insert
from gateway.ledger.schema import UNARCHIVED, archived_history, archives, deliveries, history, instances

__all__ = ["Archive", "Archives", "Written", "next_number", "remove_history", "steps_of", "taken_steps"]

_IDS: Final = each_of("ids")
_HISTORY: Final = (
    sa.select(history, deliveries.c.destination)
    .outerjoin_from(history, deliveries, history.c.delivery_id == deliveries.c.id)
    .where(history.c.instance_id.in_(_IDS))
    .order_by(history.c.instance_id, history.c.id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file that history was written to, on stable storage: its name and its SHA-256 in hexadecimal."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Where the history of an instance is that the ledger has no more."""

    number: int
    file: str
    sha256: str


class Archives(OnDatabase):
    """The ledger's history of long ago."""

    def move(
        self,
        before: datetime,
        limit: int,
        write: Callable[[int, Sequence[Mapping[str, object]]], Written],
        *,
        now: datetime | None = None,
    ) -> int:
        """Move the history of instances that were purged earlier than ``before`` into a file; return how many.

        Parameters
        ----------
        before
            Timezone-aware.
        limit
            How many instances at most.
        write
            Writes documents, one for each instance, into the file of that number, durably; it may be called again
            for the same number, and replaces the file then.
        now
            The present moment, timezone-aware.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; it has everything as before.
        """
        at = now or utc_now()
        return self._database.write(
            "archive history", lambda connection: _archive(connection, before, limit, write, at)
        )

    def of(self, instance_id: int) -> Archive | None:
        """Where the history of an instance was archived; None if it was not.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        query = (
            sa.select(archives.c.number, archives.c.file, archives.c.sha256)
            .join_from(instances, archives, instances.c.archived_in == archives.c.number)
            .where(instances.c.id == instance_id)
        )
        row = self._database.read("look for an archive", lambda connection: connection.execute(query).one_or_none())
        return None if row is None else Archive(number=row.number, file=row.file, sha256=row.sha256)

    def all(self) -> list[Archive]:
        """All files, in order.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        query = sa.select(archives.c.number, archives.c.file, archives.c.sha256).order_by(archives.c.number)
        rows = self._database.read("list archives", lambda connection: connection.execute(query).all())
        return [Archive(number=row.number, file=row.file, sha256=row.sha256) for row in rows]

    def called(self, file: str) -> Archive:
        """The archive of a file's name.

        Raises
        ------
        LedgerUnavailable
            There is none, or the database cannot be read.
        """
        query = sa.select(archives.c.number, archives.c.file, archives.c.sha256).where(archives.c.file == file)
        row = self._database.read("look for an archive", lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise LedgerUnavailable(operation="find an archive", reason=f"{file} is not among them")
        return Archive(number=row.number, file=row.file, sha256=row.sha256)


def _archive(
    connection: Connection,
    before: datetime,
    limit: int,
    write: Callable[[int, Sequence[Mapping[str, object]]], Written],
    at: datetime,
) -> int:
    query = (
        sa.select(instances.c.id, instances.c.project, instances.c.spool_name)
        .where(UNARCHIVED, instances.c.purged_at < before)
        .order_by(instances.c.purged_at, instances.c.id)
        .limit(limit)
        .with_for_update()
    )
    purged = connection.execute(query).all()
    if not purged:
        return 0
    ids = [row.id for row in purged]
    steps = taken_steps(connection, ids)
    number = next_number(connection)
    written = write(number, [_document(row, steps[row.id]) for row in purged])
    remove_history(connection, steps, {row.id: row.project or "" for row in purged})
    enter_file(connection, number, written, AuditAction.HISTORY_ARCHIVED, count=len(ids), at=at)
    connection.execute(sa.update(instances).where(instances.c.id.in_(_IDS)).values(archived_in=number), {"ids": ids})
    return len(ids)


def enter_file(
    connection: Connection,
    number: int,
    written: Written,
    action: AuditAction,
    *,
    count: int,
    at: datetime,
    bounds: tuple[int, int] | None = None,
) -> None:
    """Enter a file among the archives, on the record.

    Parameters
    ----------
    connection
        In the transaction that removes what the file holds.
    number
        The file's: ``next_number``.
    written
        The file.
    action
        What was done, for the audit trail.
    count
        Instances in it.
    at
        The present moment.
    bounds
        The lowest and the highest of their row ids, if their rows leave with them.
    """
    row = {"number": number, "file": written.file, "sha256": written.sha256, "instances": count, "archived_at": at}
    if bounds is not None:
        row |= {"lowest": bounds[0], "highest": bounds[1]}
    connection.execute(sa.insert(archives), row)
    entry = AuditEntry(
        actor=SYSTEM, action=action, subject=written.file, facts={"instances": count, "sha256": written.sha256}
    )
    append(connection, entry, at=at)


def next_number(connection: Connection) -> int:
    """The number of the next file."""
    return (connection.scalar(sa.select(sa.func.max(archives.c.number))) or 0) + 1


def taken_steps(connection: Connection, ids: Sequence[int]) -> defaultdict[int, list[Any]]:
    """Instance -> the rows of its history, in order."""
    steps: defaultdict[int, list[Any]] = defaultdict(list)
    for row in connection.execute(_HISTORY, {"ids": ids}):
        steps[row.instance_id].append(row)
    return steps


def remove_history(connection: Connection, steps: Mapping[int, Sequence[Any]], projects: Mapping[int, str]) -> None:
    """Remove the history of instances, and keep its sums.

    Parameters
    ----------
    connection
        In the transaction that archives it.
    steps
        ``taken_steps``.
    projects
        Instance -> its project, empty for none; of all that are archived.
    """
    sums: Counter[tuple[str, int, str, str]] = Counter(
        (projects[step.instance_id], int(step.delivery_id is not None), step.state_before or "", step.state_after)
        for of_one in steps.values()
        for step in of_one
    )
    for (project, of_delivery, state_before, state_after), count in sorted(sums.items()):
        values = {"project": project, "of_delivery": of_delivery, "state_before": state_before,
                  "state_after": state_after, "count": count}  # fmt: skip
        statement = insert(connection, archived_history).values(values)
        more = archived_history.c.count + statement.excluded.count
        keys = ["project", "of_delivery", "state_before", "state_after"]
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_={"count": more}))
    connection.execute(sa.delete(history).where(history.c.instance_id.in_(_IDS)), {"ids": sorted(projects)})


def _document(instance: Any, steps: Sequence[Any]) -> dict[str, object]:
    return {
        "instance": instance.id,
        "project": instance.project,
        "spool_name": instance.spool_name,
        "history": steps_of(steps),
    }


def steps_of(steps: Sequence[Any]) -> list[dict[str, object]]:
    """The history of an instance as JSON values."""
    return [
        {
            "at": step.at.astimezone(UTC).isoformat(),
            "delivery": step.delivery_id,
            "destination": step.destination,
            "before": step.state_before,
            "after": step.state_after,
            "actor": step.actor,
            "code": step.code,
            "detail": step.detail,
        }
        for step in steps
    ]
