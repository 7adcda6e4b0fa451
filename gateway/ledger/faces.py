"""Series out of which faces are taken: which are complete, who is at work on one, and what was found.

DICOM does not say when a series is complete: it counts as complete when none of its instances was received for a quiet
time, and none that was received before waits for a worker. What comes later makes all of the series be done again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.audit import AuditAction, AuditEntry
from gateway.errors import FeaturesSuspected, WaitsForSeries
from gateway.ledger import audit_trail
from gateway.ledger.columns import utc_now
from gateway.ledger.database import OnDatabase, chunks, each_of, insert
from gateway.ledger.moving import move
from gateway.ledger.records import ClaimedSeries, FaceRecord, SeriesMember
from gateway.ledger.redo import TAKEN_UP_ANEW, remake
from gateway.ledger.schema import HELD, LEASED, WAITING, face_masks, face_series, holds, instances, is_state
from gateway.ledger.states import InstanceState, Mover

__all__ = ["Faces"]

#: Of a series, what is part of its volume; and what was, and is no more in the spool.
_THERE: Final = (InstanceState.HELD, InstanceState.DEIDENTIFIED, InstanceState.DELIVERED)
_OF_SERIES: Final = sa.and_(
    instances.c.project == sa.bindparam("project"), holds.c.series_key == sa.bindparam("series_key")
)
_JOINED: Final = sa.join(instances, holds, holds.c.instance_id == instances.c.id)
_IS_WAITING: Final = sa.and_(HELD, instances.c.code == WaitsForSeries.code)
_CANDIDATES: Final = (
    sa.select(instances.c.project, holds.c.series_key)
    .select_from(_JOINED)
    .where(_IS_WAITING, holds.c.series_key != "")
    .group_by(instances.c.project, holds.c.series_key)
    .order_by(sa.func.min(instances.c.changed_at))
)
_FOUND_MEANWHILE: Final = (
    sa.select(instances.c.id)
    .join(face_masks, face_masks.c.instance_id == instances.c.id)
    .where(_IS_WAITING)
    .order_by(instances.c.id)
    .with_for_update(skip_locked=True, of=instances)
)
_FACE: Final = sa.select(face_masks.c.verdict, face_masks.c.reason, face_masks.c.mask).where(
    face_masks.c.instance_id == sa.bindparam("number")
)


class Faces(OnDatabase):
    """What the ledger knows of faces in series."""

    def of(self, instance_id: int) -> FaceRecord | None:
        """What was found of a face in the series of an instance, when it was part of it; None if nothing yet.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        row = self._database.read("read a face", lambda c: c.execute(_FACE, {"number": instance_id}).one_or_none())
        return None if row is None else FaceRecord(verdict=row.verdict, reason=row.reason, mask=row.mask)

    def claim(
        self,
        owner: str,
        projects: Collection[str],
        *,
        quiet_seconds: float,
        lease_seconds: float,
        now: datetime | None = None,
    ) -> ClaimedSeries | None:
        """Lease the complete series that has waited longest; None if there is none.

        Parameters
        ----------
        owner
            Who claims; ``release`` frees what it has.
        projects
            Only of these.
        quiet_seconds
            A series is complete when none of its instances was received for so long.
        lease_seconds
            After this time another may claim it.
        now
            The present moment, timezone-aware.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        at = now or utc_now()
        if not self._database.read("look for series", lambda c: c.execute(_CANDIDATES.limit(1)).first()):
            return None

        def work(connection: Connection) -> ClaimedSeries | None:
            _send_on(connection, at, owner)
            for row in connection.execute(_CANDIDATES).all():
                if row.project not in projects:
                    continue
                members = _members(connection, row.project, row.series_key)
                quiet = max(one.received_at for one in members) + timedelta(seconds=quiet_seconds)
                if at < quiet or _is_behind(connection, quiet):
                    continue
                attempts = _lease(connection, row, owner, at, at + timedelta(seconds=lease_seconds))
                if attempts is not None:
                    there = tuple(one for one in members if one.is_there)
                    return ClaimedSeries(
                        project=row.project,
                        series_key=row.series_key,
                        attempts=attempts,
                        members=there,
                        gone=len(members) - len(there),
                    )
            return None

        return self._database.write("claim a series", work)

    def record(
        self,
        owner: str,
        claimed: ClaimedSeries,
        faces: Mapping[int, FaceRecord],
        *,
        now: datetime | None = None,
    ) -> bool:
        """Record what was found in a claimed series, and send its instances on.

        Those that wait go through the workers, and so do those that are held for faces. Those that went out with
        something else found are made anew.

        Returns
        -------
        bool
            Whether the lease was still the owner's; if not, nothing was changed.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; nothing was changed.
        """
        at = now or utc_now()
        key = {"project": claimed.project, "series_key": claimed.series_key}

        def work(connection: Connection) -> bool:
            mine = sa.and_(
                face_series.c.project == claimed.project,
                face_series.c.series_key == claimed.series_key,
                face_series.c.lease_owner == owner,
            )
            done = connection.execute(
                sa.update(face_series).where(mine).values(lease_owner=None, lease_until=None, attempts=0, found_at=at)
            ).rowcount
            if not done:
                return False
            changed = [number for number, face in sorted(faces.items()) if _keep(connection, number, face)]
            waiting = sa.and_(_IS_WAITING | sa.and_(HELD, instances.c.code == FeaturesSuspected.code), _OF_SERIES)
            held = _ids(connection, waiting, key)
            move(
                connection, held, InstanceState.RECEIVED, at, owner, TAKEN_UP_ANEW,
                mover=Mover.OPERATOR, only=InstanceState.HELD,
            )  # fmt: skip
            went = sa.and_(
                is_state(instances.c.state, InstanceState.DEIDENTIFIED, InstanceState.DELIVERED),
                instances.c.purged_at.is_(None),
                _OF_SERIES,
            )
            again = sorted(set(changed) & set(_ids(connection, went, key)))
            for part in chunks(again):
                remake(connection, part, keep_confirmed=False, now=at, actor=owner)
            return True

        return self._database.write("record faces", work)

    def members(self, project: str, series_key: str) -> list[SeriesMember]:
        """The instances of a series that waited for it or were held, as far as they were not rejected.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        return self._database.read("read a series", lambda connection: _members(connection, project, series_key))

    def accept(self, project: str, series_key: str, *, actor: str, because: str, now: datetime | None = None) -> int:
        """Let what was found of a face in a series count, as a person has seen it, and send its instances on.

        Returns
        -------
        int
            How many instances are blanked somewhere; 0 if nothing was found, and then nothing is changed.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; nothing was changed.
        """
        at = now or utc_now()
        key = {"project": project, "series_key": series_key}

        def work(connection: Connection) -> int:
            held = _ids(connection, sa.and_(HELD, instances.c.code == FeaturesSuspected.code, _OF_SERIES), key)
            doubted = sa.and_(face_masks.c.instance_id.in_(each_of("ids")), face_masks.c.verdict == "doubt")
            query = sa.select(face_masks.c.instance_id, face_masks.c.mask.is_not(None)).where(doubted)
            rows = connection.execute(query, {"ids": held}).all()
            count = sum(bool(row[1]) for row in rows)
            if not count:
                return 0
            connection.execute(
                sa.update(face_masks).where(doubted).values(verdict="blank"), {"ids": [row[0] for row in rows]}
            )
            move(
                connection, [row[0] for row in rows], InstanceState.RECEIVED, at, actor, TAKEN_UP_ANEW,
                mover=Mover.OPERATOR, only=InstanceState.HELD,
            )  # fmt: skip
            entry = AuditEntry(
                actor=actor,
                action=AuditAction.HELD_MASKED,
                subject=f"project {project}",
                because=because,
                facts={"pixels": True, "about": "face", "series": series_key, "instances": len(rows)},
            )
            audit_trail.append(connection, entry, at=at)
            return count

        return self._database.write("accept faces", work)

    def give_back(self, owner: str) -> None:
        """End the leases of ``owner`` on series; the attempts do not count.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        statement = (
            sa.update(face_series)
            .where(face_series.c.lease_owner == owner)
            .values(lease_owner=None, lease_until=None, attempts=face_series.c.attempts - 1)
        )
        self._database.write("give back series", lambda connection: connection.execute(statement))


def _send_on(connection: Connection, at: datetime, actor: str) -> None:
    """Send on what began to wait while its series was being recorded."""
    ids = list(connection.scalars(_FOUND_MEANWHILE))
    move(
        connection, ids, InstanceState.RECEIVED, at, actor, TAKEN_UP_ANEW,
        mover=Mover.OPERATOR, only=InstanceState.HELD,
    )  # fmt: skip


def _members(connection: Connection, project: str, series_key: str) -> list[SeriesMember]:
    query = (
        sa.select(
            instances.c.id.label("instance_id"),
            instances.c.spool_name,
            instances.c.received_at,
            sa.and_(is_state(instances.c.state, *_THERE), instances.c.purged_at.is_(None)).label("is_there"),
        )
        .select_from(_JOINED)
        .where(_OF_SERIES, is_state(instances.c.state, *_THERE, InstanceState.PURGED))
        .order_by(instances.c.id)
    )
    rows = connection.execute(query, {"project": project, "series_key": series_key})
    return [SeriesMember(**row._mapping) for row in rows]  # noqa: SLF001 - documented, named to avoid clashes


def _is_behind(connection: Connection, quiet: datetime) -> bool:
    """Whether something waits for a worker, or is with one, that was received before: it may be of the series."""
    return any(
        connection.scalar(sa.select(sa.literal(1)).where(unfinished, instances.c.received_at <= quiet).limit(1))
        is not None
        for unfinished in (WAITING, LEASED)
    )


def _lease(connection: Connection, row: Any, owner: str, at: datetime, until: datetime) -> int | None:
    """How often the series was claimed, this time included; None if somebody else has it."""
    first = {"project": row.project, "series_key": row.series_key}
    statement = insert(connection, face_series).values({**first, "attempts": 0})
    connection.execute(statement.on_conflict_do_nothing(index_elements=["project", "series_key"]))
    free = face_series.c.lease_until.is_(None) | (face_series.c.lease_until <= at)
    claimed: int | None = connection.scalar(
        sa.update(face_series)
        .where(face_series.c.project == row.project, face_series.c.series_key == row.series_key, free)
        .values(lease_owner=owner, lease_until=until, attempts=face_series.c.attempts + 1)
        .returning(face_series.c.attempts)
    )
    return claimed


def _keep(connection: Connection, number: int, face: FaceRecord) -> bool:
    """Keep what was found; whether it is other than before."""
    before = connection.execute(_FACE, {"number": number}).one_or_none()
    if before is not None and (before.verdict, before.mask) == (face.verdict, face.mask):
        return False
    values = {"verdict": face.verdict, "reason": face.reason, "mask": face.mask}
    statement = insert(connection, face_masks).values({"instance_id": number, **values})
    connection.execute(statement.on_conflict_do_update(index_elements=["instance_id"], set_=values))
    return True


def _ids(connection: Connection, condition: sa.ColumnElement[bool], key: Mapping[str, str]) -> Sequence[int]:
    query = sa.select(instances.c.id).select_from(_JOINED).where(condition).order_by(instances.c.id)
    return connection.scalars(query.with_for_update(of=instances), key).all()
