"""Conditions with the types of the dictionary, and their functions on instances."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset

from gateway.errors import ProfileError, RuleFailed
from gateway.profile import Condition, check_profile
from gateway.profile.situation import situation
from gateway.rehearsal.smallest_images import Smallest, smallest
from tests.fixtures.treating import opened
from tests.unit.profile.writing import BASE, write


def compiled(text: str) -> Condition:
    return Condition.compile(text, place="p.yaml:3:5")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # numbers are compared with numbers
        ('Rows > "512"', 'Rows is a number, and "512" is text: write Rows > 512'),
        ('present("Rows") && "512" <= Rows', 'Rows is a number, and "512" is text: write Rows >= 512'),
        ('SliceThickness < "thin"', 'SliceThickness is a number, and "thin" is text'),
        # ages and dates are text
        ("PatientAge < 18", 'PatientAge is text such as "018Y": write age_years() < 18'),
        ("18 > PatientAge", "write age_years() < 18"),
        ("StudyDate > 20200101", 'StudyDate is text: write StudyDate > "20200101"'),
        ("StationName >= 3", "StationName is text, and 3 is a number: write double(StationName) >= 3"),
        # one value or several
        ('"CT" in Modality', 'Modality has one value and is no list: write Modality == "CT"'),
        ('ImageType.contains("DERIVED")', "write ImageType.exists(v, v.contains(...))"),
        ('Modality.exists(v, v == "CT")', "Modality has one value and is no list, which exists needs"),
        ("PixelSpacing > 1", "PixelSpacing is a list, for it may have several values: write PixelSpacing[0] > ..."),
        ('Rows.startsWith("5")', "Rows is a number: write string(Rows).startsWith(...)"),
        # SOP classes
        ('SOPClassUID == "CTImageStorag"', 'did you mean "CTImageStorage"?'),
        ('SOPClassUID in ["CTImage"]', 'did you mean "CTImageStorage"?'),
        ('sop_class == "CT"', "neither a UID nor the keyword of a SOP class"),
        ('TransferSyntaxUID == "JPEG"', "neither a UID nor the keyword of a transfer syntax"),
        # file meta information and private elements
        ('MediaStorageSOPInstanceUid == "1"', 'did you mean "MediaStorageSOPInstanceUID"?'),
        ('ImplementationVersionName == "X"', "ImplementationVersionName, which is no element of a data set"),
        ('present("FileSetID")', "FileSetID, which is no element of a data set"),
        ('value("(0019,1010) ACME") == "X"', "is no private element: write it as"),
        ('value("PatientName") == "X"', "write PatientName itself"),
        ('items("RequestAttributesSequence/StudyDate", "CodeValue") == []', "items of StudyDate, which has VR DA"),
    ],
)
def test_wrong_types(text: str, words: str) -> None:
    with pytest.raises(ProfileError) as caught:
        compiled(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('Rows == "512"', 'Rows is a number and never equals the text "512": write 512 without quotes'),
        ("PatientAge == 18", "PatientAge is text and never equals the number 18: write age_years()"),
        ("StudyDate in [20200101]", 'write "20200101" in quotes'),
        ('ImageType == "DERIVED"', 'never equals "DERIVED": write "DERIVED" in ImageType'),
        ('Modality == "ct"', 'did you mean "CT"?'),
        ('Modality in ["CT", "mr"]', 'did you mean "MR"?'),
        ('Modality == " CT"', "blanks around a value do not count"),
        ('StudyDate == "2020-01-31"', 'a date is written as "20260131"; did you mean "20200131"?'),
        ('PatientAge == "18Y"', 'did you mean "018Y"?'),
        ('PatientSex == "FEMALE"', 'PatientSex never equals "FEMALE": it is one of M, F, O'),
        ('PatientAge > "018Y"', "ages in days, months and years do not sort: write age_years()"),
        ('StationName == "A NAME THAT IS FAR TOO LONG"', "at most 16 characters"),
        ('!(Modality == "ct")', 'did you mean "CT"?'),  # it is always true, which was hardly meant
        ('Modality == "CT" && Modality == "MR"', "no instance can meet all that is said of Modality"),
        ('Modality in ["CT"] && Modality in ["MR", "US"]', "no instance can meet all that is said of Modality"),
        ("Rows > 1024 && Rows < 512", "no instance can meet all that is said of Rows"),
        ("Rows == 100 && Rows > 512", "no instance can meet all that is said of Rows"),
    ],
)
def test_what_no_instance_can_meet(tmp_path: Path, text: str, words: str) -> None:
    (doubt,) = compiled(text).doubts
    assert words in doubt
    path = write(tmp_path, BASE + f"attributes:\n- remove: [PatientAge]\n  when: '{text}'\n")
    (warning,) = check_profile(path).warnings
    assert (warning.line, warning.column, warning.text) == (5, 9, doubt)


@pytest.mark.parametrize(
    "text",
    [
        'Modality in ["CT", "MR"] && Manufacturer == "Siemens Healthineers"',  # LO has small letters
        'Modality == "CT" || Modality == "MR"',  # either
        '(Modality == "CT") && !(Modality == "MR")',  # one of them denied
        "Rows > 512 && Rows < 1024 && PixelSpacing[0] < 0.5",  # a range
        'ImageType.exists(Modality, Modality == "x")',  # a name that the macro binds
        'present("PatientAge") && PatientAge >= "045"',  # the digits alone
        'PatientSex == ""',  # what is missing
        'StudyDate > "20200101" && StudyTime < "12"',  # texts in order
        'string(Rows) == "512" && size(ImageType) > 2',  # a function's value
    ],
)
def test_nothing_to_doubt(text: str) -> None:
    assert compiled(text).doubts == ()


def evaluated(folder: Path, text: str, change: Dataset) -> bool:
    dataset = next(one.dataset for one in smallest() if (one.kind, one.form) == ("CT", "full"))
    dataset.update(change)
    condition = compiled(text)
    with opened(Smallest("CT", "full", dataset).write(folder)) as instance:
        return condition.evaluate(situation(instance, condition.keywords))


def dataset(**values: object) -> Dataset:
    found = Dataset()
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


PRIVATE = Dataset()
PRIVATE.private_block(0x0019, "Acme 1.1", create=True).add_new(0x10, "LO", "PHANTOM/7")
PRIVATE.private_block(0x0019, "ACME/2", create=True).add_new(0x11, "DS", "1.5")
PRIVATE.private_block(0x0019, "ACME/2").add_new(0x12, "OB", b"\1\2")
DEEP = dataset(RequestAttributesSequence=[dataset(ReferencedStudySequence=[dataset(ReferencedSOPInstanceUID="1.2")])])


@pytest.mark.parametrize(
    ("text", "change", "expected"),
    [
        # ages: as stated, in any unit, or from the dates
        ("age_years() == 17", dataset(PatientAge="017Y"), True),
        ("age_years() < 18", dataset(PatientAge="018Y"), False),
        ("age_years() == 1", dataset(PatientAge="018M"), True),
        ("age_years() == 0", dataset(PatientAge="090D"), True),
        ("age_years() == 17", dataset(PatientAge="", PatientBirthDate="20020301", StudyDate="20200229"), True),
        ("age_years() == 18", dataset(PatientAge="", PatientBirthDate="20020228", StudyDate="20200229"), True),
        ("age_years() == 18", dataset(PatientAge="", PatientBirthDate="20020101", StudyDate=""), True),
        # days between
        ("days_between(StudyDate, ContentDate) == 1", dataset(StudyDate="20200229", ContentDate="20200301"), True),
        ("days_between(StudyDate, ContentDate) == -1", dataset(StudyDate="20200301", ContentDate="20200229"), True),
        # texts whatever their case and accents
        ('same(Manufacturer, "GE Médical")', dataset(Manufacturer="ge  MEDICAL"), True),
        ('Manufacturer.same("GE")', dataset(Manufacturer="ge medical"), False),
        ('same(ImageType, "derived")', dataset(ImageType=["DERIVED", "PRIMARY"]), True),
        ('contains_any(StudyDescription, ["tórax", "chest"])', dataset(StudyDescription="RX TORAX PA"), True),
        ('contains_any(StudyDescription, ["tórax", ""])', dataset(StudyDescription="RX PELVIS"), False),
        # SOP classes and file meta information
        ('SOPClassUID in ["CTImageStorage", "1.2.3"]', dataset(), True),
        ('"MRImageStorage" == SOPClassUID', dataset(), False),
        ('sop_class == "CTImageStorage"', dataset(), True),
        ('sop_class in ["1.2.840.10008.5.1.4.1.1.4"]', dataset(), False),
        ('sop_class.startsWith("CT")', dataset(), True),
        ('TransferSyntaxUID == "ExplicitVRLittleEndian"', dataset(), True),
        ('MediaStorageSOPClassUID == "CTImageStorage"', dataset(), True),
        # private elements, by their creator in any spelling
        ('value("(0019,xx10) ACME 1.1").startsWith("PHANTOM/")', PRIVATE, True),
        ('double(value("(0019,xx11) acme/2")) > 1.0', PRIVATE, True),
        ('present("(0019,xx12) ACME/2")', PRIVATE, True),
        ('present("(0019,xx13) ACME/2") || value("(0021,xx10) ACME 1.1") != ""', PRIVATE, False),
        # items of items
        ('"1.2" in items("RequestAttributesSequence/ReferencedStudySequence", "ReferencedSOPInstanceUID")', DEEP, True),
        ('size(items("DeviceSequence/ReferencedStudySequence", "ReferencedSOPInstanceUID")) == 0', DEEP, True),
    ],
)  # fmt: skip
def test_what_conditions_can_ask(tmp_path: Path, text: str, change: Dataset, expected: bool) -> None:
    assert evaluated(tmp_path, text, change) is expected


@pytest.mark.parametrize(
    ("text", "change", "reason"),
    [
        # who has no age may be a minor
        ("age_years() < 18", dataset(PatientAge="", PatientBirthDate=""), "the age of the patient is not known"),
        ("age_years() < 18", dataset(PatientAge="", PatientBirthDate="20250101"),
         "the age of the patient is not known"),
        ("days_between(StudyDate, ContentDate) > 1", dataset(ContentDate=""), "one of the two dates is not known"),
        ('value("(0019,xx12) ACME/2") == "x"', PRIVATE, "conditions cannot compare VR OB"),
    ],
)  # fmt: skip
def test_what_an_instance_does_not_say(tmp_path: Path, text: str, change: Dataset, reason: str) -> None:
    with pytest.raises(RuleFailed) as caught:
        evaluated(tmp_path, text, change)
    assert caught.value.facts["reason"] == reason


def test_a_computed_argument_is_an_error_of_the_rule() -> None:
    condition = compiled('value("(0019,xx10) " + Modality) == ""')
    with pytest.raises(RuleFailed):
        condition.evaluate({"Modality": "ACME"})
