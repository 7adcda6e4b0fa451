"""gateway.profile.target: what the names in rules stand for."""

from __future__ import annotations

import pytest

from gateway.profile.target import At, ByVr, Default, Mask, PrivateElement, Target, parse_target

REQUEST, PATIENT_NAME, STEP_ID = 0x00400275, 0x00100010, 0x00400009


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("PatientName", PATIENT_NAME),
        ("(0010,0010)", PATIENT_NAME),
        ("(60xx,3000)", Mask(0xFF01FFFF, 0x60003000)),
        ("OverlayData", Mask(0xFF01FFFF, 0x60003000)),  # keywords of repeating groups
        ("private", Default.PRIVATE),
        ("(odd,xxxx)", Default.PRIVATE),
        ("unknown", Default.UNKNOWN),
        ("unlisted", Default.UNLISTED),
        ("safe-private", Default.SAFE_PRIVATE),
        ("VR:PN", ByVr("PN")),
        # private elements by their creator, compared in capital letters
        ("(0019,xx10) SIEMENS MR HEADER", PrivateElement(0x0019, 0x10, "SIEMENS MR HEADER")),
        ("(0019,xx0c)  Siemens MR Header ", PrivateElement(0x0019, 0x0C, "SIEMENS MR HEADER")),
        ("(7053,xx00) Philips PET/CT", PrivateElement(0x7053, 0x00, "PHILIPS PET/CT")),  # no path
        ("(0029,xxxx) ACME 1.1", PrivateElement(0x0029, None, "ACME 1.1")),
        # places
        ("/PatientName", At((), PATIENT_NAME)),
        ("*/PatientName", At(("*",), PATIENT_NAME)),
        ("**/PatientName", At(("**",), PATIENT_NAME)),
        ("RequestAttributesSequence/ScheduledProcedureStepID", At((REQUEST,), STEP_ID)),
        ("(0040,0275)/(0040,0009)", At((REQUEST,), STEP_ID)),
        ("RequestAttributesSequence/**/*/PatientName", At((REQUEST, "**", "*"), PATIENT_NAME)),
    ],
)
def test_targets(name: str, target: Target) -> None:
    assert parse_target(name) == target


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("PatientNmae", 'did you mean "PatientName"'),
        ("(0019,1010)", 'with its creator, such as "(0019,xx10) ACME 1.1"'),
        ("(0019,xx10)", "with its creator"),
        ("(0019,1010) ACME", 'the block varies from file to file, write "(0019,xx10) ACME"'),
        ("(0019,xx1x) ACME", "write the last two digits"),
        ("(0019,xx10)ACME", "a blank stands between"),
        ("(0007,xx10) ACME", "no private elements in this group"),
        ("(0019,xx10) A\\B", "no backslash"),
        ("(0019,xx10) " + "A" * 65, "at most 64 characters"),
        ("(0018,1010) ACME", "nothing may follow a tag of an even group"),
        ("VR:XX", 'there is no VR "XX"'),
        ("VR:pn", 'did you mean "PN"'),
        ("VR:UN", 'there is no VR "UN"'),
        # paths
        ("PatientName/StudyDate", "PatientName has VR PN and is no sequence"),
        ("RequestAttributesSequnce/StudyDate", 'did you mean "RequestAttributesSequence"'),
        ("RequestAttributesSequence/", "ends in an element"),
        ("RequestAttributesSequence/*", "ends in an element"),
        ("RequestAttributesSequence//StudyDate", "a step of the path is empty"),
        ("//StudyDate", "a step of the path is empty"),
        ("*/private", "ends in one element of the standard"),
        ("*/VR:PN", "ends in one element of the standard"),
        ("*/(60xx,3000)", "not in a pattern"),
        ("(60xx,3000)/StudyDate", "are sequences, * and **"),
        ("*/(0019,xx10) ACME", "ends in one element of the standard"),
        ("DeviceSequence.Manufacturer", "a path is written with slashes"),
        ("DeviceSequence[0]", "a path is written with slashes"),
        ("***", "neither a keyword nor a tag"),
    ],
)
def test_what_is_no_target(name: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words are compared below
        parse_target(name)
    assert words in str(caught.value)


def test_a_vr_reaches_the_standards_elements() -> None:
    tags = ByVr("PN").tags()
    assert {PATIENT_NAME, 0x00080090} <= tags
    assert not any(tag & 0x00010000 for tag in tags)
    # Affected SOP Instance UID is a command element.
    assert 0x00001000 not in ByVr("UI").tags()
    # Overlay Label is in a repeating group.
    assert Mask(0xFF01FFFF, 0x60001500) in ByVr("LO").masks()
