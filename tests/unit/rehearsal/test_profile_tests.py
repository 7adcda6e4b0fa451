"""A profile's own tests run through the real engine, and fail where they must."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.profile import Program, load_profile
from gateway.rehearsal.activation import require_passing
from gateway.rehearsal.profile_tests import run_tests
from gateway.service.projects import activate_profiles
from gateway.settings.configuration import load_settings

RULES = """\
profile: mine
use: [basic]
identity: {patient: {pseudonym: keyed, format: "P-{base32:10}"}}
accept:
  - reject: Modality == "SR"
    because: images only
  - hold: called_ae == "REVIEW"
    because: somebody asked for it
attributes:
  - keep: [PatientSex, BodyPartExamined, ImageType, RequestAttributesSequence]
    because: needed
  - keep: ["RequestAttributesSequence/ScheduledProcedureStepID"]
    because: needed
  - keep: ["(0019,xx0C) SIEMENS MR HEADER"]
    because: the b value
  - keep: [StudyDescription]
    when: Modality == "CR"
    because: needed
  - generalise: {PatientAge: {bins: 5Y, top: 090Y}, PatientWeight: {round: 5}}
    because: precise enough
  - insert: {ClinicalTrialProtocolID: X7}
tests:
"""


@pytest.fixture
def profile(tmp_path: Path) -> Callable[[str], Program]:
    def load(tests: str) -> Program:
        file = tmp_path / "mine.yaml"
        file.write_text(RULES + tests)
        return load_profile(file)

    return load


@pytest.mark.parametrize(
    "test",
    [
        # a value that stays, one that is changed, one that goes, one that is emptied
        (
            "{given: {PatientSex: F, PatientAge: 063Y, InstitutionName: Hosp, StudyDate: '20240229'}, "
            "expect: {PatientSex: F, PatientAge: 060Y, InstitutionName: null, StudyDate: ''}}"
        ),
        # the pseudonym
        "{given: {PatientName: DOE^JOHN}, expect: {PatientName: '{patient}'}, never: [doe, JOHN]}",
        # several values, and one of the gateway's own
        (
            "{given: {ImageType: [DERIVED, SECONDARY]}, "
            "expect: {ImageType: [DERIVED, SECONDARY], ClinicalTrialProtocolID: X7}}"
        ),
        # numbers by value
        "{given: {PatientWeight: 63}, expect: {PatientWeight: '65.0'}}",
        # inside a sequence, given by path and by items
        (
            "{given: {RequestAttributesSequence/ScheduledProcedureStepID: S1}, "
            "expect: {RequestAttributesSequence/ScheduledProcedureStepID: S1}}"
        ),
        (
            "{given: {RequestAttributesSequence: [{ScheduledProcedureStepID: S1, RequestedProcedureID: '5'}]}, "
            "expect: {RequestAttributesSequence/ScheduledProcedureStepID: S1, "
            "RequestAttributesSequence/RequestedProcedureID: null}}"
        ),
        # a private element by its creator, and one of another creator
        (
            "{given: {'(0019,xx0C) SIEMENS MR HEADER': 50, '(0019,xx0C) ACME': x}, "
            "expect: {'(0019,xx0C) SIEMENS MR HEADER': 50, '(0019,xx0C) ACME': null}}"
        ),
        # the SOP class follows from the modality
        "{given: {Modality: MR}, expect: {SOPClassUID: 1.2.840.10008.5.1.4.1.1.4}}",
        # conditions on the instance and on the sender
        "{given: {Modality: CR, StudyDescription: TORAX}, expect: {StudyDescription: TORAX}}",
        "{given: {Modality: CT, StudyDescription: TORAX}, expect: {StudyDescription: null}}",
        "{given: {Modality: SR}, outcome: rejected}",
        "{given: {called_ae: REVIEW}, outcome: held}",
        # the verifier is the real one: what stays by a rule may not hold the patient's name
        "{given: {PatientName: GARCIA LOPEZ^MARIA, Modality: CR, StudyDescription: GARCIA LOPEZ}, outcome: held}",
    ],
)
def test_passes(profile: Callable[[str], Program], test: str) -> None:
    (verdict,) = run_tests(profile(f"  - {test}\n")).verdicts
    assert verdict.problems == ()
    assert verdict.passed


@pytest.mark.parametrize(
    ("test", "problem"),
    [
        # another value, an empty one, an absent one, one too many
        ("{given: {PatientSex: F}, expect: {PatientSex: M}}", 'PatientSex is "F", expected: "M"'),
        ("{given: {StudyDate: '20240229'}, expect: {StudyDate: '20240229'}}", "StudyDate is empty, expected:"),
        ("{given: {InstitutionName: H}, expect: {InstitutionName: H}}", "InstitutionName is not there, expected:"),
        ("{given: {PatientSex: F}, expect: {PatientSex: null}}", 'PatientSex is still there: "F"'),
        ("{given: {ImageType: [A, B]}, expect: {ImageType: A}}", r'ImageType is A\B, expected: "A"'),
        # a text that is left, in any case and at any depth
        ("{given: {BodyPartExamined: CHEST}, never: [chest]}", '"chest" is still in BodyPartExamined'),
        (
            "{given: {RequestAttributesSequence/ScheduledProcedureStepID: S1}, never: [S1]}",
            '"S1" is still in RequestAttributesSequence/ScheduledProcedureStepID',
        ),
        # another fate
        ("{given: {Modality: SR}, expect: {Modality: SR}}", "the instance is rejected, not accepted: images only"),
        ("{given: {Modality: CT}, outcome: rejected}", "the instance is accepted, not rejected"),
        # what cannot be given
        ("{given: {Rows: many}, expect: {Rows: '1'}}", '"Rows": the value given does not suit VR US'),
        (
            "{given: {RequestAttributesSequence: S1}, expect: {Rows: '1'}}",
            '"RequestAttributesSequence" is a sequence',
        ),
    ],
)
def test_fails(profile: Callable[[str], Program], test: str, problem: str) -> None:
    trial = run_tests(profile(f"  - {test}\n"))
    assert not trial.passed
    assert trial.verdicts[0].problems[0].startswith(problem)


def test_each_test_is_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        'profile: mine\nuse: [basic]\nidentity: {patient: {pseudonym: sequential, format: "S-{number:03}"}}\ntests:\n'
        "  - {given: {PatientID: '1'}, expect: {PatientID: S-001}}\n"
        "  - {given: {PatientID: '2'}, expect: {PatientID: S-001}}\n"
    )
    assert run_tests(load_profile(file)).passed


def test_coverage(profile: Callable[[str], Program]) -> None:
    trial = run_tests(
        profile(
            "  - {given: {Modality: CR, StudyDescription: TORAX, PatientSex: F}, expect: {PatientSex: F}}\n"
            "  - {given: {Modality: SR}, outcome: rejected}\n"
        )
    )
    assert [(rule.verb, rule.target) for rule in trial.rules if rule not in trial.unused] == [
        ("is rejected", 'Modality == "SR"'),
        ("keep", "PatientSex"),
        ("keep", "StudyDescription"),
        ("insert", "ClinicalTrialProtocolID"),
    ]
    assert [str(rule) for rule in trial.unused] == [
        'line 7: is held called_ae == "REVIEW"',
        "line 10: keep ImageType",
        "line 10: keep BodyPartExamined",
        "line 10: keep RequestAttributesSequence",
        "line 12: keep RequestAttributesSequence/ScheduledProcedureStepID",
        "line 14: keep (0019,xx0C) SIEMENS MR HEADER",
        "line 19: generalise PatientAge",
        "line 19: generalise PatientWeight",
    ]


def test_a_profile_whose_tests_fail_is_not_activated(profile: Callable[[str], Program], tmp_path: Path) -> None:
    profile("  - {name: wrong, given: {PatientSex: F, PatientName: DOE^JOHN}, expect: {PatientSex: M}}\n")
    settings = tmp_path / "gateway.yaml"
    settings.write_text(f"projects: {{p: {{profile: {tmp_path / 'mine.yaml'}}}}}\n")
    with pytest.raises(ProfileError, match=r'mine\.yaml:23: the test "wrong" fails') as caught:
        activate_profiles(load_settings(settings, {**os.environ, "GATEWAY_DATA": str(tmp_path)}))
    assert "DOE" not in str(caught.value)


def test_a_profile_whose_tests_pass_is(profile: Callable[[str], Program]) -> None:
    program = profile("  - {given: {PatientSex: F}, expect: {PatientSex: F}}\n")
    assert require_passing(program) is program
    assert require_passing(load_profile("basic")).tests == ()


@pytest.mark.parametrize("name", ["research-default", "chest-radiographs", "full-dates-cohort", "share-with-industry"])
def test_shipped_examples_pass(name: str) -> None:
    trial = run_tests(load_profile(name))
    assert trial.verdicts
    assert [problem for verdict in trial.verdicts for problem in verdict.problems] == []
