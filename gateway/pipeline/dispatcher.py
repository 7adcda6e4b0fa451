"""The dispatcher: takes due deliveries, sends them, and tells the ledger what became of each.

A delivery that was sent but not confirmed is not sent again when it is due: the destination is asked for it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from gateway.deliver import Destination, Outcome, OutcomeState, Parcel, RetryPolicy, build_destination
from gateway.errors import GatewayError, PermanentError, SpoolCorrupt, SpoolUnavailable, TransientError
from gateway.ledger import DeliveryClaim, DeliveryResult, DeliveryState, Evidence, Ledger, Whole
from gateway.pipeline.lease import LeaseKeeper
from gateway.pipeline.outputs import Outputs
from gateway.pipeline.pace import Pace, amount
from gateway.pipeline.process import Child
from gateway.pipeline.receipts import OutputDigests, receipt_of
from gateway.pipeline.resources import open_ledger, open_spool
from gateway.pipeline.transcoding import Transcoder

log = structlog.get_logger(__name__)

#: After a batch of few, deliveries gather for a moment: transactions and requests cost more than a small instance.
_PACE: Final = Pace(few=20, shortest=0.01, longest=0.1)


def dispatch(child: Child) -> None:
    """The job of the delivering process: one thread per connection of every destination."""
    settings = child.settings
    ledger = open_ledger(settings)
    outputs = Outputs(settings, child.programs, ledger)
    digests = OutputDigests()
    threads: list[threading.Thread] = []
    destinations: list[Destination] = []
    try:
        for name, configured in settings.destinations.items():
            destination = build_destination(name, configured)
            destinations.append(destination)
            for number in range(configured.threads):
                dispatcher = Dispatcher(
                    child,
                    destination,
                    owner=f"{child.owner}/{name}.{number}",
                    ledger=ledger,
                    outputs=outputs,
                    digests=digests,
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
        digests: OutputDigests,
    ) -> None:
        self._stopping = child.stopping
        self._settings = child.settings
        self._destination = destination
        self._owner = owner
        self._ledger = ledger
        self._outputs = outputs
        self._digests = digests
        self._metrics = child.metrics
        self._lease = LeaseKeeper(child.settings.workers.lease_seconds)
        self._retry = RetryPolicy(
            first_seconds=child.settings.retry.first_seconds,
            factor=child.settings.retry.factor,
            longest_seconds=child.settings.retry.longest_seconds,
            attempts=child.settings.retry.attempts,
        )
        #: One draw for a batch: instances that failed together come back together.
        self._draw = random.random()  # noqa: S311  (jitter)
        #: Whether the end of a batch may not have come to the ledger, which then holds it for this deliverer's.
        self._unrecorded = False
        self._configured = child.settings.destinations[destination.name]
        completeness = self._configured.completeness
        self._whole = (
            None
            if completeness is None
            else Whole(quiet_seconds=completeness.quiet_seconds, expected=completeness.expected_instances)
        )
        wanted = self._configured.transfer_syntax
        self._transcoder = (
            None if wanted == "as-is" else Transcoder(child.settings, wanted, open_spool(child.settings).work)
        )

    def run(self) -> None:
        """Claim, send, record; sleep a little longer each time that nothing is due."""
        structlog.contextvars.bind_contextvars(destination=self._destination.name)
        try:
            with self._lease.keeping(lambda ids, seconds: self._ledger.renew_deliveries(self._owner, ids, seconds)):
                _PACE.keep(self._batch, failed=self._failed, stopping=self._stopping)
        finally:
            if self._transcoder is not None:
                self._transcoder.close()
            self._ledger.release(self._owner)

    def _failed(self, error: TransientError) -> None:
        log.warning("delivery paused", code=error.code, detail=error.message)
        self._unrecorded = True

    def _batch(self) -> int:
        """Deliver one batch; how much it was."""
        if self._unrecorded:
            # Else it would wait until its lease runs out. What has arrived arrives again, and is the same.
            self._ledger.release(self._owner, crashed=True)
            self._unrecorded = False
        claims = self._claims()
        if not claims:
            return 0
        self._lease.hold(claim.delivery_id for claim in claims)
        try:
            sent = [claim for claim in claims if claim.state is DeliveryState.SENT]
            unsent = [claim for claim in claims if claim.state is not DeliveryState.SENT]
            parcels: dict[int, Parcel] = {}
            outcomes = self._deliver(unsent, self._destination.send, parcels)
            outcomes += self._deliver(sent, self._destination.confirm, parcels)
            self._record(claims, outcomes, parcels)
        finally:
            self._lease.drop()
            if self._transcoder is not None:
                self._transcoder.clear()
        return amount(len(claims), sum(claim.size for claim in claims))

    def _claims(self) -> list[DeliveryClaim]:
        """What is due of the study whose turn it is, and of the next ones if the destination takes them together."""
        claims: list[DeliveryClaim] = []
        count, size = self._configured.batch_instances, self._configured.batch_bytes
        while count > 0 and size > 0:
            more = self._ledger.claim_deliveries(
                self._destination.name,
                self._owner,
                max_count=count,
                max_bytes=size,
                lease_seconds=self._settings.workers.lease_seconds,
                whole=self._whole,
                now=datetime.now(UTC),
            )
            claims += more
            if not more or not self._configured.mixes_studies:
                break
            count -= len(more)
            size -= sum(claim.size for claim in more)
        return claims

    def _deliver(
        self,
        claims: Sequence[DeliveryClaim],
        call: Callable[[Sequence[Parcel]], list[Outcome]],
        parcels: dict[int, Parcel],
    ) -> list[Outcome]:
        """Hand the claimed outputs to the destination's ``send`` or ``confirm``; enters them into ``parcels``."""
        outcomes: list[Outcome] = []
        ready: list[Parcel] = []
        for claim in claims:
            try:
                ready.append(self._parcel(claim))
            except PermanentError as error:
                outcomes.append(Outcome(claim.delivery_id, "dead", error.code, error.message))
            except TransientError as error:
                # What was sent stays sent: it only cannot be asked for at this moment.
                state: OutcomeState = "sent" if claim.state is DeliveryState.SENT else "failed"
                outcomes.append(Outcome(claim.delivery_id, state, error.code, error.message))
        if ready:
            started = time.perf_counter()
            outcomes += call(ready)
            self._metrics.requested(destination=self._destination.name, seconds=time.perf_counter() - started)
            parcels |= {parcel.delivery_id: parcel for parcel in ready}
        return outcomes

    def _parcel(self, claim: DeliveryClaim) -> Parcel:
        output = self._outputs.open(claim)
        parcel = Parcel(
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
        return parcel if self._transcoder is None else self._transcoder.transcoded(parcel)

    def _record(
        self, claims: Sequence[DeliveryClaim], outcomes: Sequence[Outcome], parcels: Mapping[int, Parcel]
    ) -> None:
        by_id = {claim.delivery_id: claim for claim in claims}
        now = datetime.now(UTC)
        self._draw = random.random()  # noqa: S311  (jitter)
        confirmed = [by_id[outcome.delivery_id].instance_id for outcome in outcomes if outcome.state == "confirmed"]
        evidence = self._ledger.evidence(confirmed) if confirmed else {}
        results = []
        for outcome in outcomes:
            claim = by_id[outcome.delivery_id]
            if outcome.state == "confirmed":
                parcel = parcels[outcome.delivery_id]
                results.append(self._confirmed(outcome, claim, evidence[claim.instance_id], parcel, now))
            else:
                results.append(self._result(outcome, claim, now))
        recorded = self._ledger.record_outcomes(self._owner, results)
        lost = set(recorded.lost)
        arrived = 0
        # The module's would be made anew for every entry.
        logger = log.bind()
        for result in results:
            claim = by_id[result.delivery_id]
            if result.delivery_id not in lost:
                self._count(result, claim, now)
            usual = result.state == "confirmed" and result.delivery_id not in lost
            arrived += usual
            # As in the worker: the usual is in the ledger's history and counted, the rest is told one by one.
            (logger.debug if usual else logger.info if result.state in {"sent", "confirmed"} else logger.warning)(
                "delivery finished",
                instance=claim.instance_id,
                delivery=result.delivery_id,
                state="lost" if result.delivery_id in lost else result.state,
                code=result.code,
                detail=result.detail,
                attempts=claim.attempts,
            )
        log.info("batch delivered", deliveries=len(results), confirmed=arrived)

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

    def _confirmed(
        self, outcome: Outcome, claim: DeliveryClaim, evidence: Evidence, parcel: Parcel, now: datetime
    ) -> DeliveryResult:
        """The confirmation with its receipt; without a receipt there is no confirmation."""
        try:
            digest = self._digests.of(claim.instance_id, parcel.parts, known=outcome.digest)
        except (SpoolUnavailable, SpoolCorrupt) as error:
            # Asked or sent again, it will be confirmed again.
            failed = Outcome(outcome.delivery_id, "failed", error.code, error.message)
            return self._result(failed, claim, now)
        receipt = receipt_of(
            claim,
            outcome,
            evidence,
            kind=self._configured.type,
            output_digest=digest,
            output_bytes=parcel.length,
            confirmed_at=now,
        )
        return DeliveryResult(
            delivery_id=outcome.delivery_id,
            state="confirmed",
            code=outcome.code,
            detail=outcome.detail,
            receipt=receipt,
        )

    def _result(self, outcome: Outcome, claim: DeliveryClaim, now: datetime) -> DeliveryResult:
        if outcome.state == "dead":
            return DeliveryResult(
                delivery_id=outcome.delivery_id, state="dead", code=outcome.code, detail=outcome.detail
            )
        if outcome.state == "sent" and outcome.retry_after is not None:
            # The destination says when it is worth asking. To ask is no attempt, and only it can give up.
            delay: float | None = outcome.retry_after
        elif outcome.state == "sent":
            delay = random.Random(self._draw).uniform(0.0, self._retry.ceiling(claim.attempts))  # noqa: S311
        else:
            jitter = random.Random(self._draw)  # noqa: S311
            delay = self._retry.delay(claim.attempts, random=jitter, retry_after=outcome.retry_after)
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
