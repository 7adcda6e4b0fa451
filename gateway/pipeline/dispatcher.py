"""The dispatcher: takes due deliveries, sends them, and tells the ledger what became of each."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from gateway.config import DicomWebDestination
from gateway.deliver import Destination, Outcome, Parcel, RetryPolicy, build_destination
from gateway.errors import GatewayError, PermanentError, TransientError
from gateway.ledger import DeliveryClaim, DeliveryResult, Ledger
from gateway.pipeline.lease import LeaseKeeper
from gateway.pipeline.outputs import Outputs
from gateway.pipeline.process import Child
from gateway.pipeline.resources import open_ledger

log = structlog.get_logger(__name__)

_SHORTEST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.25
#: A folder takes more than one batch's worth quickly; batches keep ledger transactions short.
_FOLDER_BATCH: Final = 50
_FOLDER_BYTES: Final = 256 * 1024**2


def dispatch(child: Child) -> None:
    """The job of the delivering process: one thread per connection of every destination."""
    settings = child.settings
    ledger = open_ledger(settings)
    outputs = Outputs(settings, ledger)
    threads: list[threading.Thread] = []
    destinations: list[Destination] = []
    try:
        for name, configured in settings.destinations.items():
            connections = configured.connections if isinstance(configured, DicomWebDestination) else 1
            destination = build_destination(name, configured)
            destinations.append(destination)
            for number in range(connections):
                dispatcher = Dispatcher(
                    child, destination, owner=f"{child.owner}/{name}.{number}", ledger=ledger, outputs=outputs
                )
                threads.append(threading.Thread(target=dispatcher.run, name=f"{name}-{number}"))
        for thread in threads:
            thread.start()
        child.is_ready()
        while not child.stopping.wait(0.2):
            dead = [thread.name for thread in threads if not thread.is_alive()]
            if dead:
                raise ThreadEnded(name=dead[0])
    finally:
        child.stopping.set()
        for thread in threads:
            thread.join()
        for destination in destinations:
            destination.close()
        ledger.close()


class ThreadEnded(GatewayError):
    """The thread {name} of the delivering process ended by an error."""


class Dispatcher:
    """Delivers to one destination over one connection until told to stop."""

    def __init__(
        self,
        child: Child,
        destination: Destination,
        *,
        owner: str,
        ledger: Ledger,
        outputs: Outputs,
    ) -> None:
        self._stopping = child.stopping
        self._settings = child.settings
        self._destination = destination
        self._owner = owner
        self._ledger = ledger
        self._outputs = outputs
        self._metrics = child.metrics
        self._lease = LeaseKeeper(child.settings.workers.lease_seconds)
        self._retry = RetryPolicy(
            first_seconds=child.settings.retry.first_seconds,
            factor=child.settings.retry.factor,
            longest_seconds=child.settings.retry.longest_seconds,
            attempts=child.settings.retry.attempts,
        )
        self._random = random.Random()  # noqa: S311  (jitter)
        configured = child.settings.destinations[destination.name]
        if isinstance(configured, DicomWebDestination):
            self._max_count, self._max_bytes = configured.max_instances, configured.max_bytes
        else:
            self._max_count, self._max_bytes = _FOLDER_BATCH, _FOLDER_BYTES

    def run(self) -> None:
        """Claim, send, record; sleep a little longer each time that nothing is due."""
        pause = _SHORTEST_PAUSE
        structlog.contextvars.bind_contextvars(destination=self._destination.name)
        try:
            with self._lease.keeping(lambda ids, seconds: self._ledger.renew_deliveries(self._owner, ids, seconds)):
                while not self._stopping.is_set():
                    try:
                        busy = self._batch()
                    except TransientError as error:
                        log.warning("delivery paused", code=error.code, detail=error.message)
                        busy, pause = False, _LONGEST_PAUSE * 4
                    if busy:
                        pause = _SHORTEST_PAUSE
                    else:
                        self._stopping.wait(pause)
                        pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            self._ledger.release(self._owner)

    def _batch(self) -> bool:
        claims = self._ledger.claim_deliveries(
            self._destination.name,
            self._owner,
            max_count=self._max_count,
            max_bytes=self._max_bytes,
            lease_seconds=self._settings.workers.lease_seconds,
            now=datetime.now(UTC),
        )
        if not claims:
            return False
        self._lease.hold(claim.delivery_id for claim in claims)
        try:
            outcomes = self._send(claims)
        finally:
            self._lease.drop()
        self._record(claims, outcomes)
        return True

    def _send(self, claims: Sequence[DeliveryClaim]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        parcels: list[Parcel] = []
        for claim in claims:
            try:
                parcels.append(self._parcel(claim))
            except PermanentError as error:
                outcomes.append(Outcome(claim.delivery_id, "dead", error.code, error.message))
            except TransientError as error:
                outcomes.append(Outcome(claim.delivery_id, "failed", error.code, error.message))
        if parcels:
            started = time.perf_counter()
            outcomes += self._destination.send(parcels)
            self._metrics.requested(destination=self._destination.name, seconds=time.perf_counter() - started)
        return outcomes

    def _parcel(self, claim: DeliveryClaim) -> Parcel:
        output = self._outputs.open(claim)
        return Parcel(
            delivery_id=claim.delivery_id,
            patient_id=claim.patient_id,
            study_uid=claim.study_uid,
            series_uid=claim.series_uid,
            sop_uid=claim.sop_uid,
            sop_class_uid=claim.sop_class_uid,
            transfer_syntax=claim.transfer_syntax,
            length=output.length,
            parts=tuple(output.parts()),
        )

    def _record(self, claims: Sequence[DeliveryClaim], outcomes: Sequence[Outcome]) -> None:
        by_id = {claim.delivery_id: claim for claim in claims}
        now = datetime.now(UTC)
        results = [self._result(outcome, by_id[outcome.delivery_id], now) for outcome in outcomes]
        recorded = self._ledger.record_outcomes(self._owner, results)
        lost = set(recorded.lost)
        for result in results:
            claim = by_id[result.delivery_id]
            if result.delivery_id not in lost:
                self._count(result, claim, now)
            (log.info if result.state in {"sent", "confirmed"} else log.warning)(
                "delivery finished",
                instance=claim.instance_id,
                delivery=result.delivery_id,
                state="lost" if result.delivery_id in lost else result.state,
                code=result.code,
                detail=result.detail,
                attempts=claim.attempts,
            )

    def _count(self, result: DeliveryResult, claim: DeliveryClaim, now: datetime) -> None:
        name = self._destination.name
        match result.state:
            case "confirmed":
                transit = (now - claim.received_at).total_seconds()
                self._metrics.delivered(destination=name, size=claim.size, transit_seconds=transit)
            case "failed":
                self._metrics.failed(destination=name, reason=result.code)
            case "dead":
                self._metrics.dead(destination=name, reason=result.code)

    def _result(self, outcome: Outcome, claim: DeliveryClaim, now: datetime) -> DeliveryResult:
        if outcome.state in {"confirmed", "dead"}:
            return DeliveryResult(
                delivery_id=outcome.delivery_id, state=outcome.state, code=outcome.code, detail=outcome.detail
            )
        delay = self._retry.delay(claim.attempts, random=self._random, retry_after=outcome.retry_after)
        if delay is None:
            return DeliveryResult(
                delivery_id=outcome.delivery_id,
                state="dead",
                code=outcome.code,
                detail=f"given up after {claim.attempts} attempts: {outcome.detail}",
            )
        return DeliveryResult(
            delivery_id=outcome.delivery_id,
            state=outcome.state,
            code=outcome.code,
            detail=outcome.detail,
            next_attempt_at=now + timedelta(seconds=delay),
        )
