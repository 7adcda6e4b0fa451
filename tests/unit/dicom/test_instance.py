"""Opening instances: what is recognised, what the bytes decide, what is refused, what is left behind."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from struct import pack

import pytest

from gateway.dicom.encoded import Limits
from gateway.dicom.instance import Instance, open_instance
from gateway.errors import (
    GatewayError,
    LimitExceeded,
    MalformedDataSet,
    NotDicom,
    OddLength,
    SpoolUnavailable,
    TruncatedDataSet,
    UnsupportedEncoding,
)
from tests.unit.dicom.encoding import explicit, implicit, item, part10, sequence

IMPLICIT, LITTLE, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
CLASS, IMPLICIT_CLASS = (
    explicit(0x00080016, "UI", SECONDARY_CAPTURE.encode() + b"\0"),
    implicit(0x00080016, SECONDARY_CAPTURE.encode() + b"\0"),
)
AGE = explicit(0x00101010, "AS", b"030Y")
NAME, IMPLICIT_NAME = explicit(0x00100010, "PN", b"DOE^JANE"), implicit(0x00100010, b"DOE^JANE")

Opener = Callable[..., Instance]


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    """Opens a file of these bytes."""

    def open_bytes(data: bytes, *, limits: Limits | None = None, transfer_syntax: str | None = None) -> Instance:
        path = tmp_path / "in.dcm"
        path.write_bytes(data)
        return open_instance(
            path,
            work=tmp_path,
            limits=limits or Limits(),
            max_reencode_bytes=1 << 20,
            transfer_syntax=transfer_syntax,
        )

    return open_bytes


@pytest.mark.parametrize(
    ("data", "declared", "actual"),
    [
        # Part 10, without preamble, and bare
        (part10(CLASS + NAME, LITTLE), LITTLE, LITTLE),
        (part10(IMPLICIT_CLASS + IMPLICIT_NAME, IMPLICIT), IMPLICIT, IMPLICIT),
        (part10(CLASS + NAME, LITTLE)[128:], LITTLE, LITTLE),
        (part10(CLASS + NAME, LITTLE)[132:], LITTLE, LITTLE),
        (CLASS + NAME, LITTLE, LITTLE),
        (IMPLICIT_CLASS + IMPLICIT_NAME, IMPLICIT, IMPLICIT),
        # encapsulated
        (part10(CLASS + NAME, JPEG), JPEG, JPEG),
        # the declaration is wrong: the bytes decide
        (part10(IMPLICIT_CLASS + IMPLICIT_NAME, LITTLE), LITTLE, IMPLICIT),
        (part10(CLASS + NAME, IMPLICIT), IMPLICIT, LITTLE),
        # the declaration is missing
        (part10(CLASS + NAME, ""), LITTLE, LITTLE),
        (part10(IMPLICIT_CLASS + IMPLICIT_NAME, ""), IMPLICIT, IMPLICIT),
    ],
)
def test_recognised(opened: Opener, tmp_path: Path, data: bytes, declared: str, actual: str) -> None:
    with opened(data) as instance:
        assert instance.meta.transfer_syntax == declared
        assert instance.transfer_syntax == actual
        assert instance.implicit is (actual == IMPLICIT)
        assert not instance.reencoded
        assert instance.path == tmp_path / "in.dcm"
        assert bytes(instance.buffer) == data
        assert [element[0] for element in instance.elements] == [0x00080016, 0x00100010]
        assert instance.text(0x00100010) == "DOE^JANE"
        assert instance.meta.sop_class_uid == SECONDARY_CAPTURE
    assert instance.buffer.closed


def test_the_caller_may_know_better(opened: Opener) -> None:
    with opened(IMPLICIT_NAME, transfer_syntax=IMPLICIT) as instance:
        assert instance.text(0x00100010) == "DOE^JANE"
    with opened(part10(CLASS, "1.2.3.4.5"), transfer_syntax=LITTLE) as instance:
        assert instance.transfer_syntax == LITTLE


def test_missing_identifiers_come_from_the_data_set(opened: Opener) -> None:
    with opened(CLASS + explicit(0x00080018, "UI", b"1.2.3\0")) as instance:
        assert (instance.meta.sop_class_uid, instance.meta.sop_instance_uid) == (SECONDARY_CAPTURE, "1.2.3")


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", NotDicom, "the file is empty"),
        (b"D", NotDicom, "no little endian data set"),
        (bytes(128) + b"DICM", NotDicom, "no little endian data set"),
        (bytes(1000), NotDicom, "no little endian data set"),
        (b"GIF89a" * 100, NotDicom, "no little endian data set"),
        # strict but nameless: without SOP Class nothing tells that it is DICOM
        (NAME, NotDicom, "no little endian data set"),
        (IMPLICIT_NAME, NotDicom, "no little endian data set"),
        (part10(b"", LITTLE), NotDicom, "holds no element"),
        (part10(bytes(64), LITTLE), NotDicom, "holds no element"),
        # transfer syntaxes
        (part10(CLASS, "1.2.840.113619.5.2"), UnsupportedEncoding, "GE's private one"),
        (part10(CLASS, "1.2.3.4.5"), UnsupportedEncoding, "unknown or private"),
        (part10(CLASS, "1.2.840.10008.1.2.6.2"), UnsupportedEncoding, "unknown or private"),
        # media storage directories, by class and by group
        (part10(CLASS, LITTLE, sop_class="1.2.840.10008.1.3.10"), UnsupportedEncoding, "DICOMDIR"),
        (part10(explicit(0x00041130, "CS", b"DISC"), LITTLE), UnsupportedEncoding, "DICOMDIR"),
        (part10(sequence(0x00041220, item(b"")) + CLASS, LITTLE), UnsupportedEncoding, "DICOMDIR"),
        # odd lengths that cannot be right: numbers, fragments, and what only looks odd
        (part10(CLASS + explicit(0x00280010, "US", b"\1\0\1"), LITTLE), OddLength, r"\(0028,0010\)"),
        (part10(CLASS + explicit(0x00100010, "PN", b"DOE") + b" " + AGE, LITTLE), OddLength, r"\(0010,0010\)"),
        # groups of the command set and of file meta information
        (part10(explicit(0x00000100, "US", b"\1\0") + CLASS, LITTLE), MalformedDataSet, r"\(0000,0100\)"),
        (part10(implicit(0x00000100, b"\1\0") + IMPLICIT_CLASS, IMPLICIT), MalformedDataSet, r"\(0000,0100\)"),
        (part10(CLASS + explicit(0x00020016, "AE", b"ME"), LITTLE), MalformedDataSet, r"\(0002,0016\)"),
        # broken in either form: the error is the declared form's
        (part10(CLASS + NAME[:-1], LITTLE), TruncatedDataSet, r"\(0010,0010\)"),
        (part10(IMPLICIT_CLASS + IMPLICIT_NAME[:-1], IMPLICIT), TruncatedDataSet, r"\(0010,0010\)"),
        (part10(IMPLICIT_CLASS + IMPLICIT_NAME[:-1], LITTLE), MalformedDataSet, r"\(0008,0016\)"),
    ],
)
def test_refused(opened: Opener, data: bytes, error: type[GatewayError], message: str) -> None:
    with pytest.raises(error, match=message):
        opened(data)


@pytest.mark.parametrize(
    ("data", "tag", "text"),
    [
        (part10(CLASS + explicit(0x00100010, "PN", b"DOE"), LITTLE), 0x00100010, "DOE"),  # a name
        (part10(IMPLICIT_CLASS + implicit(0x00100010, b"DOE"), IMPLICIT), 0x00100010, "DOE"),  # implicit VR
        (part10(CLASS + explicit(0x00280030, "DS", b"1.5"), LITTLE), 0x00280030, "1.5"),  # a number written as text
        (part10(CLASS + explicit(0x0020000D, "UI", b"1.2"), LITTLE), 0x0020000D, "1.2"),  # a UID, padded with zero
        # strays of a disc, in front of an instance
        (part10(explicit(0x00041500, "CS", b"DICOM\\AB") + CLASS + NAME, LITTLE), 0x00100010, "DOE^JANE"),
    ],
)  # fmt: skip
def test_what_others_read_by_the_letter(opened: Opener, data: bytes, tag: int, text: str) -> None:
    with opened(data) as instance:
        assert instance.text(tag) == text
        assert all((end - value) % 2 == 0 for _, _, _, value, end, items in instance.elements if items is None)


def test_odd_lengths_below_are_padded(opened: Opener) -> None:
    below = sequence(0x00081140, item(explicit(0x00081155, "UI", b"1.2.3")))
    with opened(part10(CLASS + below, LITTLE)) as instance:
        found = instance.elements[-1][5]
        assert found is not None
        _, _, _, value, end, _ = found[0][4][0]
        assert instance.buffer[value:end] == b"1.2.3\0"


def test_limits_are_the_callers(opened: Opener) -> None:
    data = part10(CLASS + sequence(0x00081140, item(sequence(0x00081140, item(b"")))), LITTLE)
    opened(data, limits=Limits(depth=2)).close()
    with pytest.raises(LimitExceeded):
        opened(data, limits=Limits(depth=1))


def test_a_file_that_cannot_be_read_is_not_named(tmp_path: Path) -> None:
    for path in (tmp_path / "DOE^JANE.dcm", tmp_path):
        with pytest.raises(SpoolUnavailable) as error:
            open_instance(path, work=tmp_path, limits=Limits(), max_reencode_bytes=0)
        assert "DOE" not in str(error.value)


@pytest.mark.parametrize(
    ("tag", "vr", "value", "text"),
    [
        (0x00100010, "PN", b"DOE^JANE ", "DOE^JANE"),
        (0x00100020, "LO", b" 4711 ", "4711"),
        (0x0020000D, "UI", b"1.2.3\0", "1.2.3"),
        (0x00080008, "CS", b"ORIGINAL\\PRIMARY ", "ORIGINAL\\PRIMARY"),
        (0x00280010, "US", pack("<H", 512), "512"),
        (0x00280009, "AT", pack("<HHHH", 0x18, 0x1063, 0x18, 0x1065), "00181063\\00181065"),
        (0x00281101, "SS", pack("<hhh", 256, -1, 16), "256\\-1\\16"),
        (0x00189073, "FD", pack("<d", 0.5), "0.5"),
        (0x00089459, "FL", pack("<f", 30.0), "30.0"),
        # a number cut off in the middle: the whole ones
        (0x00281101, "SS", pack("<hhh", 1, 2, 3), "1\\2\\3"),
        # as UN: what the dictionary says
        (0x00280010, "UN", pack("<H", 512), "512"),
        (0x00100020, "UN", b"4711", "4711"),
        # byte strings and sequences have no text
        (0x00420011, "OB", b"%PDF", ""),
        (0x00091001, "UN", b"ABCD", ""),
        (0x00081140, "SQ", b"", ""),
    ],
)
def test_text(opened: Opener, tag: int, vr: str, value: bytes, text: str) -> None:
    value += b"\0" * (len(value) % 2)
    with opened(part10(CLASS + explicit(tag, vr, value), LITTLE)) as instance:
        assert instance.text(tag) == text
        assert instance.text(0x00104000) == ""


def test_text_follows_the_character_set(opened: Opener) -> None:
    data = explicit(0x00080005, "CS", b"ISO_IR 100") + CLASS + explicit(0x00100010, "PN", b"Jos\xe9")
    with opened(part10(data, LITTLE)) as instance:
        assert instance.text(0x00100010) == "José"


def test_memory_does_not_grow_with_pixel_data(tmp_path: Path) -> None:
    """P8: a gigabyte of pixel data is mapped, not read."""
    path = tmp_path / "large.dcm"
    with path.open("wb") as file:
        file.write(part10(CLASS + NAME + explicit(0x7FE00010, "OW", length=1 << 30), LITTLE))
        file.truncate(file.tell() + (1 << 30))
    tracemalloc.start()
    try:
        with open_instance(path, work=tmp_path, limits=Limits(), max_reencode_bytes=0) as instance:
            assert instance.elements[-1][4] - instance.elements[-1][3] == 1 << 30
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
