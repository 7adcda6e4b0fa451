"""The gateway's figures for Prometheus.

``METERS`` is the table of all of them, from which the reference is generated. Processes count into files of one
directory, which the supervising process adds up when it is asked; what is read rather than counted (queues, disk)
comes from a callback at that moment. Labels are names from the configuration, states and codes of errors: their number
is bounded, and none holds identity (promise P9).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import prometheus_client.values
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from prometheus_client.values import MultiProcessValue, MutexValue

from gateway.errors import ConfigurationError, GatewayError
from gateway.version import __version__

_M = TypeVar("_M", Counter, Histogram)
_Labels = TypeVar("_Labels", bound=tuple[str, ...])

#: Media type of the exposition format that ``exposition`` gives.
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

#: Bytes set aside for each file of a process. A full disk would otherwise end the process when it counts (SIGBUS).
_ALLOCATED: Final = 1 << 20

#: How prometheus-client adds up a gauge over processes: those that live.
_LIVE: Final = "livesum"

_SHORT: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_LONG: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0, 259200.0)


@dataclass(frozen=True, slots=True)
class Meter:
    """One figure: its name, kind, meaning, labels, and the bounds of a histogram's buckets in seconds."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


METERS: Final[tuple[Meter, ...]] = (
    Meter("gateway_associations_total", "counter", "Associations accepted.", ("source",)),
    Meter("gateway_associations_refused_total", "counter", "Associations refused.", ("reason",)),
    Meter("gateway_http_refused_total", "counter", "HTTP clients refused.", ("reason",)),
    Meter("gateway_open_associations", "gauge", "Associations that are open.", ("source",)),
    Meter("gateway_echoes_total", "counter", "C-ECHO requests answered.", ("source",)),
    Meter("gateway_instances_received_total", "counter", "Instances acknowledged with Success.", ("source",)),
    Meter("gateway_received_bytes_total", "counter", "Bytes of the data sets acknowledged.", ("source",)),
    Meter("gateway_instances_refused_total", "counter", "Instances answered with a failure.", ("source", "reason")),
    Meter("gateway_instances_rejected_total", "counter", "Instances that a rule rejected.", ("project", "rule")),
    Meter("gateway_instances_held_total", "counter", "Instances held for a human.", ("project", "reason")),
    Meter(
        "gateway_decoding_too_long_total", "counter",
        "Instances held because a codec did not finish, from the third in a row of a source on.", ("source",),
    ),
    Meter(
        "gateway_series_looked_at_total", "counter", "Series in which a face was looked for.", ("project", "verdict")
    ),
    Meter("gateway_instances_deidentified_total", "counter", "Instances de-identified and verified.", ("project",)),
    Meter("gateway_instances_delivered_total", "counter", "Deliveries that were confirmed.", ("destination",)),
    Meter("gateway_delivered_bytes_total", "counter", "Bytes of the deliveries confirmed.", ("destination",)),
    Meter(
        "gateway_deliveries_failed_total", "counter", "Attempts that failed, to be repeated.", ("destination", "reason")
    ),
    Meter("gateway_deliveries_dead_total", "counter", "Deliveries given up.", ("destination", "reason")),
    Meter("gateway_notifications_sent_total", "counter", "Messages that were taken.", ("notifier", "event")),
    Meter(
        "gateway_notifications_failed_total", "counter", "Attempts to tell somebody that failed, to be repeated.",
        ("notifier", "reason"),
    ),
    Meter("gateway_notifications_waiting", "gauge", "Messages that wait to be sent.", ("notifier",)),
    Meter("gateway_notifier_up", "gauge", "1 if the last message was taken, otherwise 0.", ("notifier",)),
    Meter("gateway_worker_restarts_total", "counter", "Processes started again after they died.", ("role",)),
    Meter("gateway_receive_seconds", "histogram", "First byte to durable, per instance.", ("source",), _SHORT),
    Meter("gateway_queue_wait_seconds", "histogram", "Received to taken up by a worker.", (), _LONG),
    Meter("gateway_pixels_seconds", "histogram", "Treating the pixels of one instance.", ("project",), _SHORT),
    Meter("gateway_deidentify_seconds", "histogram", "De-identifying one instance.", ("project",), _SHORT),
    Meter("gateway_verify_seconds", "histogram", "Verifying one output.", ("project",), _SHORT),
    Meter("gateway_deliver_seconds", "histogram", "One request to a destination.", ("destination",), _SHORT),
    Meter("gateway_transit_seconds", "histogram", "Received to confirmed by a destination.", ("destination",), _LONG),
    Meter("gateway_instances", "gauge", "Instances in each state.", ("state",)),
    Meter("gateway_instances_oldest_seconds", "gauge", "Age of the oldest instance in each state.", ("state",)),
    Meter("gateway_series", "gauge", "Series held until they are complete, or for a face.", ("reason",)),
    Meter("gateway_deliveries", "gauge", "Deliveries in each state.", ("destination", "state")),
    Meter(
        "gateway_deliveries_oldest_seconds", "gauge", "Age of the oldest delivery in each state.",
        ("destination", "state"),
    ),
    Meter("gateway_destination_up", "gauge", "1 if the destination answers, 0 while it is down.", ("destination",)),
    Meter(
        "gateway_destination_outage", "gauge", "1 for the reason why a destination is down, 0 for all others.",
        ("destination", "reason"),
    ),
    Meter(
        "gateway_disk_free_bytes", "gauge",
        "Free space of the disk of the spool, and of the ledger's where that is a file.", ("disk",),
    ),
    Meter("gateway_disk_reserve_bytes", "gauge", "Free space of the spool's disk below which instances are refused."),
    Meter("gateway_workers", "gauge", "Processes that run.", ("role",)),
    Meter(
        "gateway_worker_busy_seconds", "gauge", "How long a process has been de-identifying one instance; 0 for none.",
        ("worker",),
    ),
    Meter("gateway_ready", "gauge", "1 while instances are accepted and processed, as `/readyz` says, otherwise 0."),
    Meter("gateway_readable", "gauge", "1 if the ledger and the disk could be read for these figures, otherwise 0."),
    Meter("gateway_ledger_writable", "gauge", "1 while the ledger takes writes, otherwise 0."),
    Meter(
        "gateway_profiles_refused", "gauge",
        "1 while a profile on disk is wrong and the one that was active last goes on, otherwise 0.",
    ),
    Meter(
        "gateway_certificate_expiry_timestamp_seconds", "gauge",
        "When a configured certificate expires, in seconds since 1970; 0 if it cannot be read.", ("certificate",),
    ),
    Meter("gateway_build_info", "gauge", "Always 1, labelled with the version.", ("version",)),
)  # fmt: skip
_METER: Final[Mapping[str, Meter]] = {meter.name: meter for meter in METERS}


