"""One thread that records what many threads receive, many instances to a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Final, Protocol, Self, TypeAlias

from gateway.errors import LedgerUnavailable
from gateway.ledger.records import Received


class Recorder(Protocol):
    """What the writer needs of the ledger."""

    def record_received(self, received: Sequence[Received], /) -> list[int]:
        """Record instances; return their row ids."""


_Order: TypeAlias = tuple[Received, "Future[int]"]


class LedgerWriter:
    """Groups the records of many threads into transactions.

    While one transaction commits, the next group gathers: a lone sender waits for one commit, many senders share it.
    """

    def __init__(self, ledger: Recorder, *, max_group: int = 500) -> None:
        """Start the thread.

        Parameters
        ----------
        ledger
            Where to record.
        max_group
            How many instances one transaction records at most.
        """
        self._ledger: Final = ledger
        self._max_group: Final = max_group
        self._orders: Final[SimpleQueue[_Order | None]] = SimpleQueue()
        self._lock: Final = Lock()
        self._stopped = False
        self._thread: Final = Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def submit(self, received: Received) -> Future[int]:
        """Record one instance soon.

        Returns
        -------
        Future[int]
            The row id once the transaction is committed, or its LedgerUnavailable. Cancelled before its turn, it is
            not recorded.

        Raises
        ------
        LedgerUnavailable
            The writer is stopped.
        """
        future: Future[int] = Future()
        with self._lock:
            if self._stopped:
                raise LedgerUnavailable(operation="record instances", reason="its writer is stopped")
            self._orders.put((received, future))
        return future

    def stop(self) -> None:
        """Record everything that was submitted, then end the thread; nothing can be submitted any more."""
        with self._lock:
            if not self._stopped:
                self._stopped = True
                self._orders.put(None)
        self._thread.join()

    def __enter__(self) -> Self:
        """Use the writer as a context manager that stops it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Record what was submitted and end the thread."""
        self.stop()

    def _run(self) -> None:
        last = False
        while not last:
            group, last = self._gather()
            self._commit([order for order in group if order[1].set_running_or_notify_cancel()])

    def _gather(self) -> tuple[list[_Order], bool]:
        """Wait for an order and take what else is there; the flag tells that no more will come."""
        order = self._orders.get()
        group: list[_Order] = []
        while order is not None:
            group.append(order)
            if len(group) == self._max_group:
                return group, False
            try:
                order = self._orders.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _commit(self, group: list[_Order]) -> None:
        if not group:
            return
        try:
            numbers = self._ledger.record_received([received for received, _ in group])
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait must learn of it
            for _, future in group:
                future.set_exception(error)
        else:
            for (_, future), number in zip(group, numbers, strict=True):
                future.set_result(number)
