"""One data set or item on its way through the engine, and the pieces that it becomes."""

from __future__ import annotations

from typing import Final, TypeAlias

from gateway.dicom.charset import CharacterSets, character_sets
from gateway.dicom.encoded import Buffer, Element, find

__all__ = ["Level", "Piece", "Rope", "content_length"]

#: What takes the place of an element or a level: own bytes, or a (start, stop) range of the source.
Piece: TypeAlias = "bytes | tuple[int, int]"

_SPECIFIC_CHARACTER_SET: Final = 0x00080005


class Level:
    """One data set or item.

    Parameters
    ----------
    elements: as indexed
    path: tags of the sequences around it, outermost first
    numbers: the number of the item in each of them; only for traces, otherwise empty
    implicit: how it is encoded
    outer: the level around it, or the character sets that hold there
    cleaned: whether it is inside a sequence that a rule cleans: text that no rule names is cleaned there
    """

    __slots__ = ("_outer", "_sets", "cleaned", "elements", "implicit", "numbers", "path")

    def __init__(
        self,
        elements: list[Element],
        *,
        path: tuple[int, ...],
        numbers: tuple[int, ...],
        implicit: bool,
        outer: Level | CharacterSets,
        cleaned: bool = False,
    ) -> None:
        self.elements = elements
        self.path = path
        self.numbers = numbers
        self.implicit = implicit
        self.cleaned = cleaned
        self._outer = outer
        self._sets: CharacterSets | None = None

    def sets(self, buffer: Buffer) -> CharacterSets:
        """The character sets that hold here: those of the item, or of what is around it (PS3.3 C.12.1.1.2)."""
        if self._sets is None:
            found = find(self.elements, _SPECIFIC_CHARACTER_SET)
            if found is not None and found[5] is None and found[3] != found[4]:
                self._sets = character_sets(bytes(buffer[found[3] : found[4]]))
            else:
                self._sets = self._outer.sets(buffer) if isinstance(self._outer, Level) else self._outer
        return self._sets


class Rope:
    """The pieces of a level, neighbouring ranges of the source joined."""

    __slots__ = ("_end", "_start", "pieces")

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self._start = self._end = -1

    def keep(self, start: int, end: int) -> None:
        """The source's bytes from ``start`` to ``end`` stay."""
        if start != self._end:
            self.flush()
            self._start = start
        self._end = end

    def put(self, pieces: list[Piece]) -> None:
        """Other pieces come next."""
        self.flush()
        self.pieces += pieces

    def flush(self) -> None:
        """Complete the range that is being joined."""
        if self._end > self._start:
            self.pieces.append((self._start, self._end))
        self._start = self._end = -1


def content_length(pieces: list[Piece]) -> int:
    """How many bytes pieces are together."""
    return sum(len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in pieces)
