"""Connections of a destination: so many at the same time, kept for the next who needs one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Pool(Generic[_T]):
    """Lends connections; for several threads.

    Parameters
    ----------
    size
        how many are lent at the same time; further threads wait
    make
        makes one
    end
        closes one
    """

    def __init__(self, size: int, *, make: Callable[[], _T], end: Callable[[_T], None]) -> None:
        self._make = make
        self._end = end
        self._slots = BoundedSemaphore(size)
        self._lock = Lock()
        self._idle: list[_T] = []
        self._closed = False

    @contextmanager
    def lent(self) -> Iterator[_T]:
        """A connection that is nobody else's until the block ends; kept then, unless the pool has been closed."""
        with self._slots:
            with self._lock:
                one = self._idle.pop() if self._idle else None
            if one is None:
                one = self._make()
            try:
                yield one
            finally:
                with self._lock:
                    keep = not self._closed
                    if keep:
                        self._idle.append(one)
                if not keep:
                    self._end(one)

    def close(self) -> None:
        """Close the idle ones, and those that are lent as soon as they come back. Idempotent."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for one in idle:
            self._end(one)
