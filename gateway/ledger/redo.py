"""What was done is done again: an instance is made anew from its original, an output is delivered once more.

An instance whose delivery somebody has at this moment is left alone: what comes of the attempt is recorded first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.audit import AuditEntry, AuditFact
from gateway.ledger import history
from gateway.ledger.audit_trail import append as append_audit
from gateway.ledger.columns import utc_now
from gateway.ledger.corrections import settle
from gateway.ledger.database import CHUNK, OnDatabase, each_of
from gateway.ledger.history import Transition
from gateway.ledger.outgoing import CREATE
from gateway.ledger.schema import IS_OPEN, IS_UNCONFIRMED, LEASED, deliveries, instances, is_state, outputs, turns
from gateway.ledger.selection import Selection, condition
from gateway.ledger.states import UNCONFIRMED, DeliveryState, InstanceState
from gateway.ledger.turns import call

__all__ = [
    "ASKED_AGAIN",
    "CANCELLED",
    "MOVED",
    "PROFILE_CHANGED",
    "REDONE",
    "TAKEN_UP_ANEW",
    "Corrections",
    "Redone",
    "Remaking",
    "Resent",
    "ask_again",
    "remake",
]

Done = TypeVar("Done")
#: What becomes of an output that is not to go out as it is: it is made anew, or a person decides first.
Remaking: TypeAlias = Literal["remake", "hold"]

#: The codes of deliveries that are cancelled: the output is made anew; a person has ended it; another has its place.
REDONE: Final = "redone"
CANCELLED: Final = "cancelled"
MOVED: Final = "moved"
#: The code of a confirmed delivery whose destination is asked again.
ASKED_AGAIN: Final = "asked-again"
#: The code of an instance that is held because the profile that made its output is active no more.
PROFILE_CHANGED: Final = "profile-changed"

#: What changes of an instance that goes through the workers again: it stands for nothing meanwhile.
TAKEN_UP_ANEW: Final[Mapping[str, object]] = {
    "code": "", "detail": "", "attempts": 0, "sop_key": None, "content_key": None,
}  # fmt: skip

#: What was cancelled belongs to no output any more.
_DISOWN: Final = (
    sa.update(deliveries)
    .where(deliveries.c.instance_id.in_(each_of("ids")), is_state(deliveries.c.state, DeliveryState.CANCELLED))
    .values(code=REDONE)
)
#: What is made anew may be in these states; its bytes must be there.
_CAN_BE_REDONE: Final = (
    InstanceState.DEIDENTIFIED,
    InstanceState.DELIVERED,
    InstanceState.HELD,
    InstanceState.REJECTED,
)
_HAS_AN_OUTPUT: Final = (InstanceState.DEIDENTIFIED, InstanceState.DELIVERED, InstanceState.PURGED)

_DELIVERIES: Final = (
    sa.select(
        deliveries.c.id,
        deliveries.c.instance_id,
        deliveries.c.destination,
        deliveries.c.study_uid,
        deliveries.c.size,
        deliveries.c.state,
        deliveries.c.lease_owner,
        deliveries.c.code,
    )
    .where(deliveries.c.instance_id.in_(each_of("ids")))
    .order_by(deliveries.c.id)
    .with_for_update()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resent:
    """What became of instances that were to be delivered again.

    Attributes
    ----------
    deliveries
        how many will be sent, or asked for
    created
        how many of these are new: the destination was configured later
    gone
        instances whose bytes were purged: nothing can be sent of them
    under_way
        instances of which a delivery is not settled yet, and so comes by itself
    unwanted
        instances that never were for the destination and are not sent there without being told
    """

    deliveries: int = 0
    created: int = 0
    gone: int = 0
    under_way: int = 0
    unwanted: int = 0

    def __add__(self, other: Resent) -> Resent:
        """Both together."""
        return Resent(
            deliveries=self.deliveries + other.deliveries,
            created=self.created + other.created,
            gone=self.gone + other.gone,
            under_way=self.under_way + other.under_way,
            unwanted=self.unwanted + other.unwanted,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Redone:
    """What became of instances that were to be made anew.

    Attributes
    ----------
    instances
        how many go through the workers again
    gone
        those whose bytes were purged
    under_way
        those that a worker or a deliverer has at this moment, or that wait for a worker anyway
    """

    instances: int = 0
    gone: int = 0
    under_way: int = 0

    def __add__(self, other: Redone) -> Redone:
        """Both together."""
        return Redone(
            instances=self.instances + other.instances,
            gone=self.gone + other.gone,
            under_way=self.under_way + other.under_way,
        )


class Corrections(OnDatabase):
    """The ledger's second chances."""

    def resend(
        self,
        selection: Selection,
        *,
        destination: str | None = None,
        also_new: bool = False,
        if_missing: bool = False,
        audit: AuditEntry,
        now: datetime | None = None,
    ) -> Resent:
        """Deliver once more what was confirmed.

        Parameters
        ----------
        selection
            Of which instances.
        destination
            Only to this one; None for all that an instance was delivered to.
        also_new
            To ``destination`` also what was never meant for it: it was configured later.
        if_missing
            Ask the destination first, and send what it has not; only for destinations that can be asked.
        audit
            Who wants that and why; what came of it is added. Written with each thousand instances.
        now
            The present moment, timezone-aware.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        wanted = replace(selection, states=_HAS_AN_OUTPUT)
        plan = _Plan(destination, also_new and destination is not None, if_missing, audit.actor)
        parts = self._in_parts(wanted, lambda c, rows, at: _resend(c, rows, plan, at), "resend", audit, now)
        return sum(parts, Resent())

    def redo(
        self, selection: Selection, *, audit: AuditEntry, keep_confirmed: bool = False, now: datetime | None = None
    ) -> Redone:
        """Send instances through the workers again, by today's profile, and deliver what comes of it.

        Parameters
        ----------
        selection
            Which.
        audit
            Who wants that and why; what came of it is added.
        keep_confirmed
            What a destination has confirmed stays as it is there.
        now
            The present moment, timezone-aware.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        wanted = replace(selection, states=selection.states or (*_CAN_BE_REDONE, InstanceState.PURGED))

        def work(connection: Connection, rows: Sequence[Any], at: datetime) -> Redone:
            gone = [row.id for row in rows if row.purged_at is not None]
            ready = [row.id for row in rows if row.purged_at is None and row.state in _CAN_BE_REDONE]
            done = remake(connection, ready, keep_confirmed=keep_confirmed, now=at, actor=audit.actor)
            return Redone(instances=len(done), gone=len(gone), under_way=len(ready) - len(done))

        return sum(self._in_parts(wanted, work, "redo", audit, now), Redone())

    def cancel(
        self,
        selection: Selection,
        *,
        destination: str,
        move_to: str | None = None,
        audit: AuditEntry,
        now: datetime | None = None,
    ) -> int:
        """End deliveries that have not arrived, or let another destination have their place.

        Parameters
        ----------
        selection
            Of which instances.
        destination
            Whose deliveries; it need not be configured any more.
        move_to
            Another destination that gets what this one does not; what is for both of them goes there once.
        audit
            Who wants that and why; how many is added.
        now
            The present moment, timezone-aware.

        Returns
        -------
        int
            How many were ended. Those that a deliverer has at this moment are not among them.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        wanted = replace(selection, destination=destination, states=(InstanceState.DEIDENTIFIED,))

        def work(connection: Connection, rows: Sequence[Any], at: datetime) -> int:
            return _cancel(connection, [row.id for row in rows], destination, move_to, now=at, actor=audit.actor)

        return sum(self._in_parts(wanted, work, "cancel deliveries", audit, now))

    def cap_waits(self, longest_seconds: float, *, now: datetime | None = None) -> int:
        """Let nothing wait for longer than ``longest_seconds`` from now: the clock was ahead when its wait began.

        Parameters
        ----------
        longest_seconds
            The longest wait that anything can have been given.
        now
            The present moment, timezone-aware.

        Returns
        -------
        int
            How many deliveries and instances had a longer one.

        Raises
        ------
        LedgerUnavailable
            The database is locked, unreachable or full.
        """
        latest = (now or utc_now()) + timedelta(seconds=longest_seconds)

        def work(connection: Connection) -> int:
            waiting = connection.execute(
                sa.update(deliveries).where(IS_OPEN, deliveries.c.due_at > latest).values(due_at=latest)
            ).rowcount
            connection.execute(sa.update(turns).where(turns.c.turn_at > latest).values(turn_at=latest))
            leased = connection.execute(
                sa.update(instances).where(LEASED, instances.c.lease_until > latest).values(lease_until=latest)
            ).rowcount
            return int(waiting + leased)

        return self._database.write("cap waits", work)

    def outdated(self, digests: Mapping[str, str]) -> dict[str, int]:
        """How many outputs that wait for a destination were made by another profile than the active one.

        Parameters
        ----------
        digests
            Project -> digest of its active profile; other projects are left out.

        Returns
        -------
        dict[str, int]
            Project -> how many instances; without those that have none.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        query = (
            sa.select(instances.c.project, sa.func.count().label("total"))
            .join_from(outputs, instances, instances.c.id == outputs.c.instance_id)
            .where(
                # From what waits to its outputs, not the other way round: those of long ago are many.
                outputs.c.instance_id.in_(sa.select(deliveries.c.instance_id).where(IS_UNCONFIRMED)),
                sa.or_(
                    sa.false(),
                    *(
                        (instances.c.project == project) & (outputs.c.profile_digest != digest)
                        for project, digest in digests.items()
                    ),
                ),
            )
            .group_by(instances.c.project)
        )
        rows = self._database.read("count outdated outputs", lambda connection: connection.execute(query).all())
        return {row.project: row.total for row in rows}

    def _in_parts(
        self,
        selection: Selection,
        work: Callable[[Connection, Sequence[Any], datetime], Done],
        what: str,
        audit: AuditEntry,
        now: datetime | None,
    ) -> list[Done]:
        """What ``work`` makes of a thousand instances after the other, each with an entry in the audit trail."""
        at = now or utc_now()
        query = (
            sa.select(instances.c.id, instances.c.state, instances.c.purged_at, instances.c.lease_owner)
            .where(condition(selection))
            .order_by(instances.c.id)
            .limit(CHUNK)
            .with_for_update(of=instances)
        )
        done: list[Done] = []
        last = 0

        def part(connection: Connection) -> tuple[int, Done] | None:
            rows = connection.execute(query.where(instances.c.id > last)).all()
            if not rows:
                return None
            made = work(connection, rows, at)
            facts: dict[str, AuditFact] = {**audit.facts, "asked": selection.words, **_facts(made)}
            append_audit(connection, replace(audit, facts=facts), at=at)
            return rows[-1].id, made

        while (step := self._database.write(what, part)) is not None:
            last = step[0]
            done.append(step[1])
        return done


