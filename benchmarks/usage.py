"""What processes have used: CPU time and memory, read from /proc."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PEAK: Final = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads, those that ended included."""
    # The name in parentheses may hold anything; behind it the fields are numbers.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_bytes(pid: int) -> int:
    """The highest resident size of a process since its start or ``forget_peak``."""
    found = _PEAK.search(Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) * 1024


def forget_peak(pid: int) -> None:
    """Let the peak begin again at the present size."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


class Meter:
    """Measures processes from its making on.

    Parameters
    ----------
    processes: name -> process id; a name may be that of several
    """

    def __init__(self, processes: Mapping[int, str]) -> None:
        self._processes = dict(processes)
        self._before: dict[int, float] = {}
        self._started = 0.0

    def start(self) -> Self:
        """Begin to measure."""
        for pid in self._processes:
            forget_peak(pid)
        self._before = {pid: cpu_seconds(pid) for pid in self._processes}
        self._started = time.monotonic()
        return self

    def cpu(self) -> dict[str, float]:
        """CPU seconds by name since the start."""
        used: dict[str, float] = {}
        for pid, name in self._processes.items():
            used[name] = used.get(name, 0.0) + cpu_seconds(pid) - self._before[pid]
        return used

    def window(self) -> tuple[float, float]:
        """The start, and now, by ``time.monotonic``."""
        return self._started, time.monotonic()

    def memory(self) -> dict[str, int]:
        """Highest resident bytes by name since the start."""
        peaks: dict[str, int] = {}
        for pid, name in self._processes.items():
            peaks[name] = max(peaks.get(name, 0), peak_bytes(pid))
        return peaks
