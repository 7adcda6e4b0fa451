"""The figures: counted by processes, added up, read by Prometheus."""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import prometheus_client.values
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.errors import ConfigurationError, LedgerUnavailable
from gateway.metrics import METERS, Metrics, Queue, Readings, ReceiveMetrics, clear, exposition, forget

READINGS = Readings(
    series={"waits-for-series": 2},
    instances={"received": Queue(3, 12.5), "held": Queue(1)},
    deliveries={("archive", "pending"): Queue(2, 4.0)},
    disk_free_bytes={"spool": 10**12, "ledger": 10**11},
    disk_reserve_bytes=10**9,
    workers={"worker": 2},
    messages={"desk": 1},
    busy_seconds={"deidentify-1": 3.5},
    expiries={"dicom.tls.certificate_file": 4e9},
)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory of figures; afterwards the process counts as before."""
    values, variable = prometheus_client.values.ValueClass, os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    clear(tmp_path / "metrics")
    yield tmp_path / "metrics"
    prometheus_client.values.ValueClass = values
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    if variable is not None:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = variable


def count_everything(metrics: Metrics) -> None:
    receive = ReceiveMetrics(metrics)
    receive.associated("pacs")
    receive.refused("calling-ae")
    receive.echoed("pacs")
    metrics.http_refused("displaced")
    receive.stored("pacs", 1000, 0.02)
    receive.failed("pacs", 0xA700, "spool-full")
    metrics.series_looked_at(project="default", verdict="blank")
    metrics.decoding_too_long(source="pacs")
    metrics.taken_up(waited_seconds=1.5)
    metrics.rejected(project="default", rule="duplicate")
    metrics.held(project="default", reason="leak-suspected")
    metrics.deidentified(project="default", pixel_seconds=0.02, deidentify_seconds=0.001, verify_seconds=0.0004)
    metrics.requested(destination="archive", seconds=0.3)
    metrics.delivered(destination="archive", size=900, transit_seconds=2.0)
    metrics.failed(destination="archive", reason="unreachable")
    metrics.dead(destination="archive", reason="refused")
    metrics.worker_restarted(role="worker")
    metrics.destination_up(destination="archive", up=True)
    metrics.begin("gateway_destination_outage", destination="archive", reason="credentials")
    metrics.notified(notifier="desk", event="held")
    metrics.not_notified(notifier="desk", reason="unreachable")
    metrics.notifier_up(notifier="desk", up=True)


def _count_in_a_process(directory: Path) -> None:
    count_everything(Metrics.shared(directory))


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_processes_are_added_up(directory: Path) -> None:
    context = multiprocessing.get_context("spawn")
    for _ in range(2):
        process = context.Process(target=_count_in_a_process, args=(directory,))
        process.start()
        process.join(60)
        assert process.exitcode == 0
    count_everything(Metrics.shared(directory))
    found = samples(exposition(directory, lambda: READINGS))
    pacs = (("source", "pacs"),)
    assert found["gateway_instances_received_total", pacs] == 3
    assert found["gateway_received_bytes_total", pacs] == 3000
    assert found["gateway_instances_refused_total", (("reason", "spool-full"), *pacs)] == 3
    assert found["gateway_receive_seconds_count", pacs] == 3
    assert found["gateway_receive_seconds_sum", pacs] == pytest.approx(0.06)
    assert found["gateway_receive_seconds_bucket", (("le", "0.025"), *pacs)] == 3
    assert found["gateway_receive_seconds_bucket", (("le", "0.01"), *pacs)] == 0
    assert found["gateway_open_associations", pacs] == 3


def test_what_an_ended_process_had_open_is_forgotten(directory: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_count_in_a_process, args=(directory,))
    process.start()
    process.join(60)
    assert process.pid is not None
    metrics = Metrics.shared(directory)
    metrics.associated(source="pacs")
    metrics.closed(source="pacs")
    forget(directory, process.pid)
    found = samples(exposition(directory, lambda: READINGS))
    assert found["gateway_open_associations", (("source", "pacs"),)] == 0
    assert found["gateway_associations_total", (("source", "pacs"),)] == 2


def test_every_meter_is_exposed_with_its_labels_and_nothing_else(directory: Path) -> None:
    count_everything(Metrics.shared(directory))
    text = exposition(directory, lambda: READINGS)
    families = {family.name: family for family in text_string_to_metric_families(text.decode())}
    assert set(families) == {meter.name.removesuffix("_total") for meter in METERS}
    for meter in METERS:
        family = families[meter.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (meter.kind, meter.help)
        assert {label for sample in family.samples for label in sample.labels} - {"le"} == set(meter.labels)


def test_prometheus_accepts_the_exposition(directory: Path) -> None:
    count_everything(Metrics.shared(directory))
    text = exposition(directory, lambda: READINGS)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_gauges_are_read_at_the_moment(directory: Path) -> None:
    found = samples(exposition(directory, lambda: READINGS))
    assert found["gateway_instances", (("state", "received"),)] == 3
    assert found["gateway_instances_oldest_seconds", (("state", "received"),)] == 12.5
    assert found["gateway_deliveries", (("destination", "archive"), ("state", "pending"))] == 2
    assert found["gateway_deliveries_oldest_seconds", (("destination", "archive"), ("state", "pending"))] == 4
    assert found["gateway_disk_free_bytes", (("disk", "spool"),)] == 10**12
    assert found["gateway_disk_free_bytes", (("disk", "ledger"),)] == 10**11
    assert found["gateway_worker_busy_seconds", (("worker", "deidentify-1"),)] == 3.5
    assert (
        found["gateway_certificate_expiry_timestamp_seconds", (("certificate", "dicom.tls.certificate_file"),)] == 4e9
    )
    assert found["gateway_workers", (("role", "worker"),)] == 2
    assert found["gateway_readable", ()] == 1


@pytest.mark.parametrize("error", [LedgerUnavailable(operation="read", reason="locked"), OSError(5, "I/O error")])
def test_counters_are_told_when_the_ledger_cannot_be_read(directory: Path, error: Exception) -> None:
    def read() -> Readings:
        raise error

    Metrics.shared(directory).worker_restarted(role="worker")
    found = samples(exposition(directory, read))
    assert found["gateway_readable", ()] == 0
    assert found["gateway_worker_restarts_total", (("role", "worker"),)] == 1
    assert not any(name == "gateway_disk_free_bytes" for name, _ in found)


def test_without_the_ledger_everything_else_is_told(directory: Path) -> None:
    readings = replace(READINGS, readable=False, writable=False, ready=False)
    found = samples(exposition(directory, lambda: readings))
    assert [found[name, ()] for name in ("gateway_readable", "gateway_ledger_writable", "gateway_ready")] == [0, 0, 0]
    assert found["gateway_disk_free_bytes", (("disk", "spool"),)] == 10**12
    assert not any(name in {"gateway_instances", "gateway_deliveries"} for name, _ in found)


def test_why_a_destination_is_down(directory: Path) -> None:
    metrics = Metrics.shared(directory)

    def reasons() -> dict[str, float]:
        found = samples(exposition(directory, lambda: READINGS))
        return {
            dict(labels)["reason"]: value for (name, labels), value in found.items() if name.endswith("tion_outage")
        }

    metrics.begin("gateway_destination_outage", destination="archive", reason="tls")
    assert reasons() == {"tls": 0}
    metrics.destination_up(destination="archive", up=False, reason="credentials")
    assert reasons() == {"tls": 0, "credentials": 1}
    metrics.destination_up(destination="archive", up=False, reason="tls")
    assert reasons() == {"tls": 1, "credentials": 0}
    metrics.destination_up(destination="archive", up=True)
    assert reasons() == {"tls": 0, "credentials": 0}


def test_what_begins_at_zero_is_seen_before_its_first_event(directory: Path) -> None:
    metrics = Metrics.shared(directory)
    for meter in METERS:
        if meter.kind != "gauge":
            metrics.begin(meter.name, **dict.fromkeys(meter.labels, "x"))
    found = samples(exposition(directory, lambda: READINGS))
    for meter in METERS:
        labels = tuple(sorted((name, "x") for name in meter.labels))
        if meter.kind != "gauge":
            assert found[f"{meter.name}_count" if meter.buckets else meter.name, labels] == 0


def test_a_clock_set_back_spoils_no_sum(directory: Path) -> None:
    Metrics.shared(directory).taken_up(waited_seconds=-3600.0)
    found = samples(exposition(directory, lambda: READINGS))
    assert (found["gateway_queue_wait_seconds_sum", ()], found["gateway_queue_wait_seconds_count", ()]) == (0, 1)


def test_clear_starts_from_nothing(directory: Path) -> None:
    count_everything(Metrics.shared(directory))
    clear(directory)
    assert list(directory.iterdir()) == []
    assert directory.stat().st_mode & 0o777 == 0o700
    assert not any("received" in name for name, _ in samples(exposition(directory, Readings)))


def test_clear_tells_what_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("a file where the directory should be")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        clear(tmp_path / "metrics")


def test_files_have_their_room_before_they_are_written(directory: Path) -> None:
    """A sparse file on a full disk would end the process with SIGBUS when it counts (P5)."""
    count_everything(Metrics.shared(directory))
    files = list(directory.iterdir())
    assert {file.name.rsplit("_", 1)[0] for file in files} == {"counter", "histogram", "gauge_livesum"}
    assert all(file.stat().st_blocks * 512 >= file.stat().st_size for file in files)


def test_without_room_the_process_counts_for_itself(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    metrics = Metrics.shared(directory)
    count_everything(metrics)
    assert metrics.registry.get_sample_value("gateway_instances_received_total", {"source": "pacs"}) == 1
    assert ("gateway_instances_received_total", (("source", "pacs"),)) not in samples(
        exposition(directory, lambda: READINGS)
    )


def test_names_and_texts_follow_the_conventions() -> None:
    assert len({meter.name for meter in METERS}) == len(METERS)
    for meter in METERS:
        assert re.fullmatch(r"gateway_[a-z_]+", meter.name)
        assert meter.name.endswith("_total") == (meter.kind == "counter")
        assert bool(meter.buckets) == (meter.kind == "histogram")
        assert list(meter.buckets) == sorted(meter.buckets)
