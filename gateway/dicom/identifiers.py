"""What the people who own an instance know it by, read from its first elements and spelt one way.

Patient ID, Accession Number and the Study and Series Instance UIDs stand among the first elements of a data set
(groups 0008 to 0020). They are read without reading the rest: a value that is not wanted is stepped over.
"""

from __future__ import annotations

import os
import unicodedata
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from struct import error as struct_error
from typing import Final

from gateway.dicom.charset import DEFAULT_REPERTOIRE, CharacterSets, character_sets, decode
from gateway.dicom.tag import ITEM, ITEM_DELIMITATION, SEQUENCE_DELIMITATION, UNDEFINED_LENGTH
from gateway.dicom.transfer_syntax import TransferSyntax, inflated
from gateway.dicom.vr import HEADER_SIZE

__all__ = ["Identifiers", "normalised", "read_identifiers"]

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_ACCESSION_NUMBER: Final = 0x00080050
_PATIENT_ID: Final = 0x00100020
_STUDY_INSTANCE_UID: Final = 0x0020000D
_SERIES_INSTANCE_UID: Final = 0x0020000E
_WANTED: Final = {
    _SPECIFIC_CHARACTER_SET: b"CS",
    _ACCESSION_NUMBER: b"SH",
    _PATIENT_ID: b"LO",
    _STUDY_INSTANCE_UID: b"UI",
    _SERIES_INSTANCE_UID: b"UI",
}

#: Bytes that are read at a time; nearly all data sets have the wanted elements in the first of them.
_WINDOW: Final = 16 << 10
#: Items and delimitations are of this group; they have no VR.
_ITEMS: Final = 0xFFFE
#: What ends an item, True, or a sequence, False.
_ENDS: Final = {ITEM_DELIMITATION: True, SEQUENCE_DELIMITATION: False}
#: No value of the wanted elements is longer; what claims to be is none of them.
_LONGEST: Final = 1024
#: Elements, items included, that are looked at; and how deep sequences of undefined length may nest.
_MOST: Final = 100_000
_DEEPEST: Final = 64
#: Of a deflated data set only so much is inflated.
_INFLATED: Final = 4 << 20

_EXPLICIT: Final = {False: Struct("<HH2sH").unpack_from, True: Struct(">HH2sH").unpack_from}
_IMPLICIT: Final = {False: Struct("<HHI").unpack_from, True: Struct(">HHI").unpack_from}
_LENGTH: Final = {False: Struct("<I").unpack_from, True: Struct(">I").unpack_from}

#: Group, number, VR, and the length as it stands in 16 bits, or in 32 behind them.
_EXPLICIT_HEAD: Final = {False: Struct("<HH2sHI").unpack_from, True: Struct(">HH2sHI").unpack_from}

#: Gives the bytes of the data set from a position, as many as are wanted or as there are.
_Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifiers:
    """What an instance is known by; a text is empty where the instance does not say it, or cannot be read.

    Attributes
    ----------
    patient_id: Patient ID (0010,0020)
    accession_number: Accession Number (0008,0050)
    study_uid, series_uid, instance_uid: Study, Series and SOP Instance UID
    """

    patient_id: str = ""
    accession_number: str = ""
    study_uid: str = ""
    series_uid: str = ""
    instance_uid: str = ""


def normalised(text: str) -> str:
    """An identifier as everybody's spelling of it comes out alike.

    Padding (spaces, NUL) around it does not count, nor do upper and lower case, the number of blanks inside, or the
    width of letters and digits (Unicode NFKC). Leading zeros do count.
    """
    folded = unicodedata.normalize("NFKC", text.replace("\0", " ")).casefold()
    return " ".join(folded.split())


