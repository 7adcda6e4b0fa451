"""File meta information (PS3.10 7.1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct, pack
from struct import error as struct_error
from typing import Final

from gateway.dicom.encoded import Buffer
from gateway.dicom.tag import show
from gateway.dicom.vr import HEADER_SIZE, pad
from gateway.errors import DuplicateElement, InstanceError, MalformedDataSet, NotDicom, TruncatedDataSet
from gateway.version import __version__

#: Names this software in the files that it writes (PS3.7 D.3.3.2), derived from a UUID (PS3.5 B.2).
IMPLEMENTATION_CLASS_UID: Final = "2.25.217034768373815640771322485766867128315"
IMPLEMENTATION_VERSION_NAME: Final = f"DEIDGW_{__version__}"[:16]

_PREAMBLE: Final = 128
_PREFIX: Final = b"DICM"
#: More than this before the data set begins is no file meta information.
_LONGEST: Final = 1 << 20

_HEADER: Final = Struct("<HH2sH").unpack_from
_LENGTH: Final = Struct("<I").unpack_from
_HEADER_BYTES: Final = 8
#: Bytes in which nearly all file meta information ends.
_HEAD: Final = 768

_SOP_CLASS: Final = 0x00020002
_SOP_INSTANCE: Final = 0x00020003
_TRANSFER_SYNTAX: Final = 0x00020010
_SOURCE_AE: Final = 0x00020016
_RECEIVING_AE: Final = 0x00020018


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the file says of its data set.

    Attributes
    ----------
    transfer_syntax
        Transfer Syntax UID (0002,0010)
    sop_class_uid
        Media Storage SOP Class UID (0002,0002)
    sop_instance_uid
        Media Storage SOP Instance UID (0002,0003)
    source_ae
        Source Application Entity Title (0002,0016)
    receiving_ae
        Receiving Application Entity Title (0002,0018)

    Each is empty where the file does not say it.
    """

    transfer_syntax: str
    sop_class_uid: str
    sop_instance_uid: str
    source_ae: str = ""
    receiving_ae: str = ""


def has_file_meta(buffer: Buffer) -> bool:
    """Whether ``buffer`` begins with file meta information, with or without preamble and prefix."""
    return _begin(buffer) is not None


def read_file_meta(buffer: Buffer) -> tuple[FileMeta, int]:
    """Read the file meta information, which is always explicit VR little endian.

    Its end is where group 0002 ends; File Meta Information Group Length (0002,0000) is often wrong and not needed.

    Returns
    -------
    The file meta information and the offset of the data set in bytes.

    Raises
    ------
    NotDicom
        neither preamble with prefix nor an element of group 0002 at the beginning
    MalformedDataSet
        broken, longer than 1 MiB, or cut off inside
    """
    head = bytes(buffer[:_HEAD])
    known = _read_head(head) if len(head) == _HEAD else None
    return _read(buffer) if known is None else known


@lru_cache(maxsize=8)
def _read_head(head: bytes) -> tuple[FileMeta, int] | None:
    """What ``_read`` makes of every file that begins so; None if the head does not tell that.

    Remembered for the stages that read one file after each other.
    """
    try:
        meta, end = _read(head)
    except InstanceError:
        return None
    # Nothing is read behind the header that shows where group 0002 ends.
    return (meta, end) if end + _HEADER_BYTES <= len(head) else None


def _read(buffer: Buffer) -> tuple[FileMeta, int]:
    begin = _begin(buffer)
    if begin is None:
        raise NotDicom(reason="the file has no file meta information")
    values: dict[int, bytes] = {}
    pos, stop, tag = begin, len(buffer), 0
    try:
        while pos < stop:
            group, number, vr, length = _HEADER(buffer, pos)
            if group != 0x0002:
                break
            tag = group << 16 | number
            size = HEADER_SIZE.get(vr)
            if size is None:
                raise MalformedDataSet(where=show(tag), offset=pos, reason=f"0x{vr.hex()} is no value representation")
            if size == 12:
                length = _LENGTH(buffer, pos + 8)[0]
            end = pos + size + length
            if end > stop:
                raise TruncatedDataSet(where=show(tag), offset=pos, missing=end - stop)
            if end - begin > _LONGEST:
                raise MalformedDataSet(where=show(tag), offset=pos, reason="the file meta information is too long")
            if tag in values:
                raise DuplicateElement(where=show(tag), offset=pos)
            values[tag] = bytes(buffer[pos + size : end])
            pos = end
    except struct_error:
        raise TruncatedDataSet(where=show(tag), offset=pos, missing=pos + 8 - stop) from None

    def text(tag: int) -> str:
        return values.get(tag, b"").decode("ascii", "replace").strip(" \0")

    meta = FileMeta(
        transfer_syntax=text(_TRANSFER_SYNTAX),
        sop_class_uid=text(_SOP_CLASS),
        sop_instance_uid=text(_SOP_INSTANCE),
        source_ae=text(_SOURCE_AE),
        receiving_ae=text(_RECEIVING_AE),
    )
    return meta, pos


def write_file_meta(meta: FileMeta, *, preamble: bytes = bytes(_PREAMBLE)) -> bytes:
    """Preamble, prefix and file meta information as this software writes them (PS3.10 7.1, PS3.15 E.1.1).

    Nothing of another writer's group 0002 is carried on; the application entity titles are written only if not empty.

    Raises
    ------
    MalformedDataSet
        the preamble is not 128 bytes, or a value is not ASCII or too long for its VR
    """
    if len(preamble) != _PREAMBLE:
        raise MalformedDataSet(where="the preamble", offset=0, reason=f"it has {len(preamble)} bytes, not {_PREAMBLE}")
    body = pack("<HH2sHI2s", 0x0002, 0x0001, b"OB", 0, 2, b"\0\1") + b"".join(
        (
            _repeated(_SOP_CLASS, b"UI", meta.sop_class_uid),
            _element(_SOP_INSTANCE, b"UI", meta.sop_instance_uid),
            _repeated(_TRANSFER_SYNTAX, b"UI", meta.transfer_syntax),
            _repeated(0x00020012, b"UI", IMPLEMENTATION_CLASS_UID),
            _repeated(0x00020013, b"SH", IMPLEMENTATION_VERSION_NAME),
            _element(_SOURCE_AE, b"AE", meta.source_ae) if meta.source_ae else b"",
            _element(_RECEIVING_AE, b"AE", meta.receiving_ae) if meta.receiving_ae else b"",
        )
    )
    return preamble + _PREFIX + pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(body)) + body


def _begin(buffer: Buffer) -> int | None:
    if buffer[_PREAMBLE : _PREAMBLE + 4] == _PREFIX:
        return _PREAMBLE + 4
    if buffer[:4] == _PREFIX:
        return 4
    # Without preamble: group 0002 little endian and a VR of two letters behind the tag.
    return 0 if buffer[:2] == b"\x02\x00" and bytes(buffer[4:6]) in HEADER_SIZE else None


def _element(tag: int, vr: bytes, text: str) -> bytes:
    try:
        value = pad(vr, text.encode("ascii"))
    except UnicodeEncodeError:
        raise MalformedDataSet(where=show(tag), offset=0, reason="a character outside ASCII") from None
    if len(value) > (64 if vr == b"UI" else 16):
        raise MalformedDataSet(where=show(tag), offset=0, reason=f"{len(value)} bytes are too long for its VR")
    return pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


#: What most instances share.
_repeated: Final = lru_cache(maxsize=256)(_element)