def _facts(made: object) -> dict[str, int]:
    if isinstance(made, Resent | Redone):
        return asdict(made)
    return {"deliveries": int(str(made))}


@dataclass(frozen=True, slots=True)
class _Plan:
    """How confirmed deliveries are made again."""

    destination: str | None
    also_new: bool
    if_missing: bool
    actor: str

    @property
    def state(self) -> DeliveryState:
        """What becomes of a confirmed delivery: one that was sent is asked for."""
        return DeliveryState.SENT if self.if_missing else DeliveryState.PENDING

    @property
    def code(self) -> str:
        """What its row says."""
        return ASKED_AGAIN if self.if_missing else ""


def _resend(connection: Connection, rows: Sequence[Any], plan: _Plan, at: datetime) -> Resent:
    gone = {row.id for row in rows if row.purged_at is not None}
    ids = [row.id for row in rows if row.id not in gone]
    by_instance: defaultdict[int, list[Any]] = defaultdict(list)
    for delivery in connection.execute(_DELIVERIES, {"ids": ids}):
        if plan.destination is None or delivery.destination == plan.destination:
            by_instance[delivery.instance_id].append(delivery)
    confirmed = [one for number in ids for one in by_instance[number] if one.state is DeliveryState.CONFIRMED]
    under_way = {one.instance_id for number in ids for one in by_instance[number] if one.state in UNCONFIRMED}
    missing = [number for number in ids if not by_instance[number]]
    reopen(connection, confirmed, state=plan.state, code=plan.code, now=at, actor=plan.actor)
    created = 0
    if plan.also_new and plan.destination is not None and missing:
        created = _create(connection, missing, plan.destination, now=at, actor=plan.actor)
    return Resent(
        deliveries=len(confirmed) + created,
        created=created,
        gone=len(gone),
        under_way=len(under_way),
        unwanted=len(missing) - created,
    )


