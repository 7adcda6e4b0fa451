"""Explanations name every rule that may decide about an element, strongest first."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.profile import Program, load_profile
from gateway.profile.element import parse_element
from gateway.profile.explain import candidates, explain

MR = "1.2.840.10008.5.1.4.1.1.4"
PROFILE = """\
profile: mine
use: [basic]
identity: {patient: {pseudonym: keyed, format: "P-{base32:10}"}}
attributes:
  - keep: [StudyDescription]
    when: Modality == "CR"
    because: needed
  - keep: ["RequestAttributesSequence/ScheduledProcedureStepID"]
  - empty: ["**/ScheduledProcedureStepID"]
  - keep: ["(0019,xx10) SIEMENS MR HEADER"]
  - replace: {InstitutionName: Somewhere}
  - insert: {ClinicalTrialProtocolID: X7}
  - remove: ["(60xx,0022)"]
    when: Modality == "CT"
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    file = tmp_path_factory.mktemp("profile") / "mine.yaml"
    file.write_text(PROFILE)
    return load_profile(file)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        # a condition first, then what holds without it
        (
            "StudyDescription",
            [('Modality == "CR"', "keep", "mine", "stays as it is"), ("", "remove", "basic", "is removed")],
        ),
        # a rule for a place, which nothing at that place passes
        ("RequestAttributesSequence/ScheduledProcedureStepID", [("", "keep", "mine", "stays as it is")]),
        # another place
        ("ReferencedRequestSequence/ScheduledProcedureStepID", [("", "empty", "mine", "stays without a value")]),
        # the top level, which no path names
        ("ScheduledProcedureStepID", [("", "remove", "basic", "is removed")]),
        # a private element by its creator, in any spelling
        ("(0019,xx10) Siemens MR Header", [("", "keep", "mine", "stays as it is")]),
        # another one, and one whose creator is not told
        ("(0019,xx11) SIEMENS MR HEADER", [("", "remove", "basic", "is removed")]),
        ("(0019,1010)", [("", "remove", "basic", "is removed")]),
        # the pseudonym, whatever the rule of the table says
        (
            "PatientName",
            [
                (
                    "",
                    "empty",
                    "basic",
                    (
                        "is replaced by the patient's pseudonym, "
                        "computed from the project's secret in the form P-{base32:10}"
                    ),
                )
            ],
        ),
        # written by the profile
        ("InstitutionName", [("", "replace", "mine", 'is replaced by "Somewhere"')]),
        (
            "ClinicalTrialProtocolID",
            [("", "insert", "mine", 'is written, whether it was there or not, with "X7"')],
        ),
        # a conditional pattern above an unconditional one
        (
            "(6000,0022)",
            [('Modality == "CT"', "remove", "mine", "is removed"), ("", "remove", "basic", "is removed")],
        ),
        # what no rule names, what nobody knows, what the standard itself fixes
        ("Rows", [("", "keep", "basic", "stays as it is")]),
        ("(0012,F0F0)", [("", "remove", "basic", "is removed")]),
        ("(0008,0000)", [("", "remove", "standard", "is removed")]),
    ],
)
def test_reasons(program: Program, element: str, expected: list[tuple[str, str, str, str]]) -> None:
    found = explain(program, parse_element(element))
    assert [(one.when, one.verb, one.layer, one.words) for one in found.reasons] == expected


def test_place_clause_and_reason(program: Program) -> None:
    conditional, otherwise = explain(program, parse_element("StudyDescription")).reasons
    assert conditional.place.endswith("mine.yaml:5")
    assert conditional.because == "needed"
    assert otherwise.clause == "PS3.15 Table E.1-1"
    assert otherwise.place.startswith("profiles/basic.yaml:")


