"""Which deliveries are of files that XNAT did not have before."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from threading import Lock


class Newcomers:
    """Deliveries of this process whose files XNAT did not list before they were first sent; for several threads.

    A file that was listed before may be an earlier version of the instance. It proves nothing when XNAT then does not
    say that it took the instance. What is forgotten here is sent once more.
    """

    def __init__(self, *, limit: int = 100_000) -> None:
        self._limit = limit
        self._lock = Lock()
        self._ids: dict[int, None] = {}

    def add(self, delivery_ids: Iterable[int]) -> None:
        """Remember deliveries; the oldest are forgotten beyond the limit."""
        with self._lock:
            self._ids |= dict.fromkeys(delivery_ids)
            for oldest in list(islice(self._ids, max(0, len(self._ids) - self._limit))):
                del self._ids[oldest]

    def discard(self, delivery_ids: Iterable[int]) -> None:
        """Forget deliveries."""
        with self._lock:
            for delivery_id in delivery_ids:
                self._ids.pop(delivery_id, None)

    def __contains__(self, delivery_id: int) -> bool:
        return delivery_id in self._ids
