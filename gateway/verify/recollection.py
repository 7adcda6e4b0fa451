"""What the verifier found out about bytes, for the next instance that holds the same: those of a series share most."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

__all__ = ["Recollection"]

T = TypeVar("T")

#: Parts of the instances of some dozen studies.
_MOST: Final = 256


class Recollection(Generic[T]):
    """A bounded memory of facts about byte strings: when it is full it forgets the oldest.

    A fact is filed under all that it depends on besides the bytes: its context.

    Parameters
    ----------
    most
        facts of usual size to remember
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._facts: dict[Hashable, dict[Hashable, T]] = {}
        #: Context, key and weight of every fact, the oldest first.
        self._order: deque[tuple[Hashable, Hashable, int]] = deque()
        self._weight = 0

    def of(self, context: Hashable) -> dict[Hashable, T]:
        """Bytes -> fact, in one context; to be read only."""
        return self._facts.get(context) or {}

    def keep(self, context: Hashable, key: Hashable, fact: T, *, weight: int = 1) -> T:
        """Remember a fact, and return it.

        Parameters
        ----------
        context, key
            what it is filed under
        fact
            the fact
        weight
            as how many facts of usual size it counts, at least one
        """
        facts = self._facts.get(context)
        if facts is None or key not in facts:
            while self._order and self._weight + weight > self._most:
                self._forget()
            facts = self._facts.setdefault(context, {})
            self._order.append((context, key, weight))
            self._weight += weight
        facts[key] = fact
        return fact

    def _forget(self) -> None:
        context, key, weight = self._order.popleft()
        self._weight -= weight
        facts = self._facts[context]
        del facts[key]
        if not facts:
            del self._facts[context]
