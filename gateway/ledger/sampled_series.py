"""Series of which a sample of slices was looked at, and those in which one had text: all of these are looked at.

A slice that went through unlooked is made anew when another one of its series turns out to have text, also one that was
delivered: its destinations get the new output. What was purged, and what a deliverer has at this moment, is not: the
audit trail tells how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.audit import SYSTEM, AuditAction, AuditEntry
from gateway.ledger import audit_trail
from gateway.ledger.database import OnDatabase, chunks, each_of, insert
from gateway.ledger.records import DeidentifiedResult, HeldResult, Result
from gateway.ledger.redo import remake
from gateway.ledger.schema import instances, is_state, sampled, text_series
from gateway.ledger.states import InstanceState

__all__ = ["Sampling", "look_at_all", "series_locks"]

_Series = tuple[str, str]
_REMADE: Final = (InstanceState.DEIDENTIFIED, InstanceState.DELIVERED)


class Sampling(OnDatabase):
    """What the ledger knows of series of which a sample is looked at."""

    def series_has_text(self, project: str, series_key: str) -> bool:
        """Whether a slice of a series had text.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        query = sa.select(sa.literal(1)).where(text_series.c.project == project, text_series.c.series_key == series_key)
        return self._database.read("read a series", lambda connection: connection.scalar(query) is not None)


def series_locks(result: Result) -> Iterable[int]:
    """Numbers for the series of a result: who finds text and who passes a slice unlooked must see each other."""
    for series in (_sampled(result), _texts(result)):
        if series is not None:
            digest = blake2b("\0".join(("series", *series)).encode("utf-8", "replace"), digest_size=8).digest()
            yield int.from_bytes(digest, signed=True)


def look_at_all(connection: Connection, results: Sequence[Result], *, now: datetime, actor: str) -> None:
    """Note what results tell of their series, and make anew what went through unlooked of those that have text.

    Parameters
    ----------
    connection
        In the write transaction that recorded the results and their deliveries.
    results
        Those that were recorded as they are.
    now
        The moment for the history.
    actor
        Who finished them.
    """
    unlooked = {result.instance_id: series for result in results if (series := _sampled(result)) is not None}
    with_text = {series for result in results if (series := _texts(result)) is not None}
    if not unlooked and not with_text:
        return
    if unlooked:
        connection.execute(
            insert(connection, sampled).on_conflict_do_nothing(index_elements=["instance_id"]),
            [
                {"instance_id": number, "project": project, "series_key": key}
                for number, (project, key) in sorted(unlooked.items())
            ],
        )
    new = with_text - _with_text(connection, with_text)
    for project, key in sorted(new):
        statement = insert(connection, text_series).values({"project": project, "series_key": key, "found_at": now})
        connection.execute(statement.on_conflict_do_nothing(index_elements=["project", "series_key"]))
    for series in sorted({*with_text, *_with_text(connection, set(unlooked.values()) - with_text)}):
        _remake(connection, series, new=series in new, now=now, actor=actor)


def _with_text(connection: Connection, series: Iterable[_Series]) -> set[_Series]:
    """Those of ``series`` that are known to have text."""
    wanted = set(series)
    keys = sorted({key for _, key in wanted})
    if not keys:
        return set()
    query = sa.select(text_series.c.project, text_series.c.series_key).where(
        text_series.c.series_key.in_(each_of("keys", sa.Text()))
    )
    return {(row.project, row.series_key) for row in connection.execute(query, {"keys": keys})} & wanted


def _remake(connection: Connection, series: _Series, *, new: bool, now: datetime, actor: str) -> None:
    query = (
        sa.select(instances.c.id)
        .join_from(sampled, instances, instances.c.id == sampled.c.instance_id)
        .where(
            sampled.c.project == series[0],
            sampled.c.series_key == series[1],
            is_state(instances.c.state, *_REMADE),
            instances.c.purged_at.is_(None),
        )
        .order_by(instances.c.id)
    )
    ids = list(connection.scalars(query))
    done = [
        number
        for part in chunks(ids)
        for number in remake(connection, part, keep_confirmed=False, now=now, actor=actor)
    ]
    for part in chunks(done):
        connection.execute(sa.delete(sampled).where(sampled.c.instance_id.in_(each_of("ids"))), {"ids": part})
    left = connection.scalar(
        sa.select(sa.func.count())
        .select_from(sampled)
        .where(sampled.c.project == series[0], sampled.c.series_key == series[1])
    )
    # What is left is told once.
    if done or (new and left):
        entry = AuditEntry(
            actor=SYSTEM,
            action=AuditAction.SERIES_REMADE,
            subject=f"project {series[0]}",
            because="a slice had text, and others of its series went through unlooked",
            facts={"series": series[1], "instances": len(done), "left": int(left or 0)},
        )
        audit_trail.append(connection, entry, at=now)


def _sampled(result: Result) -> _Series | None:
    if isinstance(result, DeidentifiedResult) and result.sampled_series:
        return result.project, result.sampled_series
    return None


def _texts(result: Result) -> _Series | None:
    if isinstance(result, DeidentifiedResult | HeldResult) and result.project and result.text_series:
        return result.project, result.text_series
    return None
