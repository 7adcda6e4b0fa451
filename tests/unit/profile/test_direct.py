"""What names a patient by itself stays only if the profile says that its outputs are identified."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.profile import check_profile
from tests.unit.profile.writing import load, write

BASE = "profile: mine\nuse: [basic]\n"

REVEALING = [
    ("keep: [PatientName]", "PatientName"),
    ("keep: [PatientID]", "PatientID"),
    ("keep: [OtherPatientIDs]", "OtherPatientIDs"),
    ("keep: [OtherPatientIDsSequence]", "OtherPatientIDsSequence"),
    ("keep: [OtherPatientNames]", "OtherPatientNames"),
    ("keep: [PatientBirthDate]", "PatientBirthDate"),
    ("keep: [PatientAddress]", "PatientAddress"),
    ("keep: [PatientTelephoneNumbers]", "PatientTelephoneNumbers"),
    ("{keep: [PatientName], because: the physicist insists}", "PatientName"),
    # by its tag, its VR, a pattern, a place, a condition
    ('keep: ["(0010,0010)"]', "PatientName"),
    ('keep: ["VR:PN"]', "PatientName"),
    ('keep: ["VR:DA"]', "PatientBirthDate"),
    ('keep: ["(0010,00xx)"]', "PatientName"),
    ('keep: ["/PatientID"]', "PatientID"),
    ('keep: ["**/PatientBirthDate"]', "PatientBirthDate"),
    ('{keep: [PatientID], when: Modality == "CT"}', "PatientID"),
    # what a list or a pattern lets stay
    ("{map: {PatientID: {A: B}}, otherwise: keep}", "PatientID"),
    ("regex: {PatientName: {pattern: x, replacement: y, otherwise: keep}}", "PatientName"),
    # copies; of Patient's Name and ID the pseudonym is copied, unless another rule stands there
    ("copy: {ClinicalTrialSubjectID: OtherPatientIDs}", "OtherPatientIDs"),
    ("copy: {StudyDate: PatientBirthDate}", "PatientBirthDate"),
    ("copy: {ClinicalTrialSubjectID: PatientID}\n  - remove: [PatientID]", "PatientID"),
]


@pytest.mark.parametrize(("rule", "name"), REVEALING)
def test_a_direct_identifier(rule: str, name: str, tmp_path: Path) -> None:
    text = f"{BASE}attributes:\n  - {rule}\n"
    with pytest.raises(ProfileError, match=f"(keeps|copies) {name}, which names the patient.*identified: true"):
        load(tmp_path, text)
    assert load(tmp_path, f"identified: true\n{text}").identified


def test_what_no_rule_names(tmp_path: Path) -> None:
    text = "profile: mine\nattributes:\n  - keep: [unlisted]\n"
    with pytest.raises(ProfileError, match="keeps PatientName"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    "rule",
    [
        "copy: {ClinicalTrialSubjectID: PatientID}",
        "{truncate-date: [PatientBirthDate], to: year}",
        "replace: {PatientName: Somebody}",
        "{pseudonymise: [PatientID], format: 'P-{base32:12}'}",
        "{map: {PatientID: {A: B}}, otherwise: remove}",
        "keep: [PatientSex, ReferringPhysicianName]",
    ],
)
def test_what_names_nobody(rule: str, tmp_path: Path) -> None:
    assert not load(tmp_path, f"{BASE}attributes:\n  - {rule}\n").identified


def test_it_is_the_profile_itself_that_must_say_so(tmp_path: Path) -> None:
    write(tmp_path, "profile: layer\nidentified: true\nattributes:\n  - keep: [PatientName]\n", "layer")
    with pytest.raises(ProfileError, match="keeps PatientName"):
        load(tmp_path, "profile: mine\nuse: [basic, layer]\n")


def test_the_check_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, f"{BASE}attributes:\n  - {{keep: [PatientName], because: x}}\n")
    (error,) = check_profile(path).errors
    assert "identified: true" in error.text


def test_the_digest_knows(tmp_path: Path) -> None:
    assert load(tmp_path, f"identified: true\n{BASE}").digest != load(tmp_path, BASE).digest
