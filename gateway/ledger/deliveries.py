"""Deliveries: created with the output, claimed a study at a time, repeated until confirmed or dead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.audit import AuditEntry
from gateway.ledger import completeness, history
from gateway.ledger.audit import append as append_audit
from gateway.ledger.columns import utc_now
from gateway.ledger.corrections import SUPERSEDED, end, settle, waits_for_an_older_one
from gateway.ledger.database import CHUNK, OnDatabase, chunks, insert
from gateway.ledger.history import Transition
from gateway.ledger.receipts import append
from gateway.ledger.records import (
    DeidentifiedResult,
    DeliveryClaim,
    DeliveryEntry,
    DeliveryResult,
    Recorded,
    Whole,
)
from gateway.ledger.schema import (
    DELIVERY_LEASED,
    IS_OPEN,
    IS_UNCONFIRMED,
    LEASED,
    deliveries,
    instances,
    is_state,
    outputs,
    turns,
)
from gateway.ledger.states import UNCONFIRMED, DeliveryState

#: A study whose due deliveries are all locked by others at this moment is passed over for so long.
_PASS_OVER: Final = timedelta(milliseconds=1)

#: What a claim adds to the attempts: to ask what became of a sent delivery is no attempt to send it.
_COUNTED: Final = sa.case((is_state(deliveries.c.state, DeliveryState.SENT), 0), else_=1)

_CLAIMED: Final = (
    deliveries.c.id.label("delivery_id"),
    deliveries.c.instance_id,
    instances.c.spool_name,
    deliveries.c.destination,
    deliveries.c.state,
    deliveries.c.attempts,
    instances.c.received_at,
    outputs.c.patient_id,
    outputs.c.study_uid,
    outputs.c.series_uid,
    outputs.c.sop_uid,
    outputs.c.sop_class_uid,
    outputs.c.transfer_syntax,
    outputs.c.size,
)


class Deliveries(OnDatabase):
    """The ledger's deliveries."""

    def claim_deliveries(
        self,
        destination: str,
        owner: str,
        *,
        max_count: int,
        max_bytes: int,
        lease_seconds: float,
        whole: Whole | None = None,
        now: datetime | None = None,
    ) -> list[DeliveryClaim]:
        """Lease due deliveries of one study, earliest due first.

        Studies of a higher priority come first. Among those of one priority they take turns: the one served longest
        ago comes first, so that a large or failing study does not keep the others waiting.

        Parameters
        ----------
        destination
            Name of the destination.
        owner
            Who claims; unique among all deliverers of all nodes, and of a deliverer's lives.
        max_count
            How many at most.
        max_bytes
            How many bytes of output at most; one delivery is claimed whatever its size.
        lease_seconds
            After this time without ``renew_deliveries`` others may claim them.
        whole
            Claim only of studies that are whole; None for any.
        now
            The present moment, timezone-aware.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        at = now or utc_now()
        until = at + timedelta(seconds=lease_seconds)

        def work(connection: Connection) -> list[DeliveryClaim]:
            while (study_uid := _next_study(connection, destination, at)) is not None:
                again_at = (
                    None if whole is None else completeness.not_before(connection, destination, study_uid, whole, at)
                )
                if again_at is not None:
                    _set_turn(connection, destination, study_uid, not_before=again_at)
                    continue
                _end_superseded(connection, destination, study_uid, now=at, actor=owner)
                claims = _due(connection, destination, study_uid, now=at, max_count=max_count, max_bytes=max_bytes)
                if claims:
                    connection.execute(
                        sa.update(deliveries)
                        .where(deliveries.c.id.in_([claim.delivery_id for claim in claims]))
                        .values(lease_owner=owner, due_at=until, attempts=deliveries.c.attempts + _COUNTED)
                    )
                _set_turn(connection, destination, study_uid, not_before=at if claims else at + _PASS_OVER)
                if claims:
                    return claims
            return []

        return self._database.write("claim deliveries", work)

    def renew_deliveries(
        self, owner: str, ids: Sequence[int], lease_seconds: float, *, now: datetime | None = None
    ) -> list[int]:
        """Prolong the leases of ``owner`` on deliveries; return the ids that it still has.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        until = (now or utc_now()) + timedelta(seconds=lease_seconds)

        def work(connection: Connection) -> list[int]:
            kept: list[int] = []
            for part in chunks(sorted(ids)):
                query = (
                    sa.select(deliveries.c.id)
                    .where(deliveries.c.id.in_(part), deliveries.c.lease_owner == owner)
                    .order_by(deliveries.c.id)
                    .with_for_update()
                )
                mine = connection.scalars(query).all()
                connection.execute(sa.update(deliveries).where(deliveries.c.id.in_(mine)).values(due_at=until))
                kept += mine
            return kept

        return self._database.write("renew leases", work)

    def record_outcomes(
        self, owner: str, outcomes: Sequence[DeliveryResult], *, now: datetime | None = None
    ) -> Recorded:
        """Record what came of the deliveries that ``owner`` claimed, in one transaction.

        An outcome whose lease was lost is discarded: somebody else has the delivery and will record its own. An
        instance of which every delivery is confirmed becomes delivered. Where a newer version of the instance waits
        for this delivery, it is not tried again, whatever the outcome says.

        Parameters
        ----------
        owner
            Who claimed them.
        outcomes
            One per delivery; at most a thousand.
        now
            The present moment, timezone-aware.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full; nothing was recorded.
        """
        if len({outcome.delivery_id for outcome in outcomes}) != len(outcomes):
            raise ValueError("outcomes must have one outcome per delivery")
        at = now or utc_now()
        return self._database.write("record outcomes", lambda connection: _record(connection, owner, outcomes, at))

    def release(self, owner: str, *, crashed: bool = False, now: datetime | None = None) -> int:
        """End all leases of ``owner`` and of its threads (``owner/...``), on instances and on deliveries.

        Parameters
        ----------
        owner
            Who leased them.
        crashed
            It died. Otherwise it gives back what it did not begin, and the attempt does not count.

        Returns
        -------
        int
            How many leases it had.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        at = now or utc_now()
        uncounted = 0 if crashed else 1

        def of_owner(column: sa.Column[str]) -> sa.ColumnElement[bool]:
            return sa.or_(column == owner, column.startswith(f"{owner}/", autoescape=True))

        def work(connection: Connection) -> int:
            released = connection.execute(
                sa.update(instances)
                .where(LEASED, of_owner(instances.c.lease_owner))
                .values(lease_owner=None, lease_until=None, attempts=instances.c.attempts - uncounted)
            ).rowcount
            rows = connection.execute(
                sa.update(deliveries)
                .where(DELIVERY_LEASED, of_owner(deliveries.c.lease_owner))
                .values(lease_owner=None, due_at=at, attempts=deliveries.c.attempts - uncounted * _COUNTED)
                .returning(deliveries.c.destination, deliveries.c.study_uid)
            ).all()
            _call(connection, {(row.destination, row.study_uid): at for row in rows})
            return released + len(rows)

        return self._database.write("release leases", work)

    def retry_deliveries(
        self,
        *,
        destination: str | None = None,
        delivery_ids: Sequence[int] | None = None,
        only_dead: bool = True,
        by: str = "operator",
        audit: AuditEntry | None = None,
        now: datetime | None = None,
    ) -> int:
        """Make dead deliveries pending again, due at once and with all their attempts before them.

        A study that had nothing else to deliver comes back with the lowest priority.

        Parameters
        ----------
        destination
            Only those to this destination.
        delivery_ids
            Only these; None for all, an empty sequence for none.
        only_dead
            If False, failed ones too, unless a deliverer has them.
        by
            Who asks, for the history.
        audit
            What the audit trail says of it; how many deliveries is added. Written with each thousand of them.
        now
            The present moment, timezone-aware.

        Returns
        -------
        int
            How many became pending.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        at = now or utc_now()
        states = (DeliveryState.DEAD,) if only_dead else (DeliveryState.DEAD, DeliveryState.FAILED)
        # IS_UNCONFIRMED is implied by the states; named, it lets the database use its partial index.
        condition = IS_UNCONFIRMED & is_state(deliveries.c.state, *states) & deliveries.c.lease_owner.is_(None)
        condition &= deliveries.c.code != SUPERSEDED
        if destination is not None:
            condition &= deliveries.c.destination == destination
        selections = [condition]
        if delivery_ids is not None:
            selections = [condition & deliveries.c.id.in_(part) for part in chunks(sorted(set(delivery_ids)))]
        total = 0
        for selection in selections:
            while count := self._database.write(
                "retry deliveries",
                lambda connection, selection=selection: _retry(connection, selection, at, by, audit),  # type: ignore[misc]
            ):
                total += count
        return total

    def deliveries(
        self,
        *,
        destination: str | None = None,
        state: DeliveryState | None = None,
        instance_id: int | None = None,
        limit: int = 100,
        after: int = 0,
    ) -> list[DeliveryEntry]:
        """Deliveries by row id, for an operator.

        Parameters
        ----------
        destination, state, instance_id
            Only those to this destination, in this state, of this instance.
        limit
            How many at most.
        after
            Only row ids above this one: the last of the previous page.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        columns = deliveries.c
        query = (
            sa.select(
                columns.id.label("delivery_id"),
                columns.instance_id,
                instances.c.project,
                columns.destination,
                columns.state,
                columns.attempts,
                columns.size,
                columns.code,
                columns.detail,
                columns.lease_owner.label("owner"),
                columns.created_at,
                columns.changed_at,
                columns.due_at,
            )
            .join_from(deliveries, instances, columns.instance_id == instances.c.id)
            .where(columns.id > after)
            .order_by(columns.id)
            .limit(limit)
        )
        if destination is not None:
            query = query.where(columns.destination == destination)
        if state is not None:
            query = query.where(is_state(columns.state, state))
            if state in UNCONFIRMED:
                query = query.where(IS_UNCONFIRMED)
        if instance_id is not None:
            query = query.where(columns.instance_id == instance_id)
        rows = self._database.read("list deliveries", lambda connection: connection.execute(query).all())
        return [DeliveryEntry(**row._mapping) for row in rows]  # noqa: SLF001 - documented, named to avoid clashes


def create_deliveries(
    connection: Connection, results: Sequence[DeidentifiedResult], *, now: datetime, actor: str
) -> None:
    """Create the pending deliveries of outputs, one per destination, in the transaction that records the outputs."""
    rows = [
        {
            "instance_id": result.instance_id,
            "destination": destination,
            "study_uid": result.study_uid,
            "size": result.output_size,
            "state": DeliveryState.PENDING,
            "created_at": now,
            "changed_at": now,
            "attempts": 0,
            "due_at": now,
            "code": "",
            "detail": "",
        }
        for result in results
        for destination in result.destinations
    ]
    if not rows:
        return
    created = connection.execute(
        sa.insert(deliveries).returning(
            deliveries.c.id, deliveries.c.instance_id, deliveries.c.destination, deliveries.c.study_uid
        ),
        rows,
    ).all()
    history.record(
        connection,
        (Transition(row.instance_id, None, DeliveryState.PENDING, row.id) for row in created),
        at=now,
        actor=actor,
    )
    priorities = {result.instance_id: result.priority for result in results}
    wanted: dict[tuple[str, str], int] = {}
    for row in created:
        study = (row.destination, row.study_uid)
        wanted[study] = max(priorities[row.instance_id], wanted.get(study, 0))
    _call(connection, dict.fromkeys(wanted, now), wanted)


def _call(
    connection: Connection,
    wanted: Mapping[tuple[str, str], datetime],
    priorities: Mapping[tuple[str, str], int] | None = None,
) -> None:
    """Let studies have a turn at their destinations at the given moments or before, and with the priorities or more."""
    if not wanted:
        return
    priorities = priorities or {}
    statement = insert(connection, turns)
    new = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[turns.c.destination, turns.c.study_uid],
            set_={
                "turn_at": sa.case((new.turn_at < turns.c.turn_at, new.turn_at), else_=turns.c.turn_at),
                "priority": sa.case((new.priority > turns.c.priority, new.priority), else_=turns.c.priority),
            },
            where=(new.turn_at < turns.c.turn_at) | (new.priority > turns.c.priority),
        ),
        # Sorted: in this order all transactions lock them.
        [
            {
                "destination": study[0],
                "study_uid": study[1],
                "turn_at": moment,
                "priority": priorities.get(study, 0),
            }
            for study, moment in sorted(wanted.items())
        ],
    )


def _next_study(connection: Connection, destination: str, now: datetime) -> str | None:
    """The study whose turn it is, with its turn locked: who looks at the same time finds the next one."""
    of_destination = turns.c.destination == destination
    # From one priority to the next by the index: in one query the database would walk all turns that are yet to come.
    highest = sa.select(sa.func.max(turns.c.priority)).where(of_destination)
    priority = connection.scalar(highest)
    while priority is not None:
        study_uid: str | None = connection.scalar(
            sa.select(turns.c.study_uid)
            .where(of_destination, turns.c.priority == priority, turns.c.turn_at <= now)
            .order_by(turns.c.turn_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if study_uid is not None:
            return study_uid
        priority = connection.scalar(highest.where(turns.c.priority < priority))
    return None


def _due(
    connection: Connection, destination: str, study_uid: str, *, now: datetime, max_count: int, max_bytes: int
) -> list[DeliveryClaim]:
    query = (
        sa.select(*_CLAIMED)
        .join_from(deliveries, instances, deliveries.c.instance_id == instances.c.id)
        .join(outputs, deliveries.c.instance_id == outputs.c.instance_id)
        .where(
            IS_OPEN,
            deliveries.c.destination == destination,
            deliveries.c.study_uid == study_uid,
            deliveries.c.due_at <= now,
            sa.not_(waits_for_an_older_one(now)),
        )
        .order_by(deliveries.c.due_at, deliveries.c.id)
        .limit(max_count)
        .with_for_update(of=deliveries, skip_locked=True)
    )
    claims: list[DeliveryClaim] = []
    size = 0
    for row in connection.execute(query).all():
        size += row.size
        if claims and size > max_bytes:
            break
        attempts = row.attempts + (row.state is not DeliveryState.SENT)
        claims.append(DeliveryClaim(**{**row._mapping, "attempts": attempts}))  # noqa: SLF001
    return claims


def _end_superseded(connection: Connection, destination: str, study_uid: str, *, now: datetime, actor: str) -> None:
    """Those of the study that were superseded while somebody had them, and came back without an outcome."""
    rows = connection.execute(
        sa.select(deliveries.c.id, deliveries.c.instance_id, deliveries.c.state, deliveries.c.detail)
        .where(
            IS_OPEN,
            deliveries.c.destination == destination,
            deliveries.c.study_uid == study_uid,
            deliveries.c.due_at <= now,
            deliveries.c.code == SUPERSEDED,
        )
        .with_for_update(skip_locked=True)
    ).all()
    ended = [
        Transition(row.instance_id, row.state, DeliveryState.SUPERSEDED, row.id, code=SUPERSEDED, detail=row.detail)
        for row in rows
    ]
    end(connection, ended, now=now, actor=actor)


def _set_turn(connection: Connection, destination: str, study_uid: str, *, not_before: datetime) -> None:
    """Send the study to the end of the line, or home if it has nothing left to deliver."""
    first_due = connection.scalar(
        sa.select(sa.func.min(deliveries.c.due_at)).where(
            IS_OPEN, deliveries.c.destination == destination, deliveries.c.study_uid == study_uid
        )
    )
    turn = (turns.c.destination == destination) & (turns.c.study_uid == study_uid)
    if first_due is None:
        connection.execute(sa.delete(turns).where(turn))
    else:
        connection.execute(sa.update(turns).where(turn).values(turn_at=max(first_due, not_before)))


def _record(connection: Connection, owner: str, outcomes: Sequence[DeliveryResult], now: datetime) -> Recorded:
    by_id = {outcome.delivery_id: outcome for outcome in outcomes}
    ids = sorted(by_id)
    # Two deliverers that confirm the last two deliveries of an instance wait for each other here: the second one
    # sees what the first has confirmed.
    parents = sa.select(deliveries.c.instance_id).where(deliveries.c.id.in_(ids))
    connection.execute(
        sa.select(instances.c.id).where(instances.c.id.in_(parents)).order_by(instances.c.id).with_for_update()
    ).all()
    mine = connection.execute(
        sa.select(
            deliveries.c.id,
            deliveries.c.instance_id,
            deliveries.c.destination,
            deliveries.c.study_uid,
            deliveries.c.state,
            deliveries.c.due_at,
            deliveries.c.code,
            deliveries.c.detail,
        )
        .where(deliveries.c.id.in_(ids), deliveries.c.lease_owner == owner)
        .order_by(deliveries.c.id)
        .with_for_update()
    ).all()
    rows: list[dict[str, object]] = []
    transitions: list[Transition] = []
    calls: dict[tuple[str, str], datetime] = {}
    confirmed: set[int] = set()
    proofs: list[tuple[int, Mapping[str, object]]] = []
    superseded: list[Transition] = []
    for row in mine:
        outcome = by_id[row.id]
        state = DeliveryState(outcome.state)
        if row.code == SUPERSEDED and state is not DeliveryState.CONFIRMED:
            # What came of this attempt is the history's; a newer version has waited for it.
            after = DeliveryState.SUPERSEDED
            superseded.append(Transition(row.instance_id, row.state, after, row.id, code=SUPERSEDED, detail=row.detail))
            continue
        due_at = outcome.next_attempt_at or row.due_at
        rows.append(
            {
                "row_id": row.id,
                "state": state,
                "changed_at": now,
                "due_at": due_at,
                "code": outcome.code,
                "detail": outcome.detail,
            }
        )
        transitions.append(
            Transition(row.instance_id, row.state, state, row.id, code=outcome.code, detail=outcome.detail)
        )
        if outcome.next_attempt_at is not None:
            study = (row.destination, row.study_uid)
            calls[study] = min(due_at, calls.get(study, due_at))
        elif state is DeliveryState.CONFIRMED:
            confirmed.add(row.instance_id)
            if outcome.receipt is not None:
                proofs.append((row.id, outcome.receipt))
    if rows:
        names = ("state", "changed_at", "due_at", "code", "detail")
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == sa.bindparam("row_id"))
            .values({name: sa.bindparam(name) for name in names} | {"lease_owner": None}),
            rows,
        )
    history.record(connection, transitions, at=now, actor=owner)
    _call(connection, calls)
    append(connection, proofs)
    delivered = settle(connection, sorted(confirmed), now=now, actor=owner)
    end(connection, superseded, now=now, actor=owner)
    kept = {row.id for row in mine}
    return Recorded(lost=tuple(number for number in by_id if number not in kept), delivered=delivered)


def _retry(
    connection: Connection, selection: sa.ColumnElement[bool], now: datetime, by: str, audit: AuditEntry | None
) -> int:
    rows = connection.execute(
        sa.select(
            deliveries.c.id,
            deliveries.c.instance_id,
            deliveries.c.destination,
            deliveries.c.study_uid,
            deliveries.c.state,
        )
        .where(selection)
        .order_by(deliveries.c.id)
        .limit(CHUNK)
        .with_for_update(skip_locked=True)
    ).all()
    if not rows:
        return 0
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id.in_([row.id for row in rows]))
        .values(state=DeliveryState.PENDING, changed_at=now, attempts=0, due_at=now, code="", detail="")
    )
    history.record(
        connection,
        (Transition(row.instance_id, row.state, DeliveryState.PENDING, row.id) for row in rows),
        at=now,
        actor=by,
    )
    _call(connection, {(row.destination, row.study_uid): now for row in rows})
    if audit is not None:
        append_audit(connection, replace(audit, facts={**audit.facts, "deliveries": len(rows)}), at=now)
    return len(rows)
