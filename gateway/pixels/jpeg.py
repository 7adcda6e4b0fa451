"""What of a JPEG or JPEG-LS codestream belongs to the image (ISO/IEC 10918-1 Annex B, ISO/IEC 14495-1 Annex C).

Frame and scan headers, tables and entropy-coded data stay. The segments that a decoder follows when it tells colours
stay with those of their bytes that it reads: JFIF without a thumbnail, Adobe, HP's colour transform. Every other
application segment and every comment goes, and so does what is behind the end. A table is as long as its content
says, or the frame is refused: nothing rides in one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from struct import Struct
from struct import error as struct_error
from typing import Final

from gateway.dicom.encoded import Buffer
from gateway.errors import PixelsUnreadable
from gateway.pixels.pieces import Piece, Pieces
from gateway.pixels.trailing_text import check_end

__all__ = ["image_of"]

_WORD: Final = Struct(">H").unpack_from
_SOI: Final = b"\xff\xd8"
_EOI: Final = 0xD9
_SOS: Final = 0xDA
_DQT: Final = 0xDB
_DHT: Final = 0xC4
_DAC: Final = 0xCC
_DNL: Final = 0xDC
_DRI: Final = 0xDD
_LSE: Final = 0xF8
_JPEG_LS: Final = 0xF7
_COM: Final = 0xFE
_APPLICATIONS: Final = range(0xE0, 0xF0)
#: SOF0 to SOF15 without DHT, JPG and DAC, and the frame header of JPEG-LS.
_FRAMES: Final = frozenset({*range(0xC0, 0xD0), _JPEG_LS}) - {_DHT, 0xC8, _DAC}
#: The next marker behind entropy-coded data, restarts excepted: B.1.1.5; of JPEG-LS, A.1.
_AFTER_JPEG: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_AFTER_JPEG_LS: Final = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
#: Version, units, densities and size of a thumbnail; JFIF 1.02. Adobe Technical Note 5116.
_JFIF: Final = b"JFIF\0"
_JFIF_LENGTH: Final = 14
_ADOBE: Final = b"Adobe"
_ADOBE_LENGTH: Final = 12
_TRANSFORM: Final = b"mrfx"
_TRANSFORM_LENGTH: Final = 5


def image_of(data: Buffer, start: int, stop: int) -> list[Piece]:
    """The pieces of a codestream that belong to the image.

    Parameters
    ----------
    data
        the bytes
    start, stop
        the frame in them

    Raises
    ------
    PixelsUnreadable
        the codestream breaks off, is of a kind that is not known, or a table holds more than it may
    """
    try:
        return _Codestream(data, start, stop).pieces()
    except (struct_error, IndexError):
        raise PixelsUnreadable(reason="a JPEG frame is truncated") from None


class _Codestream:
    def __init__(self, data: Buffer, start: int, stop: int) -> None:
        self._data = data
        self._start = start
        self._stop = stop
        self._pieces = Pieces()
        self._after = _AFTER_JPEG
        #: Tables that were defined since the last scan, by marker and destination.
        self._defined: set[tuple[int, int]] = set()
        self._has_frame = False
        self._has_scan = False

    def pieces(self) -> list[Piece]:
        data, pos = self._data, self._start
        if data[pos : pos + 2] != _SOI:
            raise PixelsUnreadable(reason="a compressed frame does not begin as JPEG does")
        self._pieces.keep(pos, pos + 2)
        pos += 2
        while pos + 2 <= self._stop:
            if data[pos] != 0xFF:
                raise PixelsUnreadable(reason="something stands between the segments of a JPEG frame")
            marker = data[pos + 1]
            if marker == 0xFF:  # a fill byte: B.1.1.2
                self._pieces.keep(pos, pos + 1)
                pos += 1
            elif marker == _EOI:
                return self._ended(pos + 2)
            else:
                pos = self._segment(marker, pos)
        raise PixelsUnreadable(reason="a JPEG frame is truncated")

    def _ended(self, pos: int) -> list[Piece]:
        if not self._has_scan:
            raise PixelsUnreadable(reason="a JPEG frame has no scan")
        self._pieces.keep(pos - 2, pos)
        return self._pieces.ended(self._data, self._start, self._stop)

    def _segment(self, marker: int, pos: int) -> int:
        """Take one segment, and the entropy-coded data behind a scan header; where the next marker is."""
        end: int = pos + 2 + _WORD(self._data, pos + 2)[0]
        if end < pos + 4 or end > self._stop:
            raise PixelsUnreadable(reason="a JPEG frame is truncated")
        if marker == _COM or marker in _APPLICATIONS:
            self._application(marker, pos, end)
            return end
        self._check(marker, bytes(self._data[pos + 4 : end]))
        if marker != _SOS:
            self._pieces.keep(pos, end)
            return end
        self._defined.clear()
        self._has_scan = True
        after = self._after.search(self._data, end, self._stop)
        if after is None:
            raise PixelsUnreadable(reason="a JPEG frame is truncated")
        next_marker: int = after.start()
        check_end(self._data, end, next_marker)
        self._pieces.keep(pos, next_marker)
        return next_marker

    def _application(self, marker: int, pos: int, end: int) -> None:
        """Let stay what tells colours: in a form that has room for nothing else."""
        begin = bytes(self._data[pos + 4 : min(end, pos + 4 + _JFIF_LENGTH)])
        if marker == 0xE0 and begin.startswith(_JFIF) and len(begin) == _JFIF_LENGTH:
            wanted, length = begin[:-2] + b"\0\0", _JFIF_LENGTH
        elif marker == 0xEE and begin.startswith(_ADOBE) and len(begin) >= _ADOBE_LENGTH:
            wanted, length = begin[:_ADOBE_LENGTH], _ADOBE_LENGTH
        elif marker == 0xE8 and begin.startswith(_TRANSFORM) and len(begin) >= _TRANSFORM_LENGTH:
            wanted, length = begin[:_TRANSFORM_LENGTH], _TRANSFORM_LENGTH
        else:
            return
        if end - pos - 4 == length and begin == wanted:
            self._pieces.keep(pos, end)
        else:
            self._pieces.put(bytes((0xFF, marker, 0, length + 2)) + wanted)

    def _check(self, marker: int, content: bytes) -> None:
        """Refuse a segment that is not known, or longer than what it has to say."""
        if marker in _FRAMES:
            if self._has_frame:
                raise PixelsUnreadable(reason="a JPEG frame has two frame headers")
            self._has_frame = True
            if marker == _JPEG_LS:
                self._after = _AFTER_JPEG_LS
            fits = len(content) == 6 + 3 * content[5]
        elif marker == _SOS:
            fits = self._has_frame and len(content) == 4 + 2 * content[0]
        elif marker == _DHT:
            fits = self._defines(marker, content, _huffman_length)
        elif marker == _DQT:
            fits = self._defines(marker, content, _quantization_length)
        elif marker == _DRI:
            fits = len(content) == 2 or (self._after is _AFTER_JPEG_LS and 2 < len(content) <= 4)
        elif marker == _DNL:
            fits = self._has_scan and len(content) == 2
        elif marker == _DAC:
            fits = len(content) % 2 == 0 and len(content) <= 16
        elif marker == _LSE:
            # Of mapping tables (C.2.4.1.2) a codec here knows nothing.
            fits = len(content) == 11 and content[0] == 1
        else:
            raise PixelsUnreadable(reason="a JPEG frame has a segment of a kind that is not known")
        if not fits:
            raise PixelsUnreadable(reason="a table of a JPEG frame holds more than it should, or less")

    def _defines(self, marker: int, content: bytes, length_of: Callable[[bytes, int], int | None]) -> bool:
        """Whether the tables of a segment fill it, each of them once before a scan that may use it."""
        pos = 0
        while pos < len(content):
            table = (marker, content[pos])
            length = length_of(content, pos)
            if length is None or table in self._defined:
                return False
            self._defined.add(table)
            pos += length
        return pos == len(content)


def _huffman_length(content: bytes, pos: int) -> int | None:
    """B.2.4.2: class and destination, 16 numbers of codes, a symbol for each code, none of them twice."""
    count = sum(content[pos + 1 : pos + 17])
    symbols = content[pos + 17 : pos + 17 + count]
    fits = content[pos] & 0xEC == 0 and len(symbols) == count and len(set(symbols)) == count
    return 17 + count if fits else None


def _quantization_length(content: bytes, pos: int) -> int | None:
    """B.2.4.1: precision and destination, 64 numbers."""
    return 1 + 64 * (1 + (content[pos] >> 4)) if content[pos] & 0xEC == 0 else None
