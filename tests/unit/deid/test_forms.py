"""A value is what its VR says, with what real machines make of it; nothing else is."""

from __future__ import annotations

import struct
import time

import pytest

from gateway.deid.forms import form_of, private_form
from gateway.dicom.dictionary import tag_of
from gateway.dicom.encoded import Element

NAME = b"Marisol Etxeberria  "


def fits(keyword: str, value: bytes, vr: bytes | None = None) -> bool:
    tag = tag_of(keyword)
    assert tag is not None
    form = form_of(tag)
    assert form is not None
    element: Element = (tag, vr or form.vr, 0, 0, len(value), None)
    return form.fits(value, element)


FITS = [
    ("PixelSpacing", rb"0.5\0.5 "), ("PixelSpacing", b" -1.25e-10\\+.5"), ("KVP", b"120\0"), ("KVP", b""),
    # more than the 16 characters that PS3.5 6.2 allows; an empty value among several; more values than the VM
    ("SliceLocation", b"-123.45678901234567890"), ("WindowCenter", rb"40\\50"), ("SliceThickness", rb"1\2"),
    ("InstanceNumber", b"12"), ("InstanceNumber", b"12.0"), ("InstanceNumber", b" 7 "),
    ("StudyDate", b"20240229"), ("StudyDate", b"2024.02.29"),
    ("StudyTime", b"101530.123456"), ("StudyTime", b"10:15:30"),
    ("AcquisitionDateTime", b"20240229101530.5+0100"), ("PatientAge", b"045Y"), ("PatientAge", b"45Y "),
    ("SOPClassUID", b"1.2.840.10008.5.1.4.1.1.2\0"), ("SOPClassUID", b"0\0"), ("Rows", struct.pack("<H", 512)),
    ("PatientSex", b"F "), ("FrameIncrementPointer", b"\x18\0\x63\0"), ("PatientComments", NAME),
    # a kindred VR
    ("SmallestImagePixelValue", struct.pack("<h", -1), b"SS"), ("KVP", b"120 ", b"LO"), ("KVP", b"120 ", b"UN"),
    ("PixelData", bytes(range(200)), b"OB"),
]  # fmt: skip
DOES_NOT_FIT = [
    # text and numbers of people under a number
    ("PixelSpacing", NAME), ("KVP", b"120 Etxeberria"), ("KVP", b"nan "), ("KVP", b"1.2.3 "), ("KVP", b"55-29-10"),
    ("InstanceNumber", b"HC-7391846"), ("InstanceNumber", b"1.5 "), ("KVP", NAME, b"LO"), ("KVP", NAME, b"UN"),
    # days, times and UIDs that are none
    ("StudyDate", b"55291044"), ("StudyDate", b"feb 2024"), ("StudyTime", b"559900"), ("StudyTime", NAME),
    ("AcquisitionDateTime", b"yesterday "), ("PatientAge", b"93 years"), ("SOPClassUID", b"20240315"),
    ("SOPClassUID", b"HC-7391846"), ("SOPClassUID", b"1.2.x "), ("PatientSex", b"Maria "),
    # binary numbers: text under their VR or another one, too many of them, a broken one
    ("SmallestImagePixelValue", NAME, b"LO"), ("Rows", NAME), ("Rows", b"\0\1\2"),
    ("RedPaletteColorLookupTableData", NAME),
    ("GrayLookupTableData", b"ETXEBERRIA", b"OW"), ("ICCProfile", NAME), ("KVP", struct.pack("<d", 120), b"FD"),
]  # fmt: skip


@pytest.mark.parametrize(("given"), FITS)
def test_fits(given: tuple[str, bytes]) -> None:
    assert fits(*given)


@pytest.mark.parametrize(("given"), DOES_NOT_FIT)
def test_does_not_fit(given: tuple[str, bytes]) -> None:
    assert not fits(*given)


def test_items_stand_only_in_sequences() -> None:
    spacing, sequence = form_of(0x00280030), form_of(0x0040A730)
    assert spacing is not None
    assert sequence is not None
    assert not spacing.fits(b"x" * 8, (0x00280030, b"SQ", 0, 0, 8, []))
    assert sequence.fits(b"x" * 8, (0x0040A730, b"SQ", 0, 0, 8, []))
    assert not sequence.fits(NAME, (0x0040A730, b"LO", 0, 0, len(NAME), None))


@pytest.mark.parametrize(
    ("vr", "vm", "given", "value", "expected"),
    [
        # b-value of a maker: its VR and VM, or no VR at all
        ("IS", "1", b"IS", b"1000", True),
        ("IS", "1", b"UN", b"1000", True),
        ("IS", "4", b"IS", rb"1000\8\0\0 ", True),
        # another VR, though it would read; more values; text
        ("IS", "1", b"LO", b"1000", False),
        ("IS", "1", b"IS", rb"1000\8 ", False),
        ("IS", "1", b"UN", b"MARISOL ", False),
        ("FL", "1", b"FL", struct.pack("<f", 1000), True),
        ("FL", "1", b"FL", struct.pack("<2f", 1, 2), False),
        ("FL", "1", b"FD", struct.pack("<d", 1), False),
        ("FD", "1-n", b"FD", b"Etxeberria Maria", False),
    ],
)
def test_private_elements_have_the_vr_of_their_table(
    vr: str, vm: str, given: bytes, value: bytes, expected: bool
) -> None:
    assert private_form(vr, vm).fits(value, (0x0019100C, given, 0, 0, len(value), None)) is expected


@pytest.mark.parametrize("keyword", ["KVP", "InstanceNumber", "StudyDate", "StudyTime", "SOPClassUID", "PatientSex"])
@pytest.mark.parametrize("part", [b" ", rb"1\ ".strip(), rb"\ ".strip(), b"1", b".1", b"1 "])
def test_hostile_values_take_no_time(keyword: str, part: bytes) -> None:
    """Promise P7: time grows with the length, not with a power of it (which would take minutes here)."""
    started = time.process_time()
    assert not fits(keyword, part * 30_000 + b"x!")
    assert time.process_time() - started < 5
