"""Filters become conditions that decide as CTP does, where CTP is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from gateway.profile.condition import Condition
from gateway.profile.importers.ctp import import_ctp
from gateway.profile.importers.ctp.filters import FilterError, filter_condition, narrowest_condition, widest_condition
from tests.unit.profile.importers.ctp.support import decision, instance, item, load, values

GIVEN = {
    "Modality": "CT",
    "Manufacturer": "Acme Medical (EU)",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "PatientAge": "045Y",
    "StudyDate": "20200131",
    "Rows": 512,
    "SeriesNumber": "7",
    "SliceThickness": "1.5",
    "AcquisitionNumber": "",
    "AccessionNumber": "0815",
    "BurnedInAnnotation": "",
}


@pytest.mark.parametrize(
    ("script", "passes"),
    [
        # constants
        ("true.", True),
        ("false.", False),
        # equals heeds case, equalsIgnoreCase does not
        ('Modality.equals("CT")', True),
        ('Modality.equals("ct")', False),
        ('Modality.equalsIgnoreCase("ct")', True),
        # what means something to regular expressions is text
        ('Manufacturer.equalsIgnoreCase("ACME MEDICAL (EU)")', True),
        # a missing element is the empty text
        ('StationName.equals("")', True),
        ('BurnedInAnnotation.equals("")', True),
        ('!StationName.contains("X")', True),
        # every text contains the empty text
        ('StationName.contains("")', True),
        # contains, startsWith, endsWith with and without case
        ('Manufacturer.contains("Med")', True),
        ('Manufacturer.contains("med")', False),
        ('Manufacturer.containsIgnoreCase("MED")', True),
        ('Manufacturer.startsWith("Acme")', True),
        ('Manufacturer.startsWithIgnoreCase("ACME")', True),
        ('Manufacturer.startsWith("cme")', False),
        ('Manufacturer.endsWith("(EU)")', True),
        ('Manufacturer.endsWithIgnoreCase("(eu)")', True),
        ('Manufacturer.endsWith("(EU")', False),
        # matches means the whole value
        ('Manufacturer.matches("Acme.*")', True),
        ('Manufacturer.matches("Acme")', False),
        (r'AccessionNumber.matches("\d{4}")', True),
        (r'Manufacturer.matches(".*\Q(EU)\E")', True),
        # several values are one text with backslashes to CTP
        ('ImageType.contains("PRIMARY")', True),
        ('ImageType.contains("SECONDARY")', False),
        ('ImageType.containsIgnoreCase("primary")', True),
        ('ImageType.startsWith("ORIGINAL")', True),
        ('ImageType.startsWith("PRIMARY")', False),
        ('ImageType.endsWith("AXIAL")', True),
        (r'ImageType.equals("ORIGINAL\PRIMARY\AXIAL")', True),
        (r'ImageType.equalsIgnoreCase("original\primary\axial")', True),
        ('ImageType.equals("ORIGINAL")', False),
        ('ImageType.equals("")', False),
        ('ImageType.matches(".*PRIMARY.*")', True),
        # numbers; the integer that CTP compares as text
        ('Rows.equals("512")', True),
        ('Rows.equals("0512")', True),
        ('Rows.startsWith("51")', True),
        ('Rows.matches("51[0-9]")', True),
        ('Rows.isGreaterThan("511")', True),
        ('Rows.isLessThan("512")', False),
        ('SeriesNumber.isLessThan("8")', True),
        # decimals: CTP compares 15 with 20
        ('SliceThickness.isLessThan("2.0")', True),
        ('SliceThickness.isGreaterThan("2")', False),
        ('SliceThickness.equals("1.50")', True),
        # an age and a date, of which CTP takes the digits
        ('PatientAge.isGreaterThan("44")', True),
        ('PatientAge.isGreaterThan("45")', False),
        ('PatientAge.isLessThan("46")', True),
        ('PatientAge.isLessThan("45")', False),
        ('StudyDate.isLessThan("20200201")', True),
        ('StudyDate.isGreaterThan("20200131")', False),
        # text that is a number
        ('AccessionNumber.isGreaterThan("814")', True),
        # no number is neither less nor greater
        ('Rows.isLessThan("many")', False),
        ('AcquisitionNumber.isLessThan("9")', False),
        ('InstanceNumber.isGreaterThan("0")', False),
        # by tag, with and without comma; by the name of dcm4che
        ('[0008,0060].equals("CT")', True),
        ('[00080060].equals("CT")', True),
        ('OperatorName.equals("")', True),
        # inside a sequence
        ('RequestAttributesSequence::ScheduledProcedureStepID.equals("S1")', True),
        ('RequestAttributesSequence::ScheduledProcedureStepID.equals("S2")', False),
        ('RequestAttributesSequence::RequestedProcedureID.equals("")', True),
        # not binds before and, and before or
        ('!Modality.equals("CT") * false. + true.', True),
        ('!(Modality.equals("CT") * false. + true.)', False),
        ("true. + true. * false.", True),
        ("(true. + true.) * false.", False),
        ('!!Modality.equals("CT")', True),
        ('Modality.equals("MR") + Modality.equals("CT") * Rows.equals("512")', True),
        ('(Modality.equals("CT") + Rows.equals("1")) * (Rows.equals("512") + Modality.equals("X"))', True),
        # comments and lines
        ('// CT only\n Modality . equals ( "CT" ) // yes\n * true.', True),
        # a parenthesis and a dot in the text
        ('Manufacturer.contains("l (E")', True),
        ('!Manufacturer.equals("a.b")', True),
    ],
)
def test_decides_as_ctp(tmp_path: Path, script: str, passes: bool) -> None:
    condition = Condition.compile(filter_condition(script).text, place="here")
    assert condition.evaluate(values(tmp_path, given(), condition.keywords)) is passes


def given() -> Dataset:
    dataset = instance(**GIVEN)
    dataset.RequestAttributesSequence = [item(ScheduledProcedureStepID="S1")]
    return dataset


# what passes goes on, what does not is held
@pytest.mark.parametrize(("script", "outcome"), [('Modality.equals("CT")', "accepted"), ("false.", "held")])
def test_the_profile_decides_so(tmp_path: Path, script: str, outcome: str) -> None:
    path = tmp_path / "filter.script"
    path.write_text(script, encoding="utf-8")
    program = load(tmp_path, import_ctp(None, path, None, "imported"))
    assert decision(tmp_path, program, given()) == outcome


@pytest.mark.parametrize(
    ("script", "line", "problem"),
    [
        # CTP takes all of these as false; here the reason is told, and every instance is held
        ("", 1, "a test is missing"),
        ('Modality.equals("CT") *', 1, "a test is missing"),
        ('Modality.equals("CT") Rows.equals("1")', 1, '"R" stands where the filter should end'),
        ('Modality.equal("CT")', 1, 'did you mean "equals"'),
        ("Modality.equals(CT)", 1, "quotation marks"),
        ('true. *\nModality.equals("CT)', 2, "a quotation mark is not closed"),
        ('(Modality.equals("CT")', 1, "a parenthesis is not closed"),
        ('Modalty.equals("CT")', 1, "Modalty"),
        ("true. & false.", 1, '"&" stands'),
        ("(" * 100, 1, "nested too deeply"),
        # what conditions cannot say
        ('[0019,[ACME]10].equals("x")', 1, "private"),
        ('PixelData.equals("x")', 1, "VR"),
        ('TransferSyntaxUID.equals("1.2")', 1, "no element of the data set"),
        ('Manufacturer.matches("(?=A).*")', 1, "pattern"),
        (r'ImageType.matches("ORIGINAL\\\\PRIMARY.*")', 1, "several values"),
        ('PixelSpacing.contains("0.5")', 1, "list of numbers"),
        ('SliceThickness.contains("1.5")', 1, "decimal"),
        ('RequestAttributesSequence::ScheduledProtocolCodeSeq::CodeValue.equals("x")', 1, "one sequence deep"),
        # a number is a tag: group 0000
        ('A.equals("x")', 1, "no element of the data set"),
    ],
)
def test_refuses(tmp_path: Path, script: str, line: int, problem: str) -> None:
    with pytest.raises(FilterError) as caught:
        filter_condition(script)
    assert problem in str(caught.value)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("script", "passes"),
    [
        # an element that the standard does not have is read as empty
        ('[1018,1018].equals("")', True),
        ('[1018,1018].equals("DIGITIZED")', False),
        ('![1018,1018].contains("X")', True),
        ('[1018,1018].startsWith("")', True),
        ('[1018,1018].matches(".*")', True),
        ('[1018,1018].matches("X+")', False),
        ('[1018,1018].isLessThan("5")', False),
        ('[1018,1018].equals("") * Modality.equals("MR")', False),
        # a text across several values
        (r'ImageType.contains("ORIGINAL\PRIMARY")', True),
        (r'ImageType.contains("MARY\AX")', True),
        (r'ImageType.containsIgnoreCase("mary\ax")', True),
        (r'ImageType.contains("L\PRIMARY\A")', True),
        (r'ImageType.contains("ORIGINAL\AXIAL")', False),
        (r'ImageType.contains("L\PRIM\A")', False),
        (r'ImageType.contains("AXIAL\X")', False),
        (r'ImageType.contains("\PRIMARY")', True),
        (r'ImageType.startsWith("ORIGINAL\PRI")', True),
        (r'ImageType.startsWith("PRIMARY\AX")', False),
        (r'ImageType.endsWith("MARY\AXIAL")', True),
        (r'ImageType.endsWith("ORIGINAL\PRIMARY")', False),
    ],
)
def test_decides_as_ctp_where_the_standard_has_nothing(tmp_path: Path, script: str, passes: bool) -> None:
    found = Condition.compile(filter_condition(script).text, place="here")
    assert found.evaluate(values(tmp_path, instance(**GIVEN), found.keywords)) is passes


#: A test that no condition says.
UNSAID = 'PixelData.equals("x")'


@pytest.mark.parametrize(
    ("script", "widest", "narrowest"),
    [
        (UNSAID, "true", "false"),
        (f"!{UNSAID}", "true", "false"),
        # the other tests say as much as they can
        (f'Modality.equals("US") * {UNSAID}', 'Modality == "US"', "false"),
        (f'Modality.equals("US") + {UNSAID}', "true", 'Modality == "US"'),
        (f'Modality.equals("US") * !{UNSAID}', 'Modality == "US"', "false"),
        (f'!(Modality.equals("US") * {UNSAID})', "true", 'Modality != "US"'),
        (f'!(Modality.equals("US") + {UNSAID})', 'Modality != "US"', "false"),
        (f'!(!Modality.equals("US") + !{UNSAID})', '!(Modality != "US")', "false"),
        (f'(Modality.equals("US") + {UNSAID}) * Rows.equals("5")', '(present("Rows") && Rows == 5)',
         'Modality == "US" && present("Rows") && Rows == 5'),
        # a name of no element is such a test
        ('Modality.equals("US") * Modalty.equals("X")', 'Modality == "US"', "false"),
        # all can be said: nothing changes
        ('Modality.equals("US")', 'Modality == "US"', 'Modality == "US"'),
    ],
)  # fmt: skip
def test_what_cannot_be_said_counts_as_whatever_is_safe(script: str, widest: str, narrowest: str) -> None:
    assert (widest_condition(script).text, narrowest_condition(script).text) == (widest, narrowest)


def test_a_method_that_ctp_does_not_know_lets_nothing_pass() -> None:
    script = 'Modality.equals("US") + Manufacturer.contain("X")'
    assert widest_condition(f"{script}").text == "true"
    with pytest.raises(FilterError, match='"contain" is no method'):
        narrowest_condition(script)
    for broken in ("", 'Modality.equals("US") *', '(Modality.equals("US")', 'true. * Modality.equals("US)'):
        for made in (widest_condition, narrowest_condition):
            with pytest.raises(FilterError):
                made(broken)


def test_a_filter_of_which_a_part_cannot_be_said_holds_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "filter.script"
    path.write_text(f'Modality.equals("CT") + {UNSAID}', encoding="utf-8")
    imported = import_ctp(None, path, None, "imported")
    program = load(tmp_path, imported)
    assert [one.place for one in imported.not_carried] == ["filter.script:1"]
    assert decision(tmp_path, program, instance(Modality="CT")) == "accepted"
    assert decision(tmp_path, program, instance(Modality="MR")) == "held"


def test_a_filter_that_cannot_be_imported_holds_everything(tmp_path: Path) -> None:
    path = tmp_path / "filter.script"
    path.write_text('Modality.equal("CT")', encoding="utf-8")
    imported = import_ctp(None, path, None, "imported")
    assert [one.place for one in imported.not_carried] == ["filter.script:1"]
    assert decision(tmp_path, load(tmp_path, imported), instance(Modality="CT")) == "held"


def test_what_ctp_compares_otherwise_is_told(tmp_path: Path) -> None:
    path = tmp_path / "filter.script"
    path.write_text('SliceThickness.isLessThan("2.0") *\nRefImageSeq::RefSOPClassUID.equals("1")', encoding="utf-8")
    imported = import_ctp(None, path, None, "imported")
    assert [(one.place, "digits" in one.why, "first item" in one.why) for one in imported.not_carried] == [
        ("filter.script:1", True, False),
        ("filter.script:2", False, True),
    ]


def test_conditions_are_readable() -> None:
    text = filter_condition('!Modality.equals("SR") * Rows.isGreaterThan("100") + !StationName.equals("")').text
    assert text == '(Modality != "SR" && present("Rows") && Rows > 100) || StationName != ""'
    assert Condition.compile(text, place="here").evaluate({"Modality": "CT", "Rows": 512})
