"""What the people who own an instance know it by, read from its first elements and spelt one way.

Patient ID, Accession Number and the Study and Series Instance UIDs stand among the first elements of a data set
(groups 0008 to 0020). Further numbers of the patient stand beside them, and the accession numbers of each request in
group 0040: an image that answers several has them nowhere else. They are read without reading the rest: a value that is
not wanted is stepped over.
"""

from __future__ import annotations

import os
import unicodedata
import zlib
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from struct import error as struct_error
from typing import Final, Literal

from gateway.dicom.charset import DEFAULT_REPERTOIRE, CharacterSets, character_sets, decode
from gateway.dicom.shape import Mark, Shape, Step
from gateway.dicom.tag import ITEM, ITEM_DELIMITATION, SEQUENCE_DELIMITATION, UNDEFINED_LENGTH
from gateway.dicom.transfer_syntax import TransferSyntax, inflated
from gateway.dicom.vr import HEADER_SIZE

__all__ = ["WINDOW", "Identifiers", "normalised", "read_identifiers"]

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_ACCESSION_NUMBER: Final = 0x00080050
_PATIENT_ID: Final = 0x00100020
_STUDY_INSTANCE_UID: Final = 0x0020000D
_SERIES_INSTANCE_UID: Final = 0x0020000E
#: Retired; several values.
_OTHER_PATIENT_IDS: Final = 0x00101000
_WANTED: Final = {
    _SPECIFIC_CHARACTER_SET: b"CS",
    _ACCESSION_NUMBER: b"SH",
    _PATIENT_ID: b"LO",
    _STUDY_INSTANCE_UID: b"UI",
    _SERIES_INSTANCE_UID: b"UI",
    _OTHER_PATIENT_IDS: b"LO",
}
#: Other Patient IDs, Request Attributes and Referenced Request Sequence -> what in their items is wanted.
_NESTED: Final = {0x00101002: _PATIENT_ID, 0x00400275: _ACCESSION_NUMBER, 0x0040A370: _ACCESSION_NUMBER}
_LAST: Final = max(_NESTED)
_PIXEL_DATA: Final = 0x7FE00010
#: An instance is known by so many further numbers of a kind at most.
_MOST_FURTHER: Final = 16

#: Bytes that are read at a time; nearly all data sets have the wanted elements in the first of them.
WINDOW: Final = 16 << 10
#: Items and delimitations are of this group; they have no VR.
_ITEMS: Final = 0xFFFE
#: What ends an item, True, or a sequence, False.
_ENDS: Final = {ITEM_DELIMITATION: True, SEQUENCE_DELIMITATION: False}
#: No value of the wanted elements is longer; what claims to be is none of them.
_LONGEST: Final = 1024
#: Of a sequence so much is looked into.
_LONGEST_SEQUENCE: Final = 64 << 10
#: Marks a tag as one of an item: no tag has as many bits.
_IN_ITEMS: Final = 1 << 32
#: Every image has these, empty or not; once they are there, only sequences are still to come.
_EXPECTED: Final = {_ACCESSION_NUMBER, _PATIENT_ID, _STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID}
#: The longest header of an element.
_HEADER: Final = 12
#: Windows, and elements with which something is done, items included, that are looked at; and how deep sequences of
#: undefined length may nest.
_MOST_WINDOWS: Final = 256
_MOST: Final = 100_000
_DEEPEST: Final = 64
#: Of a deflated data set only so much is inflated.
_INFLATED: Final = 4 << 20

_EXPLICIT: Final = {False: Struct("<HH2sH").unpack_from, True: Struct(">HH2sH").unpack_from}
_IMPLICIT: Final = {False: Struct("<HHI").unpack_from, True: Struct(">HHI").unpack_from}
_LENGTH: Final = {False: Struct("<I").unpack_from, True: Struct(">I").unpack_from}


def _bytes_of(tag: int, *, big_endian: bool) -> bytes:
    return Struct(">HH" if big_endian else "<HH").pack(tag >> 16, tag & 0xFFFF)