def reopen(
    connection: Connection,
    confirmed: Sequence[Any],
    *,
    state: DeliveryState,
    code: str = "",
    now: datetime,
    actor: str,
) -> None:
    """Let confirmed deliveries be sent, or asked for, once more; their instances wait for them again.

    Parameters
    ----------
    connection
        In a write transaction that has the instances and deliveries locked.
    confirmed
        Rows with ``id``, ``instance_id``, ``destination`` and ``study_uid``.
    state
        Pending, or sent to have the destination asked.
    code
        What the rows say.
    now
        The moment for the history.
    actor
        Who wants it.
    """
    if not confirmed:
        return
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id.in_(each_of("ids")))
        .values(state=state, changed_at=now, attempts=0, due_at=now, code=code, detail="", lease_owner=None),
        {"ids": [row.id for row in confirmed]},
    )
    history.record(
        connection,
        (Transition(row.instance_id, DeliveryState.CONFIRMED, state, row.id, code=code) for row in confirmed),
        at=now,
        actor=actor,
    )
    _await_deliveries(connection, sorted({row.instance_id for row in confirmed}), now=now, actor=actor)
    call(connection, {(row.destination, row.study_uid): now for row in confirmed})


_NEWER: Final = instances.alias("newer")
_HAS_A_NEWER_VERSION: Final = sa.exists().where(
    outputs.c.replaces == instances.c.id,
    _NEWER.c.id == outputs.c.instance_id,
    is_state(_NEWER.c.state, InstanceState.DEIDENTIFIED, InstanceState.DELIVERED, InstanceState.PURGED),
)


