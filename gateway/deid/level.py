"""One data set or item on its way through the engine, and the pieces that it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Final, TypeAlias

from gateway.dicom.charset import CharacterSets
from gateway.dicom.encoded import Buffer, Element, find
from gateway.dicom.repertoire import output_sets
from gateway.dicom.segments import FileRange, Segment
from gateway.dicom.tag import ITEM, show
from gateway.errors import UnsupportedEncoding

__all__ = [
    "COPY_LIMIT",
    "SPECIFIC_CHARACTER_SET",
    "Level",
    "Piece",
    "Rope",
    "bytes_of",
    "check_length",
    "content_length",
    "joined",
    "length_field",
    "may_be_sequence",
    "sets_of",
    "value_of",
]

#: What takes the place of an element or a level: own bytes, a (start, stop) range of the source, or a range of another
#: file.
Piece: TypeAlias = "bytes | tuple[int, int] | FileRange"

#: Unchanged stretches up to this many bytes are copied into the output's own bytes; longer ones stay in the file.
COPY_LIMIT: Final = 64 * 1024
SPECIFIC_CHARACTER_SET: Final = 0x00080005
_ITEM_TAG: Final = (ITEM >> 16).to_bytes(2, "little") + (ITEM & 0xFFFF).to_bytes(2, "little")


class Level:
    """One data set or item.

    Parameters
    ----------
    elements
        as indexed
    path
        tags of the sequences around it, outermost first
    numbers
        the number of the item in each of them; only for traces, otherwise empty
    implicit
        how it is encoded
    outer
        the level around it, or the character sets that hold there
    cleaned
        whether it is inside a sequence that a rule cleans: text that no rule names is cleaned there
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
            outer = self._outer.sets(buffer) if isinstance(self._outer, Level) else self._outer
            self._sets = sets_of(buffer, self.elements, outer)
        return self._sets


def sets_of(buffer: Buffer, elements: list[Element], outer: CharacterSets) -> CharacterSets:
    """The character sets that hold in a data set or item: its own, or those around it (PS3.3 C.12.1.1.2)."""
    declared = find(elements, SPECIFIC_CHARACTER_SET)
    if declared is None or declared[5] is not None or declared[3] == declared[4]:
        return outer
    return output_sets(bytes(buffer[declared[3] : declared[4]]), outer.alphabet)


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


def bytes_of(piece: Piece, buffer: Buffer) -> Buffer:
    """The bytes of a piece inside an item: only elements at the top level lie in other files."""
    if isinstance(piece, bytes):
        return piece
    assert isinstance(piece, tuple)
    return buffer[piece[0] : piece[1]]


def value_of(buffer: Buffer, element: Element) -> bytes:
    """The value of an element that a rule rewrites.

    Raises
    ------
    UnsupportedEncoding
        it is too long for any such element
    """
    check_length(element)
    return bytes(buffer[element[3] : element[4]])


def check_length(element: Element) -> None:
    """Refuse to rewrite an element with a value of more than 64 kB (promise P8).

    Raises
    ------
    UnsupportedEncoding
        it is longer
    """
    length = element[4] - element[3]
    if length > COPY_LIMIT:
        raise UnsupportedEncoding(reason=f"{show(element[0])} is rewritten by a rule but has {length} bytes")


def length_field(buffer: Buffer, value: int) -> int:
    """The 32-bit length that stands right before a sequence's or item's content."""
    return int.from_bytes(buffer[value - 4 : value], "little")


def may_be_sequence(buffer: Buffer, vr: bytes, value: int, end: int) -> bool:
    """Whether a private value must be read as items, lest they hide from the rules (PS3.5 6.2.2)."""
    if value == end:
        return False
    return vr == b"SQ" or (vr == b"UN" and bytes(buffer[value : value + 4]) == _ITEM_TAG)


def content_length(pieces: list[Piece]) -> int:
    """How many bytes pieces are together."""
    return sum(piece[1] - piece[0] if isinstance(piece, tuple) else _size(piece) for piece in pieces)


def _size(piece: bytes | FileRange) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.length


def joined(pieces: Sequence[Piece], buffer: Buffer, path: Path) -> tuple[Segment, ...]:
    """The pieces as segments: short ones joined, long stretches of the source as ranges of its file.

    Parameters
    ----------
    pieces
        in order
    buffer, path
        the source, mapped and on disk
    """
    segments: list[Segment] = []
    short: list[bytes | Buffer] = []
    for kind, alike in groupby(pieces, type):
        if kind is bytes:
            short += alike  # type: ignore[arg-type]
            continue
        for piece in alike:
            if isinstance(piece, tuple) and piece[1] - piece[0] <= COPY_LIMIT:
                short.append(buffer[piece[0] : piece[1]])
                continue
            if short:
                segments.append(b"".join(short))
                short = []
            assert not isinstance(piece, bytes)
            segments.append(FileRange(path, piece[0], piece[1] - piece[0]) if isinstance(piece, tuple) else piece)
    if short:
        segments.append(b"".join(short))
    return tuple(segments)
