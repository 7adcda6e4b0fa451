"""Where the CPU of a process goes: py-spy's samples, summed by function."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from tests.benchmark import stages
from tests.benchmark.workloads import Workload

_SAMPLES_PER_SECOND: Final = "200"
_SHOWN: Final = 12


def is_available() -> bool:
    """Whether py-spy is installed."""
    return _py_spy() is not None


def profile(folder: Path, workload: Workload) -> Mapping[str, Sequence[tuple[float, str]]]:
    """The functions in which the gateway's processes spend their time: process -> share and function, most first.

    Args:
        folder: for everything; does not exist, and is removed
        workload: what goes through the processes, one after the other
    """
    folder.mkdir(parents=True)
    samples = folder / "samples"
    samples.mkdir()

    def watch(pid: int, role: str) -> AbstractContextManager[None]:
        return _watched(pid, samples / role)

    try:
        stages.receive(folder / "receive", workload, associations=4, no_delay=True, watch=watch)
        stages.process(folder / "process", workload, "folder", watch=watch)
        return {path.name: _summed(path) for path in sorted(samples.iterdir())}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _py_spy() -> str | None:
    return shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")


@contextmanager
def _watched(pid: int, samples: Path) -> Iterator[None]:
    command = [str(_py_spy()), "record", "--format", "raw", "--rate", _SAMPLES_PER_SECOND, "--nonblocking"]
    with subprocess.Popen(
        [*command, "--output", str(samples), "--pid", str(pid), "--duration", "3600"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)


def _summed(path: Path) -> list[tuple[float, str]]:
    counts: Counter[str] = Counter()
    for line in path.read_text(encoding="utf-8").splitlines():
        stack, _, number = line.rpartition(" ")
        function = stack.rpartition(";")[2].rpartition(":")[0] + ")"
        counts[function] += int(number)
    total = counts.total() or 1
    return [(count / total, function) for function, count in counts.most_common(_SHOWN)]
