"""The whole way: from the first byte of the sender to the destination's confirmation in the ledger."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Run
from benchmarks.programs import LedgerView, gateway, null_sink, synced
from benchmarks.senders import storescu, warm_up
from benchmarks.usage import Meter
from benchmarks.workloads import Workload
from tests.fixtures.dcmtk import storescp
from tests.fixtures.orthanc import orthanc_server

#: Connections of the gateway to a destination that takes several.
CONNECTIONS = 4


@contextmanager
def destination(kind: str, folder: Path) -> Iterator[tuple[Mapping[str, object], Mapping[int, str]]]:
    """Start a destination: its settings in the gateway, and its processes.

    Parameters
    ----------
    kind: ``folder``, ``null STOW sink``, ``Orthanc`` or ``storescp``
    folder: exists, and is empty
    """
    match kind:
        case "folder":
            yield {"type": "folder", "path": str(folder / "archive")}, {}
        case "null STOW sink":
            with null_sink(folder) as (pid, url):
                yield {"type": "dicomweb", "url": url, "connections": CONNECTIONS}, {pid: "destination"}
        case "Orthanc":
            with orthanc_server(folder / "orthanc") as server:
                yield (
                    {"type": "dicomweb", "url": server.dicomweb, "connections": CONNECTIONS},
                    {server.pid: "destination"},
                )
        case "storescp":
            with storescp(folder / "storescp") as scp:
                settings = {"type": "dicom", "host": "127.0.0.1", "port": scp.port, "called_ae": "ARCHIVE"}
                yield {**settings, "connections": 1}, {scp.pid: "destination"}
        case _:
            raise ValueError(kind)


def measure(
    folder: Path, workload: Workload, kind: str, *, associations: int, no_delay: bool, max_associations: int = 64
) -> Run:
    """One repeat with a gateway, and a destination, of its own.

    Parameters
    ----------
    folder: for everything; does not exist
    workload: what is sent
    kind: see ``destination``
    associations, no_delay: see ``storescu``
    max_associations: how many the gateway allows
    """
    folder.mkdir(parents=True)
    with (
        destination(kind, folder) as (settings, others),
        gateway(folder / "gateway", settings, max_associations=max_associations) as running,
    ):
        view = LedgerView(running.data)
        warm_up(running.dicom_port, workload)
        view.wait(view.confirmed, len(workload.warm_up))
        synced()
        view = LedgerView(running.data)
        meter = Meter({**running.processes, **others}).start()
        started = time.time()
        sent = _children_seconds()
        storescu(running.dicom_port, workload, associations=associations, no_delay=no_delay)
        sent = _children_seconds() - sent
        view.wait(view.confirmed, len(workload.files))
        window = meter.window()
        return Run(
            instances=len(workload.files),
            size=workload.size,
            seconds=view.last_confirmed() - started,
            cpu={**meter.cpu(), "sender": sent},
            latencies=view.transits(),
            memory=meter.memory(),
            window=window,
        )


def _children_seconds() -> float:
    """CPU seconds of processes that this one has started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