@pytest.mark.parametrize(
    ("sop_class", "types"),
    [
        # not decided: all three
        (
            "",
            [
                ("Type 1", "is replaced by a dummy value"),
                ("Type 2", "stays without a value"),
                ("Type 3", "is removed"),
            ],
        ),
        # decided by the IOD: Content Date is Type 2C in the General Image Module (PS3.3 C.7.6.1)
        (MR, [("Type 2C", "stays without a value")]),
    ],
)
def test_types(tmp_path: Path, sop_class: str, types: list[tuple[str, str]]) -> None:
    file = tmp_path / "typed.yaml"
    file.write_text("profile: typed\nuse: [basic]\nattributes: [{remove-or-empty-or-dummy: [ContentDate]}]\n")
    found = explain(load_profile(file), parse_element("ContentDate"), sop_class_uid=sop_class)
    assert list(found.reasons[0].types) == types


@pytest.mark.parametrize(
    ("element", "condition"),
    [
        # in Table E.3.10-1
        ("(2005,xx0D) Philips MR Imaging DD 001", "the instance's own (0008,0300) says nothing else"),
        # not in it
        ("(2005,xx0D) ACME", "the instance's own (0008,0300) calls it safe"),
        # whose creator is not told
        ("(2005,100D)", "the standard or the instance's own (0008,0300) calls it safe"),
    ],
)
def test_safe_private_elements_of_a_sender_that_is_believed(tmp_path: Path, element: str, condition: str) -> None:
    file = tmp_path / "safe.yaml"
    rule = "attributes: [{keep: [safe-private], believe: sender, because: ours}]"
    file.write_text(f"profile: safe\nuse: [basic, retain-safe-private]\n{rule}\n")
    safe, otherwise = explain(load_profile(file), parse_element(element)).reasons
    assert (safe.when, safe.verb, safe.layer) == (condition, "keep", "safe")
    assert (otherwise.when, otherwise.verb) == ("", "remove")


@pytest.mark.parametrize(
    ("element", "conditions"),
    [
        ("(2005,xx0D) Philips MR Imaging DD 001", ["the instance's own (0008,0300) says nothing else", ""]),
        ("(2005,xx0D) ACME", [""]),
        ("(2005,100D)", ["the standard calls it safe", ""]),
    ],
)
def test_safe_private_elements(tmp_path: Path, element: str, conditions: list[str]) -> None:
    file = tmp_path / "safe.yaml"
    file.write_text("profile: safe\nuse: [basic, retain-safe-private]\n")
    reasons = explain(load_profile(file), parse_element(element)).reasons
    assert [reason.when for reason in reasons] == conditions
    otherwise = reasons[-1]
    assert (otherwise.when, otherwise.verb) == ("", "remove")


def test_unknown_sop_class(program: Program) -> None:
    with pytest.raises(ConfigurationError, match="no storage SOP class"):
        explain(program, parse_element("Rows"), sop_class_uid="1.2.3")


def test_candidates_agree_with_the_specialised_program(program: Program) -> None:
    """The first candidate whose condition holds is what the engine's program does."""
    for outcome in range(1 << len(program.conditions)):
        truths = [bool(outcome >> number & 1) for number in range(len(program.conditions))]
        true = {one for one, holds in zip(program.conditions, truths, strict=True) if holds}
        special = program.specialise(truths)
        for tag in program.rules:
            if any(tag == one for one, _ in program.inserts):
                continue
            element = parse_element(f"{tag:08X}")
            first = next(one for one in candidates(program, element) if one.when is None or one.when in true)
            assert first == special.action(tag)


@pytest.mark.parametrize(
    ("dates", "element", "words"),
    [
        # one with a date goes where dates are shifted, and what is about UIDs says so
        ("retain-longitudinal-modified-dates", "StudyInstanceUID", "another is replaced"),
        # at any depth
        (
            "retain-longitudinal-modified-dates",
            "ReferencedImageSequence/ReferencedSOPInstanceUID",
            "another is replaced",
        ),
        # what is no UID is not spoken of
        ("retain-longitudinal-modified-dates", "Rows", "stays as it is"),
    ],
)
def test_retained_uids_with_a_date_are_told(tmp_path: Path, dates: str, element: str, words: str) -> None:
    file = tmp_path / "retains.yaml"
    file.write_text(
        f"profile: retains\nuse: [basic, retain-uids, {dates}]\ndates: {{shift: per-patient, days: -730..-1}}\n"
    )
    reasons = explain(load_profile(file), parse_element(element)).reasons
    assert words in reasons[0].words