#: The bytes of the tags of Pixel Data, and of the sequences that come behind the series.
_LATE: Final = {
    big_endian: [_bytes_of(tag, big_endian=big_endian) for tag in (_PIXEL_DATA, *late)]
    for big_endian in (False, True)
    for late in [[tag for tag in _NESTED if tag > _SERIES_INSTANCE_UID]]
}
#: The tag as it stands there, VR, and the length as it stands in 16 bits, or in 32 behind them.
_EXPLICIT_HEAD: Final = {False: Struct("<I2sHI").unpack_from, True: Struct(">I2sHI").unpack_from}
#: The tag as it stands there, and the length.
_IMPLICIT_HEAD: Final = {False: Struct("<II").unpack_from, True: Struct(">II").unpack_from}
#: Which bits of a tag as it stands there are its group; and what they are at most while something wanted may come.
_GROUP: Final = {False: 0x0000FFFF, True: 0xFFFF0000}
_LAST_GROUP: Final = {False: _LAST >> 16, True: _LAST & 0xFFFF0000}
#: What is wanted, of items too, as bytes; and the numbers that these are where they stand.
_SPELT: Final = {
    big_endian: {tag: _bytes_of(tag, big_endian=big_endian) for tag in (*_WANTED, *_NESTED)}
    for big_endian in (False, True)
}
_SOUGHT: Final = {
    big_endian: {int.from_bytes(spelt, "big" if big_endian else "little"): tag for tag, spelt in tags.items()}
    for big_endian, tags in _SPELT.items()
}
#: VRs whose length stands in 16 bits, and in 32.
_SHORT: Final = frozenset(vr for vr, size in HEADER_SIZE.items() if size == 8)
_LONG: Final = frozenset(vr for vr, size in HEADER_SIZE.items() if size == 12)

#: Gives the bytes of the data set from a position, as many as are wanted or as there are.
_Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifiers:
    """What an instance is known by; a text is empty where the instance does not say it, or cannot be read.

    Attributes
    ----------
    patient_id
        Patient ID (0010,0020)
    accession_number
        Accession Number (0008,0050)
    study_uid, series_uid, instance_uid
        Study, Series and SOP Instance UID
    other_patient_ids
        Other Patient IDs (0010,1000) and those of its sequence (0010,1002)
    other_accession_numbers
        those of Request Attributes (0040,0275) and Referenced Request Sequence (0040,A370)
    """

    patient_id: str = ""
    accession_number: str = ""
    study_uid: str = ""
    series_uid: str = ""
    instance_uid: str = ""
    other_patient_ids: tuple[str, ...] = ()
    other_accession_numbers: tuple[str, ...] = ()

    def of_instance(self, instance_uid: str) -> Identifiers:
        """The same for another instance of the series."""
        return Identifiers(
            patient_id=self.patient_id,
            accession_number=self.accession_number,
            study_uid=self.study_uid,
            series_uid=self.series_uid,
            instance_uid=instance_uid,
            other_patient_ids=self.other_patient_ids,
            other_accession_numbers=self.other_accession_numbers,
        )


def normalised(text: str) -> str:
    """An identifier as everybody's spelling of it comes out alike.

    Padding (spaces, NUL) around it does not count, nor do upper and lower case, the number of blanks inside, or the
    width of letters and digits (Unicode NFKC). Leading zeros do count.
    """
    folded = unicodedata.normalize("NFKC", text.replace("\0", " ")).casefold()
    return " ".join(folded.split())


