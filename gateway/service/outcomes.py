"""One thread that tells the ledger what became of a destination's deliveries, those of all connections together.

An outcome may wait a moment for others: its delivery is leased meanwhile, and if the process ends before the ledger
knows, the instance is delivered again, as the same. So no connection waits for the ledger, and none for another one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

import structlog

from gateway.deliver.codes import OUTAGES
from gateway.errors import TransientError
from gateway.ledger import DeliveryClaim, DeliveryResult
from gateway.ledger.deliveries import Deliveries
from gateway.metrics import Metrics
from gateway.service.claims import DeliveryQueue

log = structlog.get_logger(__name__)

#: What became of the deliveries of a batch.
Endings: TypeAlias = "Sequence[tuple[DeliveryClaim, DeliveryResult]]"

#: How long outcomes gather after the first one.
_GATHER_SECONDS: Final = 0.05
#: So many are enough of a transaction.
_ENOUGH: Final = 200
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class OutcomeRecorder:
    """Settles deliveries of one destination in groups.

    What the ledger does not take at the moment is tried again until it does, or until the recorder stops.

    Parameters
    ----------
    deliveries
        those of the ledger
    queue
        has the leases
    owner
        of the leases
    name
        the destination's name
    metrics
        what is settled is counted there
    """

    def __init__(
        self, deliveries: Deliveries, queue: DeliveryQueue, *, owner: str, name: str, metrics: Metrics
    ) -> None:
        self._deliveries = deliveries
        self._queue = queue
        self._owner = owner
        self._name = name
        self._metrics = metrics
        self._changed = threading.Condition()
        #: Batches in their order, and how many deliveries they have together.
        self._waiting: deque[Endings] = deque()
        self._count = 0
        self._hurried = self._stopped = False

    def settle(self, endings: Endings) -> None:
        """Settle a batch that is no longer under way soon: at once if nothing more is to come.

        Parameters
        ----------
        endings
            may be none
        """
        self._queue.done(len(endings))
        if not endings:
            return
        with self._changed:
            self._waiting.append(endings)
            self._count += len(endings)
            self._hurried |= not self._queue.more_to_come
            self._changed.notify()

    def hurry(self) -> None:
        """Settle what is waiting: nothing more will come soon."""
        with self._changed:
            self._hurried = bool(self._waiting)
            self._changed.notify()

    def stop(self) -> None:
        """Let ``run`` settle what is waiting and end, or end at the first failure."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def run(self) -> None:
        """Settle what comes, until stopped."""
        with structlog.contextvars.bound_contextvars(destination=self._name):
            self._keep()

    def _keep(self) -> None:
        pause = 0.0
        # After a failure as many as wait are settled one by one: what the ledger never takes shall keep none of the
        # others waiting.
        singly = 0
        while group := self._gather(one=singly > 0):
            try:
                self._settle([ending for endings in group for ending in endings])
            except TransientError as error:
                pause = min(2 * pause or _FIRST_PAUSE, _LONGEST_PAUSE)
                log.warning("recording postponed", code=error.code, detail=error.message, deliveries=self._count)
                with self._changed:
                    singly = len(self._waiting)
                    self._waiting.rotate(-len(group))
                    if self._changed.wait_for(lambda: self._stopped, pause):
                        return
            else:
                pause = 0.0
                singly = max(0, singly - 1)
                with self._changed:
                    for endings in group:
                        self._waiting.popleft()
                        self._count -= len(endings)

    def _gather(self, *, one: bool) -> list[Endings]:
        """The batches of the next transaction, the first ones that wait; none when stopped and all are settled."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopped)
            if not one:
                self._changed.wait_for(
                    lambda: self._stopped or self._hurried or self._count >= _ENOUGH, _GATHER_SECONDS
                )
            self._hurried = False
            group: list[Endings] = []
            count = 0
            for endings in self._waiting:
                count += len(endings)
                if group and (one or count > _ENOUGH):
                    break
                group.append(endings)
            return group

    def _settle(self, endings: Endings) -> None:
        with self._queue.settling([claim.delivery_id for claim, _ in endings]):
            recorded = self._deliveries.record(self._owner, [result for _, result in endings])
        lost = set(recorded.lost)
        now = datetime.now(UTC)
        arrived = 0
        # The module's would be made anew for every entry.
        logger = log.bind()
        for claim, result in endings:
            if result.delivery_id not in lost:
                self._tell(result, claim, now)
            usual = result.state == "confirmed" and result.delivery_id not in lost
            arrived += usual
            # As in the worker: the usual is in the ledger's history and counted, the rest is told one by one.
            # Of a destination that is down the breaker tells, once.
            usual |= not result.counts and result.code in OUTAGES
            (logger.debug if usual else logger.info if result.state in {"sent", "confirmed"} else logger.warning)(
                "delivery finished",
                instance=claim.instance_id,
                delivery=result.delivery_id,
                state="lost" if result.delivery_id in lost else result.state,
                code=result.code,
                detail=result.detail,
                attempts=claim.attempts,
            )
        log.info("batch delivered", deliveries=len(endings), confirmed=arrived)

    def _tell(self, result: DeliveryResult, claim: DeliveryClaim, now: datetime) -> None:
        match result.state:
            case "confirmed":
                transit = (now - claim.received_at).total_seconds()
                self._metrics.delivered(destination=self._name, size=claim.size, transit_seconds=transit)
            case "failed":
                self._metrics.failed(destination=self._name, reason=result.code)
            case "dead":
                self._metrics.dead(destination=self._name, reason=result.code)
