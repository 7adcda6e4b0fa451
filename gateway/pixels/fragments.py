"""Where the frames of encapsulated pixel data lie: items, Basic and Extended Offset Table (PS3.5 A.4).

Offset tables are not believed. Where there is one it must agree with the items, byte for byte; a frame that a table
hides or that two frames share would escape a pixel rule. Who writes the tables anew may do without that where the items
alone tell the frames.
"""

from __future__ import annotations

from array import array
from itertools import pairwise
from struct import Struct, iter_unpack
from typing import Final

from gateway.dicom.encoded import Buffer, find
from gateway.dicom.instance import Instance
from gateway.dicom.tag import ITEM, PIXEL_DATA, SEQUENCE_DELIMITATION
from gateway.errors import LimitExceeded, PixelsUnreadable

EXTENDED_OFFSETS: Final = 0x7FE00001
EXTENDED_LENGTHS: Final = 0x7FE00002

_ITEM: Final = Struct("<HHI").unpack_from
#: Most fragments, and so frames, of an instance: 2^20 positions are 16 MiB.
_MOST: Final = 1 << 20


class Fragments:
    """The byte ranges of every frame of an instance's encapsulated Pixel Data.

    Parameters
    ----------
    instance
        an instance whose Pixel Data is encapsulated
    frames
        how many frames its header says it has
    begins
        the bytes with which a frame begins, to tell frames of several fragments apart; empty if unknown
    lenient
        whether tables may contradict the items, if the items alone tell the frames

    Attributes
    ----------
    tables_agree
        whether the offset tables are right, or there are none
    has_table
        whether there is a Basic Offset Table that is not empty

    Raises
    ------
    PixelsUnreadable
        items, offset tables and number of frames contradict each other
    LimitExceeded
        more than 1,048,576 fragments
    """

    def __init__(self, instance: Instance, frames: int, *, begins: bytes = b"", lenient: bool = False) -> None:
        self._buffer: Buffer = instance.buffer
        pixel_data = find(instance.elements, PIXEL_DATA)
        if pixel_data is None:
            raise PixelsUnreadable(reason="there is no Pixel Data")
        self._items, table = _walk(instance.buffer, pixel_data[3], pixel_data[4])
        self.has_table: Final = bool(table)
        #: Index of the first item of every frame, and the number of items behind the last.
        self._first = array("Q")
        self.tables_agree: Final = self._read(instance, frames, table, begins, lenient=lenient)

    def _read(self, instance: Instance, frames: int, table: bytes, begins: bytes, *, lenient: bool) -> bool:
        """Tell the frames apart; whether the tables agree."""
        try:
            self._believe(instance, frames, table, begins)
        except PixelsUnreadable:
            if not lenient:
                raise
            self._first = self._split(frames, [], begins)
            return False
        return True

    def _believe(self, instance: Instance, frames: int, table: bytes, begins: bytes) -> None:
        """Tell the frames apart as the tables do."""
        offsets = [number for (number,) in iter_unpack("<I", table)] if len(table) % 4 == 0 else None
        if offsets is None:
            raise PixelsUnreadable(reason="the Basic Offset Table is no list of offsets")
        extended = _extended(instance)
        if extended is not None and offsets:
            raise PixelsUnreadable(reason="there is a Basic and an Extended Offset Table")
        self._first = self._split(frames, offsets, begins)
        if extended is not None:
            self._compare(frames, *extended)

    def __len__(self) -> int:
        return len(self._first) - 1

    def length(self, frame: int) -> int:
        """Bytes of a frame."""
        return sum(length for _, length in self.ranges(frame))

    def read(self, frame: int) -> bytes:
        """The bytes of a frame, its fragments joined."""
        return b"".join(bytes(self._buffer[start : start + length]) for start, length in self.ranges(frame))

    def ranges(self, frame: int) -> list[tuple[int, int]]:
        """Position and length of each fragment of a frame."""
        first, stop = self._first[frame], self._first[frame + 1]
        return [(self._items[2 * number], self._items[2 * number + 1]) for number in range(first, stop)]

    def _split(self, frames: int, offsets: list[int], begins: bytes) -> array[int]:
        count = len(self._items) // 2
        if count < frames:
            raise PixelsUnreadable(reason=f"{frames} frames in {count} fragments")
        if count == frames:
            first = array("Q", range(frames + 1))
        elif frames == 1:
            first = array("Q", (0, count))
        elif offsets:
            first = self._by_offsets(offsets)
        elif begins:
            first = array("Q", [*self._beginnings(begins), count])
        else:
            raise PixelsUnreadable(reason=f"{frames} frames in {count} fragments without an offset table")
        if len(first) != frames + 1 or first[0] != 0:
            raise PixelsUnreadable(reason=f"{count} fragments make {len(first) - 1} frames, not {frames}")
        if begins and count > frames and not set(self._beginnings(begins)) <= set(first):
            raise PixelsUnreadable(reason="a frame hides another")
        if offsets and first != self._by_offsets(offsets):
            raise PixelsUnreadable(reason="the Basic Offset Table points elsewhere than at the frames")
        return first

    def _beginnings(self, begins: bytes) -> list[int]:
        starts = (self._items[position] for position in range(0, len(self._items), 2))
        return [number for number, start in enumerate(starts) if self._buffer[start : start + len(begins)] == begins]

    def _by_offsets(self, offsets: list[int]) -> array[int]:
        """The first items of the frames as the Basic Offset Table has them, counted from the first item's header."""
        base = self._items[0] - 8
        where = {self._items[position] - 8 - base: position // 2 for position in range(0, len(self._items), 2)}
        numbers = [where.get(offset, -1) for offset in offsets]
        if -1 in numbers or any(b <= a for a, b in pairwise(numbers)):
            raise PixelsUnreadable(reason="the Basic Offset Table points elsewhere than at the frames")
        return array("Q", [*numbers, len(self._items) // 2])

    def _compare(self, frames: int, offsets: list[int], lengths: list[int]) -> None:
        """Compare the Extended Offset Table with the items: one item per frame (PS3.3 C.7.6.3.1.8)."""
        base = self._items[0] - 8
        expected = [self._items[2 * number] - 8 - base for number in range(len(self._items) // 2)]
        padded = all(
            0 <= self._items[2 * number + 1] - length <= 1
            for number, length in zip(range(len(self._items) // 2), lengths, strict=False)
        )
        if offsets != expected or len(lengths) != frames or not padded:
            raise PixelsUnreadable(reason="the Extended Offset Table points elsewhere than at the frames")


def _walk(buffer: Buffer, pos: int, stop: int) -> tuple[array[int], bytes]:
    """Positions and lengths of the fragments' values, one behind the other, and the Basic Offset Table."""
    items = array("Q")
    table: bytes | None = None
    while pos + 8 <= stop:
        group, number, length = _ITEM(buffer, pos)
        tag = group << 16 | number
        pos += 8
        if tag == SEQUENCE_DELIMITATION:
            break
        if tag != ITEM or pos + length > stop:
            raise PixelsUnreadable(reason="the fragments of Pixel Data are broken")
        if table is None:
            if length > 4 * _MOST:
                raise LimitExceeded(limit=_MOST, unit="frames", where="the Basic Offset Table")
            table = bytes(buffer[pos : pos + length])
        else:
            items.append(pos)
            items.append(length)
            if len(items) > 2 * _MOST:
                raise LimitExceeded(limit=_MOST, unit="fragments", where="Pixel Data")
        pos += length
    if table is None or not items:
        raise PixelsUnreadable(reason="Pixel Data has no fragment")
    return items, table


def _extended(instance: Instance) -> tuple[list[int], list[int]] | None:
    """Offsets and lengths of the Extended Offset Table, None if there is none."""
    tables = [find(instance.elements, tag) for tag in (EXTENDED_OFFSETS, EXTENDED_LENGTHS)]
    if tables == [None, None]:
        return None
    columns: list[list[int]] = []
    for element in tables:
        if element is None or (element[4] - element[3]) % 8 or element[4] - element[3] > 8 * _MOST:
            raise PixelsUnreadable(reason="the Extended Offset Table is no list of offsets")
        columns.append([number for (number,) in iter_unpack("<Q", instance.buffer[element[3] : element[4]])])
    return columns[0], columns[1]