def read_identifiers(
    locate: Callable[[], Path],
    *,
    offset: int,
    length: int,
    syntax: TransferSyntax | None,
    instance_uid: str,
    head: bytes = b"",
    shape: Shape | None = None,
) -> Identifiers:
    """Read the identifiers of the instance in a file; what cannot be read stays empty, nothing of it raises.

    Parameters
    ----------
    locate
        gives the file; asked, and the file opened, only if ``head`` is not enough
    offset, length
        byte range of its data set
    syntax
        the transfer syntax; None for one that is not known, which is tried as explicit VR little endian
    instance_uid
        SOP Instance UID, as the file meta information has it
    head
        the first bytes of the data set, if they are at hand: ``WINDOW`` of them are enough for nearly all
    shape
        how the instances lie that came by the same association and in the same syntax

    Raises
    ------
    OSError
        the file cannot be read
    """
    known = len(head)
    with ExitStack() as opened:
        descriptor = -1

        def read(position: int, size: int) -> bytes:
            nonlocal descriptor
            size = min(size, length - position)
            if position + size <= known:
                return head[position : position + size] if size > 0 else b""
            if size <= 0:
                return b""
            if descriptor < 0:
                descriptor = os.open(locate(), os.O_RDONLY | os.O_CLOEXEC)
                opened.callback(os.close, descriptor)
            return os.pread(descriptor, size, offset + position)

        collected = _found(read, syntax, shape)
    if shape is not None:
        before, told = shape.told
        if before == collected and isinstance(told, Identifiers):
            return told.of_instance(instance_uid)
    sets = DEFAULT_REPERTOIRE
    if (declared := collected.get(_SPECIFIC_CHARACTER_SET)) is not None:
        sets = character_sets(declared[0])
    told = Identifiers(
        patient_id=_text(collected, _PATIENT_ID, sets),
        accession_number=_text(collected, _ACCESSION_NUMBER, sets),
        study_uid=_text(collected, _STUDY_INSTANCE_UID, DEFAULT_REPERTOIRE),
        series_uid=_text(collected, _SERIES_INSTANCE_UID, DEFAULT_REPERTOIRE),
        instance_uid=instance_uid,
        other_patient_ids=_further(collected, _PATIENT_ID, sets),
        other_accession_numbers=_further(collected, _ACCESSION_NUMBER, sets),
    )
    if shape is not None:
        shape.told = collected, told
    return told


def _text(collected: dict[int, list[bytes]], tag: int, sets: CharacterSets) -> str:
    values = collected.get(tag)
    return _decoded(values[0], tag, sets) if values else ""


def _further(collected: dict[int, list[bytes]], tag: int, sets: CharacterSets) -> tuple[str, ...]:
    """What stands in items, and beside it, that is not what the instance says first."""
    if not collected.keys() & {tag | _IN_ITEMS, _OTHER_PATIENT_IDS}:
        return ()
    texts = [_decoded(value, tag, sets) for value in collected.get(tag | _IN_ITEMS, ())]
    if tag == _PATIENT_ID:
        texts += _text(collected, _OTHER_PATIENT_IDS, sets).split("\\")
    plain = dict.fromkeys(text.strip("\0 ") for text in texts)
    return tuple(text for text in plain if text and text != _text(collected, tag, sets))[:_MOST_FURTHER]


def _decoded(value: bytes, tag: int, sets: CharacterSets) -> str:
    value = value.strip(b"\0 ")
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    return decode(value, _WANTED[tag], sets).text


def _found(read: _Read, syntax: TransferSyntax | None, shape: Shape | None) -> dict[int, list[bytes]]:
    """The wanted elements of a data set; those of items under their tag with ``_IN_ITEMS``."""
    implicit, big_endian = (False, False) if syntax is None else (syntax.implicit, syntax.big_endian)
    if syntax is not None and syntax.deflated:
        plain = _inflate(read)
        implicit = inflated(syntax).implicit
        read = _reader(plain)
    first: dict[int, list[bytes]] = {}
    marks: list[Mark] | None = None
    if shape is not None:
        if shape.stretches:
            if _follow(shape, read, first, big_endian=big_endian):
                return first
            first.clear()
        if not shape.stretches and shape.wants_marks:
            marks = []
    try:
        _walk(read, first, marks, implicit=implicit, big_endian=big_endian)
        if shape is not None and marks and marks[-1].end <= WINDOW:
            shape.learn(read(0, WINDOW), marks)
    except (_Unreadable, struct_error):
        # Some senders write implicit VR under the name of an explicit syntax, and the other way round.
        second: dict[int, list[bytes]] = {}
        with suppress(_Unreadable, struct_error):
            _walk(read, second, None, implicit=not implicit, big_endian=big_endian)
        return max(first, second, key=len)
    return first


class _Unreadable(Exception):
    """The bytes are no data set in this encoding, as far as they were looked at."""


