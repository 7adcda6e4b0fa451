"""Outputs for delivery, made again when the stored one is lost.

Outputs are not synced to disk: they can be recomputed. After a power loss one may be missing or torn; the same program,
key and original give the same bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import structlog

from gateway.config import Settings
from gateway.errors import InstanceError, PermanentError, RejectedByRule, SpoolCorrupt
from gateway.ledger import DeliveryClaim, Ledger
from gateway.pipeline.numbers import LedgerNumbers
from gateway.pipeline.pixels import PixelStage, review_of
from gateway.pipeline.projects import Project, make_projects
from gateway.pipeline.resources import open_spool
from gateway.pipeline.routing import Router, Sender
from gateway.pipeline.treatment import opening_rules
from gateway.profile import Program
from gateway.spool import Output

log = structlog.get_logger(__name__)


class OutputLost(PermanentError):
    """The output of instance {instance} is lost and cannot be made again: {reason}."""


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
        OutputLost: it is gone, and so is what it was made from, or the profile has changed since
        SpoolUnavailable: the disk cannot be read or written
        """
        try:
            return self._spool.output(claim.spool_name)
        except SpoolCorrupt as error:
            log.warning("output remade", instance=claim.instance_id, detail=error.message)
        with self._lock:
            self._remake(claim)
            return self._spool.output(claim.spool_name)

    def _remake(self, claim: DeliveryClaim) -> None:
        made = self._ledger.provenance(claim.instance_id)
        if self._projects is None:
            self._projects = make_projects(
                self._settings,
                self._programs,
                established=self._settings.projects,
                numbers=lambda project: LedgerNumbers(self._ledger, project),
                pixels=PixelStage(self._settings.pixels),
            )
        project = self._projects.get(made.project)
        if project is None or project.treatment.program.digest != made.profile_digest:
            raise OutputLost(
                instance=claim.instance_id, reason=f"project {made.project} or its profile has changed since"
            )
        review = review_of(self._ledger.reviews([claim.instance_id]).get(claim.instance_id))
        try:
            with self._opening.open(self._spool.path(claim.spool_name)) as instance:
                _, sender = Router(self._settings, self._projects).route(
                    Sender(made.source, made.calling_ae, made.called_ae), instance
                )
                project.treatment.treat(
                    instance,
                    lambda segments: self._spool.write_output(claim.spool_name, segments),
                    sender.facts,
                    opening=self._opening,
                    review=review,
                )
        except (InstanceError, RejectedByRule, SpoolCorrupt) as error:
            raise OutputLost(instance=claim.instance_id, reason=error.message) from None
        except FileNotFoundError:
            raise OutputLost(instance=claim.instance_id, reason="its original is missing") from None
