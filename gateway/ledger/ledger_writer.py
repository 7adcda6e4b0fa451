"""One thread that records what many threads receive, many instances to a transaction.

What is handed in is on stable storage in the spool already, with everything that its row says: the row may follow a
moment later, and a row that a crash takes away is made again from the file (promise P1). So nobody waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from threading import Condition, Thread
from typing import Final, Protocol, Self

import structlog

from gateway.errors import LedgerUnavailable
from gateway.ledger.records import Received

log = structlog.get_logger(__name__)

#: Rows that may wait. More are refused, and so many files are looked at again when a receiver died.
MOST_WAITING: Final = 1000
#: How long a group gathers: at most so many transactions a second, whatever the number of senders.
_GATHER_SECONDS: Final = 0.05
#: Instances of so many bytes are enough of a group: there is no hurry only where more would soon follow.
_ENOUGH_BYTES: Final = 32 << 20
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class Recorder(Protocol):
    """What the writer needs of the ledger."""

    def record(self, received: Sequence[Received], /) -> list[int]:
        """Record instances; return their row ids. What is recorded already stays as it is."""


class LedgerWriter:
    """Groups the records of many threads into transactions, in the order in which they were handed in.

    A group that the ledger does not take is tried again until it does, or until the writer stops; meanwhile no more is
    taken, so that senders are refused and repeat.
    """

    def __init__(self, ledger: Recorder, *, max_group: int = 500, gather_seconds: float = _GATHER_SECONDS) -> None:
        """Start the thread.

        Parameters
        ----------
        ledger
            Where to record.
        max_group
            How many instances one transaction records at most.
        gather_seconds
            How long a group gathers after its first record.
        """
        self._ledger: Final = ledger
        self._max_group: Final = max_group
        self._gather_seconds: Final = gather_seconds
        self._changed: Final = Condition()
        self._waiting: Final[deque[Received]] = deque()
        self._waiting_bytes = 0
        self._failure: LedgerUnavailable | None = None
        self._stopped = False
        self._thread: Final = Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def record(self, received: Received) -> None:
        """Record one instance soon.

        Parameters
        ----------
        received
            Made from a spool file that is on stable storage.

        Raises
        ------
        LedgerUnavailable
            The ledger does not take records at present, too many wait, or the writer is stopped.
        """
        with self._changed:
            if self._stopped:
                raise LedgerUnavailable(operation="record instances", reason="its writer is stopped")
            if self._failure is not None:
                raise self._failure.about("record instances")
            if len(self._waiting) >= MOST_WAITING:
                raise LedgerUnavailable(operation="record instances", reason="too many wait for it")
            self._waiting.append(received)
            self._waiting_bytes += received.size
            if len(self._waiting) == 1 or self._waiting_bytes >= _ENOUGH_BYTES:
                self._changed.notify()

    def stop(self) -> list[Received]:
        """Record everything that was handed in, then end the thread; nothing is taken any more.

        Returns
        -------
        list[Received]
            What the ledger did not take. Its files are in the spool: the next start records them.
        """
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()
        return list(self._waiting)

    def __enter__(self) -> Self:
        """Use the writer as a context manager that stops it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Record what was handed in and end the thread."""
        self.stop()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while group := self._gather():
            try:
                self._ledger.record(group)
            except LedgerUnavailable as error:
                failure = error
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing may be acknowledged that has no row
                failure = LedgerUnavailable(operation="record instances", reason=type(error).__name__)
            else:
                pause = _FIRST_PAUSE
                with self._changed:
                    self._failure = None
                    for _ in group:
                        self._waiting_bytes -= self._waiting.popleft().size
                continue
            with self._changed:
                self._failure = failure
                log.warning("recording postponed", waiting=len(self._waiting), detail=failure.message)
                if self._changed.wait_for(lambda: self._stopped, pause):
                    return
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _gather(self) -> list[Received]:
        """The records of the next transaction; none when the writer is stopped and everything is recorded.

        They stay in the queue until they are recorded.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopped)
            if len(self._waiting) < self._max_group and not self._stopped:
                self._changed.wait_for(
                    lambda: self._stopped or self._waiting_bytes >= _ENOUGH_BYTES, self._gather_seconds
                )
            return list(islice(self._waiting, self._max_group))
