"""Whole instances of long ago: their rows leave the ledger for a file, and the account still counts them.

What leaves is what nothing in the ledger speaks of any more: the row of an instance, its output and its deliveries, and
what is left of its history. Rows that say how many there were of each kind stay, about one for each series, by which a
study is still found. So do the receipts, which are links of a chain, and what instances have said of whose a study is.
A copy that is sent again afterwards is not known as one: it is treated and delivered anew, to the same result.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.audit import AuditAction
from gateway.ledger.archived_history import (
    Archive,
    Written,
    enter_file,
    next_number,
    remove_history,
    steps_of,
    taken_steps,
)
from gateway.ledger.columns import utc_now
from gateway.ledger.database import OnDatabase, each_of, insert
from gateway.ledger.schema import (
    STANDING_FOR_CONTENT,
    WITHOUT_BYTES,
    archives,
    deliveries,
    departed,
    departed_deliveries,
    face_masks,
    holds,
    identities,
    instances,
    is_state,
    outputs,
    receipts,
    reviews,
    sampled,
    viewings,
)
from gateway.ledger.states import InstanceState

__all__ = ["Departures", "Left"]

_IDS: Final = each_of("ids")
_ALIKE: Final = ("original_id", "project", "source", "state", "code", "patient_id", "study_uid", "series_uid")
_OF_DELIVERIES: Final = ("departed_id", "destination", "state", "code")
_NEWER: Final = instances.alias()
#: Instances of ``ids`` that a row speaks of, and whose row that is.
_SPOKEN_OF: Final = (
    # A copy was rejected for it.
    sa.select(instances.c.duplicate_of.label("named"), instances.c.id.label("by")).where(
        instances.c.duplicate_of.in_(_IDS)
    ),
    # Another output took the place of its.
    sa.select(outputs.c.replaces.label("named"), outputs.c.instance_id.label("by")).where(outputs.c.replaces.in_(_IDS)),
    # An older version of it was superseded by it.
    sa.select(_NEWER.c.id.label("named"), instances.c.id.label("by"))
    .join_from(
        _NEWER,
        instances,
        sa.and_(
            STANDING_FOR_CONTENT,
            instances.c.project == _NEWER.c.project,
            instances.c.sop_key == _NEWER.c.sop_key,
            instances.c.id < _NEWER.c.id,
        ),
    )
    .where(_NEWER.c.id.in_(_IDS)),
)
#: What is about an instance alone.
_OWN: Final = (viewings, reviews, sampled, holds, face_masks, deliveries, outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """How many instances left, and until where was looked: the moment and the row id of the last; None at the end."""

    count: int
    until: tuple[datetime, int] | None


class Departures(OnDatabase):
    """Instances that leave the ledger."""

    def depart(
        self,
        before: datetime,
        limit: int,
        write: Callable[[int, Sequence[Mapping[str, object]]], Written],
        *,
        after: tuple[datetime, int] | None = None,
        now: datetime | None = None,
    ) -> Left:
        """Move instances whose bytes were removed earlier than ``before`` into a file, with all that is theirs.

        One that a row speaks of that stays (a copy, an older version) stays with it. So do the last instance and the
        one of the last delivery: no number is given twice, for receipts and history name instances by it.

        Parameters
        ----------
        before
            Timezone-aware.
        limit
            How many instances are looked at.
        write
            Writes documents, one for each instance, into the file of that number, durably; it may be called again
            for the same number, and replaces the file then.
        after
            Where the call before came to.
        now
            The present moment, timezone-aware.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; it has everything as before.
        """
        at = now or utc_now()
        return self._database.write(
            "archive instances", lambda connection: _depart(connection, before, limit, write, after, at)
        )

    def archives_of(self, instance_id: int) -> list[Archive]:
        """Files that an instance may have left for; none while its row is here.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        query = (
            sa.select(archives.c.number, archives.c.file, archives.c.sha256)
            .where(archives.c.lowest <= instance_id, archives.c.highest >= instance_id)
            .where(~sa.exists().where(instances.c.id == instance_id))
            .order_by(archives.c.number)
        )
        rows = self._database.read("look for an archive", lambda connection: connection.execute(query).all())
        return [Archive(number=row.number, file=row.file, sha256=row.sha256) for row in rows]


