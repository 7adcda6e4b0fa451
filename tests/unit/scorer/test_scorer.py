"""The scorer itself: it has nothing against a good output, and finds every kind of violation in a bad one."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import DataElement, Dataset, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataset import FileMetaDataset

from tests.scorer import table
from tests.scorer.reading import leaves
from tests.scorer.scorer import CLASS_UIDS, Kind, Scorer
from tests.scorer.validity import is_valid
from tests.unit.scorer.build import NAME, OTHER, STUDY, add, clean, drop, encoded, nested, original, put


def sender(meta: FileMetaDataset) -> None:
    meta.ImplementationVersionName, meta.SourceApplicationEntityTitle = "SENDER", "PACS"


@pytest.fixture
def score(tmp_path: Path) -> Callable[..., set[tuple[Kind, str]]]:
    def run(output: bytes, *, before: bytes | None = None, scorer: Scorer | None = None) -> set[tuple[Kind, str]]:
        one, two = tmp_path / "original.dcm", tmp_path / "output.dcm"
        one.write_bytes(before or encoded(original(), meta=sender, preamble=b"II*\0".ljust(128, b"x")))
        two.write_bytes(output)
        found = (scorer or Scorer()).score(one, two, identities=["Fakenstead", "MRN12345"])
        return {(violation.kind, violation.place) for violation in found}

    return run


Score = Callable[..., set[tuple[Kind, str]]]


def test_good_output_has_no_violation(score: Score) -> None:
    assert score(encoded(clean())) == set()


def test_original_is_full_of_violations(score: Score) -> None:
    kinds = {kind for kind, _ in score(encoded(original(), meta=sender, preamble=b"II*\0".ljust(128, b"x")))}
    assert kinds == {Kind.NOT_REPLACED, Kind.UID_KEPT, Kind.IDENTITY, Kind.PREAMBLE, Kind.META, Kind.STAMP}


def in_reference(value: str) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID = value

    return change


def hidden(dataset: Dataset) -> None:
    """A sequence as VR UN of defined length, implicit within, that still holds the patient's id."""
    item = b"\x10\x00\x20\x00\x08\0\0\0MRN12345"
    value = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    element = DataElement(0x00082218, "OB", value)
    element.VR = "UN"
    dataset[0x00082218] = element


def kept_content(dataset: Dataset) -> None:
    text = Dataset()
    text.ValueType, text.PersonName = "PNAME", NAME
    dataset.ContentSequence = [text]


REGION = "(0008,2218)[0]/"
REFERENCE = "(0008,1115)[0]/(0008,114A)[0]/(0008,1155)"


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        (put("StudyDescription", "CHEST"), (Kind.NOT_REMOVED, "(0008,1030)")),  # X, even with another value
        (nested(put("InstitutionAddress", "Nowhere")), (Kind.NOT_REMOVED, REGION + "(0008,0081)")),
        (put("StudyDate", "20190304"), (Kind.NOT_REPLACED, "(0008,0020)")),  # Z
        (put("ContentDate", "20190305"), (Kind.NOT_REPLACED, "(0008,0023)")),  # Z/D
        (put("InstitutionName", "Mirage Hospital"), (Kind.NOT_REPLACED, "(0008,0080)")),  # X/Z/D
        (nested(put("StudyDate", "20190304")), (Kind.NOT_REPLACED, REGION + "(0008,0020)")),
        (kept_content, (Kind.NOT_REPLACED, "(0040,A730)")),  # D: another sequence with the original's name
        (drop("PatientName"), (Kind.LOST, "(0010,0010)")),  # Z may not remove
        (nested(drop("StudyDate")), (Kind.LOST, REGION + "(0008,0020)")),
        (drop("StudyInstanceUID"), (Kind.LOST, "(0020,000D)")),  # nor may U
        (put("ContentSequence", []), (Kind.EMPTIED, "(0040,A730)")),  # D
        (put("StudyInstanceUID", ""), (Kind.EMPTIED, "(0020,000D)")),
        (add(0x00191010, "LO", "x"), (Kind.PRIVATE, "(0019,1010)")),
        (nested(add(0x00190010, "LO", "x")), (Kind.PRIVATE, REGION + "(0019,0010)")),  # a creator alone
        (add(0x00087FF0, "LO", "x"), (Kind.UNKNOWN, "(0008,7FF0)")),
        (add(0x50000022, "LO", "x"), (Kind.NOT_REMOVED, "(5000,0022)")),  # a curve
        (add(0x60023000, "OW", b"\0\0"), (Kind.NOT_REMOVED, "(6002,3000)")),  # overlay data
        (add(0x60024000, "LT", "x"), (Kind.NOT_REMOVED, "(6002,4000)")),  # overlay comments
        (add(0xFFFAFFFA, "SQ", []), (Kind.NOT_REMOVED, "(FFFA,FFFA)")),  # digital signatures
        (put("StudyInstanceUID", STUDY), (Kind.UID_KEPT, "(0020,000D)")),
        (in_reference(OTHER), (Kind.UID_KEPT, REFERENCE)),
        (put("ManufacturerModelName", f"of {STUDY}"), (Kind.UID_KEPT, "in no element")),  # within a text
        (in_reference("2.25.111"), (Kind.UID_INCONSISTENT, "(0020,000D)")),  # two became one, seen at the second
        (put("SeriesInstanceUID", "2.25.999"), (Kind.UID_INCONSISTENT, "(0020,000E)")),  # one became two
        (put("ManufacturerModelName", "of fakenstead"), (Kind.IDENTITY, "identity 0")),
        (hidden, (Kind.IDENTITY, "identity 1")),
        (hidden, (Kind.NOT_REPLACED, REGION + "(0010,0020)")),
        (drop("PatientIdentityRemoved"), (Kind.STAMP, "PatientIdentityRemoved")),
        (put("DeidentificationMethod", ""), (Kind.STAMP, "DeidentificationMethod")),
        (put("DeidentificationMethodCodeSequence", []), (Kind.STAMP, "DeidentificationMethodCodeSequence")),
        (put("LongitudinalTemporalInformationModified", "MODIFIED"),
         (Kind.STAMP, "LongitudinalTemporalInformationModified")),
        (add(0x7FE00010, "OW", bytes(32)), (Kind.PIXELS, "(7FE0,0010)")),
        (drop("PixelData"), (Kind.PIXELS, "(7FE0,0010)")),
    ],
)  # fmt: skip
def test_violation_is_found(score: Score, change: Callable[[Dataset], None], violation: tuple[Kind, str]) -> None:
    output = clean()
    change(output)
    assert violation in score(encoded(output))