def read_identifiers(
    path: Path, *, offset: int, length: int, syntax: TransferSyntax | None, instance_uid: str
) -> Identifiers:
    """Read the identifiers of the instance in a file; what cannot be read stays empty, nothing of it raises.

    Parameters
    ----------
    path: the file
    offset, length: byte range of its data set
    syntax: the transfer syntax; None for one that is not known, which is tried as explicit VR little endian
    instance_uid: SOP Instance UID, as the file meta information has it

    Raises
    ------
    OSError: the file cannot be read
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:

        def read(position: int, size: int) -> bytes:
            return os.pread(descriptor, min(size, length - position), offset + position) if position < length else b""

        found = _found(read, syntax)
    finally:
        os.close(descriptor)
    sets = DEFAULT_REPERTOIRE
    if (declared := found.get(_SPECIFIC_CHARACTER_SET)) is not None:
        sets = character_sets(declared)
    return Identifiers(
        patient_id=_text(found, _PATIENT_ID, sets),
        accession_number=_text(found, _ACCESSION_NUMBER, sets),
        study_uid=_text(found, _STUDY_INSTANCE_UID, DEFAULT_REPERTOIRE),
        series_uid=_text(found, _SERIES_INSTANCE_UID, DEFAULT_REPERTOIRE),
        instance_uid=instance_uid,
    )


def _text(found: dict[int, bytes], tag: int, sets: CharacterSets) -> str:
    value = found.get(tag, b"").strip(b"\0 ")
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    return decode(value, _WANTED[tag], sets).text


def _found(read: _Read, syntax: TransferSyntax | None) -> dict[int, bytes]:
    """The wanted elements of a data set."""
    implicit, big_endian = (False, False) if syntax is None else (syntax.implicit, syntax.big_endian)
    if syntax is not None and syntax.deflated:
        plain = _inflate(read)
        implicit = inflated(syntax).implicit
        read = _reader(plain)
    first: dict[int, bytes] = {}
    try:
        _walk(read, first, implicit=implicit, big_endian=big_endian)
    except (_Unreadable, struct_error):
        # Some senders write implicit VR under the name of an explicit syntax, and the other way round.
        second: dict[int, bytes] = {}
        with suppress(_Unreadable, struct_error):
            _walk(read, second, implicit=not implicit, big_endian=big_endian)
        return max(first, second, key=len)
    return first


class _Unreadable(Exception):
    """The bytes are no data set in this encoding, as far as they were looked at."""


def _walk(read: _Read, found: dict[int, bytes], *, implicit: bool, big_endian: bool) -> None:
    """Collect the wanted elements of the top level into ``found``."""
    explicit_at, implicit_at = _EXPLICIT_HEAD[big_endian], _IMPLICIT[big_endian]
    size_of, wanted, last = HEADER_SIZE.get, _WANTED, _SERIES_INSTANCE_UID
    base, window = 0, read(0, _WINDOW)
    at, enough = 0, len(window) - 12
    if len(window) > 1 and window[big_endian] != 0x08:
        raise _Unreadable
    for _ in range(_MOST):
        if at > enough:
            base, at, window = base + at, 0, read(base + at, _WINDOW)
            enough = len(window) - 12
            if enough < 0:
                # Read in another encoding than it has, a data set seems to end in its first elements.
                raise _Unreadable
        if implicit:
            group, number, length = implicit_at(window, at)
            size = 8
        else:
            group, number, vr, length, long = explicit_at(window, at)
            size = size_of(vr, 0)
            if size == 12:
                length = long
            elif not size:
                raise _Unreadable
        tag = group << 16 | number
        if tag > last:
            return
        if length == UNDEFINED_LENGTH:
            # What VR UN hides is implicit (PS3.5 6.2.2).
            hidden = implicit or vr == b"UN"
            at = _end_of_items(read, base + at + size, implicit=hidden, big_endian=big_endian) - base
            continue
        if tag in wanted and length <= _LONGEST:
            value = window[at + size : at + size + length]
            found[tag] = value if len(value) == length else read(base + at + size, length)
        at += size + length
    raise _Unreadable


def _end_of_items(read: _Read, pos: int, *, implicit: bool, big_endian: bool) -> int:
    """Where a sequence of undefined length ends whose first item begins at ``pos``."""
    base, window = pos, read(pos, _WINDOW)
    #: For each level whether its elements are those of an item, True, or the items of a sequence, False.
    levels = [False]
    for _ in range(_MOST):
        at = pos - base
        if at + 12 > len(window):
            base, at, window = pos, 0, read(pos, _WINDOW)
        tag, size, length = _header(window, at, implicit=implicit, big_endian=big_endian)
        pos += size
        if tag in _ENDS:
            if levels.pop() is not _ENDS[tag]:
                raise _Unreadable
            if not levels:
                return pos
            continue
        # Items stand in sequences, elements in items.
        if levels[-1] is (tag == ITEM):
            raise _Unreadable
        if length != UNDEFINED_LENGTH:
            pos += length
        else:
            levels.append(tag == ITEM)
            if len(levels) > _DEEPEST:
                raise _Unreadable
    raise _Unreadable


def _header(window: bytes, at: int, *, implicit: bool, big_endian: bool) -> tuple[int, int, int]:
    """Tag of the element or item at ``at``, size of its header and length of its value."""
    group, number, length = _IMPLICIT[big_endian](window, at)
    size = 8
    if not implicit and group != _ITEMS:
        _group, _number, vr, length = _EXPLICIT[big_endian](window, at)
        size = HEADER_SIZE.get(vr, 0)
        if not size:
            raise _Unreadable
        if size == 12:
            length = _LENGTH[big_endian](window, at + 8)[0]
    return group << 16 | number, size, length


def _inflate(read: _Read) -> bytes:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    plain, pos = bytearray(), 0
    try:
        while len(plain) < _INFLATED and not stream.eof and (part := read(pos, _WINDOW)):
            pos += len(part)
            plain += stream.decompress(part, _INFLATED - len(plain))
    except zlib.error:
        return bytes(plain)
    return bytes(plain)


def _reader(content: bytes) -> _Read:
    return lambda position, size: content[position : position + size]
