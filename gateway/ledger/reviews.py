"""What people decide about held instances: decisions about pixels, releases, rejections.

Every decision is audited in the transaction that carries it out, with who decided, why, and about which boxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.audit import AuditAction, AuditEntry, AuditFact
from gateway.ledger import audit_trail
from gateway.ledger.columns import printable, utc_now
from gateway.ledger.database import OnDatabase, chunks, each_of, insert
from gateway.ledger.holds import settle_series
from gateway.ledger.moving import move, reopen
from gateway.ledger.records import ReviewRecord
from gateway.ledger.redo import TAKEN_UP_ANEW
from gateway.ledger.schema import reviews
from gateway.ledger.states import InstanceState, Mover

__all__ = ["REJECTED_BY_PERSON", "Reviews"]

#: The code of an instance that a person rejected.
REJECTED_BY_PERSON: Final = "rejected-by-person"
#: What a decision settles.
_TEXT: Final = "text"
_FEATURES: Final = "features"

_OF_INSTANCES: Final = sa.select(
    reviews.c.instance_id, reviews.c.decision, reviews.c.boxes, reviews.c.actor, reviews.c.because, reviews.c.settles
).where(reviews.c.instance_id.in_(each_of("ids")))


class Reviews(OnDatabase):
    """The ledger's decisions of people."""

    def record(self, decided: ReviewRecord, *, now: datetime | None = None) -> None:
        """As ``record_all``, for one instance."""
        self.record_all([decided], now=now)

    def record_all(self, decided: Sequence[ReviewRecord], *, now: datetime | None = None) -> None:
        """Record decisions about pixels, in the place of earlier ones, and send the instances to the workers.

        A decision about faces alone leaves standing what was decided about text, and the other way round. One about
        faces counts for all of the series, also for what comes later of it.

        Raises
        ------
        IllegalTransition
            An instance is not held; nothing was changed.
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        at = now or utc_now()

        def work(connection: Connection) -> None:
            for one in decided:
                if one.features:
                    settle_series(connection, [one.instance_id], actor=one.actor, because=one.because, at=at)
                _release(connection, [one.instance_id], at, one.actor)
                _put(connection, one, at)
                audit_trail.append(connection, _entry(one), at=at)

        self._database.write("record reviews", work)

    def resume(self, instance_ids: Iterable[int], *, by: str, because: str = "", now: datetime | None = None) -> None:
        """Send held instances through the workers again, by the rules of today and with every check.

        Of an instance that is held for its pixels, what was decided about them before does not count any more.

        Parameters
        ----------
        instance_ids
            Row ids.
        by, because
            Who decides that, and why.
        now
            The present moment, timezone-aware.

        Raises
        ------
        IllegalTransition
            One is not held; nothing was changed.
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        ids, at = sorted(set(instance_ids)), now or utc_now()

        def work(connection: Connection) -> None:
            reopen(connection, ids, at=at, actor=by)
            _audit(connection, AuditAction.HELD_RETRIED, ids, by, because, at)

        self._database.write("resume held instances", work)

    def reject(self, instance_ids: Iterable[int], *, by: str, because: str, now: datetime | None = None) -> None:
        """Keep held instances out for good: they are rejected, and their bytes go with the retention.

        Parameters
        ----------
        instance_ids
            Row ids.
        by, because
            Who decides that, and why.
        now
            The present moment, timezone-aware.

        Raises
        ------
        IllegalTransition
            One is not held; nothing was changed.
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        ids, at = sorted(set(instance_ids)), now or utc_now()
        values = {"code": REJECTED_BY_PERSON, "detail": printable(because)}

        def work(connection: Connection) -> None:
            move(
                connection,
                ids,
                InstanceState.REJECTED,
                at,
                by,
                values,
                mover=Mover.OPERATOR,
                only=InstanceState.HELD,
            )
            _audit(connection, AuditAction.HELD_REJECTED, ids, by, because, at)

        self._database.write("reject held instances", work)

    def of(self, instance_ids: Sequence[int]) -> Mapping[int, ReviewRecord]:
        """The decisions about the pixels of those instances that have one.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        decisions: dict[int, ReviewRecord] = {}
        for part in chunks(instance_ids):
            rows = self._database.read(
                "read reviews",
                lambda connection, part=part: connection.execute(_OF_INSTANCES, {"ids": part}).all(),  # type: ignore[misc]
            )
            for row in rows:
                boxes = tuple((box[0], box[1], box[2], box[3]) for box in row.boxes)
                decisions[row.instance_id] = ReviewRecord(
                    instance_id=row.instance_id,
                    decision=row.decision,
                    boxes=boxes,
                    actor=row.actor,
                    because=row.because,
                    text=row.settles is None or _TEXT in row.settles,
                    features=row.settles is None or _FEATURES in row.settles,
                )
        return decisions


def _entry(decided: ReviewRecord) -> AuditEntry:
    masked = decided.decision == "mask"
    facts: dict[str, AuditFact] = {"pixels": True}
    if masked:
        facts["boxes"] = tuple(",".join(map(str, box)) for box in decided.boxes)
    if not decided.text:
        facts["about"] = _FEATURES
    return AuditEntry(
        actor=decided.actor,
        action=AuditAction.HELD_MASKED if masked else AuditAction.HELD_RELEASED,
        subject=_subject(decided.instance_id),
        because=decided.because,
        facts=facts,
    )


def _release(connection: Connection, ids: Sequence[int], at: datetime, actor: str) -> None:
    move(
        connection,
        ids,
        InstanceState.RECEIVED,
        at,
        actor,
        TAKEN_UP_ANEW,
        mover=Mover.OPERATOR,
        only=InstanceState.HELD,
    )


def _put(connection: Connection, decided: ReviewRecord, at: datetime) -> None:
    before = connection.execute(_OF_INSTANCES, {"ids": [decided.instance_id]}).one_or_none()
    settled = "" if before is None else f"{_TEXT} {_FEATURES}" if before.settles is None else before.settles
    text, features = decided.text or _TEXT in settled, decided.features or _FEATURES in settled
    values: dict[str, object] = {
        "decided_at": at,
        "actor": decided.actor,
        "because": decided.because,
        "settles": " ".join(word for word, about in ((_TEXT, text), (_FEATURES, features)) if about),
    }
    if decided.text or before is None or _TEXT not in settled:
        values |= {"decision": decided.decision, "boxes": [list(box) for box in decided.boxes]}
    first = {"decision": decided.decision, "boxes": [list(box) for box in decided.boxes], **values}
    statement = insert(connection, reviews).values({"instance_id": decided.instance_id, **first})
    connection.execute(statement.on_conflict_do_update(index_elements=["instance_id"], set_=values))


def _audit(
    connection: Connection, action: AuditAction, ids: Sequence[int], actor: str, because: str, at: datetime
) -> None:
    for number in ids:
        entry = AuditEntry(actor=actor, action=action, subject=_subject(number), because=because)
        audit_trail.append(connection, entry, at=at)


def _subject(number: int) -> str:
    return f"instance {number}"
