"""One stored SOP Instance, opened for reading: its bytes mapped, its elements indexed."""

from __future__ import annotations

import errno
import mmap
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from struct import iter_unpack
from types import TracebackType
from typing import Final, Self

from gateway.dicom.charset import DEFAULT_REPERTOIRE, CharacterSets, Decoded, character_sets, decode
from gateway.dicom.dictionary import vr_of
from gateway.dicom.encoded import Buffer, Element, Familiar, Form, Limits, Make, Part, find, index, survey
from gateway.dicom.file_meta import FileMeta, has_file_meta, read_file_meta
from gateway.dicom.reencode import WorkFile, inflate, rewrite
from gateway.dicom.tag import show
from gateway.dicom.transfer_syntax import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    TransferSyntax,
    inflated,
)
from gateway.dicom.uid import is_valid_uid
from gateway.dicom.vr import VALUE_REPRESENTATIONS
from gateway.errors import (
    GatewayError,
    IrregularEncoding,
    MalformedDataSet,
    MediaDirectory,
    NotDicom,
    OddLength,
    SpoolUnavailable,
    UnsupportedEncoding,
)

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_SOP_CLASS_UID: Final = 0x00080016
_SOP_INSTANCE_UID: Final = 0x00080018
_MEDIA_STORAGE_DIRECTORY: Final = "1.2.840.10008.1.3.10"
_DIRECTORY_RECORDS: Final = 0x00041220
_BIG_ENDIAN_PIXELS: Final = "1.2.840.113619.5.2"

#: VRs of identifiers and names, whose text is read at once where it is ASCII.
_ASCII_MOSTLY: Final = frozenset((b"UI", b"LO", b"SH", b"PN", b"CS", b"DA"))
#: VR -> struct format of one number of it.
_NUMBERS: Final = {
    b"US": "<H", b"SS": "<h", b"UL": "<I", b"SL": "<i", b"UV": "<Q", b"SV": "<q", b"FL": "<f", b"FD": "<d",
    b"AT": "<HH",
}  # fmt: skip

#: What was opened before in this process.
_FAMILIAR: Final = Familiar()

_IMPLICIT: Final = TRANSFER_SYNTAXES[IMPLICIT_VR_LITTLE_ENDIAN]
_EXPLICIT: Final = TRANSFER_SYNTAXES[EXPLICIT_VR_LITTLE_ENDIAN]


