"""How fast the processor is while something is measured."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import Final, Self

#: Seconds between two beats of a core, each of which takes about half a millisecond of it.
PAUSE_SECONDS: Final = 0.1
_BEATS: Final = """
import os, sys, time
def loop():
    started = time.process_time()
    for _ in range(50_000):
        pass
    return (time.process_time() - started) * 20_000
os.sched_setaffinity(0, {int(sys.argv[1])})
while os.getppid() == int(sys.argv[3]):
    time.sleep(float(sys.argv[2]))
    took = loop()
    os.write(1, b"%f %f\\n" % (time.monotonic(), took))
"""


class Pulse:
    """Times a short loop of Python on each core, again and again, until it is closed or this process has ended.

    A phase in which a core is slow, because another machine uses it, may last for seconds: what was before and after a
    run says little of it.
    """

    def __init__(self) -> None:
        self._written = tempfile.TemporaryFile(prefix="gateway-benchmark-pulse-")  # noqa: SIM115
        self._read = 0
        self._beats: list[tuple[float, float]] = []
        self._loops = [
            subprocess.Popen(
                [sys.executable, "-ISc", _BEATS, str(core), str(PAUSE_SECONDS), str(os.getpid())],
                stdout=self._written.fileno(),
            )
            for core in sorted(os.sched_getaffinity(0))
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for loop in self._loops:
            loop.kill()
        for loop in self._loops:
            loop.wait()
        self._written.close()

    def mean(self, started: float, ended: float) -> float:
        """Milliseconds of CPU that a million turns of a loop took, the mean of all beats of all cores.

        Parameters
        ----------
        started, ended: by ``time.monotonic``; beats of a moment before are taken as well

        Returns
        -------
        If there was no beat in that time, what the last one before it took; 0 if there was none at all.
        """
        self._follow()
        before = [(at, took) for at, took in self._beats if at <= ended]
        while_measured = [took for at, took in before if at >= started - PAUSE_SECONDS]
        taken = while_measured or [took for _, took in before[-1:]]
        return sum(taken) / len(taken) if taken else 0.0

    def _follow(self) -> None:
        """Read what was written since the last time; the loops share a file and a place in it."""
        size = os.fstat(self._written.fileno()).st_size
        *lines, rest = os.pread(self._written.fileno(), size - self._read, self._read).split(b"\n")
        self._read = size - len(rest)
        for line in lines:
            at, took = map(float, line.split())
            self._beats.append((at, took))
