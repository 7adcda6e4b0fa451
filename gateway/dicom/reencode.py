"""Bringing other encodings to explicit VR little endian, in a work file.

Three encodings cannot be walked where they lie: deflated (PS3.5 A.5), explicit VR big endian (A.3, retired), and
explicit VR with implicit elements in between, which some devices write. They are rewritten once, so that everything
behind works on one form. Pixel data passes in pieces; nothing grows with the size of the instance but the work file,
which has a limit.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from array import array
from pathlib import Path
from struct import pack, unpack_from
from types import TracebackType
from typing import IO, Final, Self

from gateway.dicom.encoded import Buffer, Element, find
from gateway.dicom.tag import (
    ITEM,
    ITEM_DELIMITATION,
    PIXEL_DATA,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    is_group_length,
    show,
)
from gateway.dicom.vr import VALUE_REPRESENTATIONS
from gateway.errors import (
    LimitExceeded,
    MalformedDataSet,
    SpoolUnavailable,
    TruncatedDataSet,
    UnsupportedEncoding,
)

_CHUNK: Final = 1 << 20
#: Bytes of a gzip trailer and padding that may follow a deflated stream, and one to see that more does.
_TRAILER: Final = 10
_BITS_ALLOCATED: Final = 0x00280100
_TYPE_CODES: Final = {2: "H", 4: "I", 8: "Q"}


class WorkFile:
    """A file of mode 0600 under ``directory`` that takes at most ``limit`` bytes and is gone after ``remove``.

    As a context manager it removes itself when the block fails; the caller removes it in the end.

    Raises
    ------
    SpoolUnavailable
        it cannot be created or written
    LimitExceeded
        more than ``limit`` bytes were written
    """

    def __init__(self, directory: Path, limit: int) -> None:
        self._limit = limit
        self.length = 0
        try:
            descriptor, name = tempfile.mkstemp(prefix="reencode-", suffix=".dcm", dir=directory)
        except OSError as error:
            raise SpoolUnavailable(operation="create", name="a work file", reason=error.strerror) from None
        self.path = Path(name)
        self._file: IO[bytes] = os.fdopen(descriptor, "wb", buffering=1 << 20)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError as failure:
            self.remove()
            raise SpoolUnavailable(operation="write", name="a work file", reason=failure.strerror) from None
        if error is not None:
            self.remove()

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        self.length += len(data)
        if self.length > self._limit:
            raise LimitExceeded(limit=self._limit, unit="re-encoded bytes", where="the data set")
        try:
            self._file.write(data)
        except OSError as error:
            raise SpoolUnavailable(operation="write", name="a work file", reason=error.strerror) from None

    def remove(self) -> None:
        """Delete the file, whether or not it is still there."""
        self.path.unlink(missing_ok=True)


def inflate(buffer: Buffer, start: int, stop: int, file: WorkFile) -> None:
    """Write the deflated data set in ``buffer[start:stop]`` to ``file`` (PS3.5 A.5, RFC 1951).

    Raises
    ------
    TruncatedDataSet
        the deflated stream does not end
    MalformedDataSet
        it is no deflated stream, or more than padding or gzip's trailer follows it
    LimitExceeded
        it inflates to more than the file's limit
    """
    engine = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    pos, pending, checksum = start, b"", 0
    while not engine.eof:
        if not pending:
            pending = bytes(buffer[pos : min(pos + _CHUNK, stop)])
            pos += len(pending)
        try:
            plain = engine.decompress(pending, _CHUNK)
        except zlib.error:
            raise MalformedDataSet(where="the deflated data set", offset=pos, reason="it cannot be inflated") from None
        if not (plain or pending or engine.eof):
            raise TruncatedDataSet(where="the deflated data set", offset=pos, missing="the last")
        file.write(plain)
        checksum = zlib.crc32(plain, checksum)
        pending = engine.unconsumed_tail
    behind = engine.unused_data + bytes(buffer[pos : min(pos + _TRAILER, stop)])
    # Some writers leave the trailer of gzip (RFC 1952 2.3.1): checksum and length of what was deflated.
    behind = behind.removeprefix(pack("<II", checksum, file.length & 0xFFFFFFFF))
    if behind not in (b"", b"\0"):
        raise MalformedDataSet(where="the deflated data set", offset=pos, reason="something follows its end")


def rewrite(buffer: Buffer, elements: list[Element], file: WorkFile, *, big_endian: bool) -> None:
    """Write ``elements`` to ``file`` in explicit VR little endian, sequences with undefined lengths.

    Group lengths (gggg,0000) are left out: they would be wrong (PS3.5 7.2). Values change byte order by their VR; VR UN
    and OB stay as they are.

    Parameters
    ----------
    buffer, elements
        what ``encoded.index`` was given and what it returned
    file
        where to
    big_endian
        whether ``buffer`` is explicit VR big endian

    Raises
    ------
    MalformedDataSet
        the length of a value is no multiple of its number's
    UnsupportedEncoding
        big-endian pixel data that readers understand differently
    LimitExceeded
        the file's limit
    """
    _Rewriter(buffer, file, big_endian=big_endian).level(elements)


class _Rewriter:
    def __init__(self, buffer: Buffer, file: WorkFile, *, big_endian: bool) -> None:
        self._buffer = buffer
        self._file = file
        self._big_endian = big_endian

    def level(self, elements: list[Element]) -> None:
        for element in elements:
            tag, vr, _, value, end, items = element
            if is_group_length(tag):
                continue
            if items is not None:
                self._header(tag, b"SQ", UNDEFINED_LENGTH)
                for item in items:
                    self._file.write(pack("<HHI", ITEM >> 16, ITEM & 0xFFFF, UNDEFINED_LENGTH))
                    self.level(item[4])
                    self._file.write(pack("<HHI", ITEM_DELIMITATION >> 16, ITEM_DELIMITATION & 0xFFFF, 0))
                self._file.write(pack("<HHI", SEQUENCE_DELIMITATION >> 16, SEQUENCE_DELIMITATION & 0xFFFF, 0))
                continue
            if self._big_endian and tag == PIXEL_DATA:
                self._check_pixel_data(vr, elements)
            odd = (end - value) & 1
            if self._is_encapsulated(element):
                self._header(tag, b"OB", UNDEFINED_LENGTH)  # PS3.5 A.4, whatever a missing VR was taken for
            else:
                self._header(tag, vr, end - value + odd)
            self._copy(tag, value, end, VALUE_REPRESENTATIONS[vr].unit if self._big_endian else 1)
            if odd:
                self._file.write(VALUE_REPRESENTATIONS[vr].padding)

    def _header(self, tag: int, vr: bytes, length: int) -> None:
        if VALUE_REPRESENTATIONS[vr].header == 8 and length > 0xFFFF:
            vr = b"UN"  # PS3.5 6.2.2: what is too long for its VR's length field
        if VALUE_REPRESENTATIONS[vr].header == 8:
            self._file.write(pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, length))
        else:
            self._file.write(pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, length))

    def _is_encapsulated(self, element: Element) -> bool:
        """Whether the element is pixel data of undefined length, which only OB and OW in little endian can be."""
        tag, vr, _, value, _, _ = element
        if tag != PIXEL_DATA or vr not in (b"OB", b"OW") or self._big_endian:
            return False
        return bool(unpack_from("<I", self._buffer, value - 4)[0] == UNDEFINED_LENGTH)

    def _copy(self, tag: int, value: int, end: int, unit: int) -> None:
        if (end - value) % unit:
            raise MalformedDataSet(where=show(tag), offset=value, reason=f"its length is no multiple of {unit}")
        for pos in range(value, end, _CHUNK):
            chunk = bytes(self._buffer[pos : min(pos + _CHUNK, end)])
            if unit > 1:
                numbers = array(_TYPE_CODES[unit], chunk)
                numbers.byteswap()
                chunk = numbers.tobytes()
            self._file.write(chunk)

    def _check_pixel_data(self, vr: bytes, level: list[Element]) -> None:
        """Refuse samples whose byte order cannot be told.

        Words of OW swap (PS3.5 7.3). Of samples wider than a word some writers swap the words and some the whole
        sample, and OB of more than 8 bits has no order at all (A.3).
        """
        allocated = find(level, _BITS_ALLOCATED)
        if allocated is None or allocated[4] - allocated[3] != 2:
            raise UnsupportedEncoding(reason="big-endian pixel data without Bits Allocated")
        bits = unpack_from(">H", self._buffer, allocated[3])[0]
        if bits > (8 if vr == b"OB" else 16) or vr not in (b"OB", b"OW"):
            raise UnsupportedEncoding(
                reason=f"big-endian pixel data of {bits} bits with VR {vr.decode()}: its byte order is ambiguous"
            )
