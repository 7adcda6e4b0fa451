"""Other receivers under the same senders. None of them waits for the disk before it answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.figures import Run
from benchmarks.programs import python, synced
from benchmarks.senders import storescu, warm_up
from benchmarks.usage import Meter
from benchmarks.workloads import Workload
from tests.fixtures.dcmtk import storescp
from tests.fixtures.orthanc import orthanc_server


@contextmanager
def _storescp(folder: Path) -> Iterator[tuple[int, int]]:
    with storescp(folder / "storescp", options=("--fork",)) as server:
        yield server.pid, server.port


@contextmanager
def _orthanc(folder: Path) -> Iterator[tuple[int, int]]:
    with orthanc_server(folder / "orthanc") as server:
        yield server.pid, server.dicom_port


@contextmanager
def _pynetdicom(folder: Path) -> Iterator[tuple[int, int]]:
    store = folder / "stored"
    store.mkdir()
    with python("plain_scp", str(store), log=folder / "plain.log") as (pid, port):
        yield pid, int(port)


#: Name -> starts one in a folder, which yields its process id and port.
RECEIVERS: Final[Mapping[str, Callable[[Path], AbstractContextManager[tuple[int, int]]]]] = {
    "pynetdicom SCP": _pynetdicom,
    "dcmtk storescp": _storescp,
    "Orthanc": _orthanc,
}


def measure(folder: Path, name: str, workload: Workload, *, associations: int, no_delay: bool) -> Run:
    """One repeat with a receiver of its own; see ``senders.storescu``."""
    folder.mkdir(parents=True)
    with RECEIVERS[name](folder) as (pid, port):
        warm_up(port, workload)
        synced()
        meter = Meter({pid: "receive"}).start()
        started = time.perf_counter()
        storescu(port, workload, associations=associations, no_delay=no_delay)
        seconds = time.perf_counter() - started
        window = meter.window()
        return Run(
            instances=len(workload.files),
            size=workload.size,
            seconds=seconds,
            # Processes that storescp forks for associations have ended: theirs is not known.
            cpu={} if name == "dcmtk storescp" else meter.cpu(),
            memory=meter.memory(),
            window=window,
        )
