"""Programs that are measured: started on loopback ports, told to end by closing their standard input."""

from __future__ import annotations

import json
import mmap
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.custody.secret import GATEWAY, project_secret
from gateway.settings.configuration import load_settings
from tests.fixtures.gateway import GatewayProcess, gateway_server

ROOT: Final = Path(__file__).resolve().parents[1]
#: Seconds after which a measurement has failed.
_LONGEST: Final = 600.0
_POLL: Final = 0.1
#: Bytes of memory that a run finds ready: more than most of them write.
_FETCHED: Final = 1 << 30
#: Linux's number; Python has no name for it.
_MADV_POPULATE_WRITE: Final = 23


@contextmanager
def python(module: str, *arguments: str, log: Path) -> Iterator[tuple[int, str]]:
    """Run a module of this package; yields its process id and the first line that it prints."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            text=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{module} ended at once: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
        yield process.pid, line
        process.stdin.close()
        process.wait(60)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def null_sink(folder: Path) -> Iterator[tuple[int, str]]:
    """A DICOMweb server that confirms and keeps nothing: its process id and base URL."""
    with python("sinks", log=folder / "sink.log") as (pid, port):
        yield pid, f"http://127.0.0.1:{port}/dicom-web"


def configuration(
    folder: Path, destination: Mapping[str, object], *, dicom_port: int = 0, max_associations: int = 64
) -> str:
    """The text of gateway.yaml for one destination, with its data in ``folder``.

    Everything that is not named here is the gateway's default: every object is synced before it is acknowledged.
    """
    values = {
        "data": str(folder / "data"),
        # All senders have one address here.
        "dicom": {
            "host": "127.0.0.1",
            "port": dicom_port,
            "max_associations": max_associations,
            "max_associations_per_address": max_associations,
        },
        "http": {"port": 0},
        "destinations": {"archive": dict(destination)},
        "log": {"format": "json"},
    }
    return json.dumps(values, indent=1)


def make_secret(folder: Path, configured: str) -> None:
    """Make the secrets of the project and of the gateway, which a gateway makes when it starts first."""
    path = folder / "first.yaml"
    path.write_text(configured, encoding="utf-8")
    settings = load_settings(path, {})
    for name in ("default", GATEWAY):
        project_secret(settings, name, create=True)


class LedgerView:
    """Looks into a gateway's SQLite ledger from outside.

    Parameters
    ----------
    data: the data directory
    all_rows: count all rows, not only those that are not there yet
    """

    def __init__(self, data: Path, *, all_rows: bool = False) -> None:
        self._path = data / "ledger.sqlite3"
        self._instance = 0 if all_rows else self._ask("SELECT coalesce(max(id), 0) FROM instances")
        self._delivery = 0 if all_rows else self._ask("SELECT coalesce(max(id), 0) FROM deliveries")

    def received(self) -> int:
        """Rows of instances."""
        return self._ask("SELECT count(*) FROM instances WHERE id > ?", self._instance)

    def deidentified(self) -> int:
        """Instances that have an output."""
        return self._ask("SELECT count(*) FROM outputs WHERE instance_id > ?", self._instance)

    def confirmed(self) -> int:
        """Deliveries that the destination confirmed."""
        return self._ask("SELECT count(*) FROM deliveries WHERE id > ? AND state = 'confirmed'", self._delivery)

    def stuck(self) -> int:
        """Instances that will not be delivered: held or rejected; and deliveries that failed."""
        return self._ask(
            "SELECT count(*) FROM instances WHERE id > ? AND state IN ('held', 'rejected')", self._instance
        ) + self._ask("SELECT count(*) FROM deliveries WHERE id > ? AND state IN ('failed', 'dead')", self._delivery)

    def last_confirmed(self) -> float:
        """When the last delivery was confirmed, in seconds since 1970."""
        return self._ask("SELECT max(changed_at) FROM deliveries WHERE id > ?", self._delivery) / 1e6

    def transits(self) -> list[float]:
        """Seconds from received to confirmed of every delivery."""
        query = """SELECT deliveries.changed_at - instances.received_at FROM deliveries
            JOIN instances ON instances.id = deliveries.instance_id WHERE deliveries.id > ?"""
        with closing(self._connect()) as connection:
            return [row[0] / 1e6 for row in connection.execute(query, (self._delivery,))]

    def wait(self, count: Callable[[], int], wanted: int) -> None:
        """Wait until ``count`` gives ``wanted``.

        Raises
        ------
        RuntimeError: something is stuck
        TimeoutError: it does not come to that
        """
        deadline = time.monotonic() + _LONGEST
        while (found := count()) < wanted:
            if self.stuck():
                raise RuntimeError(
                    f"{self.stuck()} instances are held, rejected or failed; {found} of {wanted} are done"
                )
            if time.monotonic() > deadline:
                raise TimeoutError(f"{found} of {wanted} instances are done")
            time.sleep(_POLL)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=30)

    def _ask(self, query: str, *values: int) -> int:
        with closing(self._connect()) as connection:
            return int(connection.execute(query, values).fetchone()[0] or 0)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway.

    Attributes
    ----------
    dicom_port: where it listens
    processes: process id -> role
    data: its data directory
    """

    dicom_port: int
    processes: Mapping[int, str]
    data: Path


@contextmanager
def gateway(
    folder: Path,
    destination: Mapping[str, object],
    *,
    max_associations: int = 64,
    prepare: Callable[[Path], None] | None = None,
) -> Iterator[Gateway]:
    """Run a whole gateway, fresh, in ``folder``.

    Parameters
    ----------
    folder: does not exist yet
    destination: settings of its one destination
    max_associations: how many it allows
    prepare: called with the data directory before the gateway starts
    """
    folder.mkdir(parents=True)
    if prepare is not None:
        prepare(folder / "data")
    text = configuration(folder, destination, max_associations=max_associations)
    make_secret(folder, text)
    with gateway_server(folder, configuration=text, cold=True) as running:
        yield Gateway(running.dicom_port, _roles(running), running.data)


def _roles(running: GatewayProcess) -> dict[int, str]:
    roles = {running.process.pid: "supervisor"}
    for line in running.process.output.splitlines():
        if '"process started"' in line:
            event = json.loads(line)
            roles[int(event["pid"])] = str(event["worker"]).partition("-")[0]
    return roles


@contextmanager
def job(role: str, configured: Path, latencies: Path) -> Iterator[int]:
    """Run one process of the gateway alone; yields its process id when it has taken up its work."""
    with python("job", role, str(configured), str(latencies), log=configured.with_suffix(f".{role}.log")) as (pid, _):
        yield pid


def latencies_of(path: Path) -> Sequence[float]:
    """What a job has written about its instances."""
    values: list[float] = json.loads(path.read_text(encoding="ascii"))
    return values


def synced() -> None:
    """Write everything out and have memory ready, so that a measurement does not pay for what was before it.

    The host of a virtual machine may take back memory that is free for some seconds. Whoever uses it first has it
    fetched again, which makes writing a file six times as dear: the first to use it is this.
    """
    os.sync()
    with suppress(OSError), mmap.mmap(-1, _FETCHED, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        memory.madvise(_MADV_POPULATE_WRITE)