class Metrics:
    """What the stages of the gateway count and time.

    Parameters
    ----------
    registry
        where the figures are found again; with ``shared`` nothing looks there.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry: Final = registry or CollectorRegistry()
        self._counters = {
            meter.name: Counter(meter.name, meter.help, meter.labels, registry=self.registry)
            for meter in METERS
            if meter.kind == "counter"
        }
        self._histograms = {
            meter.name: Histogram(meter.name, meter.help, meter.labels, buckets=meter.buckets, registry=self.registry)
            for meter in METERS
            if meter.kind == "histogram"
        }
        self._with_labels: dict[tuple[object, ...], Any] = {}
        meter = _METER["gateway_open_associations"]
        self._open = Gauge(meter.name, meter.help, meter.labels, registry=self.registry, multiprocess_mode=_LIVE)
        meter = _METER["gateway_destination_up"]
        self._up = Gauge(meter.name, meter.help, meter.labels, registry=self.registry, multiprocess_mode=_LIVE)
        meter = _METER["gateway_destination_outage"]
        self._outage = Gauge(meter.name, meter.help, meter.labels, registry=self.registry, multiprocess_mode=_LIVE)
        meter = _METER["gateway_notifier_up"]
        self._notifier_up = Gauge(meter.name, meter.help, meter.labels, registry=self.registry, multiprocess_mode=_LIVE)
        #: Destination -> why it is down.
        self._reasons: dict[str, str] = {}

    @classmethod
    def shared(cls, directory: Path) -> Metrics:
        """Figures that ``exposition`` adds up over all processes which share ``directory``.

        To be called once in each process, after a fork or spawn. Without room on the disk this process counts for
        itself alone: figures are missed, instances are not.
        """
        if _allocate(directory):
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
            prometheus_client.values.ValueClass = MultiProcessValue()  # type: ignore[no-untyped-call]
        else:
            prometheus_client.values.ValueClass = MutexValue
        return cls()

    def associated(self, *, source: str) -> None:
        """An association was accepted."""
        self._count("gateway_associations_total", source=source)
        self._open.labels(source=source).inc()

    def closed(self, *, source: str) -> None:
        """An accepted association has ended."""
        self._open.labels(source=source).dec()

    def echoed(self, *, source: str) -> None:
        """A C-ECHO was answered."""
        self._count("gateway_echoes_total", source=source)

    def association_refused(self, *, reason: str) -> None:
        """An association was refused."""
        self._count("gateway_associations_refused_total", reason=reason)

    def http_refused(self, reason: str) -> None:
        """An HTTP client was refused."""
        self._count("gateway_http_refused_total", reason=reason)

    def received(self, *, source: str, size: int, seconds: float) -> None:
        """An instance of ``size`` bytes was acknowledged, ``seconds`` after its first byte."""
        self._count("gateway_instances_received_total", source=source)
        self._count("gateway_received_bytes_total", size, source=source)
        self._time("gateway_receive_seconds", seconds, source=source)

    def refused(self, *, source: str, reason: str) -> None:
        """An instance was answered with a failure."""
        self._count("gateway_instances_refused_total", source=source, reason=reason)

    def taken_up(self, *, waited_seconds: float) -> None:
        """A worker took up an instance, ``waited_seconds`` after it was received."""
        self._time("gateway_queue_wait_seconds", waited_seconds)

    def rejected(self, *, project: str, rule: str) -> None:
        """A rule rejected an instance."""
        self._count("gateway_instances_rejected_total", project=project, rule=rule)

    def held(self, *, project: str, reason: str) -> None:
        """An instance is held; ``reason`` is the code of an error or rule."""
        self._count("gateway_instances_held_total", project=project, reason=reason)

    def series_looked_at(self, *, project: str, verdict: str) -> None:
        """A face was looked for in a series: ``blank``, ``none``, ``unsure`` or ``doubt``."""
        self._count("gateway_series_looked_at_total", project=project, verdict=verdict)

    def decoding_too_long(self, *, source: str) -> None:
        """A codec did not finish with an instance of ``source``, nor with those before it."""
        self._count("gateway_decoding_too_long_total", source=source)

    def deidentified(
        self, *, project: str, deidentify_seconds: float, verify_seconds: float, pixel_seconds: float | None = None
    ) -> None:
        """An instance was de-identified and verified; ``pixel_seconds`` is None if its pixels are those received."""
        self._count("gateway_instances_deidentified_total", project=project)
        if pixel_seconds is not None:
            self._time("gateway_pixels_seconds", pixel_seconds, project=project)
        self._time("gateway_deidentify_seconds", deidentify_seconds, project=project)
        self._time("gateway_verify_seconds", verify_seconds, project=project)

    def requested(self, *, destination: str, seconds: float) -> None:
        """A request to a destination took ``seconds``, whatever its outcome."""
        self._time("gateway_deliver_seconds", seconds, destination=destination)

    def delivered(self, *, destination: str, size: int, transit_seconds: float | None = None) -> None:
        """A destination confirmed an instance of ``size`` bytes, ``transit_seconds`` after it was received."""
        self._count("gateway_instances_delivered_total", destination=destination)
        self._count("gateway_delivered_bytes_total", size, destination=destination)
        if transit_seconds is not None:
            self._time("gateway_transit_seconds", transit_seconds, destination=destination)

    def failed(self, *, destination: str, reason: str) -> None:
        """An attempt to deliver failed and will be repeated."""
        self._count("gateway_deliveries_failed_total", destination=destination, reason=reason)

    def dead(self, *, destination: str, reason: str) -> None:
        """A delivery was given up."""
        self._count("gateway_deliveries_dead_total", destination=destination, reason=reason)

    def destination_up(self, *, destination: str, up: bool, reason: str = "") -> None:
        """Whether a destination answers, and why not; told by the one process that delivers."""
        self._up.labels(destination=destination).set(int(up))
        before = self._reasons.pop(destination, "")
        if before and (up or before != reason):
            self._outage.labels(destination=destination, reason=before).set(0)
        if not up and reason:
            self._outage.labels(destination=destination, reason=reason).set(1)
            self._reasons[destination] = reason

    def notified(self, *, notifier: str, event: str) -> None:
        """A message was taken."""
        self._count("gateway_notifications_sent_total", notifier=notifier, event=event)

    def not_notified(self, *, notifier: str, reason: str) -> None:
        """A message was not taken, and is sent again."""
        self._count("gateway_notifications_failed_total", notifier=notifier, reason=reason)

    def notifier_up(self, *, notifier: str, up: bool) -> None:
        """Whether the last message was taken; told by the one process that tells people."""
        self._notifier_up.labels(notifier=notifier).set(int(up))

    def worker_restarted(self, *, role: str) -> None:
        """A process that died was started again."""
        self._count("gateway_worker_restarts_total", role=role)

    def begin(self, name: str, **labels: str) -> None:
        """Let a figure of these labels begin at zero: one that is born with its first event hides that event."""
        if name == self._outage._name:  # noqa: SLF001 - its name is not public
            self._outage.labels(**labels)
        elif name in self._counters:
            self._labelled(self._counters[name], name, labels)
        else:
            self._labelled(self._histograms[name], name, labels)

    def _count(self, name: str, amount: float = 1, **labels: str) -> None:
        self._labelled(self._counters[name], name, labels).inc(amount)

    def _time(self, name: str, seconds: float, **labels: str) -> None:
        # Clocks are set back at times; a negative duration would spoil the sum for good.
        self._labelled(self._histograms[name], name, labels).observe(max(seconds, 0.0))

    def _labelled(self, metric: _M, name: str, labels: Mapping[str, str]) -> _M:
        """A metric with labels, which are checked the first time only."""
        if not labels:
            return metric
        key = (name, *labels.items())
        labelled: _M | None = self._with_labels.get(key)
        if labelled is None:
            labelled = self._with_labels[key] = metric.labels(**labels)
        return labelled


class ReceiveMetrics:
    """What the receiver tells its observer, counted.

    Parameters
    ----------
    metrics
        where it is counted.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def associated(self, source: str) -> None:
        """An association with ``source`` was accepted."""
        self._metrics.associated(source=source)

    def closed(self, source: str) -> None:
        """That association has ended."""
        self._metrics.closed(source=source)

    def refused(self, reason: str) -> None:
        """An association was rejected."""
        self._metrics.association_refused(reason=reason)

    def echoed(self, source: str) -> None:
        """A C-ECHO was answered."""
        self._metrics.echoed(source=source)

    def stored(self, source: str, size: int, seconds: float) -> None:
        """An instance was acknowledged."""
        self._metrics.received(source=source, size=size, seconds=seconds)

    def failed(self, source: str, status: int, reason: str) -> None:  # noqa: ARG002 - the reason tells more
        """An instance was refused, or lost with its association."""
        self._metrics.refused(source=source, reason=reason)


