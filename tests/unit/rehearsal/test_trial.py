"""gateway.rehearsal.trial: what a check finds by treating an instance of each kind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.profile import load_profile
from gateway.rehearsal.activation import require_passing
from gateway.rehearsal.smallest_images import KINDS, smallest
from gateway.rehearsal.trial import check_by_trial
from tests.unit.profile.writing import BASE, write

NO_REPORTS = "accept: [{reject: 'Modality == \"SR\"', because: x}]\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        # a condition that nothing can meet or miss
        ("attributes:\n- {keep: [PatientSex], because: x, when: 'int(StudyDescription) > 3'}", 4, "every instance"),
        # an accept rule that cannot be decided
        ("accept:\n- {reject: 'double(PatientSex) > 1.0', because: x}", 4, "the condition cannot be decided"),
        # what goes on besides those that are kept out
        (NO_REPORTS + "attributes:\n- {empty: [Rows], when: int(Modality) == 1}", 5, "every instance"),
    ],
)  # fmt: skip
def test_what_would_hold_every_instance(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = write(tmp_path, BASE + text + "\n")
    report = check_by_trial(path)
    (error,) = report.errors
    assert report.program is None
    assert (error.file, error.line) == (str(path), line)
    assert words in error.text


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        # reports and documents have no rows
        ("attributes:\n- {keep: [PatientSex], because: x, when: Rows > 600}", 4,
         'every SR, RTSTRUCT and PDF would be held: the condition cannot be decided, for an operation does not suit'),
        # only instances that say little cannot be decided
        ("attributes:\n- {keep: [PatientSex], because: x, when: 'int(PatientWeight) > 3'}", 4,
         "every CT, MR, CR, DX, SR, RTSTRUCT and PDF that has little more than it must have would be held"),
        # a rectangle that was made for other images
        ("pixels:\n- mask: [[0, 600, 10, 10]]", 4,
         "begins outside the image of 512 columns and 512 rows; say in when for which images the rule is"),
        # regions that only ultrasound has
        ("pixels:\n- ultrasound-regions: keep", 4, "every CT, MR, CR, DX and SC would be held"),
        # nothing is let through
        ("accept:\n- {hold: 'Modality != \"XX\"', because: x}", 0, "the rules of accept let none of these go on: CT,"),
    ],
)  # fmt: skip
def test_what_would_hold_some(tmp_path: Path, text: str, line: int, words: str) -> None:
    report = check_by_trial(write(tmp_path, BASE + text + "\n"))
    assert report.errors == ()
    (warning,) = [one for one in report.warnings if words in one.text]
    assert warning.line == line


@pytest.mark.parametrize(
    "text",
    [
        "attributes:\n- {map: {StationName: {CT1: a}}, otherwise: hold}",  # a value that the author does not know
        "identity: {patient: {pseudonym: lookup, table: subjects.csv}}",  # a patient who is not in the table yet
        "pixels:\n- {hold: true, because: a person looks}",  # a person decides
        "accept:\n- {hold: 'Modality == \"CT\"', because: x}",  # a person decides of some
        "attributes:\n- {remove: [unlisted]}",  # and nothing is asked of what the gateway writes
    ],
)
def test_what_is_held_because_the_author_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "subjects.csv").write_text("patient_id,pseudonym\n1,A\n", encoding="utf-8")
    report = check_by_trial(write(tmp_path, BASE + text + "\n"))
    assert report.errors == ()
    assert [one.text for one in report.warnings if "would be held" in one.text] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("profile: mine\nattributes:\n- remove: [PatientName]\n", "no layer tells"),  # uses nothing
        ("profile: other\nuse: [basic]\n", ""),  # a file that is read by its path may have any name
        (BASE, ""),  # a whole one
        (BASE + "tests:\n- {given: {Modality: CT}, outcome: held}\n", "the test"),  # its own test fails
        (BASE + "attributes:\n- keep: [PatientName]\n", "names the patient"),  # keeps a direct identifier
        (BASE + "attributes:\n- keep: [Patientname]\n", "did you mean"),  # is wrong
        (BASE + "attributes:\n- shift-date: [StudyDate]\n", "no layer says by how many days"),  # lacks a setting
    ],
)
def test_check_and_engine_agree(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    report = check_by_trial(path)
    assert [words in one.text for one in report.errors] == ([True] if words else [])
    if words:
        with pytest.raises(ProfileError):
            require_passing(load_profile(path))
    else:
        require_passing(load_profile(path))


def test_a_layer(tmp_path: Path) -> None:
    path = write(tmp_path, "profile: mine\nattributes:\n- remove: [PatientAge]\n")
    assert "is checked with --layer" in check_by_trial(path).errors[0].text
    report = check_by_trial(path, layer=True)
    assert (report.errors, report.as_layer) == ((), True)
    assert check_by_trial("retain-uids").as_layer  # carries out an option: nothing else


def test_all_that_is_wrong_at_once(tmp_path: Path) -> None:
    text = (
        "profile: mine\nuse: [basic, retain-uid]\naccept:\n- {reject: Modalty == 'SR', because: x}\n"
        "attributes:\n- keep: [PatientSexx, PatientSex, PatientAgee]\n- {remove: [Rows], when: Rows =}\n"
        "pixels:\n- mask: [[0, 0, 1]]\ntests:\n- {given: {Foo: 1}, outcome: held}\n"
    )
    report = check_by_trial(write(tmp_path, text))
    assert [(one.line, one.column) for one in report.errors] == [
        (2, 14), (4, 12), (6, 10), (6, 35), (7, 26), (9, 10), (11, 17),
    ]  # fmt: skip
    assert all(one.excerpt.partition("\n")[0] == text.splitlines()[one.line - 1] for one in report.errors)
    assert 'did you mean "PatientAge"?' in report.errors[3].text


def test_the_smallest_instances_pass_the_basic_profile() -> None:
    # Otherwise a check would blame a profile for what the instances are.
    assert [(one.kind, one.form) for one in smallest()] == [(kind, form) for kind in KINDS for form in ("bare", "full")]
    report = check_by_trial("research-default")
    assert (report.errors, [one for one in report.warnings if "would be held" in one.text]) == ((), [])


def test_what_a_check_costs(tmp_path: Path) -> None:
    path = write(tmp_path, BASE)
    check_by_trial(path)  # what is loaded once
    before = sum(os.times()[:2])
    check_by_trial(path)
    assert sum(os.times()[:2]) - before < 2
