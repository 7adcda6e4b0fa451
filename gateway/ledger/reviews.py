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
from gateway.ledger import audit
from gateway.ledger.columns import printable, utc_now
from gateway.ledger.database import OnDatabase, chunks, each_of, insert
from gateway.ledger.instances import move
from gateway.ledger.records import ReviewRecord
from gateway.ledger.redo import TAKEN_UP_ANEW
from gateway.ledger.schema import reviews
from gateway.ledger.states import InstanceState, Mover

__all__ = ["REJECTED_BY_PERSON", "Reviews"]

#: The code of an instance that a person rejected.
REJECTED_BY_PERSON: Final = "rejected-by-person"

_OF_INSTANCES: Final = sa.select(
    reviews.c.instance_id, reviews.c.decision, reviews.c.boxes, reviews.c.actor, reviews.c.because
).where(reviews.c.instance_id.in_(each_of("ids")))


class Reviews(OnDatabase):
    """The ledger's decisions of people."""

    def review(self, decided: ReviewRecord, *, now: datetime | None = None) -> None:
        """Record a decision about pixels, in the place of an earlier one, and send the instance to the workers.

        Raises
        ------
        IllegalTransition
            The instance is not held; nothing was changed.
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        at = now or utc_now()
        masked = decided.decision == "mask"
        facts: dict[str, AuditFact] = {"pixels": True}
        if masked:
            facts["boxes"] = tuple(",".join(map(str, box)) for box in decided.boxes)
        entry = AuditEntry(
            actor=decided.actor,
            action=AuditAction.HELD_MASKED if masked else AuditAction.HELD_RELEASED,
            subject=_subject(decided.instance_id),
            because=decided.because,
            facts=facts,
        )

        def work(connection: Connection) -> None:
            _release(connection, [decided.instance_id], at, decided.actor)
            _put(connection, decided, at)
            audit.append(connection, entry, at=at)

        self._database.write("record a review", work)

    def resume_held(
        self, instance_ids: Iterable[int], *, by: str, because: str = "", now: datetime | None = None
    ) -> None:
        """Send held instances through the workers again, with every rule and every check as before.

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
            _release(connection, ids, at, by)
            _audit(connection, AuditAction.HELD_RELEASED, ids, by, because, at)

        self._database.write("resume held instances", work)

    def reject_held(self, instance_ids: Iterable[int], *, by: str, because: str, now: datetime | None = None) -> None:
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
            move(connection, ids, InstanceState.REJECTED, at, by, values, mover=Mover.OPERATOR)
            _audit(connection, AuditAction.HELD_REJECTED, ids, by, because, at)

        self._database.write("reject held instances", work)

    def reviews(self, instance_ids: Sequence[int]) -> Mapping[int, ReviewRecord]:
        """The decisions about the pixels of those instances that have one.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        found: dict[int, ReviewRecord] = {}
        for part in chunks(instance_ids):
            rows = self._database.read(
                "read reviews",
                lambda connection, part=part: connection.execute(_OF_INSTANCES, {"ids": part}).all(),  # type: ignore[misc]
            )
            for row in rows:
                boxes = tuple((box[0], box[1], box[2], box[3]) for box in row.boxes)
                found[row.instance_id] = ReviewRecord(
                    instance_id=row.instance_id,
                    decision=row.decision,
                    boxes=boxes,
                    actor=row.actor,
                    because=row.because,
                )
        return found


def _release(connection: Connection, ids: Sequence[int], at: datetime, actor: str) -> None:
    move(connection, ids, InstanceState.RECEIVED, at, actor, TAKEN_UP_ANEW, mover=Mover.OPERATOR)


def _put(connection: Connection, decided: ReviewRecord, at: datetime) -> None:
    values = {
        "decided_at": at,
        "actor": decided.actor,
        "decision": decided.decision,
        "boxes": [list(box) for box in decided.boxes],
        "because": decided.because,
    }
    statement = insert(connection, reviews).values({"instance_id": decided.instance_id, **values})
    connection.execute(statement.on_conflict_do_update(index_elements=["instance_id"], set_=values))


def _audit(
    connection: Connection, action: AuditAction, ids: Sequence[int], actor: str, because: str, at: datetime
) -> None:
    for number in ids:
        entry = AuditEntry(actor=actor, action=action, subject=_subject(number), because=because)
        audit.append(connection, entry, at=at)


def _subject(number: int) -> str:
    return f"instance {number}"