@dataclass(frozen=True, slots=True)
class Queue:
    """How many wait, and the age of the oldest in seconds."""

    count: int
    oldest_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What is read at the moment of a scrape."""

    #: State of instances -> queue.
    instances: Mapping[str, Queue] = field(default_factory=dict)
    #: Why series are held for what may be a face in them -> how many.
    series: Mapping[str, int] = field(default_factory=dict)
    #: Destination and state of deliveries -> queue.
    deliveries: Mapping[tuple[str, str], Queue] = field(default_factory=dict)
    #: Whether the ledger could be read: without it there are no queues.
    readable: bool = True
    #: Whether the ledger takes writes.
    writable: bool = True
    #: Whether instances are accepted and processed.
    ready: bool = True
    #: Disk -> free space.
    disk_free_bytes: Mapping[str, int] = field(default_factory=dict)
    disk_reserve_bytes: int = 0
    #: Notifier -> messages that wait.
    messages: Mapping[str, int] = field(default_factory=dict)
    #: Role -> number of processes.
    workers: Mapping[str, int] = field(default_factory=dict)
    #: Process that de-identifies -> seconds at one instance.
    busy_seconds: Mapping[str, float] = field(default_factory=dict)
    #: Whether a profile on disk is wrong.
    profiles_refused: bool = False
    #: Place of a certificate in the configuration -> seconds since 1970.
    expiries: Mapping[str, float] = field(default_factory=dict)


class _Gauges(Collector):
    def __init__(self, read: Callable[[], Readings]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield _gauge("gateway_build_info", {(__version__,): 1})
        try:
            readings = self._read()
        except (GatewayError, OSError):
            # The counters still tell something, and this figure tells the rest.
            yield _gauge("gateway_readable", {(): 0})
            return
        yield _gauge("gateway_readable", {(): readings.readable})
        yield _gauge("gateway_ledger_writable", {(): readings.writable})
        yield _gauge("gateway_ready", {(): readings.ready})
        if readings.readable:
            states = {(state,): queue for state, queue in readings.instances.items()}
            ages = {key: queue.oldest_seconds for key, queue in states.items()}
            yield _gauge("gateway_instances", {key: queue.count for key, queue in states.items()})
            yield _gauge("gateway_instances_oldest_seconds", ages)
            yield _gauge("gateway_series", {(reason,): count for reason, count in readings.series.items()})
            queues = readings.deliveries
            ages_of_deliveries = {key: queue.oldest_seconds for key, queue in queues.items()}
            waiting = {(name,): count for name, count in readings.messages.items()}
            yield _gauge("gateway_notifications_waiting", waiting)
            yield _gauge("gateway_deliveries", {key: queue.count for key, queue in queues.items()})
            yield _gauge("gateway_deliveries_oldest_seconds", ages_of_deliveries)
        yield _gauge("gateway_disk_free_bytes", {(disk,): free for disk, free in readings.disk_free_bytes.items()})
        yield _gauge("gateway_disk_reserve_bytes", {(): readings.disk_reserve_bytes})
        yield _gauge("gateway_workers", {(role,): count for role, count in readings.workers.items()})
        busy = {(worker,): seconds for worker, seconds in readings.busy_seconds.items()}
        yield _gauge("gateway_worker_busy_seconds", busy)
        yield _gauge("gateway_profiles_refused", {(): readings.profiles_refused})
        expiries = {(place,): moment for place, moment in readings.expiries.items()}
        yield _gauge("gateway_certificate_expiry_timestamp_seconds", expiries)


def _gauge(name: str, values: Mapping[_Labels, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, _METER[name].help, labels=_METER[name].labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def clear(directory: Path) -> None:
    """Start from nothing: remove what the processes of an earlier run counted. Before any process counts.

    Raises
    ------
    ConfigurationError
        the directory cannot be made or written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in directory.glob("*.db"):
            file.unlink()
    except OSError as error:
        raise ConfigurationError(place=str(directory), problem=f"cannot be written: {error.strerror}") from None


