"""Stages alone: the gateway's own processes, one after the other, on one spool and one ledger.

Each stage finds waiting what the one before it has left; nothing else runs at the same time but the sender or the
destination that it talks to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Self

from benchmarks.figures import Run
from benchmarks.programs import LedgerView, configuration, job, latencies_of, make_secret, synced
from benchmarks.senders import storescu, warm_up
from benchmarks.usage import Meter
from benchmarks.whole import destination
from benchmarks.workloads import Workload
from gateway.ledger import Ledger
from tests.fixtures.ports import free_port, is_listening, wait_until

#: Watches a process while it is measured; gets its process id and role.
Watch = Callable[[int, str], AbstractContextManager[object]]


def _unwatched(_pid: int, _role: str) -> AbstractContextManager[object]:
    return nullcontext()


def receive(folder: Path, workload: Workload, *, associations: int, no_delay: bool, watch: Watch = _unwatched) -> Run:
    """The receiving process alone, into a spool and a ledger of its own."""
    with _Bench(folder, {"type": "folder", "path": str(folder / "archive")}) as bench:
        return bench.receive(workload, associations=associations, no_delay=no_delay, watch=watch)


def process(folder: Path, workload: Workload, kind: str, *, watch: Watch = _unwatched) -> tuple[Run, Run]:
    """A worker alone, then the delivering process alone, on instances that were received before.

    Parameters
    ----------
    folder: for everything; does not exist
    workload: what is received
    kind: of destination, see ``whole.destination``
    watch: watches both processes
    """
    folder.mkdir(parents=True)
    with destination(kind, folder) as (settings, others), _Bench(folder / "bench", settings) as bench:
        bench.receive(workload, associations=1, no_delay=True, watch=_unwatched)
        worked = bench.deidentify(workload, watch=watch)
        return worked, bench.deliver(workload, others, watch=watch)


class _Bench:
    """A data directory on which one process at a time works."""

    def __init__(self, folder: Path, settings: Mapping[str, object]) -> None:
        self._folder = folder
        self._settings = settings
        self._port = free_port()
        self._configuration = folder / "gateway.yaml"
        self._data = folder / "data"
        self._latencies = folder / "latencies.json"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        self._data.mkdir(mode=0o700)
        Ledger.open(f"sqlite:///{self._data}/ledger.sqlite3").close()
        text = configuration(self._folder, self._settings, dicom_port=self._port)
        self._configuration.write_text(text, encoding="utf-8")
        make_secret(self._folder, text)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave everything where it is: see ``suite``."""

    def receive(self, workload: Workload, *, associations: int, no_delay: bool, watch: Watch) -> Run:
        with job("receive", self._configuration, self._latencies) as pid:
            wait_until(lambda: is_listening(self._port), what="the receiver listens")
            warm_up(self._port, workload)
            synced()
            meter = Meter({pid: "receive"}).start()
            with watch(pid, "receive"):
                started = time.perf_counter()
                storescu(self._port, workload, associations=associations, no_delay=no_delay)
                seconds = time.perf_counter() - started
            window, cpu, memory = meter.window(), meter.cpu(), meter.memory()
        return Run(
            instances=len(workload.files),
            size=workload.size,
            seconds=seconds,
            cpu=cpu,
            latencies=latencies_of(self._latencies)[len(workload.warm_up) :],
            memory=memory,
            window=window,
        )

    def deidentify(self, workload: Workload, *, watch: Watch) -> Run:
        view = LedgerView(self._data, all_rows=True)
        return self._drain("deidentify", view, view.deidentified, workload, {}, watch=watch)

    def deliver(self, workload: Workload, others: Mapping[int, str], *, watch: Watch) -> Run:
        view = LedgerView(self._data, all_rows=True)
        return self._drain("deliver", view, view.confirmed, workload, others, watch=watch)

    def _drain(
        self,
        role: str,
        view: LedgerView,
        done: Callable[[], int],
        workload: Workload,
        others: Mapping[int, str],
        *,
        watch: Watch,
    ) -> Run:
        """Measure from the moment at which the process takes up its work until nothing is left."""
        total = len(workload.files) + len(workload.warm_up)
        synced()
        with job(role, self._configuration, self._latencies) as pid, watch(pid, role):
            started = time.perf_counter()
            before = done()
            meter = Meter({pid: role, **others}).start()
            view.wait(done, total)
            seconds = time.perf_counter() - started
            window, cpu, memory = meter.window(), meter.cpu(), meter.memory()
        instances = total - before
        return Run(
            instances=instances,
            size=workload.size * instances // total,
            seconds=seconds,
            cpu=cpu,
            memory=memory,
            window=window,
        )
