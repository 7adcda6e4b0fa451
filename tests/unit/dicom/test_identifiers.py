"""Identifiers are read from whatever is received, and spelt so that everybody's spelling of them is found."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from gateway.dicom.file_meta import read_file_meta
from gateway.dicom.identifiers import Identifiers, normalised, read_identifiers
from gateway.dicom.shape import Shape
from gateway.dicom.transfer_syntax import transfer_syntax

KNOWN = Identifiers(
    patient_id="MRN-0042", accession_number="A26-000123", study_uid="1.2.826.0.1", series_uid="1.2.826.0.1.7",
    instance_uid="1.2.826.0.1.7.9",
)  # fmt: skip


def nested(depth: int, *, undefined: bool) -> Sequence:
    """A sequence in sequences, with identifiers of somebody else at every level."""
    item = Dataset()
    item.PatientID = "SOMEBODY ELSE"
    item.StudyInstanceUID = "9.9.9"
    if depth:
        item.ReferencedStudySequence = nested(depth - 1, undefined=undefined)
        item["ReferencedStudySequence"].is_undefined_length = undefined
    item.is_undefined_length_sequence_item = undefined
    found = Sequence([item, Dataset()])
    found.is_undefined_length = undefined
    return found


def written(
    path: Path, syntax: str, *, undefined: bool = False, private: bytes = bytes(70_000), **changes: Any
) -> Path:
    one = Dataset()
    one.SpecificCharacterSet = "ISO_IR 100"
    one.SOPClassUID = uid.CTImageStorage
    one.SOPInstanceUID = KNOWN.instance_uid
    one.AccessionNumber = KNOWN.accession_number
    one.ReferencedStudySequence = nested(3, undefined=undefined)
    one["ReferencedStudySequence"].is_undefined_length = undefined
    one.add_new(0x00090010, "LO", "HOUSE")
    one.add_new(0x00091001, "OB", private)  # of the usual size, the next elements lie in another window
    one.PatientName = "MUELLER^EVA"
    one.PatientID = KNOWN.patient_id
    one.KVP = 120
    one.StudyInstanceUID = KNOWN.study_uid
    one.SeriesInstanceUID = KNOWN.series_uid
    one.InstanceNumber = 1
    one.PixelData = bytes(64)
    one["PixelData"].VR = "OW"
    for name, value in changes.items():
        if value is None:
            delattr(one, name)
        else:
            setattr(one, name, value)
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = uid.UID(syntax)
    one.save_as(path, enforce_file_format=True)
    return path


def read(path: Path, syntax: str | None = None, whole: bytes | None = None) -> Identifiers:
    """As reception reads: of the data set, in the syntax that was agreed."""
    meta, offset = read_file_meta(whole or path.read_bytes())
    return read_identifiers(
        lambda: path,
        offset=offset,
        length=path.stat().st_size - offset,
        syntax=transfer_syntax(syntax or meta.transfer_syntax),
        instance_uid=meta.sop_instance_uid,
    )


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize(
    "syntax",
    [
        uid.ExplicitVRLittleEndian,
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    ],
)
def test_every_encoding(tmp_path: Path, syntax: str, undefined: bool) -> None:
    assert read(written(tmp_path / "one.dcm", syntax, undefined=undefined)) == KNOWN


@pytest.mark.parametrize(
    ("syntax", "declared"),
    [
        (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian),  # implicit VR under an explicit name
        (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian),  # and the other way round
        (uid.ExplicitVRLittleEndian, "1.2.3.4.5"),  # one that nobody knows
    ],
)
def test_another_encoding_than_agreed(tmp_path: Path, syntax: str, declared: str) -> None:
    assert read(written(tmp_path / "one.dcm", syntax), declared) == KNOWN


def items(keyword: str, *values: str, undefined: bool = False) -> Sequence:
    """A sequence of items with a number each, behind a sequence of their own that has another."""
    made = []
    for value in values:
        one = Dataset()
        setattr(one, keyword, value)
        inner = Dataset()
        inner.AccessionNumber = inner.PatientID = "INNER"
        one.ReferencedStudySequence = Sequence([inner])
        one["ReferencedStudySequence"].is_undefined_length = undefined
        one.is_undefined_length_sequence_item = undefined
        made.append(one)
    found = Sequence(made)
    found.is_undefined_length = undefined
    return found


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian])
def test_further_numbers(tmp_path: Path, syntax: str, undefined: bool) -> None:
    sequences: dict[str, Any] = {
        # The group case: one image answers two requests, and has no accession number of its own.
        "RequestAttributesSequence": items("AccessionNumber", "A26-000124", "A26-000125", undefined=undefined),
        "ReferencedRequestSequence": items("AccessionNumber", "A26-000126", "A26-000124", undefined=undefined),
        "OtherPatientIDsSequence": items("PatientID", "OLD-7", KNOWN.patient_id, undefined=undefined),
    }
    path = tmp_path / "one.dcm"
    one = pydicom.dcmread(written(path, syntax, AccessionNumber="", **sequences))
    for keyword in sequences:
        one[keyword].is_undefined_length = undefined
    one.add_new(0x00101000, "LO", ["OLD-8", "OLD-9"])
    one.save_as(path)
    found = read(path)
    assert found.other_accession_numbers == ("A26-000124", "A26-000125", "A26-000126")
    assert found.other_patient_ids == ("OLD-7", "OLD-8", "OLD-9")
    assert (found.accession_number, found.patient_id, found.series_uid) == ("", KNOWN.patient_id, KNOWN.series_uid)


@pytest.mark.parametrize(
    "at_hand",
    [
        0,  # nothing
        100,  # less than the first elements
        30_000,  # all but the numbers of the patient
        1 << 20,  # the whole
    ],
)
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian])
def test_first_bytes_at_hand_say_the_same(tmp_path: Path, syntax: str, at_hand: int) -> None:
    further = items("AccessionNumber", "A26-000124", undefined=True)
    path = written(tmp_path / "one.dcm", syntax, RequestAttributesSequence=further)
    meta, offset = read_file_meta(path.read_bytes())
    content = path.read_bytes()[offset:]
    if at_hand > len(content):
        path.unlink()  # it is not opened for what is at hand
    found = read_identifiers(
        lambda: path,
        offset=offset,
        length=len(content),
        syntax=transfer_syntax(meta.transfer_syntax),
        instance_uid=KNOWN.instance_uid,
        head=content[:at_hand],
    )
    assert found == replace(KNOWN, other_accession_numbers=("A26-000124",))


@pytest.mark.parametrize("first", ["SeriesInstanceUID", "PatientID"])
def test_elements_out_of_order(tmp_path: Path, first: str) -> None:
    path = written(tmp_path / "one.dcm", uid.ExplicitVRLittleEndian)
    content = path.read_bytes()
    one = pydicom.dcmread(path)
    tag = one[first].tag
    element = tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little") + one[first].VR.encode()
    start = content.rindex(element)  # the last: those before are somebody else's
    end = start + 8 + int.from_bytes(content[start + 6 : start + 8], "little")
    before = content.index(b"\x08\x00\x50\x00SH")
    moved = content[:before] + content[start:end] + content[before:start] + content[end:]
    path.write_bytes(moved)
    assert read(path) == KNOWN


def test_p7_of_numbers_without_end_there_is_one(tmp_path: Path) -> None:
    many = items("AccessionNumber", *map(str, range(5000)))
    path = written(tmp_path / "one.dcm", uid.ExplicitVRLittleEndian, RequestAttributesSequence=many)
    assert read(path).other_accession_numbers == tuple(map(str, range(16)))


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    path = written(tmp_path / "one.dcm", uid.ExplicitVRLittleEndian, AccessionNumber=None, PatientID="")
    found = read(path)
    assert (found.accession_number, found.patient_id, found.study_uid) == ("", "", KNOWN.study_uid)


@pytest.mark.parametrize("keep", [0, 3, 40, 200, 400, 70_400])
def test_p7_a_broken_data_set_has_what_can_be_read(tmp_path: Path, keep: int) -> None:
    path = written(tmp_path / "one.dcm", uid.ExplicitVRLittleEndian)
    content = path.read_bytes()
    _, offset = read_file_meta(content)
    for rest in (b"", b"\xff" * 100_000, b"\0" * 100_000):
        path.write_bytes(content[: offset + keep] + rest)
        found = read(path, whole=content)
        assert found.instance_uid == KNOWN.instance_uid
        assert found.patient_id in ("", KNOWN.patient_id)


@pytest.mark.parametrize(
    ("charset", "value"),
    [
        ("ISO_IR 100", "M\u00dcLLER-7"),
        ("ISO_IR 192", "\u7f8e\u55b6-7"),
        ("ISO_IR 144", "\u0418\u0432\u0430\u043d-7"),
    ],
)
def test_identifiers_beyond_ascii(tmp_path: Path, charset: str, value: str) -> None:
    path = written(
        tmp_path / "one.dcm", uid.ExplicitVRLittleEndian, SpecificCharacterSet=charset, PatientID=value
    )  # fmt: skip
    assert normalised(read(path).patient_id) == normalised(value)


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("A26-000123", "a26-000123"),  # case
        ("A26-000123 ", "  A26-000123\n"),  # padding of the file, blanks of the keyboard
        ("1.2.840.1\0", "1.2.840.1"),  # padding of UIDs
        ("MRN  42", "MRN 42"),  # blanks inside
        ("M\u00dcLLER", "mu\u0308ller"),  # letters made of two
        ("\uff21\uff12\uff16", "A26"),  # wide letters of Japanese keyboards
        ("STRASSE", "stra\u00dfe"),
    ],
)
def test_spellings_of_one_identifier(stored: str, typed: str) -> None:
    assert normalised(stored) == normalised(typed)


@pytest.mark.parametrize(
    ("one", "other"),
    [("0042", "42"), ("A26-1", "A261"), ("1.2.30", "1.2.3"), ("A 1", "A1")],  # other patients may have these
)
def test_what_is_another_identifier(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


#: What an instance of a series has otherwise than the first one: attribute -> value, None for none.
SERIES: dict[str, list[dict[str, Any]]] = {
    "all alike": [{}] * 6,
    "series in turn": [{"SeriesInstanceUID": f"1.2.3.{number % 2}"} for number in range(8)],
    "a longer UID": [{"SOPInstanceUID": f"{KNOWN.instance_uid}{'1' * number}"} for number in range(8)],
    "two that change in length": [
        {"SOPInstanceUID": f"{KNOWN.instance_uid}{'1' * (number % 3)}", "KVP": "120" * (number % 2)}
        for number in range(12)
    ],
    "another patient": [{"PatientID": f"MRN-{number:04}"} for number in range(6)],
    "a patient's number of another length": [{"PatientID": f"MRN-{'4' * number}"} for number in range(6)],
    "no accession number": [{"AccessionNumber": value} for value in ("A26", "", "A26", "", None, "A26", "A26")],
    "another series": [{"SeriesInstanceUID": f"1.2.3.{number // 3}"} for number in range(9)],
    "an element more": [{"PatientSex": "F"} if number % 3 == 2 else {} for number in range(12)],
    "other sequences": [{"ReferencedStudySequence": nested(number % 3, undefined=True)} for number in range(8)],
    "a request now and then": [
        {"RequestAttributesSequence": items("AccessionNumber", f"A{number}")} if number % 2 else {}
        for number in range(10)
    ],
    "requests of changing length": [
        {"RequestAttributesSequence": items("AccessionNumber", f"A{'1' * number}", undefined=number % 2 == 0)}
        for number in range(8)
    ],
    # What is too long for a number is none; a short one in its place is.
    "a patient's number that is none": [
        {"PatientID": KNOWN.patient_id if number % 2 else "7" * 1500} for number in range(8)
    ],
    "cut short": [{}] * 4,
}
UNLIKE = {"an element more", "a request now and then", "a patient's number that is none", "cut short"}


@pytest.mark.filterwarnings("ignore:The value length")  # pydicom's, of what is too long
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian])
@pytest.mark.parametrize("name", SERIES)
def test_what_is_learnt_of_an_instance_changes_nothing_in_the_next(tmp_path: Path, syntax: str, name: str) -> None:
    shape, passed = Shape(), [False]
    for changes in SERIES[name]:
        path = written(tmp_path / "one.dcm", syntax, **({"private": bytes(600)} | changes))
        whole = path.read_bytes()
        meta, offset = read_file_meta(whole)
        content = whole[offset:]
        if name == "cut short":
            content = content[: 900 - 100 * len(passed)]
        before = shape.stretches
        plain, learnt = (
            read_identifiers(
                partial(Path, path),
                offset=0,
                length=len(content),
                syntax=transfer_syntax(syntax),
                instance_uid=meta.sop_instance_uid,
                head=content,
                shape=one,
            )
            for one in (None, shape)
        )
        assert learnt == plain
        assert plain.study_uid or name == "cut short"
        passed.append(bool(before) and shape.stretches is before)
    # It is of use, but where there are other elements each time: what changes is known by the last.
    assert passed[-1] or name in UNLIKE


def laid(*elements: tuple[int, str]) -> bytes:
    """A data set with these elements in this order, in explicit VR little endian."""
    kinds = {0x00080050: b"SH", 0x00100020: b"LO", 0x0020000D: b"UI", 0x0020000E: b"UI", 0x7FE00010: b"UI"}
    return b"".join(
        tag.to_bytes(4, "little")[2:] + tag.to_bytes(4, "little")[:2] + kinds[tag] + len(text).to_bytes(2, "little")
        + text.encode("ascii")
        for tag, text in elements
    )  # fmt: skip


ACCESSION, PATIENT, STUDY, SERIES_UID, PIXELS = (0x00080050, 0x00100020, 0x0020000D, 0x0020000E, 0x7FE00010)
#: Instances of one layout, in the order in which they come; of the last, what those before had says nothing.
DISORDER: dict[str, list[bytes]] = {
    # The series is the last element that is wanted, but where it stands before the others.
    "the series before the patient": [
        laid((ACCESSION, "A1"), (STUDY, "1.2."), (SERIES_UID, series), (PATIENT, patient), (PIXELS, "12"))
        for series, patient in (("1.1.", "P1"), ("1.1.", "P1"), ("1.2.", "P1"), ("1.3.", "P1"), ("1.3.", "P2"))
    ],
    "the series before the study": [
        laid((ACCESSION, "A1"), (PATIENT, "P1"), (SERIES_UID, series), (STUDY, study), (PIXELS, "12"))
        for series, study in (("1.1.", "1.1."), ("1.1.", "1.1."), ("1.2.", "1.1."), ("1.3.", "1.1."), ("1.3.", "1.2."))
    ],
    # Of an element that comes twice the last counts.
    "two patients": [
        laid(
            (ACCESSION, "A1"), (PATIENT, first), (PATIENT, "P9"), (STUDY, "1.2."), (SERIES_UID, "1.1."), (PIXELS, "12")
        )
        for first in ("P1", "P1", "P2", "P3", "P4")
    ],
    "two accession numbers": [
        laid(
            (ACCESSION, "A1"), (ACCESSION, last), (PATIENT, "P9"), (STUDY, "1.2."), (SERIES_UID, "1.1."), (PIXELS, "12")
        )
        for last in ("A2", "A2", "A3", "A4", "A1")
    ],
}


@pytest.mark.parametrize("name", DISORDER)
def test_p14_no_instance_is_known_by_what_another_one_said(name: str) -> None:
    shape = Shape()
    for content in DISORDER[name]:
        learnt, plain = (
            read_identifiers(
                Path,  # everything is at hand
                offset=0,
                length=len(content),
                syntax=transfer_syntax(uid.ExplicitVRLittleEndian),
                instance_uid="1.2",
                head=content,
                shape=one,
            )
            for one in (shape, None)
        )
        assert learnt == plain
