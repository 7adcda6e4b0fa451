"""Elements as people name them."""

from __future__ import annotations

import pytest

from gateway.profile.element import ElementName, parse_element


@pytest.mark.parametrize(
    ("text", "path", "tag", "creator", "shown"),
    [
        ("PatientName", (), 0x00100010, "", "PatientName"),  # a keyword
        ("(0010,0010)", (), 0x00100010, "", "PatientName"),  # a tag as the standard writes it
        ("0010,0010", (), 0x00100010, "", "PatientName"),  # and as people write it
        ("00100010", (), 0x00100010, "", "PatientName"),
        ("/PatientName", (), 0x00100010, "", "PatientName"),  # the top level, as a target says it
        (
            "RequestAttributesSequence/(0040,0009)",
            (0x00400275,),
            0x00400009,
            "",
            "RequestAttributesSequence/ScheduledProcedureStepID",
        ),  # inside a sequence
        ("OverlayData", (), 0x60003000, "", "OverlayData"),  # a repeating group: its first
        ("(0009,1001)", (), 0x00091001, "", "(0009,1001)"),  # private, whose creator is not known
        ("(0019,xx10) SIEMENS MR HEADER", (), 0x00191010, "SIEMENS MR HEADER", "(0019,xx10) SIEMENS MR HEADER"),
        ("(0019,XX10) A/B", (), 0x00191010, "A/B", "(0019,xx10) A/B"),  # a creator may hold a slash
        (
            "RequestAttributesSequence/(0019,xx10) ACME",
            (0x00400275,),
            0x00191010,
            "ACME",
            "RequestAttributesSequence/(0019,xx10) ACME",
        ),
    ],
)
def test_names(text: str, path: tuple[int, ...], tag: int, creator: str, shown: str) -> None:
    found = parse_element(text)
    assert found == ElementName(path, tag, creator)
    assert str(found) == shown


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("PatientNam", 'did you mean "PatientName"?'),  # a misspelt keyword
        ("(0010,001)", "no element of the data dictionary"),  # a digit is missing
        ("", "no element"),  # nothing
        ("(0010,xx10) ACME", "only private elements"),  # a creator of an even group
        ("(0019,0001)", "the group has no such element"),  # below the creators of a private group
        ("NoSequence/PatientName", "no element"),  # the path is wrong
    ],
)
def test_no_names(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("?", r"\?")):
        parse_element(text)
