"""Differences in meaning between profiles."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from gateway.profile import Program, load_profile
from gateway.profile.diff import Change, Difference, compare

NONE = Difference((), (), (), ())


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Program]:
    """Loads a profile with the text given above the basic profile, each text once."""

    @cache
    def load(text: str) -> Program:
        file = tmp_path_factory.mktemp("profile") / "mine.yaml"
        file.write_text(f"profile: mine\nuse: [basic]\n{text}")
        return load_profile(file)

    return load


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),  # the same
        ("", "version: '2'\ndescribes: another text\n"),  # the version
        ("attributes: [{keep: [PatientSex]}]\n", "attributes:\n  - keep: [PatientSex]\n    because: we need it\n"),
        ("attributes: [{remove: [StudyDescription]}]\n", ""),  # what the basic profile does anyway
        ("attributes: [{keep: [PatientSex, Rows]}]\n", "attributes: [{keep: [Rows]}, {keep: [PatientSex]}]\n"),
    ],
)
def test_the_same_in_meaning(program: Callable[[str], Program], before: str, after: str) -> None:
    found = compare(program(before), program(after))
    assert found == NONE
    assert not found


@pytest.mark.parametrize(
    ("before", "after", "element"),
    [
        # another action
        (
            "",
            "attributes: [{keep: [StudyDescription]}]\n",
            Change("StudyDescription", "(0008,1030)", "is removed", "stays as it is"),
        ),
        # a condition
        (
            "attributes: [{keep: [StudyDescription]}]\n",
            'attributes: [{keep: [StudyDescription], when: Modality == "CR"}]\n',
            Change(
                "StudyDescription",
                "(0008,1030)",
                "stays as it is",
                'if Modality == "CR": stays as it is; otherwise is removed',
            ),
        ),
        # another value
        (
            "attributes: [{replace: {InstitutionName: A}}]\n",
            "attributes: [{replace: {InstitutionName: B}}]\n",
            Change("InstitutionName", "(0008,0080)", 'is replaced by "A"', 'is replaced by "B"'),
        ),
        # another option
        (
            "attributes: [{truncate-date: [StudyDate], to: year}]\n",
            "attributes: [{truncate-date: [StudyDate], to: month}]\n",
            Change(
                "StudyDate",
                "(0008,0020)",
                "keeps the year of the date; the rest becomes the first day",
                "keeps year and month of the date; the rest becomes the first day",
            ),
        ),
        # a pseudonym given up
        (
            "",
            "identified: true\nattributes: [{keep: [PatientID]}]\n",
            Change("PatientID", "(0010,0020)", "is replaced by the patient's pseudonym", "stays as it is"),
        ),
    ],
)
def test_elements(program: Callable[[str], Program], before: str, after: str, element: Change) -> None:
    assert compare(program(before), program(after)) == Difference((), (element,), (), ())


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        # the patient
        (
            "",
            'identity: {patient: {pseudonym: sequential, format: "S-{number:05}"}}\n',
            {("patient", "the patient's pseudonym, a number given in order of arrival in the form S-{number:05}")},
        ),
        # dates
        (
            "dates: {shift: per-patient, days: -20..-1}\nattributes: [{shift-date: [StudyDate]}]\n",
            "dates: {shift: per-patient, days: -10..-1}\nattributes: [{shift-date: [StudyDate]}]\n",
            {("dates", "dates are shifted, by one number of days per patient between -10 and -1, never 0")},
        ),
        # what happens where nobody can tell
        ("", "when-unsure: hold\n", {("where clean is unsure", "hold")}),
    ],
)
def test_settings(program: Callable[[str], Program], before: str, after: str, changes: set[tuple[str, str]]) -> None:
    found = compare(program(before), program(after))
    assert {(one.name, one.after) for one in found.settings} == changes
    assert found == Difference(found.settings, (), (), ())


@pytest.mark.parametrize(
    ("before", "after", "name", "words"),
    [
        # a pattern
        ("", 'attributes: [{keep: ["(60xx,3000)"]}]\n', "(60xx,3000)", ("is removed", "stays as it is")),
        # a place
        (
            "",
            'attributes: [{keep: ["RequestAttributesSequence/StudyDate"]}]\n',
            "RequestAttributesSequence/StudyDate",
            ("", "stays as it is"),
        ),
        # a private element
        ("", 'attributes: [{keep: ["(0019,xx10) ACME"]}]\n', "(0019,xx10) ACME", ("", "stays as it is")),
        # what no rule names
        (
            "",
            "attributes: [{remove: [unlisted]}]\n",
            "elements that no rule names",
            ("stays as it is", "is removed"),
        ),
    ],
)
def test_places(program: Callable[[str], Program], before: str, after: str, name: str, words: tuple[str, str]) -> None:
    found = compare(program(before), program(after))
    assert [(one.before, one.after) for one in found.places if one.name == name] == [words]


def test_accept_rules(program: Callable[[str], Program]) -> None:
    one = 'accept:\n  - reject: Modality == "SR"\n    because: x\n  - hold: Modality == "OT"\n    because: y\n'
    other = 'accept:\n  - hold: Modality == "OT"\n    because: z\n  - hold: Modality == "SR"\n    because: x\n'
    found = compare(program(one), program(other))
    assert found.accept == (
        Change('if Modality == "SR"', "", "is rejected", "is held"),
        Change(
            "order of the accept rules",
            "",
            'Modality == "SR" -> Modality == "OT"',
            'Modality == "OT" -> Modality == "SR"',
        ),
    )


def test_a_table_with_other_rows(tmp_path: Path) -> None:
    found = []
    for number, row in enumerate(("4711,S1", "4712,S1")):
        folder = tmp_path / f"table{number}"
        folder.mkdir()
        (folder / "subjects.csv").write_text(f"patient_id,pseudonym\n{row}\n")
        (folder / "mine.yaml").write_text(
            "profile: mine\nuse: [basic]\nidentity: {patient: {pseudonym: lookup, table: subjects.csv}}\n"
        )
        found.append(load_profile(folder / "mine.yaml"))
    (change,) = compare(*found).settings
    assert change.after == f"{change.before} (with other content)"
    assert "4711" not in change.before  # a table's rows are identity
