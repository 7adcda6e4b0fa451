"""What of a JPEG 2000 or HTJ2K codestream belongs to the image (ISO/IEC 15444-1 Annex A, 15444-15).

Marker segments stay if they are as long as they should be, and packets stay; comments go, and so do the boxes around a
codestream and what is behind its end. Lengths that are told twice have to agree: of a tile part, and of its packets.
"""

from __future__ import annotations

import re
from struct import Struct
from struct import error as struct_error
from typing import Final

from gateway.dicom.encoded import Buffer
from gateway.errors import PixelsUnreadable
from gateway.pixels.boxes import codestream_of
from gateway.pixels.pieces import Piece, Pieces
from gateway.pixels.trailing_text import check_end

__all__ = ["image_of"]

_WORD: Final = Struct(">H").unpack_from
_LONG: Final = Struct(">I").unpack_from
_TILE_PART: Final = Struct(">HIBB")
_SOC: Final = b"\xff\x4f"
_EOC: Final = b"\xff\xd9"
_END: Final = re.compile(_EOC)
_SOT: Final = 0x90
_SOD: Final = 0x93
_SIZ: Final = 0x51
_COD: Final = 0x52
_COC: Final = 0x53
_TLM: Final = 0x55
_PLT: Final = 0x58
_QCD: Final = 0x5C
_QCC: Final = 0x5D
_RGN: Final = 0x5E
_POC: Final = 0x5F
_PPM: Final = 0x60
_PPT: Final = 0x61
_CRG: Final = 0x63
_COM: Final = 0x64
_CAP: Final = 0x50
_PRF: Final = 0x56
_PLM: Final = 0x57
_CPF: Final = 0x59
_MAIN: Final = frozenset({_SIZ, _COD, _COC, _TLM, _QCD, _QCC, _RGN, _POC, _PPM, _CRG, _COM, _CAP, _PRF, _PLM, _CPF})
_TILE: Final = frozenset({_COD, _COC, _PLT, _QCD, _QCC, _RGN, _POC, _PPT, _COM})
#: Lengths of packets, which a decoder does without.
_LEFT_OUT: Final = frozenset({_COM, _PLM})


def image_of(data: Buffer, start: int, stop: int) -> list[Piece]:
    """The pieces of a codestream, or of a JP2 file, that belong to the image.

    Parameters
    ----------
    data
        the bytes
    start, stop
        the frame in them

    Raises
    ------
    PixelsUnreadable
        the codestream breaks off, is of a kind that is not known, or a segment holds more than it may
    """
    try:
        start, stop = codestream_of(data, start, stop)
        return _Codestream(data, start, stop).pieces()
    except (struct_error, IndexError):
        raise PixelsUnreadable(reason="a JPEG 2000 frame is truncated") from None


