"""Deliveries: created with the output, claimed a study at a time, repeated until confirmed or dead."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.audit import AuditEntry
from gateway.ledger import completeness, history
from gateway.ledger.audit_trail import append as append_audit
from gateway.ledger.columns import utc_now
from gateway.ledger.corrections import SUPERSEDED, WAITS_FOR_AN_OLDER_ONE, end, settle
from gateway.ledger.database import CHUNK, OnDatabase, chunks, each_of, lock, records
from gateway.ledger.history import Transition
from gateway.ledger.occurrences import CONFIRMED, occurred
from gateway.ledger.receipts import append
from gateway.ledger.records import (
    Blamed,
    DeliveryClaim,
    DeliveryEntry,
    DeliveryResult,
    Recorded,
    Whole,
)
from gateway.ledger.redo import ASKED_AGAIN, Remaking, remake
from gateway.ledger.schema import (
    DELIVERY_LEASED,
    IS_OPEN,
    IS_UNCONFIRMED,
    LEASED,
    SERIES_LEASED,
    WAITING,
    deliveries,
    face_series,
    instances,
    is_state,
    outputs,
    turns,
)
from gateway.ledger.states import UNCONFIRMED, DeliveryState, InstanceState
from gateway.ledger.turns import call

#: A study whose due deliveries are all locked by others at this moment is passed over for so long.
_PASS_OVER: Final = timedelta(milliseconds=1)

#: What a claim adds to the attempts: to ask what became of a sent delivery is no attempt to send it.
_COUNTED: Final = sa.case((is_state(deliveries.c.state, DeliveryState.SENT), 0), else_=1)

#: The deliveries ``ids``, and those of them that ``owner`` has.
_NAMED: Final = deliveries.c.id.in_(each_of("ids"))
_MINE: Final = _NAMED & (deliveries.c.lease_owner == sa.bindparam("owner"))

_LEASE: Final = (
    sa.update(deliveries)
    .where(_NAMED)
    .values(
        lease_owner=sa.bindparam("owner"),
        due_at=sa.bindparam("until"),
        attempts=deliveries.c.attempts + _COUNTED,
    )
)
#: The code of a delivery whose output is lost with its original.
OUTPUT_LOST: Final = "output-lost"
_STILL_MINE: Final = sa.select(deliveries.c.id).where(_MINE).order_by(deliveries.c.id).with_for_update()
_PROLONG: Final = sa.update(deliveries).where(_NAMED).values(due_at=sa.bindparam("until"))


class Deliveries(OnDatabase):
    """The ledger's deliveries."""

    def claim(
        self,
        destination: str,
        owner: str,
        *,
        max_count: int,
        max_bytes: int,
        lease_seconds: float,
        batches: int | None = 1,
        whole: Whole | None = None,
        now: datetime | None = None,
    ) -> list[list[DeliveryClaim]]:
        """Lease due deliveries in batches, earliest due first.

        Studies of a higher priority come first. Among those of one priority they take turns: the one served longest
        ago comes first, so that a large or failing study does not keep the others waiting. All batches are leased by
        one transaction: it costs about as much for many deliveries as for few.

        Parameters
        ----------
        destination
            Name of the destination.
        owner
            Who claims; unique among all deliverers of all nodes, and of a deliverer's lives.
        max_count
            How many at most in a batch.
        max_bytes
            How many bytes of output at most in a batch; one delivery is claimed whatever its size.
        lease_seconds
            After this time without ``renew`` others may claim them.
        batches
            How many at most, each of one study; None for one that goes on with the next study where there is room.
        whole
            Claim only of studies that are whole; None for any.
        now
            The present moment, timezone-aware.

        Returns
        -------
        list[list[DeliveryClaim]]
            Batches of at least one delivery.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        at = now or utc_now()
        until = at + timedelta(seconds=lease_seconds)

        def work(connection: Connection) -> list[list[DeliveryClaim]]:
            claimed: list[list[DeliveryClaim]] = []
            count = size = 0
            for study_uid in _next_studies(connection, destination, at):
                again_at = (
                    None if whole is None else completeness.not_before(connection, destination, study_uid, whole, at)
                )
                if again_at is not None:
                    _set_turn(connection, destination, study_uid, not_before=again_at)
                    continue
                if count <= 0 or size <= 0:
                    count, size = max_count, max_bytes
                    claimed.append([])
                _end_superseded(connection, destination, study_uid, now=at, actor=owner)
                claims = _due(connection, destination, study_uid, now=at, max_count=count, max_bytes=size)
                if claims:
                    connection.execute(
                        _LEASE, {"ids": [claim.delivery_id for claim in claims], "owner": owner, "until": until}
                    )
                _set_turn(connection, destination, study_uid, not_before=at if claims else at + _PASS_OVER)
                if claims:
                    claimed[-1] += claims
                    count = count - len(claims) if batches is None else 0
                    size -= sum(claim.size for claim in claims)
                    if len(claimed) == (batches or 1) and (count <= 0 or size <= 0):
                        break
            return [batch for batch in claimed if batch]

        return self._database.write("claim deliveries", work)

    def awaits(
        self,
        destination: str,
        study_uid: str,
        *,
        besides: Collection[int],
        quiet_seconds: float | None,
        now: datetime | None = None,
    ) -> datetime | None:
        """When to ask again whether more of a study is on its way to a destination; None if nothing is.

        Parameters
        ----------
        destination, study_uid
            Whose deliveries.
        besides
            Deliveries that are not meant.
        quiet_seconds
            For so long after the last instance was received more may come; None if that is not to be waited for.
        now
            The present moment, timezone-aware.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        at = now or utc_now()
        return self._database.read(
            "look for the rest of a study",
            lambda connection: completeness.rest_of(
                connection, destination, study_uid, besides=besides, quiet_seconds=quiet_seconds, now=at
            ),
        )

    def renew(self, owner: str, ids: Sequence[int], lease_seconds: float, *, now: datetime | None = None) -> list[int]:
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
                mine = connection.scalars(_STILL_MINE, {"ids": part, "owner": owner}).all()
                connection.execute(_PROLONG, {"ids": mine, "until": until})
                kept += mine
            return kept

        return self._database.write("renew leases", work)

    def record(self, owner: str, outcomes: Sequence[DeliveryResult], *, now: datetime | None = None) -> Recorded:
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

    def release(
        self,
        owner: str,
        *,
        crashed: bool = False,
        blamed: Blamed | None = None,
        keep: Collection[int] = (),
        now: datetime | None = None,
    ) -> int:
        """End all leases of ``owner`` and of its threads (``owner/...``), on instances and on deliveries.

        Parameters
        ----------
        owner
            Who leased them.
        crashed
            It died. Otherwise it gives back what it did not begin, and the attempt does not count.
        blamed
            The instance that it worked on when it died: the attempt counts for this one only, and its row says how
            the attempt ended.
        keep
            Deliveries whose leases do not end.
        now
            The present moment, timezone-aware.

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
        # A bystander: it was claimed together with the one that is to blame.
        given_back: sa.ColumnElement[int] = sa.literal(uncounted)
        if crashed and blamed is not None:
            given_back = sa.case((instances.c.id == blamed.instance_id, 0), else_=1)

        def of_owner(column: sa.Column[str]) -> sa.ColumnElement[bool]:
            return sa.or_(column == owner, column.startswith(f"{owner}/", autoescape=True))

        def work(connection: Connection) -> int:
            released = connection.execute(
                sa.update(instances)
                .where(LEASED, of_owner(instances.c.lease_owner))
                .values(lease_owner=None, lease_until=None, attempts=instances.c.attempts - given_back)
            ).rowcount
            connection.execute(
                sa.update(face_series)
                .where(SERIES_LEASED, of_owner(face_series.c.lease_owner))
                .values(lease_owner=None, lease_until=None, attempts=face_series.c.attempts - uncounted)
            )
            if crashed and blamed is not None:
                connection.execute(
                    sa.update(instances)
                    .where(WAITING, instances.c.id == blamed.instance_id)
                    .values(code=blamed.code, detail=blamed.detail)
                )
            rows = connection.execute(
                sa.update(deliveries)
                .where(DELIVERY_LEASED, of_owner(deliveries.c.lease_owner), deliveries.c.id.not_in(each_of("keep")))
                .values(lease_owner=None, due_at=at, attempts=deliveries.c.attempts - uncounted * _COUNTED)
                .returning(deliveries.c.destination, deliveries.c.study_uid),
                {"keep": sorted(keep)},
            ).all()
            call(connection, {(row.destination, row.study_uid): at for row in rows})
            return released + len(rows)

        return self._database.write("release leases", work)

    def retry(
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

    def entries(
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


_TURNS_OF_DESTINATION: Final = turns.c.destination == sa.bindparam("destination")
_TURN: Final = _TURNS_OF_DESTINATION & (turns.c.study_uid == sa.bindparam("study_uid"))
_HIGHEST: Final = sa.select(sa.func.max(turns.c.priority)).where(_TURNS_OF_DESTINATION)
_NEXT_HIGHEST: Final = _HIGHEST.where(turns.c.priority < sa.bindparam("priority"))
_NEXT_STUDY: Final = (
    sa.select(turns.c.study_uid)
    .where(_TURNS_OF_DESTINATION, turns.c.priority == sa.bindparam("priority"), turns.c.turn_at <= sa.bindparam("now"))
    .order_by(turns.c.turn_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_GO_HOME: Final = sa.delete(turns).where(_TURN)
# Its condition has parameters of its own: those named as columns are what an UPDATE sets.
_SET_TURN: Final = (
    sa.update(turns)
    .where(turns.c.destination == sa.bindparam("at_destination"), turns.c.study_uid == sa.bindparam("of_study"))
    .values(turn_at=sa.bindparam("turn_at"))
)


def _next_studies(connection: Connection, destination: str, now: datetime) -> Iterator[str]:
    """The studies whose turn it is, each with its turn locked: who looks at the same time finds others.

    A study comes again if its turn is not set to a later moment.
    """
    # From one priority to the next by the index: in one query the database would walk all turns that are yet to come.
    priority = connection.scalar(_HIGHEST, {"destination": destination})
    while priority is not None:
        place = {"destination": destination, "priority": priority}
        study_uid: str | None = connection.scalar(_NEXT_STUDY, {**place, "now": now})
        if study_uid is not None:
            yield study_uid
        else:
            priority = connection.scalar(_NEXT_HIGHEST, place)


_OPEN_OF_STUDY: Final = sa.and_(
    IS_OPEN,
    deliveries.c.destination == sa.bindparam("destination"),
    deliveries.c.study_uid == sa.bindparam("study_uid"),
)
_DUE_OF_STUDY: Final = _OPEN_OF_STUDY & (deliveries.c.due_at <= sa.bindparam("now"))
_FIRST_DUE: Final = sa.select(sa.func.min(deliveries.c.due_at)).where(_OPEN_OF_STUDY)
# With their instances: of two that end the last two deliveries of one, the second has to see what the first has done.
_DUE_SUPERSEDED: Final = (
    sa.select(deliveries.c.id, deliveries.c.instance_id, deliveries.c.state, deliveries.c.detail)
    .join_from(deliveries, instances, deliveries.c.instance_id == instances.c.id)
    .where(_DUE_OF_STUDY, deliveries.c.code == SUPERSEDED)
    .with_for_update(of=(deliveries, instances), skip_locked=True)
)
_DUE: Final = (
    sa.select(
        deliveries.c.id.label("delivery_id"),
        deliveries.c.instance_id,
        instances.c.spool_name,
        deliveries.c.destination,
        deliveries.c.state,
        (deliveries.c.attempts + _COUNTED).label("attempts"),
        instances.c.received_at,
        outputs.c.patient_id,
        outputs.c.study_uid,
        outputs.c.series_uid,
        outputs.c.sop_uid,
        outputs.c.sop_class_uid,
        outputs.c.transfer_syntax,
        outputs.c.size,
        instances.c.project,
        instances.c.content_key,
        outputs.c.profile,
        outputs.c.profile_digest,
        outputs.c.actions,
    )
    .join_from(deliveries, instances, deliveries.c.instance_id == instances.c.id)
    .join(outputs, deliveries.c.instance_id == outputs.c.instance_id)
    .where(_DUE_OF_STUDY, deliveries.c.code != SUPERSEDED, sa.not_(WAITS_FOR_AN_OLDER_ONE))
    .order_by(deliveries.c.due_at, deliveries.c.id)
    .limit(sa.bindparam("most"))
    .with_for_update(of=deliveries, skip_locked=True)
)


def _due(
    connection: Connection, destination: str, study_uid: str, *, now: datetime, max_count: int, max_bytes: int
) -> list[DeliveryClaim]:
    rows = connection.execute(_DUE, {"destination": destination, "study_uid": study_uid, "now": now, "most": max_count})
    claims: list[DeliveryClaim] = []
    size = 0
    for claim in records(DeliveryClaim, rows):
        size += claim.size
        if claims and size > max_bytes:
            break
        claims.append(claim)
    return claims


def _end_superseded(connection: Connection, destination: str, study_uid: str, *, now: datetime, actor: str) -> None:
    """Those of the study that were superseded while somebody had them, and came back without an outcome."""
    rows = connection.execute(_DUE_SUPERSEDED, {"destination": destination, "study_uid": study_uid, "now": now}).all()
    ended = [
        Transition(row.instance_id, row.state, DeliveryState.SUPERSEDED, row.id, code=SUPERSEDED, detail=row.detail)
        for row in rows
    ]
    end(connection, ended, now=now, actor=actor)


def _set_turn(connection: Connection, destination: str, study_uid: str, *, not_before: datetime) -> None:
    """Send the study to the end of the line, or home if it has nothing left to deliver."""
    study = {"destination": destination, "study_uid": study_uid}
    first_due = connection.scalar(_FIRST_DUE, study)
    if first_due is None:
        connection.execute(_GO_HOME, study)
    else:
        turn = {"at_destination": destination, "of_study": study_uid, "turn_at": max(first_due, not_before)}
        connection.execute(_SET_TURN, turn)


_LOCK_PARENTS: Final = (
    sa.select(instances.c.id)
    .where(instances.c.id.in_(sa.select(deliveries.c.instance_id).where(_NAMED)))
    .order_by(instances.c.id)
    .with_for_update()
)
_TRIED: Final = (
    sa.select(
        deliveries.c.id,
        deliveries.c.instance_id,
        deliveries.c.destination,
        deliveries.c.study_uid,
        deliveries.c.state,
        deliveries.c.code,
        deliveries.c.detail,
    )
    .where(_MINE)
    .order_by(deliveries.c.id)
    .with_for_update()
)
_END_ATTEMPTS: Final = (
    sa.update(deliveries)
    .where(_NAMED)
    .values(
        state=sa.bindparam("state"),
        changed_at=sa.bindparam("changed_at"),
        # Without another attempt it stays as it is.
        due_at=sa.func.coalesce(sa.bindparam("next_at", type_=deliveries.c.due_at.type), deliveries.c.due_at),
        lease_owner=sa.null(),
        code=sa.bindparam("code"),
        detail=sa.bindparam("detail"),
        attempts=deliveries.c.attempts - sa.bindparam("uncounted"),
    )
)


class _End(NamedTuple):
    """How an attempt ended; those that ended alike are written at once."""

    state: DeliveryState
    code: str
    detail: str
    next_at: datetime | None
    #: Attempts that were none.
    uncounted: int


def _record(connection: Connection, owner: str, outcomes: Sequence[DeliveryResult], now: datetime) -> Recorded:
    by_id = {outcome.delivery_id: outcome for outcome in outcomes}
    ids = sorted(by_id)
    # Two deliverers that confirm the last two deliveries of an instance wait for each other here: the second one
    # sees what the first has confirmed.
    lock(connection, _LOCK_PARENTS, {"ids": ids})
    mine = connection.execute(_TRIED, {"ids": ids, "owner": owner}).all()
    ends: defaultdict[_End, list[int]] = defaultdict(list)
    transitions: list[Transition] = []
    calls: dict[tuple[str, str], datetime] = {}
    confirmed: set[int] = set()
    proofs: list[tuple[int, Mapping[str, object]]] = []
    unproven: list[int] = []
    superseded: list[Transition] = []
    for row in mine:
        outcome = by_id[row.id]
        state = DeliveryState(outcome.state)
        if row.code == SUPERSEDED and state is not DeliveryState.CONFIRMED:
            # What came of this attempt is the history's; a newer version has waited for it.
            after = DeliveryState.SUPERSEDED
            superseded.append(Transition(row.instance_id, row.state, after, row.id, code=SUPERSEDED, detail=row.detail))
            continue
        uncounted = int(state is DeliveryState.FAILED and row.state != DeliveryState.SENT and not outcome.counts)
        ends[_End(state, outcome.code, outcome.detail, outcome.next_attempt_at, uncounted)].append(row.id)
        transitions.append(
            Transition(row.instance_id, row.state, state, row.id, code=outcome.code, detail=outcome.detail)
        )
        if outcome.next_attempt_at is not None:
            study = (row.destination, row.study_uid)
            calls[study] = min(outcome.next_attempt_at, calls.get(study, outcome.next_attempt_at))
        elif state is DeliveryState.CONFIRMED:
            confirmed.add(row.instance_id)
            # Asked again and found, it has its receipt: nothing was sent.
            if outcome.receipt is not None and row.code != ASKED_AGAIN:
                proofs.append((row.id, outcome.receipt))
            else:
                unproven.append(row.id)
    for how, ended in ends.items():
        connection.execute(_END_ATTEMPTS, {**how._asdict(), "changed_at": now, "ids": ended})
    history.record(connection, transitions, at=now, actor=owner)
    arrived = {row.study_uid: {"instance_id": row.instance_id} for row in mine if row.instance_id in confirmed}
    occurred(connection, CONFIRMED, arrived.values(), at=now)
    call(connection, calls)
    append(connection, proofs, unproven)
    delivered = settle(connection, sorted(confirmed), now=now, actor=owner)
    end(connection, superseded, now=now, actor=owner)
    _remake(connection, mine, by_id, now=now, actor=owner)
    kept = {row.id for row in mine}
    return Recorded(lost=tuple(number for number in by_id if number not in kept), delivered=delivered)


def _remake(
    connection: Connection, tried: Sequence[Any], by_id: Mapping[int, DeliveryResult], *, now: datetime, actor: str
) -> None:
    """What becomes of instances whose outputs are not to go out as they are, or cannot go out at all."""
    wanted: defaultdict[Remaking, set[int]] = defaultdict(set)
    for row in tried:
        how = by_id[row.id].remake
        # An older version goes nowhere, whatever made it.
        if how is not None and row.code != SUPERSEDED:
            wanted[how].add(row.instance_id)
    for how, ids in wanted.items():
        remake(connection, sorted(ids), keep_confirmed=True, how=how, now=now, actor=actor)
    lost = [row.instance_id for row in tried if by_id[row.id].code == OUTPUT_LOST and by_id[row.id].state == "dead"]
    if lost:
        # Its content sent again takes its place.
        connection.execute(
            sa.update(instances)
            .where(instances.c.id.in_(lost), is_state(instances.c.state, InstanceState.DEIDENTIFIED))
            .values(code=OUTPUT_LOST)
        )


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
    call(connection, {(row.destination, row.study_uid): now for row in rows})
    if audit is not None:
        append_audit(connection, replace(audit, facts={**audit.facts, "deliveries": len(rows)}), at=now)
    return len(rows)
