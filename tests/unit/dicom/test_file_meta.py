"""File meta information: read whatever its writer got wrong, write only our own."""

from __future__ import annotations

from io import BytesIO
from struct import pack

import pydicom
import pytest

from gateway.dicom.file_meta import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    FileMeta,
    has_file_meta,
    read_file_meta,
    write_file_meta,
)
from gateway.dicom.uid import is_valid_uid
from gateway.errors import DuplicateElement, MalformedDataSet, NotDicom, TruncatedDataSet
from tests.unit.dicom.encoding import explicit

META = FileMeta("1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.3.45", "SENDER", "GATEWAY")
SYNTAX = explicit(0x00020010, "UI", b"1.2.840.10008.1.2\0")
BODY = explicit(0x00080060, "CS", b"CT")


#: What group 0002 with one element of so many bytes ends at: around the head that is remembered.
HEAD = 768


def test_what_begins_alike_is_read_alike() -> None:
    """Whether the first bytes tell it all or not, and whatever was read before."""
    for length in range(HEAD - 24, HEAD + 8, 2):
        private = explicit(0x00020102, "OB", bytes(length - 132 - len(SYNTAX) - 12))
        meta = group(SYNTAX, private)
        assert len(meta) == length
        for body in (BODY, BODY + bytes(2 * HEAD), explicit(0x00080005, "CS", b"ISO_IR 6")):
            for _ in range(2):
                found, end = read_file_meta(meta + body)
                assert (found.transfer_syntax, end) == ("1.2.840.10008.1.2", length)
        # The same head, and group 0002 goes on behind it.
        more = explicit(0x00020103, "OB", bytes(HEAD))
        assert read_file_meta(meta + more + BODY)[1] == length + len(more)
        with pytest.raises(TruncatedDataSet):
            read_file_meta((meta + more)[:-1])


def group(*elements: bytes) -> bytes:
    return bytes(128) + b"DICM" + b"".join(elements)


@pytest.mark.parametrize(
    "meta",
    [
        META,
        # no application entity titles: the elements are absent
        FileMeta("1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"),
    ],
)
def test_what_is_written_is_read(meta: FileMeta) -> None:
    data = write_file_meta(meta)
    assert read_file_meta(data + BODY) == (meta, len(data))
    theirs = pydicom.dcmread(BytesIO(data + BODY)).file_meta
    assert theirs.FileMetaInformationGroupLength == len(data) - 144
    assert theirs.FileMetaInformationVersion == b"\0\1"
    assert theirs.MediaStorageSOPClassUID == meta.sop_class_uid
    assert theirs.MediaStorageSOPInstanceUID == meta.sop_instance_uid
    assert theirs.TransferSyntaxUID == meta.transfer_syntax
    assert theirs.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert theirs.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert theirs.get("SourceApplicationEntityTitle", "") == meta.source_ae
    assert theirs.get("ReceivingApplicationEntityTitle", "") == meta.receiving_ae
    assert len(theirs) == 7 + bool(meta.source_ae) + bool(meta.receiving_ae)


def test_our_names_are_legal() -> None:
    assert is_valid_uid(IMPLEMENTATION_CLASS_UID)
    assert 1 <= len(IMPLEMENTATION_VERSION_NAME) <= 16


def test_preamble() -> None:
    assert write_file_meta(META)[:132] == bytes(128) + b"DICM"
    assert write_file_meta(META, preamble=b"p" * 128)[:132] == b"p" * 128 + b"DICM"
    with pytest.raises(MalformedDataSet, match="preamble"):
        write_file_meta(META, preamble=b"short")


@pytest.mark.parametrize(
    "meta",
    [
        FileMeta("1.2", "1.2", "1.2", source_ae="ÄRZTE"),
        FileMeta("1.2", "1.2", "1.2", source_ae="SEVENTEEN_LETTERS"),
        FileMeta("1.2", "1.2", "1." * 33 + "1"),
    ],
)
def test_values_that_do_not_fit_are_refused(meta: FileMeta) -> None:
    with pytest.raises(MalformedDataSet) as error:
        write_file_meta(meta)
    assert not any(value in str(error.value) for value in ("ÄRZTE", "SEVENTEEN", "1.1.1.1"))


@pytest.mark.parametrize(
    "data",
    [
        # as it should be, with a group length
        group(explicit(0x00020000, "UL", pack("<I", len(SYNTAX))), SYNTAX),
        # wrong group lengths, and none
        group(explicit(0x00020000, "UL", pack("<I", 5)), SYNTAX),
        group(explicit(0x00020000, "UL", pack("<I", 0xFFFFFFFF)), SYNTAX),
        group(SYNTAX),
        # no preamble, and neither preamble nor prefix
        group(SYNTAX)[128:],
        SYNTAX,
        # another writer's private information
        group(SYNTAX, explicit(0x00020100, "UI", b"1.2\0"), explicit(0x00020102, "OB", bytes(70_000))),
        # padded with spaces
        group(explicit(0x00020010, "UI", b"1.2.840.10008.1.2 ")),
    ],
)
def test_readable(data: bytes) -> None:
    assert has_file_meta(data)
    assert read_file_meta(data + BODY) == (FileMeta("1.2.840.10008.1.2", "", ""), len(data))
    assert read_file_meta(data) == (FileMeta("1.2.840.10008.1.2", "", ""), len(data))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", NotDicom),
        (b"DI", NotDicom),
        (bytes(132), NotDicom),
        (BODY, NotDicom),
        (group(SYNTAX, SYNTAX), DuplicateElement),
        (group(SYNTAX)[:-1], TruncatedDataSet),
        (group(SYNTAX, b"\x02\0\x12\0UI"), TruncatedDataSet),
        (group(explicit(0x00020010, "ZZ", b"1.2")), MalformedDataSet),
        # implicit VR, which the standard does not allow here
        (group(pack("<HHI", 0x0002, 0x0010, 4) + b"1.2\0"), MalformedDataSet),
        # more than a mebibyte is not file meta information
        (group(explicit(0x00020102, "OB", bytes(1 << 20)), SYNTAX), MalformedDataSet),
    ],
)
def test_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_file_meta(data)


def test_a_million_elements_end_at_the_limit() -> None:
    data = group(*(explicit(0x00020000 + number % 0x10000, "LO") for number in range(200_000)))
    with pytest.raises(MalformedDataSet):
        read_file_meta(data)
