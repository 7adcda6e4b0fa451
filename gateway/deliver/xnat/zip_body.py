"""A zip archive as a request body: stored, not compressed, its instances sent from where they lie (APPNOTE.TXT).

XNAT reads the archive as a stream, and a stored entry of a stream must have its size and checksum in front of it. So
each instance is read once for its CRC-32 before the body is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

from gateway import checksum
from gateway.deliver.base import Parcel
from gateway.deliver.xnat.file_names import file_name
from gateway.dicom.segments import Segment, pieces
from gateway.errors import SpoolCorrupt, SpoolUnavailable

_LOCAL: Final = Struct("<4s5H3I2H")
_CENTRAL: Final = Struct("<4s6H3I5H2I")
_END: Final = Struct("<4s4H2IH")
_END_64: Final = Struct("<4sQ2H2I4Q")
_LOCATOR_64: Final = Struct("<4sIQI")
_EXTRA: Final = Struct("<2H")
_STORED: Final = 0
_VERSION: Final = 20
_VERSION_64: Final = 45
_DATE: Final = (1 << 5) | 1  # 1 January 1980: when an instance was made is nobody's business
#: Stand for a value that is in the zip64 record.
_ELSEWHERE_16: Final = 0xFFFF
_ELSEWHERE_32: Final = 0xFFFFFFFF
#: Sizes and offsets from this on need zip64.
_LARGE: Final = _ELSEWHERE_32
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ZipBody:
    """A body whose length is known before the first byte is sent.

    Attributes
    ----------
    segments
        the body
    owners
        for each segment the position of the parcel that it belongs to
    length
        bytes of the body
    """

    segments: tuple[Segment, ...]
    owners: tuple[int, ...]
    length: int


def zip_body(parcels: Sequence[Parcel]) -> ZipBody:
    """The parcels as one archive, in their order; the entries' names are those of ``file_name``.

    Parameters
    ----------
    parcels
        at least one, with valid and distinct SOP Instance UIDs

    Raises
    ------
    SpoolUnavailable
        stored bytes cannot be read; its fact ``parcel`` is the parcel's position
    SpoolCorrupt
        a file is shorter than its range; with the fact ``parcel``
    """
    segments: list[Segment] = []
    owners: list[int] = []
    directory = b""
    at = 0
    for position, parcel in enumerate(parcels):
        name = file_name(parcel.sop_uid).encode("ascii")
        crc32 = _crc32(position, parcel)
        local = _local(name, crc32, parcel.length)
        directory += _central(name, crc32, parcel.length, at)
        segments += [local, *parcel.parts]
        owners += [position] * (1 + len(parcel.parts))
        at += len(local) + parcel.length
    tail = directory + _end(len(parcels), len(directory), at)
    segments.append(tail)
    owners.append(len(parcels) - 1)
    return ZipBody(tuple(segments), tuple(owners), at + len(tail))


def _local(name: bytes, crc32: int, size: int) -> bytes:
    """Local file header (4.3.7)."""
    large = size >= _LARGE
    extra = _EXTRA.pack(1, 16) + size.to_bytes(8, "little") * 2 if large else b""
    shown = _ELSEWHERE_32 if large else size
    version = _VERSION_64 if large else _VERSION
    head = _LOCAL.pack(b"PK\3\4", version, 0, _STORED, 0, _DATE, crc32, shown, shown, len(name), len(extra))
    return head + name + extra


def _central(name: bytes, crc32: int, size: int, at: int) -> bytes:
    """Central directory header (4.3.12)."""
    wide = b"".join(value.to_bytes(8, "little") for value in (size, size, at) if value >= _LARGE)
    extra = _EXTRA.pack(1, len(wide)) + wide if wide else b""
    shown, shown_at = (_ELSEWHERE_32 if value >= _LARGE else value for value in (size, at))
    version = _VERSION_64 if extra else _VERSION
    head = _CENTRAL.pack(
        b"PK\1\2", version, version, 0, _STORED, 0, _DATE, crc32, shown, shown,
        len(name), len(extra), 0, 0, 0, 0, shown_at,
    )  # fmt: skip
    return head + name + extra


def _end(count: int, size: int, at: int) -> bytes:
    """End of central directory record, with that of zip64 where needed (4.3.14 to 4.3.16)."""
    if count < _ELSEWHERE_16 and size < _LARGE and at < _LARGE:
        return _END.pack(b"PK\5\6", 0, 0, count, count, size, at, 0)
    wide = _END_64.pack(b"PK\6\6", 44, _VERSION_64, _VERSION_64, 0, 0, count, count, size, at)
    locator = _LOCATOR_64.pack(b"PK\6\7", 0, at + size, 1)
    elsewhere = (_ELSEWHERE_16, _ELSEWHERE_16, _ELSEWHERE_32, _ELSEWHERE_32)
    return wide + locator + _END.pack(b"PK\5\6", 0, 0, *elsewhere, 0)


def _crc32(position: int, parcel: Parcel) -> int:
    crc32 = 0
    buffer = memoryview(bytearray(min(parcel.length, _CHUNK)))
    for part in parcel.parts:
        try:
            for piece in pieces(part, buffer):
                crc32 = checksum.crc32(piece, crc32)
        except SpoolCorrupt as error:
            raise SpoolCorrupt(**error.facts, parcel=position) from None
        except OSError as error:
            raise SpoolUnavailable(
                operation="read", name=part.path.name, reason=error.strerror, parcel=position
            ) from None
    return crc32