def ask_again(
    connection: Connection, instance_ids: Sequence[int], destinations: Iterable[str], *, now: datetime, actor: str
) -> None:
    """Ask destinations whether they still have instances: they were sent to the gateway once more.

    Parameters
    ----------
    connection
        In a write transaction.
    instance_ids
        Delivered instances; what else is among them is left alone, and so is a version after which a newer one went
        out: a destination that has the newer one would be given the older.
    destinations
        Those that can be asked.
    now
        The moment for the history.
    actor
        Who finished the copy.
    """
    wanted = set(destinations)
    if not instance_ids or not wanted:
        return
    delivered = connection.scalars(
        sa.select(instances.c.id)
        .where(
            instances.c.id.in_(each_of("ids")),
            is_state(instances.c.state, InstanceState.DELIVERED),
            sa.not_(_HAS_A_NEWER_VERSION),
        )
        .order_by(instances.c.id)
        .with_for_update(),
        {"ids": sorted(set(instance_ids))},
    ).all()
    rows = [
        row
        for row in connection.execute(_DELIVERIES, {"ids": list(delivered)})
        if row.state is DeliveryState.CONFIRMED and row.destination in wanted
    ]
    reopen(connection, rows, state=DeliveryState.SENT, code=ASKED_AGAIN, now=now, actor=actor)


def remake(
    connection: Connection,
    instance_ids: Sequence[int],
    *,
    keep_confirmed: bool,
    how: Remaking = "remake",
    now: datetime,
    actor: str,
) -> list[int]:
    """Send instances through the workers again, or hold them; their outputs count no more.

    Parameters
    ----------
    connection
        In a write transaction.
    instance_ids
        In a state from which there is a way. Those that were purged meanwhile are left alone.
    keep_confirmed
        What a destination has confirmed stays as it is there; else it gets the new output as well.
    how
        ``hold`` lets a person decide first.
    now
        The moment for the history.
    actor
        Who wants it.

    Returns
    -------
    list[int]
        Those for which it was done. An instance that a worker has, or a delivery of which a deliverer has, is not
        among them.
    """
    ids = sorted(set(instance_ids))
    states = {
        row.id: row.state
        for row in connection.execute(
            sa.select(instances.c.id, instances.c.state)
            .where(
                instances.c.id.in_(each_of("ids")), instances.c.lease_owner.is_(None), instances.c.purged_at.is_(None)
            )
            .order_by(instances.c.id)
            .with_for_update(),
            {"ids": ids},
        )
    }
    rows = [row for row in connection.execute(_DELIVERIES, {"ids": ids}) if row.instance_id in states]
    busy = {row.instance_id for row in rows if row.lease_owner is not None}
    done = [number for number in states if number not in busy]
    ended = [
        row
        for row in rows
        if row.instance_id not in busy
        and row.state is not DeliveryState.CANCELLED
        and not (keep_confirmed and row.state is DeliveryState.CONFIRMED)
    ]
    _end(connection, ended, code=REDONE, now=now, actor=actor)
    # Those that a person has cancelled or moved were of the same output.
    connection.execute(_DISOWN, {"ids": done})
    connection.execute(sa.delete(outputs).where(outputs.c.instance_id.in_(each_of("ids"))), {"ids": done})
    after = InstanceState.RECEIVED if how == "remake" else InstanceState.HELD
    code = REDONE if how == "remake" else PROFILE_CHANGED
    detail = "" if how == "remake" else "The profile that made its output is active no more."
    changing = [number for number in done if states[number] is not after]
    history.record(
        connection,
        (Transition(number, states[number], after, code=code, detail=detail) for number in changing),
        at=now,
        actor=actor,
    )
    values = {**TAKEN_UP_ANEW, "state": after, "changed_at": now, "duplicate_of": None}
    if how == "hold":
        values |= {"code": code, "detail": detail}
    connection.execute(sa.update(instances).where(instances.c.id.in_(each_of("ids"))).values(values), {"ids": changing})
    return changing