def _follow(shape: Shape, read: _Read, collected: dict[int, list[bytes]], *, big_endian: bool) -> bool:
    """Collect the wanted elements of a data set that lies as is known; whether it does."""
    window, at = read(0, WINDOW), 0
    collected |= shape.same
    order: Literal["little", "big"] = "big" if big_endian else "little"
    for number, (size, mask, seen, step, tag, width, hidden) in enumerate(shape.stretches):
        start = at + size + width
        if start > len(window) or int.from_bytes(window[at : at + size], "little") & mask != seen:
            shape.missed(number, window, at)
            return False
        if step is Step.END or step is Step.LAST:
            if step is Step.LAST and not _is_complete(collected, window, start, big_endian=big_endian):
                break
            shape.met()
            return True
        length = int.from_bytes(window[start - width : start], order)
        if step is Step.ENTER and tag not in _WANTED:
            with suppress(_Unreadable, struct_error):
                at = _sequence(read, start, length, collected, tag, implicit=hidden, big_endian=big_endian)
                continue
            break
        at = start + length
        if at > len(window) or step is Step.ENTER:
            break
        if step is Step.KEEP:
            if length > _LONGEST:
                break
            assert tag is not None
            collected[tag] = [window[start:at]]
            if tag == _SERIES_INSTANCE_UID and _is_complete(collected, window, start, big_endian=big_endian):
                shape.met()
                return True
    # Also where the one before had everything up to its series, and this one has not.
    shape.forget()
    return False


def _is_complete(collected: dict[int, list[bytes]], window: bytes, at: int, *, big_endian: bool) -> bool:
    """Whether everything that is wanted was found before the value of the series at ``at``."""
    return collected.keys() >= _EXPECTED and _has_all(window, at, big_endian=big_endian)


def _walk(
    read: _Read, collected: dict[int, list[bytes]], marks: list[Mark] | None, *, implicit: bool, big_endian: bool
) -> None:
    """Collect the wanted elements into ``collected``, and where everything lies into ``marks``.

    Every instance passes here before it is acknowledged, so elements that are not wanted cost as little as can be.
    """
    sought, of_group, last = _SOUGHT[big_endian], _GROUP[big_endian], _LAST_GROUP[big_endian]
    base, at, window, windows = 0, 0, read(0, WINDOW), 1
    if len(window) > 1 and window[big_endian] != 0x08:
        raise _Unreadable
    for _ in range(_MOST):
        if marks is None:
            at = _unwanted(window, at, implicit=implicit, big_endian=big_endian)
        try:
            tag, vr, start, length = _begun(window, at, implicit=implicit, big_endian=big_endian)
        except struct_error:
            base, at, window, windows = base + at, 0, read(base + at, WINDOW), windows + 1
            if len(window) >= _HEADER and windows <= _MOST_WINDOWS:
                continue
            if _STUDY_INSTANCE_UID in collected:
                return
            # Read in another encoding than it has, a data set seems to end in its first elements.
            raise _Unreadable from None
        # What VR UN hides is implicit (PS3.5 6.2.2).
        hidden = implicit or vr == b"UN"
        wanted = sought.get(tag)
        end = base + start + length
        if wanted in _WANTED and length != UNDEFINED_LENGTH:
            step = Step.KEEP
            if length <= _LONGEST:
                step = Step.SAME
                value = window[start : start + length]
                collected[wanted] = [value if len(value) == length else read(base + start, length)]
        elif tag & of_group > last:
            step, end = Step.END, base + start
        elif length == UNDEFINED_LENGTH or wanted is not None:
            step = Step.LEAVE if wanted is None else Step.ENTER
            end = _sequence(read, base + start, length, collected, wanted, implicit=hidden, big_endian=big_endian)
            wanted = wanted or 0
        else:
            step = Step.LEAVE
        if marks is not None:
            marks.append(Mark(base + at, base + start, end, step, wanted, 4 if implicit else 6, hidden))
        if step is Step.END or (
            wanted == _SERIES_INSTANCE_UID and _is_complete(collected, window, start, big_endian=big_endian)
        ):
            return
        at = end - base
    raise _Unreadable


def _begun(window: bytes, at: int, *, implicit: bool, big_endian: bool) -> tuple[int, bytes, int, int]:
    """Of the element at ``at`` its tag as it stands there, its VR, where its value begins, and its length."""
    if implicit:
        tag, length = _IMPLICIT_HEAD[big_endian](window, at)
        return tag, b"", at + 8, length
    tag, vr, length, whole = _EXPLICIT_HEAD[big_endian](window, at)
    if vr in _SHORT:
        return tag, vr, at + 8, length
    if vr in _LONG:
        return tag, vr, at + 12, whole
    raise _Unreadable


