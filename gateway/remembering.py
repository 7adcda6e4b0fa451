"""Bounded memories that forget what is oldest, one for one.

A memory that is full and forgets everything goes up and down; several of them, each at its own pace, let a process grow
for hours to the sum of their peaks, for memory that is free in pieces is not given back. One that is full and stays so
holds the same from then on.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TypeVar

__all__ = ["remember"]

K = TypeVar("K")
V = TypeVar("V")


def remember(memory: dict[K, V], key: K, value: V, *, most: int) -> V:
    """Put a value into ``memory``, and return it; what came first goes where there are ``most`` already.

    Parameters
    ----------
    memory: filled by this function only
    key, value: what to remember
    most: entries, at least one
    """
    if key not in memory:
        while len(memory) >= most:
            # Another thread may take the same away, or put something in.
            with suppress(RuntimeError, StopIteration):
                memory.pop(next(iter(memory)), None)
    memory[key] = value
    return value
