"""A de-identified instance as a small file of rewritten bytes and ranges of the received one.

Layout, little endian: magic (4 bytes), version (1), CRC-32 of all that follows in the head (4), number of parts (4),
inline bytes (8), CRC-32 of the inline bytes (4), the parts (kind 1, offset 8, length 8 bytes each), the inline bytes.
A part of kind 0 lies in this file, one of kind 1 in the spool file of the same name.

The file is not synced: it can be computed again from the original, and a torn one is recognised.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from struct import Struct
from struct import error as struct_error
from typing import Final

from gateway import checksum
from gateway.dicom.segments import FileRange, Segment, pieces
from gateway.errors import SpoolCorrupt

_MAGIC: Final = b"DGou"
_VERSION: Final = 1
_HEAD: Final = Struct("<4sBI")
_COUNTS: Final = Struct("<IQI")
_PART: Final = Struct("<BQQ")
_INLINE: Final = 0
_STORED: Final = 1
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Output:
    """A stored output: the concatenation of its parts is a DICOM file.

    Attributes
    ----------
    name
        name in the spool, the same as the original's
    ranges
        absolute path, offset and length of each part, in order
    """

    name: str
    ranges: tuple[FileRange, ...]

    @property
    def length(self) -> int:
        """Bytes of the DICOM file."""
        return sum(part.length for part in self.ranges)

    def parts(self) -> list[FileRange]:
        """The parts in order."""
        return list(self.ranges)


def write_parts(file: FileIO, segments: Sequence[Segment], *, stored: Path, available: int) -> int:
    """Write an output into an empty file; ranges of ``stored`` stay ranges, all others are copied.

    Parameters
    ----------
    file
        unbuffered
    segments
        a DICOM file
    stored
        the original
    available
        bytes of the original

    Returns
    -------
    Bytes of the DICOM file that the segments make.

    Raises
    ------
    SpoolCorrupt
        a range ends behind its file
    OSError
        a file cannot be read or written
    """
    parts: list[tuple[int, int, int]] = []
    at = start = _HEAD.size + _COUNTS.size + len(segments) * _PART.size
    crc32, copied = 0, False
    # Nearly always all of the file: it is written at once. The head, for which there is room, is made last.
    waiting = [bytes(start)]
    for segment in segments:
        if isinstance(segment, FileRange) and segment.path == stored:
            if segment.offset + segment.length > available:
                raise SpoolCorrupt(name=stored.name, reason="a range ends behind it")
            parts.append((_STORED, segment.offset, segment.length))
            continue
        if isinstance(segment, FileRange):
            _write(file, b"".join(waiting))
            waiting.clear()
            copied = True
            crc32 = _copy(segment, file, crc32)
            length = segment.length
        else:
            waiting.append(segment)
            crc32 = checksum.crc32(segment, crc32)
            length = len(segment)
        parts.append((_INLINE, at, length))
        at += length
    body = _COUNTS.pack(len(parts), at - start, crc32) + b"".join(_PART.pack(*part) for part in parts)
    head = _HEAD.pack(_MAGIC, _VERSION, checksum.crc32(body)) + body
    if copied:
        _write(file, b"".join(waiting))
        file.seek(0)
        waiting = [head]
    else:
        waiting[0] = head
    _write(file, b"".join(waiting))
    return sum(part[2] for part in parts)


def read_parts(path: Path, *, name: str, stored: Path) -> Output:
    """The output in the file ``path``, its inline bytes checked.

    Raises
    ------
    SpoolCorrupt
        the file is torn, damaged or of another version, or the original is shorter than its ranges
    OSError
        a file cannot be read
    """
    with FileIO(path) as file:
        size = os.fstat(file.fileno()).st_size
        # Nearly always all of it.
        begin = file.read(min(size, _CHUNK))
        try:
            magic, version, check = _HEAD.unpack_from(begin)
            count, inline, crc32 = _COUNTS.unpack_from(begin, _HEAD.size)
        except struct_error:
            raise SpoolCorrupt(name=name, reason="its output is torn") from None
        if magic != _MAGIC or version != _VERSION:
            raise SpoolCorrupt(name=name, reason=f"its output is not of version {_VERSION}")
        start = _HEAD.size + _COUNTS.size + count * _PART.size
        if size != start + inline:
            raise SpoolCorrupt(name=name, reason="its output is torn")
        while len(begin) < start and (more := file.read(start - len(begin))):
            begin += more
        content = memoryview(begin)
        whole = _checksum(content[start:], file, size - len(begin)) == crc32
        if not whole or checksum.crc32(content[_HEAD.size : start]) != check:
            raise SpoolCorrupt(name=name, reason="its output is damaged")
    table = content[_HEAD.size + _COUNTS.size : start]
    available = stored.stat().st_size
    ranges = []
    for kind, offset, length in _PART.iter_unpack(table):
        if kind == _STORED and offset + length > available:
            raise SpoolCorrupt(name=name, reason=f"it has {available} bytes, its output needs {offset + length}")
        ranges.append(FileRange(path if kind == _INLINE else stored, offset, length))
    return Output(name, tuple(ranges))


def _copy(part: FileRange, file: FileIO, crc32: int) -> int:
    for piece in pieces(part, memoryview(bytearray(min(part.length, _CHUNK)))):
        _write(file, piece)
        crc32 = checksum.crc32(piece, crc32)
    return crc32


def _write(file: FileIO, content: bytes | memoryview) -> None:
    """Write all of ``content``: the kernel may take a part."""
    written = file.write(content)
    while written < len(content):
        written += file.write(memoryview(content)[written:])


def _checksum(begin: memoryview, file: FileIO, left: int) -> int:
    """The CRC-32 of ``begin`` and the next ``left`` bytes of the file."""
    crc32 = checksum.crc32(begin)
    while left and (chunk := file.read(min(left, _CHUNK))):
        crc32 = checksum.crc32(chunk, crc32)
        left -= len(chunk)
    return crc32
