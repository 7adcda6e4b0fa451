"""Runs that count: those during which the processor had its speed.

The processors of a virtual machine are often threads of cores that other machines use as well. Such a phase halves
what they do; it may last for seconds or for hours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.figures import Run
from benchmarks.machine import loop_ms
from benchmarks.pulse import Pulse

#: How long a run waits for the processor, and how often it is tried.
_WAIT_SECONDS: Final = 60.0
ATTEMPTS: Final = 20
_PAUSE_SECONDS: Final = 0.5

_Runs = tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steadiness:
    """Which runs count.

    Attributes
    ----------
    pulse: of the processor
    limit_ms: how long the loop of ``pulse`` may take in the mean while something is measured; None counts every run
    tell: called with why a run does not count
    """

    pulse: Pulse
    limit_ms: float | None
    tell: Callable[[str], None]

    def counted(self, measure: Callable[[], _Runs]) -> _Runs:
        """Measure, and again until the processor had its speed; each of the runs knows what it had.

        Parameters
        ----------
        measure: one repeat, which may measure several things

        Returns
        -------
        The first runs that count; if none does, those during which the processor was fastest. Nothing that they
        found has a say in it.
        """
        tried = []
        for attempt in self._attempts():
            started = time.monotonic()
            found = measure()
            called = started, time.monotonic()
            runs = tuple(replace(run, loop=self.pulse.mean(*(run.window or called))) for run in found)
            tried.append((max(run.loop for run in runs), runs))
            loop = tried[-1][0]
            if self.limit_ms is None or loop <= self.limit_ms:
                return runs
            self.tell(f"attempt {attempt} of {ATTEMPTS} does not count: the processor took {loop:.0f} ms for its loop")
        return min(tried, key=lambda one: one[0])[1]

    def _attempts(self) -> Iterator[int]:
        """The attempts' numbers, each when the processor seems to have its speed, or will not have it soon."""
        for attempt in range(1, ATTEMPTS + 1):
            if self.limit_ms is not None:
                end = time.monotonic() + _WAIT_SECONDS
                while loop_ms() > self.limit_ms and time.monotonic() < end:
                    time.sleep(_PAUSE_SECONDS)
            yield attempt