@pytest.mark.parametrize(
    ("right", "wrong", "violation"),
    [
        (b"2.25.111", b"2.25.011", (Kind.UID_INVALID, "(0020,000D)")),  # a component with a leading zero
        (b"19000101", b"1900-1-1", (Kind.INVALID, "(0008,0023)")),
        (b"19000101", b"00010101", (Kind.INVALID, "(0008,0023)")),
    ],
)
def test_invalid_value_is_found(score: Score, right: bytes, wrong: bytes, violation: tuple[Kind, str]) -> None:
    """Written into the encoded file: pydicom does not let such values through."""
    content = encoded(clean())
    assert content.count(right) == 1
    assert violation in score(content.replace(right, wrong))


def test_group_length_is_found(score: Score) -> None:
    content = encoded(clean())
    start = content.index(b"\x08\0\x16\0UI")
    assert (Kind.GROUP_LENGTH, "(0008,0000)") in score(
        content[:start] + b"\x08\0\0\0UL\x04\0\x10\0\0\0" + content[start:]
    )


def test_preamble_is_found(score: Score) -> None:
    assert score(encoded(clean(), preamble=b"II*\0".ljust(128, b"\0"))) == {(Kind.PREAMBLE, "the preamble")}


def source(meta: FileMetaDataset) -> None:
    meta.SourceApplicationEntityTitle = "PACS"


def private(meta: FileMetaDataset) -> None:
    meta.PrivateInformationCreatorUID = "2.25.7"  # type: ignore[assignment]
    meta.PrivateInformation = b"x\0"


def version(meta: FileMetaDataset) -> None:
    meta.ImplementationVersionName = "SENDER"


@pytest.mark.parametrize(
    ("meta", "places"),
    [
        (source, {"(0002,0016)"}),
        (private, {"(0002,0100)", "(0002,0102)"}),
        (version, {"ImplementationVersionName"}),  # the sender's software
    ],
)
def test_file_meta_is_judged(score: Score, meta: Callable[[FileMetaDataset], None], places: set[str]) -> None:
    assert score(encoded(clean(), meta=meta)) == {(Kind.META, place) for place in places}


def test_uid_of_the_original_file_meta_is_found(score: Score) -> None:
    output = clean()
    output.ManufacturerModelName = "2.25.987654"
    before = encoded(original(), meta=lambda meta: setattr(meta, "PrivateInformationCreatorUID", "2.25.987654"))
    assert (Kind.UID_KEPT, "in no element") not in score(encoded(clean()), before=before)
    assert Kind.UID_KEPT in {kind for kind, _ in score(encoded(output), before=before)}


