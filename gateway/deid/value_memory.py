"""What a rule made of a value, for the next instance that has the same: those of a study share most of their values."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, Literal, TypeAlias

from gateway.deid.level import Piece
from gateway.dicom.charset import CharacterSets
from gateway.profile import Action, Pseudonym
from gateway.remembering import BoundedMapping

__all__ = [
    "LONGEST_REMEMBERED",
    "LONGEST_SEQUENCE",
    "STUDY",
    "ItemKey",
    "Items",
    "Memories",
    "Memory",
    "Sequences",
    "is_repeatable",
]

#: Tag, VR and value as received.
Key: TypeAlias = "tuple[int, bytes, bytes]"
#: What is in the element's place; None where it stays.
Made: TypeAlias = "list[Piece] | None"

#: Sequences around an item and its own, whether it is implicit, its bytes.
ItemKey: TypeAlias = "tuple[tuple[int, ...], bool, bytes]"

#: A longer value is hardly met twice, in bytes.
LONGEST_REMEMBERED: Final = 128
_MOST: Final = 512
#: The same of a whole sequence, and how many of one make are kept.
LONGEST_SEQUENCE: Final = 1024
_MOST_SEQUENCES: Final = 64
_MOST_SETS: Final = 8
#: Bytes that the items of one make may take, and what one takes besides its own.
_MOST_BYTES: Final = 1 << 20
_ITEM_BYTES: Final = 256


class Memory:
    """A bounded memory: when it is full it forgets the oldest."""

    __slots__ = ("_made", "get")

    def __init__(self) -> None:
        self._made: BoundedMapping[Key, tuple[Made]] = BoundedMapping(_MOST)
        self.get = self._made.get

    def put(self, key: Key, made: Made) -> None:
        """Remember what was made of a value, unless it tells where in its file the value is."""
        if made is not None and not all(isinstance(piece, bytes) for piece in made):
            return
        self._made[key] = (made,)


class Study(Enum):
    """In place of what was made of a sequence: it is another thing in each study."""

    STUDY = "study"


STUDY: Final = Study.STUDY
#: What is in a sequence's place, None where it stays, and how many elements in it were changed by which verb.
MadeSequence: TypeAlias = "tuple[list[Piece] | None, Mapping[str, int]]"


class Sequences:
    """What became of short sequences of the top level, such as codes; when it is full it forgets the oldest."""

    __slots__ = ("_made", "get")

    def __init__(self) -> None:
        self._made: BoundedMapping[Key, MadeSequence | Literal[Study.STUDY]] = BoundedMapping(_MOST_SEQUENCES)
        self.get = self._made.get

    def put(self, key: Key, made: MadeSequence | Literal[Study.STUDY]) -> None:
        """Remember what was made of a sequence: of bytes that are nobody's."""
        self._made[key] = made


class Items:
    """Items of sequences, such as functional groups, that the rules left as they were; the latest ones.

    They are repeated from frame to frame and from instance to instance.
    """

    __slots__ = ("_bytes", "_known")

    def __init__(self) -> None:
        self._known: dict[ItemKey, None] = {}
        self._bytes = 0

    def __contains__(self, key: ItemKey) -> bool:
        return key in self._known

    def add(self, key: ItemKey) -> None:
        """Remember an item."""
        if key in self._known:
            return
        self._known[key] = None
        self._bytes += len(key[2]) + _ITEM_BYTES
        while self._bytes > _MOST_BYTES:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._bytes -= len(oldest[2]) + _ITEM_BYTES


class Memories:
    """What became of values and sequences in data sets of which everything else that counts is the same."""

    __slots__ = ("_items", "sequences", "values")

    def __init__(self) -> None:
        self.values = Memory()
        self.sequences = Sequences()
        self._items: BoundedMapping[CharacterSets, Items] = BoundedMapping(_MOST_SETS)

    def unchanged(self, sets: CharacterSets) -> Items:
        """The items that were left as they were where these character sets hold."""
        items = self._items.get(sets)
        return self._items.keep(sets, Items()) if items is None else items


def is_repeatable(rule: Action) -> bool:
    """Whether a rule makes the same of the same value every time: the ledger is asked for its numbers each time."""
    return not (isinstance(rule.options, Pseudonym) and rule.options.kind == "sequential")
