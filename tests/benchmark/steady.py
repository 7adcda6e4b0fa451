"""Runs that count: those before and after which the processor had its speed.

The processors of a virtual machine are often threads of cores that other machines use as well. Such a phase halves
what they do; it may last for seconds or for hours.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tests.benchmark.figures import Run
from tests.benchmark.machine import loop_ms

#: How long a run waits for the processor, and how often it is tried.
_WAIT_SECONDS: Final = 60.0
_ATTEMPTS: Final = 8
_PAUSE_SECONDS: Final = 0.5

_Runs = tuple[Run, ...]


def counted(measure: Callable[[], _Runs], *, limit_ms: float | None, tell: Callable[[str], None]) -> _Runs:
    """Measure, and again until the processor had its speed; each of the runs knows what it had.

    Args:
        measure: one repeat, which may measure several things
        limit_ms: what ``loop_ms`` may give at most; None counts every run
        tell: called with why a run does not count

    Returns:
        The first runs that count; if none does, the last ones.
    """
    for attempt in range(_ATTEMPTS):
        before = loop_ms() if limit_ms is None else _awaited(limit_ms)
        found = measure()
        loop = max(before, loop_ms())
        if limit_ms is None or loop <= limit_ms:
            break
        tell(f"attempt {attempt + 1} of {_ATTEMPTS} does not count: the processor took {loop:.0f} ms for its loop")
    return tuple(replace(run, loop=loop) for run in found)


def _awaited(limit_ms: float) -> float:
    end = time.monotonic() + _WAIT_SECONDS
    while (loop := loop_ms()) > limit_ms and time.monotonic() < end:
        time.sleep(_PAUSE_SECONDS)
    return loop
