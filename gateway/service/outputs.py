"""Outputs for delivery, made again when the stored one is lost.

Outputs are not synced to disk: they can be recomputed. After a power loss one may be missing or torn; the same program,
key and original give the same bytes. With another program the instance has to go through the workers again: its output
may differ in more than its bytes, and whether it may go at all is decided anew.

Most of an output lies in its original, which was compared with its checksum when it was treated. One that has waited
for long since, as in an outage, is compared again before it goes: what has rotted meanwhile does not go out.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from gateway.errors import InstanceError, PermanentError, RejectedByRule, SpoolCorrupt, TransientError
from gateway.ledger import DeliveryClaim, DeliveryState, Ledger, Remaking
from gateway.profile import Program
from gateway.service.projects import Project, make_projects
from gateway.service.series_books import SeriesBooks
from gateway.settings.configuration import Settings
from gateway.spool import Output
from gateway.treatment.pixel_stage import PixelStage, review_of
from gateway.treatment.resources import open_spool
from gateway.treatment.routing import Router, Sender
from gateway.treatment.sequential_numbers import LedgerNumbers
from gateway.treatment.treatment import opening_rules

log = structlog.get_logger(__name__)


#: Since it was received; to compare costs as much as reading it once more.
_LONG: Final = timedelta(hours=1)


class OutputLost(PermanentError):
    """The output of instance {instance} is lost and cannot be made again: {reason}."""


class OutputOutdated(TransientError):
    """The output of instance {instance} was made by a profile that is active no more: {becomes}."""

    @property
    def remake(self) -> Remaking:
        """What becomes of the instance."""
        return "hold" if self.facts["becomes"] == _BECOMES["hold"] else "remake"


_BECOMES: Final[Mapping[Remaking, str]] = {
    "remake": "the instance is made anew by the active one",
    "hold": "a person decides what becomes of it",
}


class Outputs:
    """The outputs of one gateway's spool. Safe for use from several threads."""

    def __init__(self, settings: Settings, programs: Mapping[str, Program], ledger: Ledger) -> None:
        self._settings = settings
        self._programs = programs
        self._ledger = ledger
        self._spool = open_spool(settings)
        self._opening = opening_rules(settings, self._spool.work)
        self._projects: Mapping[str, Project] | None = None
        self._lock = threading.Lock()

    def open(self, claim: DeliveryClaim) -> Output:
        """The output that belongs to a delivery.

        Raises
        ------
        OutputLost
            it is gone, and so is what it was made from
        OutputOutdated
            another profile is active now, and the project wants nothing sent that it did not make; or the
            stored output is lost
        SpoolUnavailable
            the disk cannot be read or written
        """
        self._require_current(claim)
        try:
            return self._checked(claim, self._spool.output(claim.spool_name))
        except SpoolCorrupt as error:
            log.warning("output remade", instance=claim.instance_id, detail=error.message)
        with self._lock:
            self._remake(claim)
            return self._spool.output(claim.spool_name)

    def _checked(self, claim: DeliveryClaim, output: Output) -> Output:
        """The output, if the original that it refers to is what was received; what was sent is only asked for."""
        if claim.state is DeliveryState.SENT or datetime.now(UTC) - claim.received_at <= _LONG:
            return output
        original = self._spool.path(claim.spool_name)
        if any(part.path == original for part in output.ranges):
            try:
                self._spool.check(claim.spool_name)
            except SpoolCorrupt as error:
                reason = f"its original is damaged: {error.message}"
                raise OutputLost(instance=claim.instance_id, reason=reason) from None
        return output

    def _require_current(self, claim: DeliveryClaim) -> None:
        program, configured = self._programs.get(claim.project), self._settings.projects.get(claim.project)
        if program is None or configured is None or program.digest == claim.profile_digest:
            return
        if configured.on_change != "send":
            raise _outdated(claim, configured.on_change)

    def _remake(self, claim: DeliveryClaim) -> None:
        made = self._ledger.history.provenance(claim.instance_id)
        if self._projects is None:
            self._projects = make_projects(
                self._settings,
                self._programs,
                established=self._settings.projects,
                numbers=lambda project: LedgerNumbers(self._ledger, project),
                pixels=PixelStage(self._settings.pixels),
            )
        project = self._projects.get(made.project)
        if project is None:
            raise OutputLost(instance=claim.instance_id, reason=f"project {made.project} is not configured any more")
        path = self._spool.path(claim.spool_name)
        if not path.exists():
            raise OutputLost(instance=claim.instance_id, reason="its original is missing")
        if project.treatment.program.digest != made.profile_digest:
            raise _outdated(claim, "remake")
        review = review_of(self._ledger.reviews.of([claim.instance_id]).get(claim.instance_id))
        try:
            with self._opening.open(path) as instance:
                _, sender = Router(self._settings, self._projects).route(
                    Sender(made.source, made.calling_ae, made.called_ae), instance
                )
                admission = project.treatment.admit(instance, sender.facts)
                # As a worker would: what was found elsewhere in its series counts for what is made again, too.
                series = SeriesBooks(self._ledger).of(instance, claim.instance_id, project.name, project.key)
                with project.treatment.treat(admission, opening=self._opening, review=review, series=series) as treated:
                    self._spool.write_output(claim.spool_name, treated.output.segments)
        except (InstanceError, RejectedByRule, SpoolCorrupt) as error:
            raise OutputLost(instance=claim.instance_id, reason=error.message) from None


def _outdated(claim: DeliveryClaim, remake: Remaking) -> OutputOutdated:
    return OutputOutdated(instance=claim.instance_id, becomes=_BECOMES[remake])
