"""What a rule made of a value, for the next instance that has the same: those of a study share most of their values."""

from __future__ import annotations

from typing import Final, TypeAlias

from gateway.deid.level import Piece
from gateway.profile import Action, Pseudonym

__all__ = ["LONGEST_REMEMBERED", "Memory", "is_repeatable"]

#: Tag, VR and value as received.
Key: TypeAlias = "tuple[int, bytes, bytes]"
#: What is in the element's place; None where it stays.
Made: TypeAlias = "list[Piece] | None"

#: A longer value is hardly met twice, in bytes.
LONGEST_REMEMBERED: Final = 128
_MOST: Final = 1024


class Memory:
    """A bounded memory: when it is full it forgets everything."""

    __slots__ = ("_made", "get")

    def __init__(self) -> None:
        self._made: dict[Key, tuple[Made]] = {}
        self.get = self._made.get

    def put(self, key: Key, made: Made) -> None:
        """Remember what was made of a value, unless it tells where in its file the value is."""
        if made is not None and not all(isinstance(piece, bytes) for piece in made):
            return
        if len(self._made) >= _MOST:
            self._made.clear()
        self._made[key] = (made,)


def is_repeatable(rule: Action) -> bool:
    """Whether a rule makes the same of the same value every time: the ledger is asked for its numbers each time."""
    return not (isinstance(rule.options, Pseudonym) and rule.options.kind == "sequential")
