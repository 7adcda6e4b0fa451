"""The dispatcher: takes due deliveries, sends them, and has what became of each told to the ledger.

A delivery that was sent but not confirmed is not sent again when it is due: the destination is asked for it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import starmap
from typing import Final

import structlog

from gateway.deliver.base import Destination, Outcome, OutcomeState, Parcel
from gateway.deliver.kinds import build_destination
from gateway.deliver.retry import RetryPolicy
from gateway.errors import GatewayError, PermanentError, SpoolCorrupt, SpoolUnavailable, TransientError
from gateway.ledger import DeliveryClaim, DeliveryResult, DeliveryState, Ledger
from gateway.service.archive_books import LedgerBooks
from gateway.service.breaker import Breaker, is_outage
from gateway.service.claims import DeliveryQueue
from gateway.service.conditions import Conditions
from gateway.service.outcomes import Endings, OutcomeRecorder
from gateway.service.outputs import OutputOutdated, Outputs
from gateway.service.patience import ledger_of
from gateway.service.process import Child
from gateway.treatment.receipt_chain import OutputDigests, receipt_of
from gateway.treatment.resources import open_spool
from gateway.treatment.transcoding import Transcoder

#: Where another destination is at work on an instance that is to be made anew, it is tried again after so long.
_REMAKE_SECONDS: Final = 2.0
#: A delivery that met a destination that is down is due again after so long, and waits for the breaker.
_OUTAGE_SECONDS: Final = 0.1


def dispatch(child: Child) -> None:
    """The job of the delivering process."""
    settings = child.settings
    ledger = ledger_of(child)
    if ledger is None:
        return
    outputs = Outputs(settings, child.programs, ledger)
    conditions = Conditions(ledger) if settings.notifications else None
    digests = OutputDigests()
    dispatchers: list[Dispatcher] = []
    destinations: list[Destination] = []
    try:
        for name, configured in settings.destinations.items():
            completeness = configured.completeness
            quiet_seconds = None if completeness is not None else configured.quiet_seconds
            books = LedgerBooks(ledger, name, quiet_seconds=quiet_seconds)
            destination = build_destination(name, configured, books=books)
            destinations.append(destination)
            dispatchers.append(
                Dispatcher(
                    child,
                    destination,
                    owner=f"{child.owner}/{name}",
                    ledger=ledger,
                    outputs=outputs,
                    digests=digests,
                    tell=None if conditions is None else conditions.destination,
                )
            )
        for dispatcher in dispatchers:
            dispatcher.start()
        child.is_ready()
        while not child.stopping.wait(0.2):
            dead = [name for dispatcher in dispatchers for name in dispatcher.dead]
            # Told to stop meanwhile, they end.
            if dead and not child.stopping.is_set():
                raise ThreadEnded(name=dead[0])
    finally:
        child.stopping.set()
        with ExitStack() as stack:
            stack.callback(ledger.close)
            if conditions is not None:
                stack.callback(conditions.stop)
            for destination in destinations:
                stack.callback(destination.close)
            for dispatcher in dispatchers:
                stack.callback(dispatcher.stop)


class IdentifiedRefused(PermanentError):
    """The profile keeps identity, and {destination} does not accept such outputs: see accepts_identified."""


class ThreadEnded(GatewayError):
    """The thread {name} of the delivering process ended by an error."""


class Dispatcher:
    """Delivers to one destination, over as many connections as it has, until the process is told to stop.

    One thread claims for all connections, each of these has a thread, and one settles what they did.
    """

    def __init__(
        self,
        child: Child,
        destination: Destination,
        *,
        owner: str,
        ledger: Ledger,
        outputs: Outputs,
        digests: OutputDigests,
        tell: Callable[[str, str], object] | None = None,
    ) -> None:
        name = destination.name
        configured = child.settings.destinations[name]
        first_seconds = child.settings.retry.first_seconds
        self.breaker = Breaker(name, first_seconds=first_seconds, metrics=child.metrics, tell=tell)
        self.queue = DeliveryQueue(
            ledger.deliveries,
            owner=owner,
            configured=configured,
            name=name,
            lease_seconds=child.settings.workers.lease_seconds,
            stopping=child.stopping,
            breaker=self.breaker,
        )
        self.recorder = OutcomeRecorder(ledger.deliveries, self.queue, owner=owner, name=name, metrics=child.metrics)
        self.workers = [
            DeliveryWorker(
                child,
                destination,
                queue=self.queue,
                recorder=self.recorder,
                outputs=outputs,
                digests=digests,
                breaker=self.breaker,
            )
            for _ in range(configured.threads)
        ]
        self._claiming = threading.Thread(
            target=self.queue.run, kwargs={"on_nothing": self.recorder.hurry}, name=f"{name}-queue"
        )
        self._settling = threading.Thread(target=self.recorder.run, name=f"{name}-recorder")
        self._sending = [
            threading.Thread(target=worker.run, name=f"{name}-{number}") for number, worker in enumerate(self.workers)
        ]
        self._keeping = ExitStack()

    def start(self) -> None:
        """Start the threads."""
        self._keeping.enter_context(self.queue.keeping())
        for thread in self._threads:
            thread.start()

    @property
    def dead(self) -> list[str]:
        """Names of threads that have ended."""
        return [thread.name for thread in self._threads if not thread.is_alive()]

    def stop(self) -> None:
        """When the process is told to stop: settle what is under way, give back what was not begun, end the threads."""
        with self._keeping:
            for thread in (self._claiming, *self._sending):
                _join(thread)
            self.recorder.stop()
            _join(self._settling)
        self.queue.release()

    @property
    def _threads(self) -> list[threading.Thread]:
        return [self._claiming, self._settling, *self._sending]


class DeliveryWorker:
    """Delivers over one connection what the queue hands out."""

    def __init__(
        self,
        child: Child,
        destination: Destination,
        *,
        queue: DeliveryQueue,
        recorder: OutcomeRecorder,
        outputs: Outputs,
        digests: OutputDigests,
        breaker: Breaker,
    ) -> None:
        self._destination = destination
        self._breaker = breaker
        self._queue = queue
        self._recorder = recorder
        self._outputs = outputs
        self._digests = digests
        self._metrics = child.metrics
        self._programs = child.programs
        self._retry = RetryPolicy(
            first_seconds=child.settings.retry.first_seconds,
            factor=child.settings.retry.factor,
            longest_seconds=child.settings.retry.longest_seconds,
            attempts=child.settings.retry.attempts,
        )
        #: One draw for a batch: instances that failed together come back together.
        self._draw = random.random()  # noqa: S311  (jitter)
        self._configured = child.settings.destinations[destination.name]
        wanted = self._configured.transfer_syntax
        self._transcoder = (
            None if wanted == "as-is" else Transcoder(child.settings, wanted, open_spool(child.settings).work)
        )

    def run(self) -> None:
        """Deliver batch after batch until the queue hands out no more."""
        with structlog.contextvars.bound_contextvars(destination=self._destination.name):
            try:
                while claims := self._queue.take():
                    self._recorder.settle(self.deliver(claims))
            finally:
                if self._transcoder is not None:
                    self._transcoder.close()

    def deliver(self, claims: Sequence[DeliveryClaim]) -> Endings:
        """Deliver one batch; what became of each of its deliveries, with the receipts of what arrived."""
        try:
            sent = [claim for claim in claims if claim.state is DeliveryState.SENT]
            unsent = [claim for claim in claims if claim.state is not DeliveryState.SENT]
            parcels: dict[int, Parcel] = {}
            outdated: list[tuple[DeliveryClaim, OutputOutdated]] = []
            outcomes = self._deliver(unsent, self._destination.send, parcels, outdated)
            outcomes += self._deliver(sent, self._destination.confirm, parcels, outdated)
            self._breaker.told(outcomes)
            return [*self._endings(claims, outcomes, parcels), *starmap(_remade, outdated)]
        finally:
            if self._transcoder is not None:
                self._transcoder.clear()

    def _deliver(
        self,
        claims: Sequence[DeliveryClaim],
        call: Callable[[Sequence[Parcel]], list[Outcome]],
        parcels: dict[int, Parcel],
        outdated: list[tuple[DeliveryClaim, OutputOutdated]],
    ) -> list[Outcome]:
        """Hand the claimed outputs to the destination's ``send`` or ``confirm``; enters them into ``parcels``.

        Those that are not to go out as they are are entered into ``outdated``.
        """
        outcomes: list[Outcome] = []
        ready: list[Parcel] = []
        for claim in claims:
            try:
                ready.append(self._parcel(claim))
            except OutputOutdated as error:
                outdated.append((claim, error))
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
        program = self._programs.get(claim.project)
        # A person may have moved the delivery here: what the worker checks counts here as well.
        if program is not None and program.identified and not self._configured.accepts_identified:
            raise IdentifiedRefused(destination=self._destination.name)
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

    def _endings(
        self, claims: Sequence[DeliveryClaim], outcomes: Sequence[Outcome], parcels: Mapping[int, Parcel]
    ) -> Endings:
        by_id = {claim.delivery_id: claim for claim in claims}
        now = datetime.now(UTC)
        self._draw = random.random()  # noqa: S311  (jitter)
        endings = []
        for outcome in outcomes:
            claim = by_id[outcome.delivery_id]
            if outcome.state == "confirmed":
                result = self._confirmed(outcome, claim, parcels[outcome.delivery_id], now)
            else:
                result = self._result(outcome, claim, now)
            endings.append((claim, result))
        return endings

    def _confirmed(self, outcome: Outcome, claim: DeliveryClaim, parcel: Parcel, now: datetime) -> DeliveryResult:
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
        counts = outcome.counts
        # That it did not answer in time may be this instance's fault.
        if is_outage(outcome) and outcome.code != "timeout":
            # The breaker says when the destination is tried: then all that waits is due.
            delay: float | None = _OUTAGE_SECONDS
            counts = False
        elif outcome.state == "sent" and outcome.retry_after is not None:
            # The destination says when it is worth asking. To ask is no attempt, and only it can give up.
            delay = outcome.retry_after
        elif not outcome.counts:
            # It was put off before anything was sent: that uses up no attempt.
            delay = max(outcome.retry_after or 0.0, random.Random(self._draw).uniform(0.0, self._retry.ceiling(1)))  # noqa: S311
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
            counts=counts,
        )


def _remade(claim: DeliveryClaim, error: OutputOutdated) -> tuple[DeliveryClaim, DeliveryResult]:
    """The end of a delivery whose instance is made anew, or held."""
    return claim, DeliveryResult(
        delivery_id=claim.delivery_id,
        state="failed",
        code=error.code,
        detail=error.message,
        next_attempt_at=datetime.now(UTC) + timedelta(seconds=_REMAKE_SECONDS),
        remake=error.remake,
        counts=False,
    )


def _join(thread: threading.Thread) -> None:
    """Wait for a thread, if it was started."""
    if thread.ident is not None:
        thread.join()
