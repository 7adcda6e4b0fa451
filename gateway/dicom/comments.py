"""What compressed Pixel Data holds besides coded pixels, read for the check of an output.

Encoders write into codestreams what they like, such as EXIF data or a name, and behind their end there is room for
anything. This reading shares nothing with the one that takes it away: it goes from item to item, looks at the headers
in front of the first scan or tile part and at the end of every frame, and knows of no segment that is harmless but
those that tell colours.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from struct import Struct, iter_unpack
from typing import Final, Protocol

__all__ = ["Bytes", "comments", "items"]

_ITEM: Final = Struct("<HHI").unpack
_FRAGMENT: Final = (0xFFFE, 0xE000)
_JPEG: Final = b"\xff\xd8"
_JPEG_2000: Final = b"\xff\x4f"
_JP2: Final = b"\0\0\0\x0cjP  "
_END: Final = b"\xff\xd9"
#: ISO/IEC 10918-1 B.1.1.3: APP0 to APP15, COM. ISO/IEC 15444-1 A.9.2: CME.
_JPEG_COMMENTS: Final = frozenset((*range(0xE0, 0xF0), 0xFE))
_JPEG_2000_COMMENTS: Final = frozenset((0x64,))
#: Marker, first bytes and length of the segments that tell colours and have room for nothing else.
_COLOURS: Final = ((0xE0, b"JFIF\0", 14), (0xEE, b"Adobe", 12), (0xE8, b"mrfx", 5))
#: Markers without a length: TEM, RST0 to RST7.
_STANDALONE: Final = frozenset((0x01, *range(0xD0, 0xD8)))
#: Where the headers end: SOS, EOI; SOT, SOD, EOC.
_JPEG_ENDS: Final = frozenset((0xDA, 0xD9))
_JPEG_2000_ENDS: Final = frozenset((0x90, 0x93, 0xD9))


class Bytes(Protocol):
    """Bytes that can be read in pieces."""

    def __getitem__(self, key: slice, /) -> bytes | bytearray | memoryview:
        """A piece."""


def comments(buffer: Bytes, start: int, stop: int, *, coded: bool = True) -> Iterator[tuple[int, int]]:
    """The byte ranges of what stands beside the pixels in encapsulated Pixel Data (PS3.5 A.4).

    Parameters
    ----------
    buffer
        the bytes
    start, stop
        range of the value of Pixel Data: items, of which the first is the offset table
    coded
        whether fragments are codestreams with markers; others have an offset table alone

    Returns
    -------
    Ranges of segments, boxes, of what follows the end of a frame, and of an offset table that points at no item;
    headers that break off end where they break off.
    """
    ranges = list(items(buffer, start, stop))
    if not ranges:
        return
    table, *fragments = ranges
    if not _is_table(bytes(buffer[table[0] : table[1]]), [first - 8 for first, _ in fragments]):
        yield table
    if not coded:
        return
    begins = [bytes(buffer[first : min(first + 8, last)]) for first, last in fragments]
    marked = any(begin.startswith((_JPEG, _JPEG_2000)) for begin in begins)
    for number, ((first, last), begin) in enumerate(zip(fragments, begins, strict=True)):
        if begin.startswith(_JPEG):
            yield from _segments(buffer, first + 2, last, _JPEG_COMMENTS, _JPEG_ENDS)
        elif begin.startswith(_JPEG_2000):
            yield from _segments(buffer, first + 2, last, _JPEG_2000_COMMENTS, _JPEG_2000_ENDS)
        elif begin == _JP2:
            yield first, last
            continue
        following = begins[number + 1] if number + 1 < len(begins) else _JPEG
        if marked and following.startswith((_JPEG, _JPEG_2000)):
            yield from _behind(buffer, first, last)


def items(buffer: Bytes, pos: int, stop: int) -> Iterator[tuple[int, int]]:
    """The ranges of the items of encapsulated Pixel Data, the offset table first, as far as they are whole."""
    while pos + 8 <= stop:
        group, number, length = _ITEM(buffer[pos : pos + 8])
        pos += 8
        if (group, number) != _FRAGMENT or pos + length > stop:
            return
        yield pos, pos + length
        pos += length


def _is_table(table: bytes, items: list[int]) -> bool:
    """Whether an offset table points at items, at the first one first, and always forwards."""
    if not table:
        return True
    if len(table) % 4 or not items:
        return False
    offsets = [number + items[0] for (number,) in iter_unpack("<I", table)]
    return (
        offsets[0] == items[0] and set(offsets) <= set(items) and all(one < other for one, other in pairwise(offsets))
    )


def _behind(buffer: Bytes, first: int, last: int) -> Iterator[tuple[int, int]]:
    """What follows the end of a frame, one byte of padding excepted."""
    end = bytes(buffer[max(first, last - 3) : last])
    if not (end.endswith(_END) or (end[:-1].endswith(_END) and end[-1:] in (b"\0", b"\xff"))):
        yield max(first, last - 4096), last


def _segments(
    buffer: Bytes, pos: int, stop: int, wanted: frozenset[int], ends: frozenset[int]
) -> Iterator[tuple[int, int]]:
    while pos + 4 <= stop:
        first, marker, high, low = buffer[pos : pos + 4]
        if first != 0xFF or marker in ends:
            return
        if marker == 0xFF:  # a fill byte: B.1.1.2
            pos += 1
            continue
        if marker in _STANDALONE:
            pos += 2
            continue
        length = high << 8 | low
        end = min(pos + 2 + max(length, 2), stop)
        if marker in wanted and end > pos + 4 and not _tells_colours(marker, bytes(buffer[pos + 4 : end])):
            yield pos + 4, end
        pos = end


def _tells_colours(marker: int, content: bytes) -> bool:
    """Whether a segment is one of colours, and JFIF without a thumbnail."""
    fits = any(
        marker == one and content.startswith(begin) and len(content) == length for one, begin, length in _COLOURS
    )
    return fits and (marker != 0xE0 or content[-2:] == b"\0\0")
