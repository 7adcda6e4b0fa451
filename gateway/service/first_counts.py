"""Counters that begin at zero, for every name of the configuration and every code of a closed list.

Prometheus sees an increase only between two values: a counter that is born with its first event hides it, and the alert
that waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Final, get_args

from gateway.association.refusal import Refusal
from gateway.association.tls import HANDSHAKE_FAILURES
from gateway.deliver.codes import OUTAGES, UNDELIVERED
from gateway.errors import GatewayError, InstanceError, LedgerUnavailable, TransientError
from gateway.ledger import DUPLICATE
from gateway.metrics import Metrics
from gateway.notify.message_codes import REASONS
from gateway.pixels.faces.blanking import FaceKind
from gateway.profile import Program
from gateway.receive.access import ANY_SOURCE
from gateway.settings.configuration import Settings

__all__ = ["HELD", "NOT_ASSOCIATED", "REFUSED", "begin_counting"]


def _codes(root: type[GatewayError]) -> Iterator[str]:
    yield root.code
    for kind in root.__subclasses__():
        yield from _codes(kind)


#: Why an association is refused.
NOT_ASSOCIATED: Final = frozenset(one.code for one in Refusal) | HANDSHAKE_FAILURES
#: Why an instance is held: every error of an instance, and what happens to its worker or its file.
HELD: Final = frozenset(_codes(InstanceError)) | {"spool-corrupt", "instance-overran", "worker-died"}
#: Why an instance is answered with a failure.
REFUSED: Final = frozenset(_codes(LedgerUnavailable)) | {
    TransientError.code,
    "association-ended",
    "instance-unusable",
    "limit-exceeded",
    "spool-corrupt",
    "spool-full",
    "spool-unavailable",
}

_OF_SOURCE: Final = (
    "gateway_associations_total",
    "gateway_echoes_total",
    "gateway_instances_received_total",
    "gateway_received_bytes_total",
    "gateway_decoding_too_long_total",
    "gateway_receive_seconds",
)
_OF_PROJECT: Final = (
    "gateway_instances_deidentified_total",
    "gateway_pixels_seconds",
    "gateway_deidentify_seconds",
    "gateway_verify_seconds",
)
_OF_DESTINATION: Final = (
    "gateway_instances_delivered_total",
    "gateway_delivered_bytes_total",
    "gateway_deliver_seconds",
    "gateway_transit_seconds",
)


def begin_counting(metrics: Metrics, settings: Settings, programs: Mapping[str, Program]) -> None:
    """Let everything begin at zero that the configuration and the active profiles may make count.

    Parameters
    ----------
    metrics
        of the supervisor; what other processes count is added to it
    settings
        the configuration
    programs
        project -> the program that is active
    """
    _begin_doors(metrics, settings)
    for project, program in programs.items():
        _begin_all(metrics, _OF_PROJECT, project=project)
        for verdict in get_args(FaceKind):
            metrics.begin("gateway_series_looked_at_total", project=project, verdict=verdict)
        for rule in (DUPLICATE, *(f"{one.origin.layer}:{one.origin.line}" for one in program.accept)):
            metrics.begin("gateway_instances_rejected_total", project=project, rule=rule)
    # Without a route, or before it was found, an instance is of no project.
    for project, reason in product(("", *programs), HELD):
        metrics.begin("gateway_instances_held_total", project=project, reason=reason)
    for destination in settings.destinations:
        _begin_all(metrics, _OF_DESTINATION, destination=destination)
        for reason in UNDELIVERED:
            metrics.begin("gateway_deliveries_failed_total", destination=destination, reason=reason)
            metrics.begin("gateway_deliveries_dead_total", destination=destination, reason=reason)
        for reason in OUTAGES:
            metrics.begin("gateway_destination_outage", destination=destination, reason=reason)
    for name, one in (settings.notifications or {}).items():
        for event in one.events:
            metrics.begin("gateway_notifications_sent_total", notifier=name, event=event.value)
        for reason in REASONS:
            metrics.begin("gateway_notifications_failed_total", notifier=name, reason=reason)
    for role in ("receive", "deidentify", "deliver", "http", *(["notify"] if settings.notifications else [])):
        metrics.begin("gateway_worker_restarts_total", role=role)


def _begin_all(metrics: Metrics, names: Iterable[str], **labels: str) -> None:
    for name in names:
        metrics.begin(name, **labels)


def _begin_doors(metrics: Metrics, settings: Settings) -> None:
    for reason in NOT_ASSOCIATED:
        metrics.begin("gateway_associations_refused_total", reason=reason)
    for source in settings.sources or (ANY_SOURCE,):
        _begin_all(metrics, _OF_SOURCE, source=source)
        for reason in REFUSED:
            metrics.begin("gateway_instances_refused_total", source=source, reason=reason)
