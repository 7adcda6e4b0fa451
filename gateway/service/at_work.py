"""What a process works on at this moment, as its supervisor sees it, the time that it may take, and what fails it.

A hang in native code holds the interpreter: no thread of the process runs, no handler, nothing that Python could do
about it. So the limit is the kernel's: an interval timer whose signal nobody handles, which ends the process. It ends
one whose supervisor is gone, too.
"""

from __future__ import annotations

import ctypes
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Any, Final

__all__ = ["OVERRAN", "AtWork", "Board"]

#: Exit status of a process that took longer for an instance than it may.
OVERRAN: Final = -int(signal.SIGALRM)


class _Entry(ctypes.Structure):
    """Shared by the process and its supervisor. The instance is written last, and cleared first."""

    _fields_ = (
        ("since", ctypes.c_double),
        ("seconds", ctypes.c_double),
        ("instance", ctypes.c_int64),
        ("ledger_failed_at", ctypes.c_double),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """An instance that a process works on.

    Attributes
    ----------
    instance_id
        its row in the ledger
    busy_seconds
        how long it has been at it
    allowed_seconds
        how long it may be
    """

    instance_id: int
    busy_seconds: float
    allowed_seconds: float


class Board:
    """Where a process says what it works on. Made by its supervisor and handed to it.

    Parameters
    ----------
    context
        of the processes that share it
    """

    def __init__(self, context: BaseContext) -> None:
        self._entry: Any = context.RawValue(_Entry)

    @contextmanager
    def working_on(self, instance_id: int, *, seconds: float) -> Iterator[None]:
        """Say so while the block runs; the kernel ends this process if it takes longer.

        Parameters
        ----------
        instance_id
            row of the instance
        seconds
            how long it may take
        """
        entry = self._entry
        entry.since, entry.seconds = time.monotonic(), seconds
        entry.instance = instance_id
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            entry.instance = 0

    def ledger_failed(self) -> None:
        """Say that the ledger has just failed this process; takes no lock, so that a killed process leaves none."""
        self._entry.ledger_failed_at = time.monotonic()

    @property
    def ledger_failed_at(self) -> float:
        """When that was last, by the monotonic clock; 0 for never."""
        return float(self._entry.ledger_failed_at)

    def read(self) -> AtWork | None:
        """What the process works on, or worked on when it ended; None for nothing."""
        entry = self._entry
        instance_id = int(entry.instance)
        if not instance_id:
            return None
        # The clock is the machine's: the same in both processes.
        return AtWork(
            instance_id=instance_id,
            busy_seconds=time.monotonic() - float(entry.since),
            allowed_seconds=float(entry.seconds),
        )
