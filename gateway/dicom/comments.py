"""What compressed frames say besides their pixels: the comment and application segments of their codestreams.

Encoders write there what they like, such as EXIF data or a name. Decoding drops it; copying the frames keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from gateway.dicom.encoded import Buffer

__all__ = ["comments"]

_ITEM: Final = Struct("<HHI").unpack_from
_WORD: Final = Struct(">H").unpack_from
_FRAGMENT: Final = (0xFFFE, 0xE000)
_JPEG: Final = b"\xff\xd8"
_JPEG_2000: Final = b"\xff\x4f"
_JP2: Final = b"\0\0\0\x0cjP  "
#: ISO/IEC 10918-1 B.1.1.3: APP0 to APP15, COM. ISO/IEC 15444-1 A.9.2: CME.
_JPEG_COMMENTS: Final = frozenset((*range(0xE0, 0xF0), 0xFE))
_JPEG_2000_COMMENTS: Final = frozenset((0x64,))
#: Markers without a length: TEM, RST0 to RST7.
_STANDALONE: Final = frozenset((0x01, *range(0xD0, 0xD8)))
#: Where the headers end: SOS, EOI; SOT, SOD, EOC.
_JPEG_ENDS: Final = frozenset((0xDA, 0xD9))
_JPEG_2000_ENDS: Final = frozenset((0x90, 0x93, 0xD9))
#: Boxes in front of a codestream, all of which may hold text.
_LONGEST_BOXES: Final = 1 << 20


def comments(buffer: Buffer, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The byte ranges of what stands beside the pixels in encapsulated Pixel Data (PS3.5 A.4).

    Parameters
    ----------
    buffer: the bytes
    start, stop: range of the value of Pixel Data: items, of which the first is the offset table

    Returns
    -------
    Ranges of segments, in order; headers that break off end where they break off.
    """
    pos = start
    while pos + 8 <= stop:
        group, number, length = _ITEM(buffer, pos)
        pos += 8
        if (group, number) != _FRAGMENT or pos + length > stop:
            return
        begins = bytes(buffer[pos : pos + 8])
        if begins.startswith(_JPEG):
            yield from _segments(buffer, pos + 2, pos + length, _JPEG_COMMENTS, _JPEG_ENDS)
        elif begins.startswith(_JPEG_2000):
            yield from _segments(buffer, pos + 2, pos + length, _JPEG_2000_COMMENTS, _JPEG_2000_ENDS)
        elif begins == _JP2:
            boxes = bytes(buffer[pos : min(pos + length, pos + _LONGEST_BOXES)])
            codestream = boxes.find(b"\xff\x4f\xff\x51")
            end = pos + (len(boxes) if codestream < 0 else codestream)
            yield pos, end
            yield from _segments(buffer, end + 2, pos + length, _JPEG_2000_COMMENTS, _JPEG_2000_ENDS)
        pos += length


def _segments(
    buffer: Buffer, pos: int, stop: int, wanted: frozenset[int], ends: frozenset[int]
) -> Iterator[tuple[int, int]]:
    while pos + 4 <= stop:
        first, marker = buffer[pos], buffer[pos + 1]
        if first != 0xFF or marker in ends:
            return
        if marker == 0xFF:  # a fill byte: B.1.1.2
            pos += 1
            continue
        if marker in _STANDALONE:
            pos += 2
            continue
        length = _WORD(buffer, pos + 2)[0]
        end = min(pos + 2 + max(length, 2), stop)
        if marker in wanted and end > pos + 4:
            yield pos + 4, end
        pos = end