def _depart(
    connection: Connection,
    before: datetime,
    limit: int,
    write: Callable[[int, Sequence[Mapping[str, object]]], Written],
    after: tuple[datetime, int] | None,
    at: datetime,
) -> Left:
    columns = instances.c
    query = (
        sa.select(instances)
        .where(
            WITHOUT_BYTES,
            columns.purged_at < before,
            is_state(columns.state, InstanceState.PURGED, InstanceState.REJECTED),
        )
        .order_by(columns.purged_at, columns.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if after is not None:
        moment = sa.literal(after[0], columns.purged_at.type)
        query = query.where(sa.tuple_(columns.purged_at, columns.id) > sa.tuple_(moment, sa.literal(after[1])))
    looked_at = connection.execute(query).all()
    until = (looked_at[-1].purged_at, looked_at[-1].id) if len(looked_at) == limit else None
    leaving = _unspoken_of(connection, {row.id for row in looked_at} - _newest(connection))
    rows = [row for row in looked_at if row.id in leaving]
    if not rows:
        return Left(count=0, until=until)
    ids = sorted(leaving)
    made = {row.instance_id: row for row in connection.execute(_select(outputs), {"ids": ids})}
    sent: defaultdict[int, list[Any]] = defaultdict(list)
    for row in connection.execute(_select(deliveries).order_by(deliveries.c.id), {"ids": ids}):
        sent[row.instance_id].append(row)
    steps = taken_steps(connection, ids)
    number = next_number(connection)
    earlier = sorted({row.archived_in for row in rows if row.archived_in is not None})
    named = sa.select(archives.c.number, archives.c.file).where(archives.c.number.in_(earlier))
    files = {row.number: row.file for row in connection.execute(named)}
    written = write(
        number,
        [
            {
                "instance": row.id,
                **_values(row, but=("id", "archived_in", "lease_owner", "lease_until")),
                "history_in": files.get(row.archived_in),
                "output": None if row.id not in made else _values(made[row.id], but=("instance_id",)),
                "deliveries": [_values(one, but=("instance_id", "lease_owner", "due_at")) for one in sent[row.id]],
                "history": steps_of(steps[row.id]),
            }
            for row in rows
        ],
    )
    _count(connection, rows, made, sent, number)
    remove_history(connection, steps, {row.id: row.project or "" for row in rows})
    _remove(connection, ids)
    enter_file(
        connection, number, written, AuditAction.INSTANCES_ARCHIVED, count=len(ids), at=at, bounds=(ids[0], ids[-1])
    )
    return Left(count=len(ids), until=until)


def _select(table: sa.Table) -> sa.Select[Any]:
    return sa.select(table).where(table.c.instance_id.in_(_IDS))


def _newest(connection: Connection) -> set[int]:
    """The instances of the last row and of the last delivery: SQLite gives a number again once the last one is gone."""
    last = sa.select(sa.func.max(deliveries.c.id)).scalar_subquery()
    numbers = connection.execute(
        sa.union_all(
            sa.select(sa.func.max(instances.c.id)), sa.select(deliveries.c.instance_id).where(deliveries.c.id == last)
        )
    )
    return {number for number in numbers.scalars() if number is not None}


def _unspoken_of(connection: Connection, ids: set[int]) -> set[int]:
    """Those of ``ids`` of which no row speaks that stays."""
    leaving = set(ids)
    speaks = [
        (row.named, row.by) for query in _SPOKEN_OF for row in connection.execute(query, {"ids": sorted(ids)})
    ]  # fmt: skip
    while spoken_of := {named for named, by in speaks if named in leaving and by not in leaving}:
        leaving -= spoken_of
    return leaving


def _count(
    connection: Connection,
    rows: Sequence[Any],
    made: Mapping[int, Any],
    sent: Mapping[int, Sequence[Any]],
    archive: int,
) -> None:
    """Keep how many instances of each kind leave, and what had become of their deliveries."""
    proofs = Counter(
        connection.scalars(
            sa.select(deliveries.c.instance_id)
            .join_from(receipts, deliveries, receipts.c.delivery_id == deliveries.c.id)
            .where(deliveries.c.instance_id.in_(_IDS)),
            {"ids": [row.id for row in rows]},
        )
    )
    alike: defaultdict[tuple[object, ...], list[Any]] = defaultdict(list)
    for row in rows:
        output = made.get(row.id)
        names = ("", "", "") if output is None else (output.patient_id, output.study_uid, output.series_uid)
        alike[(row.original_id or 0, row.project or "", row.source, row.state, row.code, *names)].append(row)
    for key, of_one in alike.items():
        values = {
            **dict(zip(_ALIKE, key, strict=True)),
            "archive": archive,
            "count": len(of_one),
            "receipts": sum(proofs[row.id] for row in of_one),
            "first_received": min(row.received_at for row in of_one),
            "last_received": max(row.received_at for row in of_one),
            "last_event": max(row.changed_at for row in of_one),
        }
        more = _added(connection, departed, _ALIKE, values, sums=("count", "receipts"), latest=("last_event",))
        number = connection.scalars(more.returning(departed.c.id)).one()
        fates: defaultdict[tuple[object, ...], list[Any]] = defaultdict(list)
        for row in of_one:
            for one in sent[row.id]:
                fates[(one.destination, one.state, one.code)].append(one)
        for fate, of_fate in fates.items():
            values = {
                **dict(zip(_OF_DELIVERIES, (number, *fate), strict=True)),
                "count": len(of_fate),
                "changed_at": max(one.changed_at for one in of_fate),
            }
            connection.execute(
                _added(connection, departed_deliveries, _OF_DELIVERIES, values, sums=("count",), latest=("changed_at",))
            )


def _added(
    connection: Connection,
    table: sa.Table,
    key: Iterable[str],
    values: Mapping[str, Any],
    *,
    sums: Iterable[str],
    latest: Iterable[str],
) -> Any:
    """An INSERT of a row, or the statement that adds it to the one with its key."""
    statement = insert(connection, table).values(**values)
    new = statement.excluded
    later = {name: sa.case((new[name] > table.c[name], new[name]), else_=table.c[name]) for name in latest}
    changed: dict[str, Any] = {**{name: table.c[name] + new[name] for name in sums}, **later}
    if "archive" in values:
        changed |= {
            "archive": new.archive,
            "first_received": sa.case(
                (new.first_received < table.c.first_received, new.first_received), else_=table.c.first_received
            ),
            "last_received": sa.case(
                (new.last_received > table.c.last_received, new.last_received), else_=table.c.last_received
            ),
        }
    return statement.on_conflict_do_update(index_elements=list(key), set_=changed)


def _remove(connection: Connection, ids: Sequence[int]) -> None:
    """Remove the rows of instances; what one that was rejected has said of patients does not count."""
    given = {"ids": ids}
    for table in _OWN:
        connection.execute(sa.delete(table).where(table.c.instance_id.in_(_IDS)), given)
    rejected = sa.select(instances.c.id).where(
        instances.c.id.in_(_IDS), is_state(instances.c.state, InstanceState.REJECTED)
    )
    connection.execute(sa.delete(identities).where(identities.c.instance_id.in_(rejected)), given)
    connection.execute(sa.delete(instances).where(instances.c.id.in_(_IDS)), given)


def _values(row: Any, *, but: Iterable[str]) -> dict[str, object]:
    """The columns of a row as JSON values, without those of ``but``."""
    left_out = set(but)
    return {name: _plain(value) for name, value in row._mapping.items() if name not in left_out}  # noqa: SLF001


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Enum):
        return value.value
    return value
