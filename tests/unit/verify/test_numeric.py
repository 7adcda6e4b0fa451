"""gateway.verify.numeric: numbers that stay are read again, by other code; identifiers among binary ones are seen."""

from __future__ import annotations

from pathlib import Path
from struct import pack

import pytest
from pydicom.dataset import Dataset

from gateway.dicom.encoded import Element
from gateway.errors import LeakSuspected
from gateway.verify.numeric import Numbers, digits_of, whole_numbers
from tests.unit.deid.profiles import dataset, opened, program, stored

SIEMENS, GE = "SIEMENS MR HEADER", "GEMS_ACQU_01"


@pytest.mark.parametrize(
    ("vr", "raw", "digits"),
    [
        # whole numbers of at least seven digits
        (b"UL", pack("<2I", 4471823, 12), b"4471823"),
        (b"SL", pack("<i", -4471823), b"-4471823"),
        (b"UV", pack("<Q", 77120031447), b"77120031447"),
        (b"FL", pack("<f", 4471823.0), b"4471823"),
        (b"FD", pack("<2d", 77120031.0, 44718231.0), b"77120031\\44718231"),
        # shorter ones, fractions, what is none
        (b"US", pack("<H", 44718), b""),
        (b"UL", pack("<I", 447182), b""),
        (b"FD", pack("<d", 4471823.5), b""),
        (b"FD", pack("<3d", float("nan"), float("inf"), 1e300), b""),
        (b"UL", b"\x01\x02\x03", b""),
        (b"OB", pack("<I", 4471823), b""),
        (b"SH", b"4471823 ", b""),
        # without a VR: whatever it may be
        (b"UN", pack("<I", 4471823), b"4471823"),
        (b"UN", pack("<d", 4471823.0), b"3221225472\\1095831299\\4471823"),
    ],
)
def test_digits_of(vr: bytes, raw: bytes, digits: bytes) -> None:
    assert digits_of(vr, raw) == digits


@pytest.mark.parametrize(
    ("raw", "numbers"),
    [
        # as whole numbers are written in DS besides their digits
        (b"4471823.0 ", {"4471823"}),
        (b"1.5\\-4471823.000\\+77120031.", {"4471823", "77120031"}),
        (b"4.471823E6\\44718230e-1\\7.7120031e+07", {"4471823", "77120031"}),
        (b"0004471823.0", {"4471823"}),
        # fractions, short ones, larger than any identifier, others between which a point stands
        (b"4471823.5\\4471823.05\\1.4471823", set()),
        (b"447182.0\\4.47182E5\\4.4718235E6", set()),
        (b"1E99\\E7\\1.2.4471823.0", set()),
    ],
)
def test_whole_numbers(raw: bytes, numbers: set[str]) -> None:
    assert whole_numbers(raw) == numbers


@pytest.mark.parametrize(
    ("group", "creator", "offset", "vr", "value", "met"),
    [
        (0x0019, GE, 0xBB, "DS", "0.57735", True),
        (0x0019, GE, 0xBB, "DS", "", True),
        (0x0019, SIEMENS, 0x0E, "FD", [0.0, 0.6, 0.8], True),
        (0x0019, SIEMENS, 0x29, "FD", [0.0] * 40, True),
        (0x0051, SIEMENS, 0x0B, "SH", "128p*128", True),
        # of nobody, or of another maker: other checks are for these
        (0x0019, "ACME", 0xBB, "DS", "4471823", True),
        # another VR, number of values, range or form
        (0x0019, GE, 0xBB, "LO", "0.5", False),
        (0x0019, GE, 0xBB, "DS", "4471823", False),
        (0x0019, GE, 0xBB, "UN", b"NaN ", False),
        (0x0019, GE, 0xBB, "UN", b"GARCIA", False),
        (0x0019, GE, 0xBB, "UN", b"4471823 ", False),
        (0x0019, GE, 0xBB, "DS", ["0.5", "0.5"], False),
        (0x0019, SIEMENS, 0x0E, "FD", [0.0, 0.6], False),
        (0x0019, SIEMENS, 0x0E, "FD", [0.0, 0.6, 4471823.0], False),
        (0x0051, SIEMENS, 0x0B, "SH", "GARCIA", False),
        (0x0019, SIEMENS, 0x0A, "UN", b"GARCIA", False),
        # instead of a sequence
        (0x2005, "Philips MR Imaging DD 005", 0x0F, "LO", "123", False),
        (0x2005, "Philips MR Imaging DD 005", 0x0F, "SQ", [], True),
    ],
)
def test_what_stays_is_read_again(
    tmp_path: Path, group: int, creator: str, offset: int, vr: str, value: object, met: bool
) -> None:
    source: Dataset = dataset()
    source.private_block(group, creator, create=True).add_new(offset, vr, value)
    numbers = Numbers(program(tmp_path, "", use="basic, retain-acquisition-private"))
    with opened(stored(tmp_path, source)) as instance:
        elements: list[Element] = instance.elements
        if met:
            numbers.check(instance.buffer, elements, "")
        else:
            with pytest.raises(LeakSuspected, match="not made of the numbers that may stay"):
                numbers.check(instance.buffer, elements, "")
        # A program without such rules has nothing to say.
        Numbers(program(tmp_path, "")).check(instance.buffer, elements, "")
