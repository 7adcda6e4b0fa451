"""How a job that works in batches waits between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Final

from gateway.errors import TransientError

__all__ = ["Pace", "amount"]

#: After a small batch: what comes meanwhile shares the transactions and requests of the next one.
_GATHER_SECONDS: Final = 0.02
#: After a batch that failed for something that may come back.
_FAILED_SECONDS: Final = 1.0


def amount(instances: int, size: int) -> int:
    """How much a batch is: its instances, or its megabytes if they are more.

    Parameters
    ----------
    instances
        how many
    size
        their bytes together
    """
    return max(instances, size >> 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The waits of one kind of job.

    Attributes
    ----------
    few
        a batch of less is a small one
    shortest, longest
        seconds to wait after a batch of nothing; twice as long each time
    """

    few: int
    shortest: float
    longest: float

    def keep(self, batch: Callable[[], int], *, failed: Callable[[TransientError], object], stopping: Event) -> None:
        """Run batch after batch until ``stopping`` is set, which ends a wait at once.

        Parameters
        ----------
        batch
            does one batch and returns how much it was: ``amount``
        failed
            is told what a batch ended with; the next one may fare better
        stopping
            set by another thread
        """
        pause = self.shortest
        while not stopping.is_set():
            try:
                done = batch()
            except TransientError as error:
                failed(error)
                stopping.wait(_FAILED_SECONDS)
                pause = self.longest
                continue
            if done:
                pause = self.shortest
                if done < self.few:
                    stopping.wait(_GATHER_SECONDS)
            else:
                stopping.wait(pause)
                pause = min(pause * 2, self.longest)