def test_file_meta_of_another_instance(score: Score) -> None:
    content = encoded(clean())
    at = content.index(b"2.25.333")
    assert (Kind.META, "MediaStorageSOPInstanceUID") in score(content[:at] + b"2.25.334" + content[at + 8 :])


def test_mapping_is_remembered_between_files(score: Score) -> None:
    scorer, other = Scorer(), clean()
    assert score(encoded(clean()), scorer=scorer) == set()
    other.StudyInstanceUID = "2.25.777"
    assert (Kind.UID_INCONSISTENT, "(0020,000D)") in score(encoded(other), scorer=scorer)


def test_big_endian_pixels_are_compared_as_arrays(score: Score) -> None:
    swapped = original()
    words = bytes(range(32))
    swapped.add_new(0x7FE00010, "OW", b"".join(words[at : at + 2][::-1] for at in range(0, 32, 2)))
    before = encoded(swapped, meta=sender, big_endian=True)
    assert score(encoded(clean()), before=before) == set()
    wrong = clean()
    wrong.add_new(0x7FE00010, "OW", bytes(32))
    assert (Kind.PIXELS, "(7FE0,0010)") in score(encoded(wrong), before=before)


def test_values_that_say_nothing_may_come_back(score: Score) -> None:
    before, after = original(), clean()
    before.ContentDate = after.ContentDate = "19000101"
    assert score(encoded(after), before=encoded(before, meta=sender)) == set()


def test_hidden_sequences_are_read() -> None:
    dataset = clean()
    hidden(dataset)
    read = dcmread(BytesIO(encoded(dataset)))
    assert "(0008,2218)[0]/(0010,0020)" in {leaf.place for leaf in leaves(read)}


@pytest.mark.parametrize("explicit", [True, False])
def test_unknown_sequence_is_read_whatever_it_is_encoded_in(explicit: bool) -> None:
    inner = b"\x10\0\x20\0LO\x04\0ABCD" if explicit else b"\x10\0\x20\0\x04\0\0\0ABCD"
    value = b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner
    dataset = Dataset()
    dataset.add(DataElement(0x00191001, "UN", value))
    assert [(leaf.place, leaf.text) for leaf in leaves(dataset)][1:] == [("(0019,1001)[0]/(0010,0020)", "ABCD")]


def test_class_uids_are_no_rows_of_the_table() -> None:
    assert {dictionary_VR(tag) for tag in CLASS_UIDS} == {"UI"}
    assert not [tag for tag in CLASS_UIDS if table.action(tag) is not None]


def test_table_is_whole() -> None:
    assert len(table.tags()) == 653
    assert set(table.basic_actions().values()) == table.CODES


@pytest.mark.parametrize(
    ("tag", "action"),
    [
        (0x00100010, "Z"),
        (0x00191001, "X"),  # private
        (0x501E3000, "X"),  # curves
        (0x50203000, None),  # beyond the repeating groups
        (0x60003000, "X"),
        (0x60000010, None),  # a part of an overlay that is not its data
        (0x00280010, None),
    ],
)
def test_table_actions(tag: int, action: str | None) -> None:
    assert table.action(tag) == action


@pytest.mark.parametrize(
    ("vr", "text", "valid"),
    [
        ("DA", "19000101", True),
        ("DA", "00010101", False),  # before the calendar
        ("DA", "20230230", False),  # no such day
        ("DA", "2023-02-03", False),
        ("TM", "235959.123456", True),
        ("TM", "246060", False),
        ("DT", "20230203101112.5+0100", True),
        ("DT", "20230231", False),
        ("UI", "1.2.3", True),
        ("UI", "1.02.3", False),
        ("UI", "1." + "2" * 64, False),
        ("AS", "053Y", True),
        ("AS", "53Y", False),
        ("CS", "NO", True),
        ("CS", "no", False),
        ("SH", "x" * 16, True),
        ("SH", "x" * 17, False),
        ("LO", "a\\" + "b" * 64, True),  # two values
        ("ST", "a\\" + "b" * 1023, False),  # one value of 1025 characters
        ("PN", "a^b^c^d^e=f=g", True),
        ("PN", "x" * 65, False),
        ("IS", "12", True),
        ("IS", "1.5", False),
        ("DS", "-1.5e3", True),
        ("LO", "", True),
    ],
)
def test_validity(vr: str, text: str, valid: bool) -> None:
    assert is_valid(vr, text) is valid