def _cancel(
    connection: Connection, ids: Sequence[int], destination: str, move_to: str | None, *, now: datetime, actor: str
) -> int:
    rows = [
        row
        for row in connection.execute(_DELIVERIES, {"ids": ids})
        if row.destination == destination and row.state in UNCONFIRMED and row.lease_owner is None
    ]
    if move_to is not None:
        has = {row.instance_id for row in connection.execute(_DELIVERIES, {"ids": ids}) if row.destination == move_to}
        _create(
            connection, [row.instance_id for row in rows if row.instance_id not in has], move_to, now=now, actor=actor
        )
    _end(connection, rows, code=CANCELLED if move_to is None else MOVED, now=now, actor=actor)
    settle(connection, sorted({row.instance_id for row in rows}), now=now, actor=actor)
    return len(rows)


def _end(connection: Connection, rows: Sequence[Any], *, code: str, now: datetime, actor: str) -> None:
    """Cancel deliveries that nobody has."""
    if not rows:
        return
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id.in_(each_of("ids")))
        .values(state=DeliveryState.CANCELLED, changed_at=now, lease_owner=None, code=code, detail=""),
        {"ids": [row.id for row in rows]},
    )
    history.record(
        connection,
        (Transition(row.instance_id, row.state, DeliveryState.CANCELLED, row.id, code=code) for row in rows),
        at=now,
        actor=actor,
    )


def _create(connection: Connection, ids: Sequence[int], destination: str, *, now: datetime, actor: str) -> int:
    """Deliveries of outputs to one more destination; how many."""
    if not ids:
        return 0
    connection.execute(CREATE, {"destination": destination, "now": now, "ids": ids, "state": DeliveryState.PENDING})
    connection.execute(
        sa.update(outputs)
        .where(outputs.c.instance_id.in_(each_of("ids")))
        .values(destinations=outputs.c.destinations + 1),
        {"ids": ids},
    )
    rows = [row for row in connection.execute(_DELIVERIES, {"ids": ids}) if row.destination == destination]
    history.record(
        connection,
        (Transition(row.instance_id, None, DeliveryState.PENDING, row.id) for row in rows),
        at=now,
        actor=actor,
    )
    _await_deliveries(connection, ids, now=now, actor=actor)
    call(connection, {(row.destination, row.study_uid): now for row in rows})
    return len(rows)


def _await_deliveries(connection: Connection, ids: Sequence[int], *, now: datetime, actor: str) -> None:
    """Delivered instances wait for their deliveries again."""
    delivered = connection.scalars(
        sa.select(instances.c.id).where(
            instances.c.id.in_(each_of("ids")), is_state(instances.c.state, InstanceState.DELIVERED)
        ),
        {"ids": ids},
    ).all()
    history.record(
        connection,
        (Transition(number, InstanceState.DELIVERED, InstanceState.DEIDENTIFIED) for number in delivered),
        at=now,
        actor=actor,
    )
    connection.execute(
        sa.update(instances)
        .where(instances.c.id.in_(each_of("ids")))
        .values(state=InstanceState.DEIDENTIFIED, changed_at=now, code="", detail=""),
        {"ids": list(delivered)},
    )
