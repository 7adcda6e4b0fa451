"""Keeping leases alive while long work goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import structlog

from gateway.errors import TransientError

log = structlog.get_logger(__name__)

Renew: TypeAlias = Callable[[Sequence[int], float], object]


class LeaseKeeper:
    """Renews the leases of what its owner holds, three times within their duration.

    Parameters
    ----------
    seconds
        duration of a lease
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._held: tuple[int, ...] = ()
        self._stop = threading.Event()

    def hold(self, ids: Iterable[int]) -> None:
        """From now on these rows are held."""
        self._held = tuple(ids)

    def drop(self) -> None:
        """Nothing is held any more."""
        self._held = ()

    @contextmanager
    def keeping(self, renew: Renew) -> Iterator[None]:
        """Renew by ``renew(ids, seconds)`` in a thread for as long as the block runs.

        A renewal that fails is logged: the lease then runs out, and its result is discarded by the ledger.
        """
        thread = threading.Thread(target=self._run, args=(renew,), name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _run(self, renew: Renew) -> None:
        while not self._stop.wait(self._seconds / 3):
            held = self._held
            if held:
                try:
                    renew(held, self._seconds)
                except TransientError as error:
                    log.warning("lease not renewed", code=error.code, detail=error.message, count=len(held))
