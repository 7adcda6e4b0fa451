"""gateway.profile.check: errors with their place, and what the author has perhaps not meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.profile import check_profile
from tests.unit.profile.writing import BASE, attributes, write


def test_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, BASE + "attributes:\n  - keep: [PatientNmae]\n")
    report = check_profile(path)
    (error,) = report.errors
    assert (report.program, report.warnings) == (None, ())
    assert (error.file, error.line, error.column) == (str(path), 4, 12)
    assert error.text == '"PatientNmae" is no keyword of the data dictionary; did you mean "PatientName"?'
    assert error.excerpt == "  - keep: [PatientNmae]\n           ^"
    assert str(error).startswith(f"{path}:4:12: ")


def test_an_error_without_a_line(tmp_path: Path) -> None:
    (error,) = check_profile(tmp_path / "none.yaml").errors
    assert "cannot be read" in str(error)


def test_nothing_to_say(tmp_path: Path) -> None:
    report = check_profile(write(tmp_path, attributes("{keep: [PatientSex], because: decided}")))
    assert (report.errors, report.warnings) == ((), ())
    assert report.program is not None


@pytest.mark.parametrize(
    ("rules", "line", "words"),
    [
        # rules that never do anything
        (["{keep: ['(0010,9990)'], because: x}"], 4, "(0010,9990) is not in the data dictionary"),
        (["remove: [SourceApplicationEntityTitle]"], 4, "is no element of a data set: the rule never applies"),
        (["{keep: [DeidentificationMethod], because: x}"], 4, "the gateway writes this element itself"),
        (["empty: [PatientID]"], 4, "PatientID holds the patient's pseudonym"),
        (
            ["{keep: ['OriginalAttributesSequence/StudyDate'], because: x}"],
            4,
            "the rule never applies, for OriginalAttributesSequence itself has the rule remove",
        ),
        (["{keep: ['(0019,xxEE) SIEMENS MR HEADER'], because: x}"], 4, "not in the dictionary of private elements"),
        # rules that another one overrides
        (
            ["{keep: [PatientSex], when: Rows > 1, because: x}", "remove: [PatientSex]"],
            4,
            "PatientSex: keep never counts, for mine.yaml, line 5 says remove",
        ),
        (
            ["{keep: ['*/PatientSex'], because: x, when: Rows > 1}", "remove: ['*/PatientSex']"],
            4,
            "*/PatientSex: keep never counts, for mine.yaml, line 5 says remove",
        ),
        # rules by which the profile is weaker than basic, without a reason
        (["keep: [PatientSex]"], 4, "PatientSex: keep is weaker than the basic profile, which says empty: add because"),
        (["generalise: {PatientAge: {top: 090Y}}"], 4, "PatientAge: generalise is weaker"),
        (["keep: ['*/StudyDate']"], 4, "*/StudyDate: keep is weaker"),
        (["keep: ['VR:AS']"], 4, "VR:AS: keep is weaker"),
        (["keep: ['(60xx,3000)']"], 4, "(60xx,3000): keep is weaker"),
        (["keep: ['(0019,xx0C) SIEMENS MR HEADER']"], 4, "(0019,xx0C) SIEMENS MR HEADER: keep is weaker"),
        (["keep: [safe-private]"], 4, "safe-private: keep is weaker"),
        (["clean: [StudyDescription]"], 4, "StudyDescription: clean is weaker"),
    ],
)
def test_warnings(tmp_path: Path, rules: list[str], line: int, words: str) -> None:
    path = write(tmp_path, attributes(*rules))
    # profiles that keep private elements are warned of mosaics, too: test_check_mosaic.py
    (warning,) = [one for one in check_profile(path).warnings if not one.text.startswith("mosaics")]
    assert words in warning.text
    assert (warning.file, warning.line) == (str(path), line)


@pytest.mark.parametrize(
    "rule",
    [
        "remove: [Rows]",  # stricter than basic
        "{keep: [PatientSex], because: decided}",
        "keep: [Rows]",  # as basic
        "replace: {InstitutionName: Service}",
        "dummy: [PatientSex]",
        "insert: {ClinicalTrialProtocolID: A}",
    ],
)
def test_no_warnings(tmp_path: Path, rule: str) -> None:
    assert check_profile(write(tmp_path, attributes(rule))).warnings == ()


def test_an_earlier_layer_that_is_overridden(tmp_path: Path) -> None:
    write(tmp_path, "profile: one\nattributes:\n  - remove: ['(60xx,3000)', Rows]\n", "one")
    path = write(
        tmp_path, "profile: mine\nuse: [basic, one]\nattributes:\n  - remove: ['(60xx,xxxx)', '(0028,00xx)']\n"
    )
    texts = [warning.text for warning in check_profile(path, search=[tmp_path]).warnings]
    assert texts == [
        "(60xx,3000): remove never counts, for mine.yaml, line 4 says remove",
        "Rows: remove never counts, for mine.yaml, line 4 says remove",
    ]


def test_a_profile_without_basic(tmp_path: Path) -> None:
    path = write(tmp_path, "profile: mine\nidentified: true\nattributes:\n  - keep: [unlisted]\n")
    warnings = [warning.text for warning in check_profile(path).warnings]
    assert len(warnings) == 2
    assert any("does not use basic" in text for text in warnings)
    assert any("are identified" in text for text in warnings)