@dataclass(slots=True)
class Instance:
    """An instance whose elements are indexed; a context manager that unmaps it and deletes its work file.

    Attributes
    ----------
    meta
        the file meta information; what the file does not say is taken from the data set
    path
        the file that ``buffer`` maps: the original, or a re-encoded file in the work directory
    buffer
        the mapped bytes; positions in ``elements`` count from its beginning
    elements
        the data set's top level as ``encoded.index`` returns it; instances share parts of it: not to be changed
    parts, make, runs
        what is familiar of it: ``outlines.Survey``
    implicit
        whether the mapped data set is implicit VR little endian, explicit VR little endian otherwise
    transfer_syntax
        UID of the encoding of the mapped bytes, which may differ from ``meta.transfer_syntax``
    reencoded
        whether ``path`` is a work file
    """

    meta: FileMeta
    path: Path
    buffer: mmap.mmap
    elements: list[Element]
    parts: list[Part]
    make: Make
    runs: tuple[bytes, ...]
    implicit: bool
    transfer_syntax: str
    reencoded: bool
    _work: WorkFile | None = None
    _sets: CharacterSets | None = field(default=None, repr=False)
    _texts: dict[int, str] = field(default_factory=dict, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Unmap the file and delete the work file, if there is one."""
        try:
            self.buffer.close()
        finally:
            if self._work is not None:
                self._work.remove()

    @property
    def character_sets(self) -> CharacterSets:
        """The character sets of the top level (PS3.3 C.12.1.1.2)."""
        if self._sets is None:
            declared = find(self.elements, _SPECIFIC_CHARACTER_SET)
            value = b"" if declared is None or declared[5] is not None else self.buffer[declared[3] : declared[4]]
            self._sets = character_sets(value) if value else DEFAULT_REPERTOIRE
        return self._sets

    def text(self, tag: int) -> str:
        """The value of ``tag`` at the top level without padding, several values separated by a backslash.

        Empty if the element is absent, a sequence or a byte string.
        """
        text = self._texts.get(tag)
        if text is None:
            text = self._texts[tag] = self._text(tag)
        return text

    def _text(self, tag: int) -> str:
        element = find(self.elements, tag)
        if element is None:
            return ""
        _, vr, _, value, end, _ = element
        if vr in _ASCII_MOSTLY:
            raw = self.buffer[value:end]
            if raw.isascii() and b"\x1b" not in raw:
                return raw.decode("ascii").strip(" \0")
        return decode_element(self.buffer, element, self.character_sets).text.strip(" \0")


def decode_element(buffer: Buffer, element: Element, sets: CharacterSets) -> Decoded:
    """The value of an element as text, numbers in decimal, several values separated by a backslash.

    VR UN is read as what the dictionary says of the tag (PS3.5 6.2.2).

    Returns
    -------
    The text, and whether it is exact; an empty one for sequences and byte strings.
    """
    tag, vr, _, value, end, items = element
    if vr == b"UN":
        vr = vr_of(tag)
    if items is not None:
        return Decoded("", exact=True)
    if VALUE_REPRESENTATIONS[vr].text:
        return decode(bytes(buffer[value:end]), vr, sets)
    number = _NUMBERS.get(vr)
    if number is None:
        return Decoded("", exact=True)
    unit = VALUE_REPRESENTATIONS[vr].longest or 1
    whole = end - (end - value) % unit
    rows = iter_unpack(number, bytes(buffer[value:whole]))
    words = ("".join(f"{part:04X}" for part in row) if vr == b"AT" else str(row[0]) for row in rows)
    return Decoded("\\".join(words), exact=whole == end)


def open_instance(
    path: Path,
    *,
    work: Path,
    limits: Limits,
    max_reencode_bytes: int,
    transfer_syntax: str | None = None,
) -> Instance:
    """Open the file at ``path``, index its data set and re-encode it if it cannot be walked as it stands.

    Part 10 files, with or without preamble, and bare data sets in either little endian VR form. Where the file meta
    information names one little endian form and the bytes are in the other, the bytes decide, if the whole data set can
    be read strictly that way. Pixel data is not read.

    Parameters
    ----------
    path
        the file
    work
        directory for a re-encoded file
    limits
        nesting depth and number of elements
    max_reencode_bytes
        most bytes of a re-encoded file
    transfer_syntax
        UID of the encoding, if the caller knows better than the file

    Raises
    ------
    NotDicom
        empty, or no data set can be recognised
    MalformedDataSet
        the data set is broken in every admissible reading; the error is of the declared one
    UnsupportedEncoding
        an unknown or private transfer syntax, a DICOMDIR, ambiguous big-endian pixel data
    MemoryError
        there is no memory to map the file
    LimitExceeded
        too deep, too many elements, too large once re-encoded
    SpoolUnavailable
        the file cannot be read, or the work file not written
    """
    buffer = _map(path)
    try:
        if has_file_meta(buffer):
            meta, start = read_file_meta(buffer)
        else:
            meta, start = FileMeta("", "", ""), 0
        _check_class(meta)
        declared = _declared(transfer_syntax or meta.transfer_syntax)
        instance = _Opening(path, buffer, start, work, limits, max_reencode_bytes).open(meta, declared)
    except BaseException:
        buffer.close()
        raise
    if instance.buffer is not buffer:
        buffer.close()
    try:
        _check_groups(instance.elements)
        if not (meta.transfer_syntax and meta.sop_class_uid and meta.sop_instance_uid):
            instance.meta = replace(
                meta,
                transfer_syntax=meta.transfer_syntax or instance.transfer_syntax,
                sop_class_uid=meta.sop_class_uid or instance.text(_SOP_CLASS_UID),
                sop_instance_uid=meta.sop_instance_uid or instance.text(_SOP_INSTANCE_UID),
            )
    except BaseException:
        instance.close()
        raise
    return instance


@dataclass(frozen=True, slots=True)
class _Opening:
    """The readings of one mapped file, tried in order."""

    path: Path
    buffer: mmap.mmap
    start: int
    work: Path
    limits: Limits
    most: int

    def open(self, meta: FileMeta, declared: TransferSyntax | None) -> Instance:
        if declared is None:
            return self._guess(meta)
        if declared.deflated:
            return self._inflated(meta, inflated(declared))
        if declared.big_endian:
            elements = self._index(form=Form.BIG_ENDIAN)
            return self._rewritten(meta, elements, _EXPLICIT, big_endian=True)
        try:
            return self._plain(meta, declared)
        except MalformedDataSet as error:
            # The error of the declared encoding is the one to report if no other reading holds.
            instance = self._otherwise(meta, declared, error)
            if instance is None:
                raise
            return instance

    def _otherwise(self, meta: FileMeta, declared: TransferSyntax, error: MalformedDataSet) -> Instance | None:
        other = _EXPLICIT if declared.implicit else _IMPLICIT
        try:
            return self._plain(meta, other)
        except MalformedDataSet:
            if isinstance(error, OddLength):
                return self._padded(meta, declared)
            if declared.implicit or not isinstance(error, IrregularEncoding):
                return None
        try:
            elements = self._index(form=Form.MIXED)
        except MalformedDataSet:
            return None
        return self._rewritten(meta, elements, declared, big_endian=False)

    def _padded(self, meta: FileMeta, declared: TransferSyntax) -> Instance | None:
        """A data set with values of odd length, which other programs read by the letter, each with its padding byte."""
        try:
            elements = index(
                self.buffer, self.start, len(self.buffer), implicit=declared.implicit, limits=self.limits, odd=True
            )
        except MalformedDataSet:
            return None
        return self._rewritten(meta, elements, _EXPLICIT if declared.implicit else declared, big_endian=False)

    def _guess(self, meta: FileMeta) -> Instance:
        """A data set of which no transfer syntax is known: taken only if it is strict and names its SOP Class."""
        for syntax in (_EXPLICIT, _IMPLICIT):
            try:
                instance = self._plain(meta, syntax)
            except MalformedDataSet:
                continue
            if is_valid_uid(instance.text(_SOP_CLASS_UID)):
                return instance
        raise NotDicom(reason="no transfer syntax is declared and the bytes are no little endian data set")

    def _plain(self, meta: FileMeta, syntax: TransferSyntax) -> Instance:
        surveyed = survey(
            self.buffer,
            self.start,
            len(self.buffer),
            implicit=syntax.implicit,
            limits=self.limits,
            familiar=_FAMILIAR,
        )
        return Instance(
            meta=meta,
            path=self.path,
            buffer=self.buffer,
            elements=surveyed.elements,
            parts=surveyed.parts,
            make=surveyed.make,
            runs=surveyed.runs,
            implicit=syntax.implicit,
            transfer_syntax=syntax.uid,
            reencoded=False,
        )

    def _index(self, *, form: Form) -> list[Element]:
        return index(self.buffer, self.start, len(self.buffer), form=form, limits=self.limits)

    def _rewritten(
        self, meta: FileMeta, elements: list[Element], syntax: TransferSyntax, *, big_endian: bool
    ) -> Instance:
        with WorkFile(self.work, self.most) as file:
            rewrite(self.buffer, elements, file, big_endian=big_endian)
        return self._reopened(meta, file, syntax)

    def _inflated(self, meta: FileMeta, syntax: TransferSyntax) -> Instance:
        with WorkFile(self.work, self.most) as file:
            inflate(self.buffer, self.start, len(self.buffer), file)
        return self._reopened(meta, file, syntax)

    def _reopened(self, meta: FileMeta, file: WorkFile, syntax: TransferSyntax) -> Instance:
        try:
            buffer = _map(file.path)
        except GatewayError:
            file.remove()
            raise
        try:
            surveyed = survey(buffer, 0, len(buffer), limits=self.limits, familiar=_FAMILIAR)
        except BaseException:
            buffer.close()
            file.remove()
            raise
        return Instance(
            meta=meta,
            path=file.path,
            buffer=buffer,
            elements=surveyed.elements,
            parts=surveyed.parts,
            make=surveyed.make,
            runs=surveyed.runs,
            implicit=False,
            transfer_syntax=syntax.uid,
            reencoded=True,
            _work=file,
        )


def _map(path: Path) -> mmap.mmap:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return mmap.mmap(file, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(file)
    except ValueError:
        raise NotDicom(reason="the file is empty") from None
    except OSError as error:
        if error.errno == errno.ENOMEM:
            # Not the disk's fault: another try would fail again, before all that wait behind it.
            raise MemoryError from None
        raise SpoolUnavailable(operation="read", name="an instance", reason=error.strerror) from None


def _check_class(meta: FileMeta) -> None:
    if meta.sop_class_uid == _MEDIA_STORAGE_DIRECTORY:
        raise MediaDirectory(reason="a DICOMDIR lists instances and is none")


def _declared(uid: str) -> TransferSyntax | None:
    """The declared transfer syntax, None if there is none."""
    if not uid:
        return None
    syntax = TRANSFER_SYNTAXES.get(uid)
    if syntax is None:
        what = "GE's private one with big-endian pixel data" if uid == _BIG_ENDIAN_PIXELS else "unknown or private"
        raise UnsupportedEncoding(reason=f"the transfer syntax is {what}")
    return syntax


def _check_groups(elements: list[Element]) -> None:
    """Refuse data sets that are empty or hold groups that belong elsewhere (PS3.5 7.1, PS3.7 E, PS3.10 8)."""
    if not elements:
        raise NotDicom(reason="the data set holds no element")
    for tag, _, start, _, _, _ in elements:
        group = tag >> 16
        if group > 0x0004:
            return
        if tag == _DIRECTORY_RECORDS or (group == 0x0004 and find(elements, _SOP_CLASS_UID) is None):
            # In an instance they are strays of a disc on which it once lay, and go (``Program.action``).
            raise MediaDirectory(reason="a DICOMDIR lists instances and is none")
        if group in (0x0000, 0x0002):
            raise MalformedDataSet(where=show(tag), offset=start, reason="this group does not belong in a data set")
