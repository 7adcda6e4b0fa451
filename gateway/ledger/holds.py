"""Held instances: what is known of them, which are alike, who has seen them, and decisions about whole series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.audit import AuditAction, AuditEntry
from gateway.ledger import audit_trail
from gateway.ledger.columns import utc_now
from gateway.ledger.database import OnDatabase, chunks, each_of, insert
from gateway.ledger.records import HeldAbout, HeldFilter, HeldGroup, HeldInstance, HeldResult
from gateway.ledger.schema import HELD, holds, instances, series_reviews, viewings

__all__ = ["Holds", "record_holds", "settle_series"]

_ABOUT: Final = tuple(column for column in holds.c if column.key != "instance_id")
_OWN: Final = (
    instances.c.id.label("instance_id"),
    instances.c.project,
    instances.c.spool_name,
    instances.c.source,
    instances.c.calling_ae,
    instances.c.called_ae,
    instances.c.sop_class_uid,
    instances.c.size,
    instances.c.code,
    instances.c.detail,
    instances.c.attempts,
    instances.c.received_at,
    instances.c.changed_at.label("held_at"),
)
_JOINED: Final = sa.outerjoin(instances, holds, holds.c.instance_id == instances.c.id)
_ESCAPE: Final = "\\"


class Holds(OnDatabase):
    """The ledger's held instances."""

    def instance(self, instance_id: int) -> HeldInstance | None:
        """The held instance with that row id; None if there is none, or it is not held.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        held = self.instances(limit=1, after=instance_id - 1)
        return held[0] if held and held[0].instance_id == instance_id else None

    def instances(
        self,
        *,
        project: str | None = None,
        limit: int | None = 100,
        after: int = 0,
        which: HeldFilter | None = None,
    ) -> list[HeldInstance]:
        """Instances that wait for a human, by row id.

        Parameters
        ----------
        project
            Only of this project.
        limit
            How many at most; None for all.
        after
            Only row ids above this one: the last of the previous page.
        which
            Only those that it names.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        query = (
            sa.select(*_OWN, *(column.label(f"about_{column.key}") for column in _ABOUT))
            .select_from(_JOINED)
            .where(HELD, instances.c.id > after, *_conditions(which))
            .order_by(instances.c.id)
        )
        if project is not None:
            query = query.where(instances.c.project == project)
        if limit is not None:
            query = query.limit(limit)
        rows = self._database.read("list held instances", lambda connection: connection.execute(query).all())
        return [_held(row._mapping) for row in rows]  # noqa: SLF001 - documented, named to avoid clashes

    def count(self, which: HeldFilter | None = None) -> int:
        """How many instances are held, of those that ``which`` names.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        query = sa.select(sa.func.count()).select_from(_JOINED).where(HELD, *_conditions(which))
        return self._database.read("count held instances", lambda connection: int(connection.scalar(query) or 0))

    def groups(self, which: HeldFilter | None = None) -> list[HeldGroup]:
        """Held instances grouped by cause, device, kind and size; the largest groups first.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        text = [sa.func.coalesce(holds.c[name], "").label(name) for name in ("maker", "model")]
        number = [sa.func.coalesce(holds.c[name], 0).label(name) for name in ("rows", "columns")]
        by = [instances.c.project, instances.c.code, *text, instances.c.sop_class_uid, *number]
        query = (
            sa.select(
                *by,
                sa.func.min(instances.c.id).label("first"),
                sa.func.count().label("instances"),
                sa.func.count(sa.distinct(sa.func.coalesce(holds.c.series_key, ""))).label("series"),
                sa.func.min(instances.c.changed_at).label("oldest"),
            )
            .select_from(_JOINED)
            .where(HELD, *_conditions(which))
            .group_by(*by)
            .order_by(sa.desc("instances"), "first")
        )
        rows = self._database.read("group held instances", lambda connection: connection.execute(query).all())
        return [HeldGroup(**row._mapping) for row in rows]  # noqa: SLF001 - documented, named to avoid clashes

    def view(
        self,
        instance_ids: Sequence[int],
        *,
        by: str,
        facts: Mapping[str, int] | None = None,
        audited: bool = True,
        now: datetime | None = None,
    ) -> None:
        """Record that a person was shown held instances.

        Parameters
        ----------
        instance_ids
            Row ids.
        by
            Who was shown them.
        facts
            What the audit trail adds, such as the number of the frame.
        audited
            Whether identity may have been seen, which the audit trail tells.
        now
            The present moment, timezone-aware.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        at = now or utc_now()

        def work(connection: Connection) -> None:
            for number in sorted(set(instance_ids)):
                statement = insert(connection, viewings).values({"instance_id": number, "actor": by, "at": at})
                connection.execute(
                    statement.on_conflict_do_update(index_elements=["instance_id", "actor"], set_={"at": at})
                )
                if audited:
                    entry = AuditEntry(
                        actor=by,
                        action=AuditAction.HELD_VIEWED,
                        subject=f"instance {number}",
                        facts=dict(facts or {}),
                    )
                    audit_trail.append(connection, entry, at=at)

        self._database.write("record what was shown", work)

    def viewed(self, instance_ids: Sequence[int], *, by: str) -> frozenset[int]:
        """Those of the instances that a person was shown.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        seen: set[int] = set()
        for part in chunks(sorted(set(instance_ids))):
            query = sa.select(viewings.c.instance_id).where(
                viewings.c.actor == by, viewings.c.instance_id.in_(each_of("ids"))
            )
            seen |= set(
                self._database.read("read viewings", lambda c, q=query, p=part: c.scalars(q, {"ids": p}).all())  # type: ignore[misc]
            )
        return frozenset(seen)

    def series_settled(self, project: str, series_key: str) -> bool:
        """Whether a person has decided that no face can be recognised in a series.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        query = sa.select(sa.literal(1)).where(
            series_reviews.c.project == project, series_reviews.c.series_key == series_key
        )
        return self._database.read("read a decision", lambda connection: connection.scalar(query) is not None)


def record_holds(connection: Connection, held: Iterable[HeldResult]) -> None:
    """Keep what is known of instances, in the transaction that holds them."""
    for result in held:
        if result.about is None:
            continue
        values: dict[str, Any] = {column.key: getattr(result.about, column.key) for column in _ABOUT}
        for name in ("boxes", "left"):
            values[name] = [list(box) for box in values[name]]
        statement = insert(connection, holds).values({"instance_id": result.instance_id, **values})
        connection.execute(statement.on_conflict_do_update(index_elements=["instance_id"], set_=values))


def settle_series(
    connection: Connection, instance_ids: Sequence[int], *, actor: str, because: str, at: datetime
) -> None:
    """Record that no face can be recognised in the series of held instances, also in what comes later of them."""
    query = (
        sa.select(instances.c.project, holds.c.series_key)
        .join_from(instances, holds, holds.c.instance_id == instances.c.id)
        .where(instances.c.id.in_(each_of("ids")), holds.c.series_key != "", instances.c.project.is_not(None))
        .distinct()
    )
    for part in chunks(instance_ids):
        for row in connection.execute(query, {"ids": part}).all():
            values = {"decided_at": at, "actor": actor, "because": because}
            statement = insert(connection, series_reviews).values(
                {"project": row.project, "series_key": row.series_key, **values}
            )
            connection.execute(statement.on_conflict_do_update(index_elements=["project", "series_key"], set_=values))


def _conditions(which: HeldFilter | None) -> list[sa.ColumnElement[bool]]:
    """The conditions of a filter on held instances joined with what is known of them."""
    if which is None:
        return []
    conditions: list[sa.ColumnElement[bool]] = []
    if which.sop_classes is not None:
        conditions.append(instances.c.sop_class_uid.in_(which.sop_classes))
    if which.numbers is not None:
        conditions.append(instances.c.id.in_(which.numbers))
    for column, value in (
        (instances.c.project, which.project),
        (instances.c.code, which.code),
        (holds.c.maker, which.maker),
        (holds.c.model, which.model),
        (holds.c.rows, which.rows),
        (holds.c.columns, which.columns),
    ):
        if value is not None:
            conditions.append(column == value)
    if which.device is not None:
        part = which.device.lower().replace(_ESCAPE, _ESCAPE * 2).replace("%", r"\%").replace("_", r"\_")
        device = sa.func.lower(holds.c.maker + " " + holds.c.model)
        conditions.append(device.like(f"%{part}%", escape=_ESCAPE))
    for key, wanted in ((holds.c.study_key, which.study), (holds.c.series_key, which.series)):
        if wanted is not None:
            pairs = [sa.and_(instances.c.project == project, key == token) for project, token in wanted]
            conditions.append(sa.or_(sa.false(), *pairs))
    if which.since is not None:
        conditions.append(instances.c.changed_at >= which.since)
    return conditions


def _held(row: Mapping[Any, Any]) -> HeldInstance:
    own = {name: value for name, value in row.items() if not name.startswith("about_")}
    about = {name.removeprefix("about_"): value for name, value in row.items() if name.startswith("about_")}
    if about["study_key"] is None:
        return HeldInstance(**own)
    for name in ("boxes", "left"):
        about[name] = tuple((box[0], box[1], box[2], box[3]) for box in about[name])
    return HeldInstance(**own, about=HeldAbout(**about))
