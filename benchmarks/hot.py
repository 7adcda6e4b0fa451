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

from benchmarks import stages
from benchmarks.workloads import Workload

#: What is looked into: workloads and destinations, and a workload that comes over many associations.
WAYS: Final = (("W1", "folder"), ("W1", "null STOW sink"), ("W2", "folder"))
CROWD: Final = ("W3", 64)
_SAMPLES_PER_SECOND: Final = "200"
_SHOWN: Final = 12


def is_available() -> bool:
    """Whether py-spy is installed."""
    return _py_spy() is not None


def profile(
    folder: Path, ways: Sequence[tuple[Workload, str]], crowd: tuple[Workload, int]
) -> Mapping[str, Sequence[tuple[float, str]]]:
    """The functions in which the gateway's processes spend their time: process -> share and function, most first.

    Parameters
    ----------
    folder: for everything; does not exist
    ways: workloads and kinds of destination, ``whole.destination``; the processes work one after the other
    crowd: a workload, and over how many associations it is received as well
    """
    found: dict[str, Sequence[tuple[float, str]]] = {}
    for workload, kind in ways:
        samples = folder / f"{workload.name} {kind}"
        samples.mkdir(parents=True)

        def watch(pid: int, role: str, samples: Path = samples) -> AbstractContextManager[None]:
            return _watched(pid, samples / role)

        stages.receive(samples / "receiving", workload, associations=4, no_delay=True, watch=watch)
        stages.process(samples / "processing", workload, kind, watch=watch)
        for role in ("receive", "deidentify", "deliver"):
            found.setdefault(
                f"{role} {workload.name}" + (f", {kind}" if role == "deliver" else ""), _summed(samples / role)
            )
    sent, associations = crowd
    samples = folder / "crowd"
    stages.receive(
        folder / "crowded", sent, associations=associations, no_delay=True, watch=lambda pid, _: _watched(pid, samples)
    )
    found[f"receive {sent.name}, {associations} associations"] = _summed(samples)
    return found


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
