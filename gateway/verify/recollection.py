"""What the verifier found out about bytes, for the next instance that holds the same: those of a series share most."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

__all__ = ["Recollection"]

T = TypeVar("T")

#: Parts of the instances of some hundred studies.
_MOST: Final = 256


class Recollection(Generic[T]):
    """A bounded memory of facts about byte strings: when it is full it forgets everything.

    A fact is filed under all that it depends on besides the bytes: its context.

    Parameters
    ----------
    most: facts to remember
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._facts: dict[Hashable, dict[Hashable, T]] = {}
        self._count = 0

    def of(self, context: Hashable) -> dict[Hashable, T]:
        """Bytes -> fact, in one context; to be read only."""
        return self._facts.get(context) or {}

    def keep(self, context: Hashable, key: Hashable, fact: T) -> T:
        """Remember a fact, and return it."""
        if self._count >= self._most:
            self._facts.clear()
            self._count = 0
        self._count += 1
        self._facts.setdefault(context, {})[key] = fact
        return fact
