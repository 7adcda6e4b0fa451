"""One process of the gateway alone: ``python -m benchmarks.job ROLE CONFIG LATENCIES``.

It is the job that the supervisor would start. It prints ``ready``, works until its standard input ends, and then
writes the seconds that each acknowledged instance took into the file LATENCIES.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from array import array
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final, cast

from gateway.log import configure_logging
from gateway.metrics import Metrics
from gateway.service.dispatcher import dispatch
from gateway.service.process import Child, Job, spare_collector
from gateway.service.projects import activate_profiles
from gateway.service.reception import receive
from gateway.service.worker import work
from gateway.settings.configuration import load_settings

ROLES: Final[dict[str, Job]] = {"receive": receive, "deidentify": work, "deliver": dispatch}


class _Ready:
    def set(self) -> None:
        print("ready", flush=True)  # noqa: T201  (who started this waits for it)


class _Timing(Metrics):
    """Metrics that remember what each instance took."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = array("d")

    def received(self, *, source: str, size: int, seconds: float) -> None:
        super().received(source=source, size=size, seconds=seconds)
        self.seconds.append(seconds)


def main(role: str, configuration: Path, latencies: Path) -> None:
    """Run the job."""
    settings = load_settings(configuration, os.environ)
    configure_logging(format=settings.log.format, level=settings.log.level)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stopping = threading.Event()

    def watch() -> None:
        sys.stdin.read()
        stopping.set()

    threading.Thread(target=watch, daemon=True).start()
    metrics = _Timing()
    spare_collector()
    child = Child(
        name=role,
        owner=f"benchmark/{role}",
        settings=settings,
        programs=activate_profiles(settings),
        metrics=metrics,
        stopping=stopping,
        cautious=False,
        _ready=cast("Event", _Ready()),
    )
    ROLES[role](child)
    latencies.write_text(json.dumps(metrics.seconds.tolist()), encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
