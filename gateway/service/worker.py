"""The worker: takes received instances, has them treated, and tells the ledger what became of them.

Whatever goes wrong with an instance holds that instance (promise P2). An instance for whose work the disk has no room,
or which the disk or the codecs fail at this moment, is taken up again later and keeps no other one waiting. Without the
ledger everything waits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from typing import Final

import structlog

from gateway.deid.engine import SOP_INSTANCE_UID
from gateway.dicom.instance import Instance
from gateway.errors import (
    DecodingTooLong,
    InstanceError,
    LedgerUnavailable,
    RejectedByRule,
    SpoolCorrupt,
    SpoolUnavailable,
    TransientError,
)
from gateway.ledger import (
    DUPLICATE,
    ClaimedInstance,
    DeidentifiedResult,
    Finished,
    HeldAbout,
    HeldResult,
    InstanceState,
    Ledger,
    RejectedResult,
    Result,
)
from gateway.ledger.crosswalk_row import CrosswalkRow
from gateway.pixels.review import Review
from gateway.pixels.sampling import SERIES_INSTANCE_UID
from gateway.remembering import BoundedMapping
from gateway.service.faces_of_series import FacesOfSeries
from gateway.service.lease import LeaseKeeper
from gateway.service.pace import Pace, amount
from gateway.service.patience import ledger_of
from gateway.service.process import Child
from gateway.service.projects import Project, make_projects
from gateway.service.series_books import SeriesBooks
from gateway.treatment import circumstances
from gateway.treatment.content import ContentReader
from gateway.treatment.correspondence import crosswalk_keys, crosswalk_rows
from gateway.treatment.pixel_stage import PixelStage, review_of
from gateway.treatment.resources import open_spool
from gateway.treatment.routing import Router, Sender
from gateway.treatment.sequential_numbers import LedgerNumbers
from gateway.treatment.site_vocabulary import Sightings
from gateway.treatment.treatment import Treated, holding, opening_rules

log = structlog.get_logger(__name__)

#: Instances claimed at once: one ledger transaction for all of them.
_BATCH: Final = 64
#: What is done is told after so many seconds or bytes of a batch: it can be delivered while the rest is worked on.
_FINISH_SECONDS: Final = 0.1
_FINISH_BYTES: Final = 32 << 20
#: An instance may take a second longer for every so many bytes.
_BYTES_A_SECOND: Final = 500_000
#: Claims after which an instance is suspected to kill its workers.
_MOST_ATTEMPTS: Final = 3
#: A worker that replaces a dead one takes this many instances singly.
_CAUTIOUS: Final = 100
#: Of an instance without a Series Instance UID nothing else is known.
_PACE: Final = Pace(few=_BATCH, shortest=0.005, longest=0.1)
#: Waits of an instance that could not be treated for want of something that may come: the first, the longest.
_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 60.0
#: So many that had to wait, and none that had not: what they lack all lack, and work pauses.
_ALL_LACK: Final = 8
#: Instances whose number of waits is remembered.
_MOST_WAITING: Final = 10_000
#: Instances of a source in a row that cost a codec all its time before its name is told.
_TOO_LONG: Final = 3


def work(child: Child) -> None:
    """The job of a worker process."""
    ledger = ledger_of(child)
    if ledger is None:
        return
    try:
        worker = Worker(child, ledger)
        try:
            child.is_ready()
            worker.run()
        finally:
            worker.close()
    finally:
        ledger.deliveries.release(child.owner)
        ledger.close()


class Worker:
    """Processes received instances until told to stop."""

    def __init__(self, child: Child, ledger: Ledger) -> None:
        self._child = child
        self._ledger = ledger
        self._spool = open_spool(child.settings)
        self._metrics = child.metrics
        self._content = ContentReader()
        self._pixels = PixelStage(child.settings.pixels)
        self._projects = make_projects(
            child.settings,
            child.programs,
            established=child.settings.projects,
            numbers=lambda project: LedgerNumbers(ledger, project),
            pixels=self._pixels,
        )
        self._router = Router(child.settings, self._projects)
        self._crosswalks = crosswalk_keys(child.settings)
        self._sightings = Sightings(child.settings)
        self._opening = opening_rules(child.settings, self._spool.work)
        self._faces = FacesOfSeries(
            settings=child.settings,
            ledger=ledger,
            spool=self._spool,
            opening=self._opening,
            sandbox=self._pixels.sandbox,
            projects=self._projects,
            metrics=self._metrics,
            owner=child.owner,
            stopping=child.stopping.is_set,
        )
        self._lease = LeaseKeeper(child.settings.workers.lease_seconds)
        self._cautious = _CAUTIOUS if child.cautious else 0
        self._series = SeriesBooks(ledger)
        #: Instance -> seconds of its last wait.
        self._waits: BoundedMapping[int, float] = BoundedMapping(_MOST_WAITING)
        #: Source -> how many of its instances in a row a codec did not finish.
        self._too_long: dict[str, int] = {}
        #: Whether the end of a batch may not have come to the ledger, which then holds it for this worker's.
        self._unfinished = False

    def close(self) -> None:
        """End the child that runs the codecs, if there is one."""
        self._pixels.close()

    def run(self) -> None:
        """Claim, treat, finish; sleep a little longer each time that there is nothing to do."""
        with self._lease.keeping(lambda ids, seconds: self._ledger.instances.renew(self._child.owner, ids, seconds)):
            _PACE.keep(self._batch, failed=self._failed, stopping=self._child.stopping)

    def _failed(self, error: TransientError) -> None:
        log.warning("work paused", code=error.code, detail=error.message)
        self._unfinished = True

    def _batch(self) -> int:
        """Process one batch; how much it was."""
        if self._unfinished:
            # Else it would wait until its lease runs out. The attempt counts: an instance of it may be to blame.
            self._ledger.deliveries.release(self._child.owner, crashed=True)
            self._unfinished = False
        self._faces.step(busy=True)
        limit = 1 if self._cautious else _BATCH
        claims = self._ledger.instances.claim(
            self._child.owner, limit=limit, lease_seconds=self._child.settings.workers.lease_seconds
        )
        self._cautious = max(0, self._cautious - len(claims))
        if not claims:
            return int(self._faces.step())
        self._lease.hold(claim.instance_id for claim in claims)
        self._series.forget()
        results: list[Result] = []
        finished = size = 0
        finish_at = time.monotonic() + _FINISH_SECONDS
        postponed: dict[int, float] = {}
        try:
            reviews = self._ledger.reviews.of([claim.instance_id for claim in claims if claim.reviewed])
            for claim in claims:
                if self._child.stopping.is_set():
                    break
                try:
                    with self._working_on(claim):
                        results.append(self._process(claim, review_of(reviews.get(claim.instance_id))))
                except LedgerUnavailable:
                    raise
                except TransientError as error:
                    postponed[claim.instance_id] = self._wait(claim, error)
                    if len(postponed) == _ALL_LACK and not finished + len(results):
                        raise
                size += claim.size
                if size >= _FINISH_BYTES or time.monotonic() >= finish_at:
                    self._finish(results)
                    finished += len(results)
                    results.clear()
                    size, finish_at = 0, time.monotonic() + _FINISH_SECONDS
        finally:
            self._lease.drop()
            self._finish(results)
            if postponed:
                self._ledger.instances.postpone(self._child.owner, postponed)
            if finished + len(results) + len(postponed) < len(claims):
                self._ledger.deliveries.release(self._child.owner)
        return amount(len(claims), sum(claim.size for claim in claims))

    def _working_on(self, claim: ClaimedInstance) -> AbstractContextManager[None]:
        """The time that an instance may take begins."""
        board = self._child.board
        if board is None:
            return nullcontext()
        seconds = self._child.settings.workers.instance_seconds + claim.size / _BYTES_A_SECOND
        return board.working_on(claim.instance_id, seconds=seconds)

    def _wait(self, claim: ClaimedInstance, error: TransientError) -> float:
        """Seconds until an instance is tried again, twice as many each time."""
        seconds = min(2 * self._waits.get(claim.instance_id, _FIRST_WAIT / 2), _LONGEST_WAIT)
        self._waits[claim.instance_id] = seconds
        log.warning(
            "instance postponed", instance=claim.instance_id, code=error.code, detail=error.message, seconds=seconds
        )
        return seconds

    def _finish(self, results: Sequence[Result]) -> None:
        if not results:
            return
        deidentified = 0
        # Bound once; the lines of what went as usual are not even made where nobody reads them.
        told = log.bind()
        tells_all = logging.getLogger(__name__).isEnabledFor(logging.DEBUG)
        for finished, result in zip(self._ledger.instances.finish(self._child.owner, results), results, strict=True):
            self._waits.pop(result.instance_id, None)
            self._count(finished, result)
            usual = finished.state is InstanceState.DEIDENTIFIED
            deidentified += usual
            if usual and not tells_all:
                continue
            code, detail = _reason(result)
            # The ledger's history has them all; a line for each would cost a tenth of what treating them costs.
            (told.debug if usual else told.info)(
                "instance finished",
                instance=finished.instance_id,
                state="lost" if finished.state is None else finished.state.value,
                project=result.project,
                code=code,
                detail=detail,
                duplicate_of=finished.duplicate_of,
            )
        told.info("batch finished", instances=len(results), deidentified=deidentified)

    def _count(self, finished: Finished, result: Result) -> None:
        project = result.project or ""
        if finished.duplicate_of is not None:
            self._metrics.rejected(project=project, rule=DUPLICATE)
        elif finished.state is not None and isinstance(result, HeldResult):
            self._metrics.held(project=project, reason=result.code)
        elif finished.state is not None and isinstance(result, RejectedResult):
            self._metrics.rejected(project=project, rule=result.rule)

    def _process(self, claim: ClaimedInstance, review: Review | None) -> Result:
        if claim.attempts > _MOST_ATTEMPTS:
            tried = f"{claim.attempts - 1} attempts to process it ended without a result"
            return HeldResult(
                instance_id=claim.instance_id,
                project=None,
                code=claim.code or "worker-died",
                detail=f"{tried}: {claim.detail}" if claim.detail else tried,
            )
        self._metrics.taken_up(waited_seconds=(datetime.now(UTC) - claim.received_at).total_seconds())
        project: Project | None = None
        about: HeldAbout | None = None
        content = sop_uid = series = ""
        try:
            path = self._spool.path(claim.spool_name)
            with _reading(claim.spool_name), holding("opening"):
                content = self._content.digest(path, name=claim.spool_name, crc32=claim.crc32)
                opened = self._opening.open(path)
            with opened as instance:
                with holding("routing"):
                    name, sender = self._router.route(Sender(claim.source, claim.calling_ae, claim.called_ae), instance)
                    project = self._projects[name]
                    sop_uid = instance.text(SOP_INSTANCE_UID) or instance.meta.sop_instance_uid
                    series = instance.text(SERIES_INSTANCE_UID)
                try:
                    treated, size, destinations, rows = self._treat(claim, project, sender, instance, review)
                except InstanceError as error:
                    with suppress(InstanceError), holding("what is known of it"):
                        about = circumstances.about(instance, project.key, error)
                    raise
            self._metrics.deidentified(
                project=project.name,
                pixel_seconds=None if treated.areas is None else treated.pixel_seconds,
                deidentify_seconds=treated.deidentify_seconds,
                verify_seconds=treated.verify_seconds,
            )
            self._too_long.pop(claim.source, None)
            output = treated.output
            return DeidentifiedResult(
                instance_id=claim.instance_id,
                project=project.name,
                profile=project.treatment.program.profile,
                profile_digest=project.treatment.program.digest,
                output_size=size,
                patient_id=output.patient_id,
                study_uid=output.study_uid,
                series_uid=output.series_uid,
                sop_uid=output.sop_uid,
                sop_class_uid=output.sop_class_uid,
                transfer_syntax=output.transfer_syntax,
                sop_key=output.sop_key,
                content_key=project.key.token("content", content),
                actions=treated.actions,
                destinations=destinations,
                asks=tuple(one for one in destinations if self._child.settings.destinations[one].can_be_asked),
                priority=self._child.settings.projects[project.name].priority,
                sampled_series=circumstances.series_key(project.key, series) if treated.sampled else "",
                text_series=circumstances.series_key(project.key, series) if treated.series_text else "",
                crosswalk=rows,
                identities=output.identities,
                sightings=self._sightings.of(project.name, output.unknown_words, output.patient_id),
            )
        except RejectedByRule as rejected:
            return RejectedResult(
                instance_id=claim.instance_id,
                project=None if project is None else project.name,
                rule=str(rejected.facts["rule"]),
                because=str(rejected.facts["because"]),
            )
        except (InstanceError, SpoolCorrupt) as error:
            if isinstance(error, DecodingTooLong):
                self._decoding_too_long(claim.source)
            return HeldResult(
                instance_id=claim.instance_id,
                project=None if project is None else project.name,
                code=error.code,
                detail=error.message,
                sop_key="" if project is None or not sop_uid else project.key.token("instance", sop_uid),
                content_key="" if project is None or not sop_uid else project.key.token("content", content),
                about=about,
                text_series=about.series_key if about is not None and error.facts.get("series_text") else "",
            )

    def _decoding_too_long(self, source: str) -> None:
        count = self._too_long[source] = self._too_long.get(source, 0) + 1
        if count >= _TOO_LONG:
            self._metrics.decoding_too_long(source=source)

    def _treat(
        self, claim: ClaimedInstance, project: Project, sender: Sender, instance: Instance, review: Review | None
    ) -> tuple[Treated, int, tuple[str, ...], tuple[CrosswalkRow, ...]]:
        """The stored output with its size, where it goes, and what the crosswalk keeps of it."""
        # What is rejected needs no destination.
        admission = project.treatment.admit(instance, sender.facts)
        with holding("routing"):
            destinations = self._router.destinations(
                project.name, sender, instance, identified=project.treatment.program.identified
            )
        series = self._series.of(instance, claim.instance_id, project.name, project.key)
        with project.treatment.treat(admission, opening=self._opening, review=review, series=series) as treated:
            size = self._spool.write_output(claim.spool_name, treated.output.segments)
        keys = self._crosswalks.get(project.name)
        with holding("the crosswalk"):
            rows = () if keys is None else crosswalk_rows(keys[0], instance, treated.output)
        return treated, size, destinations, rows


def _reason(result: Result) -> tuple[str | None, str | None]:
    """Why an instance does not go on, as a stable word and for a person."""
    match result:
        case HeldResult():
            return result.code, result.detail
        case RejectedResult():
            return result.rule, result.because
    return None, None


class _reading:  # noqa: N801  (reads as a statement)
    """What the disk says while a spool file is read: a missing file is damage, anything else may pass."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, FileNotFoundError):
            raise SpoolCorrupt(name=self._name, reason="it is missing") from None
        if isinstance(error, OSError):
            raise SpoolUnavailable(operation="read", name=self._name, reason=error.strerror) from None
