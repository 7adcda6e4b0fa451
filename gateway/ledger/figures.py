"""Counts for people and for metrics."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import FeaturesSuspected, WaitsForSeries
from gateway.ledger.database import OnDatabase
from gateway.ledger.records import (
    DeliveryDepth,
    DestinationCount,
    QueueFigures,
    ReasonCount,
    StateCount,
    Status,
)
from gateway.ledger.schema import HELD, IS_UNCONFIRMED, LEASED, WAITING, deliveries, holds, instances, is_state
from gateway.ledger.states import InstanceState

#: Why whole series are held.
_OF_SERIES: Final = (WaitsForSeries.code, FeaturesSuspected.code)
_SERIES_HELD: Final = (
    sa.select(instances.c.code, instances.c.project, holds.c.series_key)
    .select_from(sa.join(instances, holds, holds.c.instance_id == instances.c.id))
    .where(HELD, instances.c.code.in_(_OF_SERIES), holds.c.series_key != "")
    .distinct()
    .subquery()
)
_SERIES: Final = sa.select(_SERIES_HELD.c.code, sa.func.count()).group_by(_SERIES_HELD.c.code)


class Figures(OnDatabase):
    """The ledger's counts."""

    def status(self) -> Status:
        """Everything the ledger holds, by project, destination and state; reads every row once.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        return self._database.read("count its rows", _status)

    def queues(self) -> QueueFigures:
        """The queues, for metrics: costs by what waits, not by what was ever received.

        Raises
        ------
        LedgerUnavailable
            The database cannot be read.
        """
        return self._database.read("count its queues", _queue_figures)


def _status(connection: Connection) -> Status:
    count = sa.func.count().label("count")
    columns = instances.c
    by_state = connection.execute(
        sa.select(
            columns.project,
            columns.state,
            count,
            sa.func.sum(columns.size).label("size"),
            sa.func.min(columns.received_at).label("oldest"),
        )
        .group_by(columns.project, columns.state)
        .order_by(columns.project, columns.state)
    ).all()
    by_reason = connection.execute(
        sa.select(columns.project, columns.state, columns.code, count)
        .where(is_state(columns.state, InstanceState.HELD, InstanceState.REJECTED))
        .group_by(columns.project, columns.state, columns.code)
        .order_by(columns.project, columns.state, columns.code)
    ).all()
    by_destination = connection.execute(
        sa.select(
            deliveries.c.destination,
            deliveries.c.state,
            count,
            sa.func.sum(deliveries.c.size).label("size"),
            sa.func.min(deliveries.c.created_at).label("oldest"),
        )
        .group_by(deliveries.c.destination, deliveries.c.state)
        .order_by(deliveries.c.destination, deliveries.c.state)
    ).all()
    # count and index are methods of a row: a tuple's. Its mapping has the columns. PostgreSQL sums to a Decimal.
    return Status(
        instances=tuple(StateCount(**{**row._mapping, "size": int(row.size)}) for row in by_state),  # noqa: SLF001
        reasons=tuple(ReasonCount(**row._mapping) for row in by_reason),  # noqa: SLF001
        deliveries=tuple(
            DestinationCount(**{**row._mapping, "size": int(row.size)})  # noqa: SLF001
            for row in by_destination
        ),
    )


def _queue_figures(connection: Connection) -> QueueFigures:
    waiting, oldest = connection.execute(
        sa.select(sa.func.count(), sa.func.min(instances.c.received_at)).where(WAITING)
    ).one()
    leased = connection.scalar(sa.select(sa.func.count()).select_from(instances).where(LEASED))
    held, oldest_held = connection.execute(
        sa.select(sa.func.count(), sa.func.min(instances.c.changed_at)).where(HELD)
    ).one()
    series = dict.fromkeys(_OF_SERIES, 0) | {row[0]: row[1] for row in connection.execute(_SERIES)}
    depths = connection.execute(
        sa.select(
            deliveries.c.destination,
            deliveries.c.state,
            sa.func.count().label("count"),
            sa.func.min(deliveries.c.created_at).label("oldest"),
        )
        .where(IS_UNCONFIRMED)
        .group_by(deliveries.c.destination, deliveries.c.state)
        .order_by(deliveries.c.destination, deliveries.c.state)
    ).all()
    return QueueFigures(
        received=waiting,
        leased=leased or 0,
        oldest_received=oldest,
        held=held,
        oldest_held=oldest_held,
        series=series,
        deliveries=tuple(DeliveryDepth(**row._mapping) for row in depths),  # noqa: SLF001
    )
