"""Numeric private elements stay if they are the numbers that they should be, and go if not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.errors import LeakSuspected
from tests.unit.deid.profiles import dataset, item, program, treat

LAYERS = "basic, retain-acquisition-private"
GE, SIEMENS = "GEMS_ACQU_01", "SIEMENS MR HEADER"
PHILIPS, FRAMES = "Philips MR Imaging DD 001", "Philips MR Imaging DD 005"
UIH = "Image Private Header"


def add(found: Dataset, group: int, creator: str, offset: int, vr: str, value: Any) -> Dataset:
    found.private_block(group, creator, create=True).add_new(offset, vr, value)
    return found


@pytest.mark.parametrize(
    ("group", "creator", "offset", "vr", "value", "stays"),
    [
        # as their makers write them
        (0x0019, GE, 0xBB, "DS", "0.57735", True),
        (0x0019, GE, 0xBD, "DS", "-1", True),
        (0x0021, "GEMS_RELA_01", 0x4F, "SS", 24, True),
        (0x0021, "GEMS_RELA_01", 0x4F, "SL", 24, True),
        (0x0043, "GEMS_PARM_01", 0x39, "IS", ["1000001000", "8", "0", "0"], True),
        (0x0043, "GEMS_PARM_01", 0x39, "IS", "700", True),
        (0x2001, "Philips Imaging DD 001", 0x03, "FL", 1000.0, True),
        (0x2005, PHILIPS, 0xB1, "FL", -0.75, True),
        (0x2005, PHILIPS, 0x0E, "FL", 0.0078125, True),
        (0x0019, SIEMENS, 0x0A, "US", 48, True),
        (0x0019, SIEMENS, 0x0E, "FD", [0.0, 0.6, 0.8], True),
        (0x0019, SIEMENS, 0x27, "FD", [1000.0, 0.0, 0.0, 0.0, 0.0, 0.0], True),
        (0x0019, SIEMENS, 0x29, "FD", [0.0, 1500.0, 62.5], True),
        (0x0051, SIEMENS, 0x0B, "SH", "128p*128", True),
        (0x0051, SIEMENS, 0x11, "LO", "p2s4", True),
        (0x0051, SIEMENS, 0x11, "LO", "p3 s1", True),
        (0x0065, UIH, 0x09, "FD", 1000.0, True),
        (0x0065, UIH, 0x37, "FD", [0.0, 0.6, 0.8], True),
        (0x0065, UIH, 0x50, "DS", "27", True),
        (0x7053, "Philips PET Private Group", 0x00, "DS", "0.000381", True),
        # creators in other letters are the same, without a value nothing is told
        (0x0019, "Siemens MR Header", 0x0A, "US", 48, True),
        (0x0019, GE, 0xBB, "DS", "", True),
        # another maker's element with the number, and an element of the maker that the layer does not have
        (0x0019, "ACME", 0xBB, "DS", "0.5", False),
        (0x0019, SIEMENS, 0x18, "IS", "2900", False),
        # another VR: a text, bytes, another kind of numbers
        (0x0019, GE, 0xBB, "LO", "0.57735", False),
        (0x0019, GE, 0xBB, "FD", 0.57735, False),
        (0x0019, SIEMENS, 0x0A, "SH", "48", False),
        (0x0019, SIEMENS, 0x0E, "OB", b"GARCIA LOPEZ^MARIA--------", False),
        (0x2005, PHILIPS, 0x0E, "LO", "MARIA", False),
        (0x2005, FRAMES, 0x0F, "LO", "MARIA", False),
        # another number of values
        (0x0019, SIEMENS, 0x0E, "FD", [0.0, 0.6], False),
        (0x0019, SIEMENS, 0x0E, "FD", [0.0, 0.6, 0.8, 0.1], False),
        (0x0019, GE, 0xBB, "DS", ["0.5", "0.5"], False),
        (0x0043, "GEMS_PARM_01", 0x39, "IS", ["1000", "8", "0", "0", "7"], False),
        # numbers that are no such thing: out of range, not finite, an identifier
        (0x0019, GE, 0xBB, "DS", "4471823", False),
        (0x0019, GE, 0xBB, "DS", "1.2", False),
        (0x0019, SIEMENS, 0x0A, "US", 0, False),
        (0x0019, SIEMENS, 0x0A, "US", 40000, False),
        (0x0019, SIEMENS, 0x0C, "IS", "77120031", False),
        (0x0019, SIEMENS, 0x0E, "FD", [float("nan"), 0.0, 0.0], False),
        (0x0019, SIEMENS, 0x29, "FD", [0.0, 37081250.0], False),
        (0x2001, "Philips Imaging DD 001", 0x03, "FL", float("inf"), False),
        (0x2005, PHILIPS, 0x0E, "FL", 4471823.0, False),
        (0x0043, "GEMS_PARM_01", 0x39, "IS", "1234567890", False),
        (0x0065, UIH, 0x50, "DS", "4471823", False),
        # texts that are no matrix and no acceleration
        (0x0051, SIEMENS, 0x0B, "SH", "GARCIA", False),
        (0x0051, SIEMENS, 0x0B, "SH", "4471823", False),
        (0x0051, SIEMENS, 0x11, "LO", "p2 MARIA", False),
        (0x0051, SIEMENS, 0x11, "LO", "PAT: 4471823", False),
    ],
)  # fmt: skip
def test_what_stays(tmp_path: Path, group: int, creator: str, offset: int, vr: str, value: object, stays: bool) -> None:
    # Explicit VR, where the VR is told; a number as UN is looked at below.
    found = treat(tmp_path, program(tmp_path, "", use=LAYERS), add(dataset(), group, creator, offset, vr, value))
    kept = (group, 0x1000 | offset) in found.dataset
    assert kept == stays
    assert ((group, 0x0010) in found.dataset) == stays
    if stays and value != "":
        assert found.dataset[group, 0x1000 | offset].value == value


@pytest.mark.parametrize(
    ("offset", "value", "stays"),
    [
        # a US of two bytes, three FD; as DS would be read
        (0x0A, b"\x30\x00", True),
        (0x0E, bytes(24), True),
        (0x0C, b"1000", True),
        # too long, a text, an identifier
        (0x0A, b"\x30\x00\x00\x00", False),
        (0x0E, b"GARCIA LOPEZ^MARIA------", False),
        (0x0C, b"77120031", False),
    ],
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_without_a_vr_the_table_tells_it(tmp_path: Path, offset: int, value: bytes, stays: bool, syntax: str) -> None:
    source = add(dataset(), 0x0019, SIEMENS, offset, "UN", value)
    found = treat(tmp_path, program(tmp_path, "", use=LAYERS), source, syntax=syntax).dataset
    assert ((0x0019, 0x1000 | offset) in found) == stays


def test_inside_the_sequence_of_a_frame_the_rules_hold(tmp_path: Path) -> None:
    frame = item(RescaleSlope="2.5", PatientName="GARCIA^MARIA", PatientComments="GARCIA")
    add(frame, 0x2005, PHILIPS, 0x0E, "FL", 1.5)
    add(frame, 0x2005, PHILIPS, 0x70, "LO", "GARCIA")
    add(frame, 0x2005, PHILIPS, 0xB0, "FL", 4471823.0)
    source = add(dataset(), 0x2005, FRAMES, 0x0F, "SQ", Sequence([frame]))
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        found = treat(tmp_path, program(tmp_path, "", use=LAYERS), source, syntax=syntax).dataset
        (left,) = found[0x2005, 0x100F].value
        assert {str(one.tag) for one in left if one.tag.is_private} == {"(2005,0010)", "(2005,100E)"}
        assert left.RescaleSlope == 2.5
        assert "GARCIA" not in str(found)


def test_what_an_instance_says_against_its_own_counts(tmp_path: Path) -> None:
    source = add(dataset(), 0x0019, GE, 0xBB, "DS", "0.5")
    add(source, 0x0019, SIEMENS, 0x0A, "US", 48)
    said = item(PrivateGroupReference=0x0019, PrivateCreatorReference=GE, BlockIdentifyingInformationStatus="UNSAFE")
    source.PrivateDataElementCharacteristicsSequence = [said]
    found = treat(tmp_path, program(tmp_path, "", use=LAYERS), source).dataset
    assert {str(one.tag) for one in found if one.tag.is_private} == {"(0019,0011)", "(0019,110A)"}


@pytest.mark.parametrize(
    ("value", "stays"),
    [
        ("b=1500(0.445,0.000,0.895)", True),
        ("b=1500(-0.445,-0.000,-0.895)", True),
        ("b=0", True),
        # more than that, or something else
        ("b=1500(0.445,0.000,0.895) GARCIA", False),
        ("b=4471823(0.445,0.000,0.895)", False),
        ("b=1500(4471823,0.000,0.895)", False),
        ("GARCIA", False),
    ],
)
def test_the_comment_of_canon(tmp_path: Path, value: str, stays: bool) -> None:
    using = program(tmp_path, "", use="basic, clean-descriptors, retain-acquisition-private")
    for maker in ("CANON_MEC", "TOSHIBA_MEC", "ACME"):
        found = treat(tmp_path, using, dataset(Manufacturer=maker, ImageComments=value)).dataset
        left = "" if "ImageComments" not in found else found.ImageComments
        assert (left == value) == (stays and (maker != "ACME" or value == "b=0")), maker


def test_a_number_of_the_patient_among_them_is_a_leak(tmp_path: Path) -> None:
    """Seven digits are out of every range of the layer; a rule of one's own has none, and the scan looks."""
    rules = "attributes:\n  - {keep: ['(0019,xx13) SIEMENS MR HEADER'], only: numeric, because: position}\n"
    using = program(tmp_path, rules)
    for number, held in ((4471823, True), (-120, False)):
        source = add(dataset(PatientID="4471823"), 0x0019, SIEMENS, 0x13, "SL", [0, 0, number])
        if held:
            with pytest.raises(LeakSuspected, match=r"still present in \(0019,1013\): kind id"):
                treat(tmp_path, using, source)
        else:
            assert treat(tmp_path, using, source).dataset[0x0019, 0x1013].value == [0, 0, number]