class _Codestream:
    def __init__(self, data: Buffer, start: int, stop: int) -> None:
        self._data = data
        self._start = start
        self._stop = stop
        self._pieces = Pieces()
        self._components = 0
        #: Decomposition levels as COD, and as COC of one component say.
        self._levels: dict[int | None, int] = {}
        #: Steps of quantization, by component or of all, which may stand in front of the levels.
        self._steps: list[tuple[int | None, bytes]] = []
        #: Tile and length of every tile part as TLM has them; tile None where it counts them.
        self._told: list[tuple[int | None, int]] = []
        self._tile_parts: list[tuple[int, int]] = []
        #: Lengths of packets that a tile part tells of.
        self._packets: bytearray = bytearray()

    def pieces(self) -> list[Piece]:
        data, pos = self._data, self._start
        if data[pos : pos + 2] != _SOC or data[pos + 2 : pos + 4] != bytes((0xFF, _SIZ)):
            raise PixelsUnreadable(reason="a compressed frame does not begin as JPEG 2000 does")
        self._pieces.keep(pos, pos + 2)
        pos += 2
        while self._marker(pos) != _SOT:
            pos = self._segment(pos, _MAIN)
        self._check_steps()
        while data[pos : pos + 2] != _EOC:
            # Kakadu pads with comments between the last tile part and the end.
            pos = self._tile_part(pos) if self._marker(pos) != _COM else self._segment(pos, _TILE)
        self._compare()
        self._pieces.keep(pos, pos + 2)
        return self._pieces.ended(data, self._start, self._stop)

    def _marker(self, pos: int) -> int:
        if pos + 4 > self._stop:
            raise PixelsUnreadable(reason="a JPEG 2000 frame is truncated")
        if self._data[pos] != 0xFF:
            raise PixelsUnreadable(reason="something stands between the segments of a JPEG 2000 frame")
        return self._data[pos + 1]

    def _segment(self, pos: int, known: frozenset[int]) -> int:
        """Take one marker segment; where the next one is."""
        marker = self._marker(pos)
        end: int = pos + 2 + _WORD(self._data, pos + 2)[0]
        if marker not in known:
            raise PixelsUnreadable(reason="a JPEG 2000 frame has a segment of a kind that is not known")
        if end < pos + 4 or end > self._stop:
            raise PixelsUnreadable(reason="a JPEG 2000 frame is truncated")
        if marker not in _LEFT_OUT:
            content = bytes(self._data[pos + 4 : end])
            if not self._fits(marker, content):
                raise _long()
            self._pieces.keep(pos, end)
        return end

    def _tile_part(self, pos: int) -> int:
        """Take one tile part; where it ends."""
        if self._marker(pos) != _SOT or _WORD(self._data, pos + 2)[0] != 10:
            raise PixelsUnreadable(reason="something stands between the tile parts of a JPEG 2000 frame")
        tile, length, part, parts = _TILE_PART.unpack_from(self._data, pos + 4)
        header = Pieces()
        whole, self._pieces, self._packets = self._pieces, header, bytearray()
        at = pos + 12
        while self._marker(at) != _SOD:
            at = self._segment(at, _TILE)
        self._check_steps()
        self._pieces = whole
        end: int = pos + length if length else self._end(at + 2)
        if end < at + 2 or end + 2 > self._stop:
            raise PixelsUnreadable(reason="a JPEG 2000 frame is truncated")
        self._check_packets(end - at - 2)
        check_end(self._data, at + 2, end)
        kept = sum(piece[1] - piece[0] for piece in header.listed if isinstance(piece, tuple))
        less = at - pos - 12 - kept
        if less and length:
            if self._told:
                raise PixelsUnreadable(reason="a comment stands in a tile part whose length is told twice")
            whole.put(bytes((0xFF, _SOT, 0, 10)) + _TILE_PART.pack(tile, length - less, part, parts))
        else:
            whole.keep(pos, pos + 12)
        for piece in header.listed:
            if isinstance(piece, tuple):
                whole.keep(*piece)
        whole.keep(at, end)
        self._tile_parts.append((tile, end - pos))
        return end

    def _end(self, pos: int) -> int:
        """Where the last tile part ends, whose length is not told: no packet holds the marker of the end (B.10.1)."""
        marker = _END.search(self._data, pos, self._stop)
        if marker is None:
            raise PixelsUnreadable(reason="a JPEG 2000 frame is truncated")
        return int(marker.start())

    def _check_packets(self, length: int) -> None:
        """Compare the lengths of packets, seven bits a byte (A.7.3), with that of all of them."""
        if not self._packets:
            return
        total = number = 0
        for byte in self._packets:
            number = number << 7 | byte & 0x7F
            if byte < 0x80:
                total, number = total + number, 0
        if number or total != length:
            raise PixelsUnreadable(reason="a JPEG 2000 frame tells lengths of packets that are not theirs")

    def _compare(self) -> None:
        """Compare the lengths of tile parts in front of them (A.7.1) with theirs."""
        if self._told and (
            len(self._told) != len(self._tile_parts)
            or any(
                length != told or tile not in (None, number)
                for (tile, told), (number, length) in zip(self._told, self._tile_parts, strict=True)
            )
        ):
            raise PixelsUnreadable(reason="a JPEG 2000 frame tells lengths of tile parts that are not theirs")

    def _fits(self, marker: int, content: bytes) -> bool:
        """Whether a segment is as long as what it has to say."""
        length = len(content)
        wide = 1 if self._components < 257 else 2
        match marker:
            case 0x51:  # SIZ
                self._components = _WORD(content, 34)[0]
                fits = length == 36 + 3 * self._components
            case 0x52:  # COD
                self._levels[None] = content[5]
                fits = length == 10 + (1 + content[5]) * (content[0] & 1)
            case 0x53:  # COC
                self._levels[int.from_bytes(content[:wide])] = levels = content[wide + 1]
                fits = length == wide + 6 + (1 + levels) * (content[wide] & 1)
            case 0x5C:  # QCD
                self._steps.append((None, content))
                fits = True
            case 0x5D:  # QCC
                self._steps.append((int.from_bytes(content[:wide]), content[wide:]))
                fits = True
            case 0x5E:  # RGN
                fits = length == wide + 2
            case 0x5F:  # POC
                fits = length % (5 + 2 * wide) == 0
            case 0x63:  # CRG
                fits = length == 4 * self._components
            case 0x50:  # CAP
                fits = length == 4 + 2 * int(_LONG(content, 0)[0]).bit_count()
            case 0x56 | 0x59:  # PRF, CPF
                fits = length in (2, 4)
            case 0x55:  # TLM
                fits = self._lengths(content)
            case 0x58:  # PLT
                self._packets += content[1:]
                fits = length > 1
            case _:  # PPM, PPT: headers of packets, which are coded data as packets are
                check_end(content, 0, length)
                fits = length > 1
        return fits

    def _check_steps(self) -> None:
        """Look whether there is a step for each sub-band (A.6.4)."""
        for component, content in self._steps:
            bands = 3 * self._levels.get(component, self._levels.get(None, 0)) + 1
            if len(content) - 1 != {0: bands, 1: 2, 2: 2 * bands}.get(content[0] & 0x1F):
                raise _long()
        self._steps.clear()

    def _lengths(self, content: bytes) -> bool:
        """Read the lengths of tile parts: index of the segment, sizes, entries (A.7.1)."""
        tile_size, size = content[1] >> 4 & 3, 4 if content[1] & 0x40 else 2
        entry = tile_size + size
        if tile_size == 3 or (len(content) - 2) % entry:
            return False
        for pos in range(2, len(content), entry):
            tile = int.from_bytes(content[pos : pos + tile_size]) if tile_size else None
            self._told.append((tile, int.from_bytes(content[pos + tile_size : pos + entry])))
        return True


def _long() -> PixelsUnreadable:
    return PixelsUnreadable(reason="a segment of a JPEG 2000 frame holds more than it should, or less")
