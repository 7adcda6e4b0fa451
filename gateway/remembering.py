"""Bounded memories that forget what is oldest, one for one.

A memory that is full and forgets everything goes up and down; several of them, each at its own pace, let a process grow
for hours to the sum of their peaks, for memory that is free in pieces is not given back. One that is full and stays so
holds the same from then on.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final, NoReturn, TypeVar

__all__ = ["BoundedMapping"]

K = TypeVar("K")
V = TypeVar("V")


class BoundedMapping(dict[K, V]):
    """A dictionary that holds so many entries at most: what came first goes for what comes.

    It is looked up as fast as any dictionary, and filled by assignment or ``keep`` only. Several threads may use it.

    Parameters
    ----------
    most
        entries, at least one
    """

    __slots__ = ("_most",)

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most: Final = most

    def __setitem__(self, key: K, value: V) -> None:
        if key not in self:
            while len(self) >= self._most:
                # Another thread may take the same away, or put something in.
                with suppress(RuntimeError, StopIteration):
                    self.pop(next(iter(self)), None)
        super().__setitem__(key, value)

    def keep(self, key: K, value: V) -> V:
        """Put a value in, and return it."""
        self[key] = value
        return value

    def _unbounded(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("a bounded mapping is filled one by one")

    setdefault = update = __ior__ = _unbounded