def _unwanted(window: bytes, at: int, *, implicit: bool, big_endian: bool) -> int:
    """Where the elements from ``at`` on end that are passed by, or the window does."""
    short, long, sought = _SHORT, _LONG, _SOUGHT[big_endian]
    of_group, last = _GROUP[big_endian], _LAST_GROUP[big_endian]
    explicit_at, implicit_at = _EXPLICIT_HEAD[big_endian], _IMPLICIT_HEAD[big_endian]
    try:
        while implicit:
            tag, whole = implicit_at(window, at)
            if tag in sought or tag & of_group > last or whole == UNDEFINED_LENGTH:
                return at
            at += 8 + whole
        while True:
            tag, vr, length, whole = explicit_at(window, at)
            if tag in sought or tag & of_group > last:
                return at
            if vr in short:
                at += 8 + length
            elif vr in long and whole != UNDEFINED_LENGTH:
                at += 12 + whole
            else:
                return at
    except struct_error:
        return at


def _sequence(
    read: _Read,
    start: int,
    length: int,
    collected: dict[int, list[bytes]],
    tag: int | None,
    *,
    implicit: bool,
    big_endian: bool,
) -> int:
    """Collect what is wanted of the items of a sequence, if anything is; where the sequence ends."""
    end = start + length
    if length == UNDEFINED_LENGTH:
        end = _end_of_items(read, start, implicit=implicit, big_endian=big_endian)
    if tag in _NESTED:
        content = read(start, min(end - start, _LONGEST_SEQUENCE))
        # Most say nothing of what is wanted, and to look for its tag costs less than to walk.
        if _SPELT[big_endian][_NESTED[tag]] not in content:
            return end
        with suppress(_Unreadable, struct_error):
            _of_items(content, collected, _NESTED[tag], implicit=implicit, big_endian=big_endian)
    return end


def _has_all(window: bytes, at: int, *, big_endian: bool) -> bool:
    """Whether no sequence that is wanted comes between ``at`` and the pixel data; False if ``window`` cannot tell.

    To search costs a hundredth of walking, and most images have none of them.
    """
    pixels, *sequences = _LATE[big_endian]
    end = window.find(pixels, at)
    return end >= 0 and all(window.find(one, at, end) < 0 for one in sequences)


def _of_items(
    content: bytes, collected: dict[int, list[bytes]], wanted: int, *, implicit: bool, big_endian: bool
) -> None:
    """Collect what is wanted of the items of a sequence, but for items of their own sequences."""
    pos, inside = 0, False
    while pos + 8 <= len(content):
        tag, size, length = _header(content, pos, implicit=implicit, big_endian=big_endian)
        pos += size
        # An item of a given length is looked into as one of an undefined length is: nothing ends it but the next.
        if tag == ITEM:
            inside = True
        elif tag in _ENDS:
            inside = False
        elif length == UNDEFINED_LENGTH:
            pos = _end_of_items(_reader(content), pos, implicit=implicit, big_endian=big_endian)
        else:
            if inside and tag == wanted and length <= _LONGEST:
                collected.setdefault(wanted | _IN_ITEMS, []).append(content[pos : pos + length])
            pos += length


def _end_of_items(read: _Read, pos: int, *, implicit: bool, big_endian: bool) -> int:
    """Where a sequence of undefined length ends whose first item begins at ``pos``."""
    base, window = pos, read(pos, WINDOW)
    #: For each level whether its elements are those of an item, True, or the items of a sequence, False.
    levels = [False]
    for _ in range(_MOST):
        at = pos - base
        if at + 12 > len(window):
            base, at, window = pos, 0, read(pos, WINDOW)
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
        while len(plain) < _INFLATED and not stream.eof and (part := read(pos, WINDOW)):
            pos += len(part)
            plain += stream.decompress(part, _INFLATED - len(plain))
    except zlib.error:
        return bytes(plain)
    return bytes(plain)


def _reader(content: bytes) -> _Read:
    return lambda position, size: content[position : position + size]
