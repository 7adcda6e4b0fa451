"""Whether a study is whole, for destinations that take whole studies only.

DICOM does not say when a study is complete. A study counts as whole when it has as many instances as were expected,
those that were delivered included, or when none was received for a quiet time. The quiet time runs by the moments of
reception, and an instance that was received within it but has not been de-identified yet keeps the study open: a queue
in front of the workers is not quiet.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import WaitsForSeries
from gateway.ledger.database import each_of
from gateway.ledger.records import Whole
from gateway.ledger.schema import HELD, IS_OPEN, LEASED, WAITING, deliveries, instances, is_state
from gateway.ledger.states import DeliveryState

#: How soon a study is looked at again that only waits for the workers.
_WORKERS: Final = timedelta(seconds=1)
#: For so long after it was created a delivery that fails is waited for: others must not wait for ever.
_PATIENCE: Final = timedelta(hours=1)
#: Instances that go on by themselves once a face was looked for in their series.
_WAITS_FOR_SERIES: Final = sa.and_(HELD, instances.c.code == WaitsForSeries.code)
#: Deliveries of a study that were not sent yet, besides those named.
_UNSENT: Final = (
    sa.select(sa.literal(1))
    .where(
        IS_OPEN,
        deliveries.c.destination == sa.bindparam("destination"),
        deliveries.c.study_uid == sa.bindparam("study_uid"),
        is_state(deliveries.c.state, DeliveryState.PENDING)
        | (
            is_state(deliveries.c.state, DeliveryState.FAILED)
            & (deliveries.c.created_at > sa.bindparam("since", type_=deliveries.c.created_at.type))
        ),
        deliveries.c.id.not_in(each_of("besides")),
    )
    .limit(1)
)


def not_before(
    connection: Connection, destination: str, study_uid: str, whole: Whole, now: datetime
) -> datetime | None:
    """When to look at the study again; None if it is whole now.

    Parameters
    ----------
    connection
        In the transaction that claims.
    destination, study_uid
        Whose deliveries.
    whole
        What makes a study whole.
    now
        The present moment.
    """
    of_study = (deliveries.c.destination == destination) & (deliveries.c.study_uid == study_uid)
    if whole.expected is not None:
        # Only what a claim at this moment sees: another may have come while this one waited for the database.
        seen = deliveries.c.created_at <= now
        count = connection.scalar(sa.select(sa.func.count()).select_from(deliveries).where(of_study, seen))
        if count is not None and count >= whole.expected:
            return None
    last = connection.scalar(
        sa.select(sa.func.max(instances.c.received_at))
        .join_from(deliveries, instances, deliveries.c.instance_id == instances.c.id)
        .where(IS_OPEN, of_study)
    )
    if last is None:
        return None
    quiet: datetime = last + timedelta(seconds=whole.quiet_seconds)
    if now < quiet:
        return quiet
    for unfinished in (WAITING, LEASED, _WAITS_FOR_SERIES):
        first = connection.scalar(sa.select(sa.func.min(instances.c.received_at)).where(unfinished))
        if first is not None and first <= quiet:
            return now + _WORKERS
    return None


def rest_of(
    connection: Connection,
    destination: str,
    study_uid: str,
    *,
    besides: Collection[int],
    quiet_seconds: float | None,
    now: datetime,
) -> datetime | None:
    """When to look again whether more of a study is on its way to a destination; None if nothing is.

    Parameters
    ----------
    connection
        To read with.
    destination, study_uid
        Whose deliveries.
    besides
        Deliveries that are not meant.
    quiet_seconds
        For so long after the last instance was received more may come; None if that is not to be waited for.
    now
        The present moment.
    """
    again_at = None
    if quiet_seconds is not None:
        again_at = not_before(connection, destination, study_uid, Whole(quiet_seconds=quiet_seconds), now)
    if again_at is not None:
        return again_at
    of_study = {"destination": destination, "study_uid": study_uid, "since": now - _PATIENCE}
    waits = connection.scalar(_UNSENT, {**of_study, "besides": sorted(besides)})
    return None if waits is None else now + _WORKERS
