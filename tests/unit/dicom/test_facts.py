"""VRs, transfer syntaxes and UIDs against pydicom's tables and the tables of the standard."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import valuerep
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID

from gateway.dicom.storage_classes import STORAGE_SOP_CLASSES
from gateway.dicom.transfer_syntax import TRANSFER_SYNTAXES, inflated, transfer_syntax
from gateway.dicom.uid import is_valid_uid, is_well_known
from gateway.dicom.vr import HEADER_SIZE, VALUE_REPRESENTATIONS, pad
from gateway.errors import UnsupportedEncoding

ROOT = Path(__file__).resolve().parents[3]


def test_every_vr_of_the_standard() -> None:
    assert {code.decode() for code in VALUE_REPRESENTATIONS} == {str(vr) for vr in valuerep.STANDARD_VR}
    assert {code for code, size in HEADER_SIZE.items() if size == 12} == {
        vr.encode() for vr in valuerep.EXPLICIT_VR_LENGTH_32
    }


@pytest.mark.parametrize(
    ("vr", "unit", "text", "longest", "specific", "several"),
    [
        ("PN", 1, True, 64, True, True),
        ("UI", 1, True, 64, False, True),
        ("LT", 1, True, 10240, True, False),  # a backslash is text
        ("UR", 1, True, None, False, False),  # one value by definition
        ("UC", 1, True, None, True, True),
        ("TM", 1, True, 14, False, True),
        ("AT", 2, False, 4, False, True),  # two numbers of 16 bits
        ("OW", 2, False, None, False, False),
        ("FD", 8, False, 8, False, True),
        ("UN", 1, False, None, False, False),
    ],
)
def test_facts_of_a_vr(vr: str, unit: int, text: bool, longest: int | None, specific: bool, several: bool) -> None:
    facts = VALUE_REPRESENTATIONS[vr.encode()]
    assert (facts.unit, facts.text, facts.longest, facts.specific, facts.several) == (
        unit,
        text,
        longest,
        specific,
        several,
    )


def test_pad() -> None:
    assert pad(b"LO", b"abc") == b"abc "
    assert pad(b"UI", b"1.2") == b"1.2\0"
    assert pad(b"OB", b"abc") == b"abc\0"
    assert pad(b"LO", b"") == b""
    assert pad(b"US", b"\1\0") == b"\1\0"
    for vr, value in ((b"US", b"\1"), (b"FD", b"abc"), (b"SQ", b"a"), (b"ZZ", b"ab")):
        with pytest.raises(UnsupportedEncoding):
            pad(vr, value)


@pytest.mark.parametrize("uid", TRANSFER_SYNTAXES)
def test_transfer_syntaxes_agree_with_pydicom(uid: str) -> None:
    ours, theirs = TRANSFER_SYNTAXES[uid], UID(uid)
    assert ours.uid == uid
    if uid not in UID_dictionary:  # newer than pydicom's table
        assert ours.encapsulated
        assert (ours.implicit, ours.big_endian, ours.deflated) == (False, False, False)
        return
    assert ours.name == theirs.name
    assert ours.implicit == theirs.is_implicit_VR
    assert ours.big_endian == (not theirs.is_little_endian)
    # pydicom does not tell the referenced ones apart: their pixel data is not in the data set.
    if "Referenced" in ours.name:
        assert not ours.encapsulated
        assert ours.deflated == ours.name.endswith("Deflate")
    else:
        assert ours.encapsulated == theirs.is_encapsulated
        assert ours.deflated == theirs.is_deflated


def test_every_transfer_syntax_that_encodes_a_data_set() -> None:
    theirs = {uid for uid, row in UID_dictionary.items() if row[1] == "Transfer Syntax"}
    # MIME, XML, video streams, Papyrus
    assert theirs - set(TRANSFER_SYNTAXES) == {
        "1.2.840.10008.1.2.6.1",
        "1.2.840.10008.1.2.6.2",
        "1.2.840.10008.1.2.7.1",
        "1.2.840.10008.1.2.7.2",
        "1.2.840.10008.1.2.7.3",
        "1.2.840.10008.1.20",
    }
    assert transfer_syntax("1.2.840.10008.1.2.4.110") is not None  # JPEG XL
    assert transfer_syntax("1.2.840.113619.5.2") is None  # private
    assert transfer_syntax("") is None


def test_inflated() -> None:
    for uid, syntax in TRANSFER_SYNTAXES.items():
        plain = inflated(syntax)
        assert not plain.deflated
        assert plain.encapsulated == syntax.encapsulated
        assert (plain.uid == uid) is not syntax.deflated


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("1.2.3", True),
        ("2.25.0", True),
        ("0.0", True),
        ("1." + "2" * 62, True),
        ("1." + "2" * 63, False),  # 65 characters
        ("", False),
        ("1", False),  # a root is no identifier
        ("1.02", False),
        ("1..2", False),
        ("1.2.", False),
        (".1.2", False),
        ("1.2 ", False),
        ("1.2\n", False),
        ("1.a", False),
        ("1.²", False),  # a digit, but not ASCII
        ("1.٣", False),
    ],
)
def test_valid_uid(text: str, valid: bool) -> None:
    assert is_valid_uid(text) is valid


@pytest.mark.parametrize(
    "uid",
    [
        *UID_dictionary,
        *TRANSFER_SYNTAXES,
        *STORAGE_SOP_CLASSES,
        "1.2.840.10008.6.1.1",  # context groups: the first, and one of the newest
        "1.2.840.10008.6.1.1490",
    ],
)
def test_everything_registered_is_well_known(uid: str) -> None:
    assert is_well_known(uid)


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008",  # the root alone
        "1.2.840.10008.20260102.12",  # made up under the standard's root: a date
        "1.2.840.10008.1.2.3.4.11223344.1",
        "1.2.840.10008.5.1.4.1.1.2.1.2.3.4",  # more components than any class
        "1.2.840.10008.4471.823",  # short arcs that nobody registered: a patient's number
        "1.2.840.10008.1.2.3",
        "1.2.840.10008.5.1.4.1.1.2.27.4.31",  # a birth date under a class
        "1.2.840.10008.5.1.4.1.1.1931",
        "1.2.840.10008.6.1.1931",  # beyond the last context group
        "1.2.840.10008.6.1.0",
        "1.2.840.10008.6.1.24.1",
        "1.2.840.100080.1",  # another root
        "1.2.840.113619.2.55.3",
        "2.25.329800735698586629295641978511506172918",
    ],
)
def test_everything_else_is_not(uid: str) -> None:
    assert not is_well_known(uid)


def test_the_table_is_what_its_generator_writes(tmp_path: Path) -> None:
    written = tmp_path / "uids.csv"
    subprocess.run([sys.executable, ROOT / "scripts" / "generate-uids", written], check=True, cwd=ROOT)
    assert written.read_bytes() == (ROOT / "gateway" / "dicom" / "data" / "uids.csv").read_bytes()


def test_what_is_no_uid_is_not_well_known() -> None:
    assert not is_well_known("1.2.840.10008.PATIENT")
    assert not is_well_known("1.2.840.10008.1.02")