def forget(directory: Path, process: int) -> None:
    """Leave what the ended process ``process`` had open out of the figures; what it counted stays."""
    mark_process_dead(process, str(directory))  # type: ignore[no-untyped-call]


def exposition(directory: Path, read: Callable[[], Readings]) -> bytes:
    """All figures in Prometheus' text format.

    Parameters
    ----------
    directory
        where the processes count (``Metrics.shared``).
    read
        gives the gauges. When it raises a GatewayError or OSError they are left out, and ``gateway_readable``
        is 0.
    """
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(directory))  # type: ignore[no-untyped-call]
    registry.register(_Gauges(read))
    return generate_latest(registry)


def _allocate(directory: Path) -> bool:
    """Set room aside for this process's files; they begin as zeros, which prometheus-client reads as empty."""
    draft = directory / f"{os.getpid()}.draft"
    try:
        for kind in ("counter", "histogram", f"gauge_{_LIVE}"):
            file = directory / f"{kind}_{os.getpid()}.db"
            # An earlier process with this number may have counted already.
            if file.exists():
                continue
            descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, _ALLOCATED)
            finally:
                os.close(descriptor)
            # Under its name at once: whoever adds up meanwhile cannot read an empty file.
            draft.rename(file)
    except OSError:
        draft.unlink(missing_ok=True)
        return False
    return True
