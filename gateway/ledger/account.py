"""The balance of promise P3: nothing that was acknowledged is without a fate, no fate is without its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.ledger.database import OnDatabase
from gateway.ledger.records import DUPLICATE, Account, ProjectAccount
from gateway.ledger.redo import REDONE
from gateway.ledger.schema import (
    archived_history,
    deliveries,
    departed,
    departed_deliveries,
    history,
    instances,
    is_state,
    outputs,
    receipt_chains,
    receipts,
)
from gateway.ledger.states import SETTLED, DeliveryState, InstanceState

_WITH_OUTPUT: Final = is_state(
    instances.c.state, InstanceState.DEIDENTIFIED, InstanceState.DELIVERED, InstanceState.PURGED
)
_ARRIVED: Final = is_state(instances.c.state, InstanceState.DELIVERED, InstanceState.PURGED)
_UNEXPLAINED: Final = is_state(instances.c.state, InstanceState.HELD, InstanceState.REJECTED)
_HAS_OUTPUT: Final = sa.exists().where(outputs.c.instance_id == instances.c.id)
#: Cancelled because the output was made anew: it belongs to no output.
_OF_AN_EARLIER_OUTPUT: Final = is_state(deliveries.c.state, DeliveryState.CANCELLED) & (deliveries.c.code == REDONE)
_HAS_DELIVERY: Final = sa.exists().where(
    deliveries.c.instance_id == instances.c.id,
    ~_OF_AN_EARLIER_OUTPUT,
    # What was confirmed stays so while the output for the other destinations is made anew.
    ~is_state(deliveries.c.state, DeliveryState.CONFIRMED),
)
_HAS_UNSETTLED: Final = sa.exists().where(
    deliveries.c.instance_id == instances.c.id,
    sa.not_(is_state(deliveries.c.state, *SETTLED)),
)
_NEWER: Final = instances.alias()
_NEWER_DELIVERY: Final = deliveries.alias()
#: A newer version of the instance goes to the same destination.
_HAS_NEWER: Final = sa.exists().where(
    _NEWER.c.project == instances.c.project,
    _NEWER.c.sop_key == instances.c.sop_key,
    _NEWER.c.id > instances.c.id,
    _NEWER_DELIVERY.c.instance_id == _NEWER.c.id,
    _NEWER_DELIVERY.c.destination == deliveries.c.destination,
)
_WRONGLY_SUPERSEDED: Final = sa.exists().where(
    deliveries.c.instance_id == instances.c.id,
    is_state(deliveries.c.state, DeliveryState.SUPERSEDED),
    ~_HAS_NEWER,
)
_DESTINATIONS: Final = (
    sa.select(outputs.c.destinations).where(outputs.c.instance_id == instances.c.id).scalar_subquery()
)
_DELIVERIES: Final = (
    sa.select(sa.func.count())
    .where(deliveries.c.instance_id == instances.c.id, ~_OF_AN_EARLIER_OUTPUT)
    .scalar_subquery()
)
_CONFIRMATION: Final = sa.and_(
    history.c.delivery_id.is_not(None), history.c.state_after == DeliveryState.CONFIRMED.value
)
_WAS_CONFIRMED: Final = sa.or_(
    sa.exists().where(
        deliveries.c.id == receipts.c.delivery_id,
        history.c.instance_id == deliveries.c.instance_id,
        history.c.delivery_id == deliveries.c.id,
        _CONFIRMATION,
    ),
    # Its delivery has left; how many of these there are is counted.
    ~sa.exists().where(deliveries.c.id == receipts.c.delivery_id),
    # Its history is in an archive, of which the sums are here.
    sa.exists().where(
        deliveries.c.id == receipts.c.delivery_id,
        instances.c.id == deliveries.c.instance_id,
        instances.c.archived_in.is_not(None),
    ),
)
#: As the flows of the history.
_ARCHIVED_FLOWS: Final = sa.select(
    (archived_history.c.of_delivery == 0).label("of_instance"),
    sa.func.nullif(archived_history.c.state_before, "").label("state_before"),
    archived_history.c.state_after,
    sa.func.sum(archived_history.c.count).label("total"),
).group_by(archived_history.c.of_delivery, archived_history.c.state_before, archived_history.c.state_after)
#: Instances and deliveries whose rows have left, as if they were here.
_DEPARTED: Final = (
    sa.select(
        sa.func.nullif(departed.c.project, "").label("project"),
        departed.c.state,
        departed.c.code,
        sa.func.sum(departed.c.count).label("total"),
    )
    .group_by(departed.c.project, departed.c.state, departed.c.code)
    .order_by(departed.c.code)
)
_DEPARTED_DELIVERIES: Final = sa.select(
    departed_deliveries.c.state, sa.func.sum(departed_deliveries.c.count).label("total")
).group_by(departed_deliveries.c.state)
_REJECTED: Final = is_state(instances.c.state, InstanceState.REJECTED)

#: What must not be, in words -> the instances of which it is true.
_FAULTS: Final = {
    "held or rejected without a reason": _UNEXPLAINED & (instances.c.code == ""),
    "rejected as a duplicate of nothing": _REJECTED
    & (instances.c.code == DUPLICATE)
    & instances.c.duplicate_of.is_(None),
    "de-identified without the record of an output": _WITH_OUTPUT & ~_HAS_OUTPUT,
    "without a delivery for each of their destinations": _WITH_OUTPUT & (_DESTINATIONS != _DELIVERIES),
    "delivered with a delivery that is neither confirmed, superseded nor cancelled": _ARRIVED & _HAS_UNSETTLED,
    "not delivered although all their deliveries are settled": is_state(instances.c.state, InstanceState.DEIDENTIFIED)
    & ~_HAS_UNSETTLED,
    "superseded by nothing newer": _WRONGLY_SUPERSEDED,
    "with deliveries although they are not de-identified": ~_WITH_OUTPUT & _HAS_DELIVERY,
    "with a worker although they are not received": instances.c.lease_owner.is_not(None)
    & ~is_state(instances.c.state, InstanceState.RECEIVED),
}


class Accounts(OnDatabase):
    """The ledger's balance."""

    def draw(self) -> Account:
        """Draw the balance at one moment; reads every row a few times.

        Two independent sides must agree: the states in which instances and deliveries are, and the transitions in
        the history that brought them there. Besides, every state must have its evidence: a hold its reason, a
        rejection its rule, an output its deliveries, an arrival its confirmations, a confirmation its receipt.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        return self._database.read("draw its balance", _account)


def _account(connection: Connection) -> Account:
    received: Counter[str | None] = Counter()
    for row in connection.execute(
        sa.select(instances.c.project, sa.func.count().label("total")).group_by(instances.c.project)
    ):
        received[row.project] += row.total
    reasons = [
        *connection.execute(
            sa.select(instances.c.project, instances.c.state, instances.c.code, sa.func.count().label("total"))
            .group_by(instances.c.project, instances.c.state, instances.c.code)
            .order_by(instances.c.code)
        ),
        *connection.execute(_DEPARTED),
    ]
    for row in connection.execute(_DEPARTED):
        received[row.project] += int(row.total)
    flows = connection.execute(
        sa.select(
            history.c.delivery_id.is_(None).label("of_instance"),
            history.c.state_before,
            history.c.state_after,
            sa.func.count().label("total"),
        ).group_by(history.c.delivery_id.is_(None), history.c.state_before, history.c.state_after)
    ).all()
    flows = [*flows, *connection.execute(_ARCHIVED_FLOWS)]
    by_delivery_state = [
        *connection.execute(sa.select(deliveries.c.state, sa.func.count().label("total")).group_by(deliveries.c.state)),
        *connection.execute(_DEPARTED_DELIVERIES),
    ]

    projects = []
    for project, total in sorted(received.items(), key=lambda pair: pair[0] or ""):
        codes: dict[InstanceState, Counter[str]] = {state: Counter() for state in InstanceState}
        for row in reasons:
            if row.project == project:
                codes[row.state][row.code] += int(row.total)
        projects.append(
            ProjectAccount(
                project=project,
                received=total,
                in_progress=codes[InstanceState.RECEIVED].total(),
                rejected=dict(codes[InstanceState.REJECTED]),
                held=dict(codes[InstanceState.HELD]),
                deidentified=codes[InstanceState.DEIDENTIFIED].total(),
                delivered=codes[InstanceState.DELIVERED].total(),
                purged=codes[InstanceState.PURGED].total(),
            )
        )

    instance_counts: Counter[str] = Counter()
    for row in reasons:
        instance_counts[row.state.value] += int(row.total)
    delivery_counts: Counter[str] = Counter()
    for row in by_delivery_state:
        delivery_counts[row.state.value] += int(row.total)
    instance_flow: Counter[str] = Counter()
    delivery_flow: Counter[str] = Counter()
    recorded = 0
    for row in flows:
        flow = instance_flow if row.of_instance else delivery_flow
        total = int(row.total)  # PostgreSQL sums to a Decimal
        flow[row.state_after] += total
        if row.state_before is not None:
            flow[row.state_before] -= total
        elif row.of_instance:
            recorded += total
    problems = [
        *(
            f"project {account.project or '(none)'}: {account.received} received, {account.accounted} accounted for"
            for account in projects
            if account.received != account.accounted
        ),
        *_disagreements("instances", instance_counts, instance_flow, [state.value for state in InstanceState]),
        *_disagreements("deliveries", delivery_counts, delivery_flow, [state.value for state in DeliveryState]),
        *_faults(connection),
    ]
    problems += _unproven(connection)
    return Account(projects=tuple(projects), recorded=recorded, problems=tuple(problems))


def _unproven(connection: Connection) -> Iterator[str]:
    """Confirmations and receipts that do not belong together: each confirmation has one, or is counted as without."""
    confirmations = connection.execute(
        sa.select(instances.c.project, sa.func.count().label("total"))
        .join_from(history, instances, history.c.instance_id == instances.c.id)
        .where(_CONFIRMATION, instances.c.project.is_not(None))
        .group_by(instances.c.project)
    ).all()
    proven = connection.execute(
        sa.select(receipts.c.project, sa.func.count().label("total")).group_by(receipts.c.project)
    ).all()
    chains = connection.execute(sa.select(receipt_chains.c.project, receipt_chains.c.unproven)).all()
    archived = connection.execute(
        sa.select(archived_history.c.project, sa.func.sum(archived_history.c.count).label("total"))
        .where(
            archived_history.c.of_delivery == 1, archived_history.c.state_after == DeliveryState.CONFIRMED.value,
            archived_history.c.project != "",
        )
        .group_by(archived_history.c.project)
    ).all()  # fmt: skip
    confirmed = Counter({row.project: row.total for row in confirmations})
    confirmed.update({row.project: int(row.total) for row in archived})
    written = {row.project: row.total for row in proven}
    counted = {row.project: row.unproven for row in chains}
    for project in sorted({*confirmed, *written, *counted}):
        expected = confirmed.get(project, 0) - counted.get(project, 0)
        if expected != written.get(project, 0):
            yield (
                f"project {project}: {written.get(project, 0)} receipts, but {expected} confirmations should have one"
                " by the history"
            )
    yield from _of_departed(connection)
    total, first = connection.execute(
        sa.select(sa.func.count(), sa.func.min(receipts.c.number)).where(~_WAS_CONFIRMED)
    ).one()
    if total:
        yield f"{total} receipts are of deliveries that were never confirmed (the first is number {first})"


def _of_departed(connection: Connection) -> Iterator[str]:
    """Receipts of deliveries that are not here: as many as left."""
    orphaned = connection.execute(
        sa.select(receipts.c.project, sa.func.count().label("total"))
        .where(~sa.exists().where(deliveries.c.id == receipts.c.delivery_id))
        .group_by(receipts.c.project)
    ).all()
    left = connection.execute(
        sa.select(departed.c.project, sa.func.sum(departed.c.receipts).label("total")).group_by(departed.c.project)
    ).all()
    counted = Counter({row.project: int(row.total) for row in left})
    here = Counter({row.project: row.total for row in orphaned})
    for project in sorted({*counted, *here}):
        if here[project] != counted[project]:
            yield (
                f"project {project}: {here[project]} receipts are of deliveries that are not in the ledger, but"
                f" {counted[project]} of them left for an archive"
            )


def _disagreements(kind: str, counts: Counter[str], flow: Counter[str], states: list[str]) -> Iterator[str]:
    for state in states:
        if counts[state] != flow[state]:
            yield f"{counts[state]} {kind} are {state}, but {flow[state]} should be by the history"


def _faults(connection: Connection) -> Iterator[str]:
    for words, condition in _FAULTS.items():
        total, first = connection.execute(
            sa.select(sa.func.count(), sa.func.min(instances.c.id)).where(condition)
        ).one()
        if total:
            yield f"{total} instances are {words} (the first is instance {first})"
