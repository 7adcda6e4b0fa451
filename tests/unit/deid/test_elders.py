"""Of patients at or above the top of the age no date of birth leaves in any form (45 CFR 164.514(b)(2)(i)(C))."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.errors import LeakSuspected
from gateway.profile import load_profile, shipped_profiles
from gateway.profile.wording import dates_in_words
from tests.unit.deid.profiles import dataset, item, program, treat
from tests.unit.deid.test_language import Counting

YEAR = "{truncate-date: [PatientBirthDate], to: year}"
TOPPED = f"attributes:\n  - generalise: {{PatientAge: {{top: 090Y}}}}\n  - {YEAR}"
YOUNGER = f"attributes:\n  - generalise: {{PatientAge: {{bins: 5Y, top: 080Y}}}}\n  - {YEAR}"
NO_AGE = f"attributes:\n  - {YEAR}"
KEPT_AGE = f"attributes:\n  - keep: [PatientAge]\n  - {YEAR}"
SHIFTED = (
    "dates: {shift: per-patient, days: -700..-1}\n"
    "attributes:\n  - {shift-date: [PatientBirthDate], because: ages matter}"
)
AT_TOP = "attributes:\n  - {truncate-date: [/PatientBirthDate], to: year}"
CONDITION = "attributes:\n  - {truncate-date: [PatientBirthDate], to: year, when: 'Modality == \"CT\"'}"

ELDER = {"PatientBirthDate": "19310427", "StudyDate": "20240315"}
YOUNG = {"PatientBirthDate": "19550612", "StudyDate": "20240315"}


@pytest.mark.parametrize(
    ("rules", "given", "expected"),
    [
        # the age says it, the study date says it, both say it
        (TOPPED, {"PatientBirthDate": "19310427", "PatientAge": "093Y"}, ""),
        (TOPPED, ELDER, ""),
        (TOPPED, {**ELDER, "PatientAge": "092Y"}, ""),
        # the day before the ninetieth birthday, and the day
        (TOPPED, {"PatientBirthDate": "19340316", "StudyDate": "20240315"}, "19340101"),
        (TOPPED, {"PatientBirthDate": "19340315", "StudyDate": "20240315"}, ""),
        # the age is topped although the dates say less, and the other way round
        (TOPPED, {**YOUNG, "PatientAge": "093Y"}, ""),
        (TOPPED, {**ELDER, "PatientAge": "050Y"}, ""),
        # ages in months, days, and as nobody should write them
        (TOPPED, {**YOUNG, "PatientAge": "1200M"}, ""),
        (TOPPED, {**YOUNG, "PatientAge": "999M"}, "19550101"),
        (TOPPED, {**YOUNG, "PatientAge": "999W"}, "19550101"),
        (TOPPED, {**YOUNG, "PatientAge": "093y"}, ""),
        (TOPPED, {**YOUNG, "PatientAge": "95Y"}, ""),
        (TOPPED, {**YOUNG, "PatientAge": "93"}, ""),
        # dates with separators
        (TOPPED, {"PatientBirthDate": "1931.04.27", "StudyDate": "2024.03.15"}, ""),
        # another date of the examination where there is no study date
        (TOPPED, {"PatientBirthDate": "19310427", "StudyDate": "", "ContentDate": "20240315"}, ""),
        (TOPPED, {"PatientBirthDate": "19310427", "AcquisitionDateTime": "20240315101112"}, ""),
        (TOPPED, {"PatientBirthDate": "19310427", "AcquisitionDate": "20100315"}, "19310101"),
        # no date of an examination, or one before birth: nobody is older than today
        (TOPPED, {"PatientBirthDate": "19110427"}, ""),
        (TOPPED, {"PatientBirthDate": "19110427", "StudyDate": "19000101"}, ""),
        (TOPPED, {"PatientBirthDate": "20010427"}, "20010101"),
        # whoever is younger keeps the year
        (TOPPED, {**YOUNG, "PatientAge": "068Y"}, "19550101"),
        # the top that the profile says
        (YOUNGER, {"PatientBirthDate": "19400427", "StudyDate": "20240315"}, ""),
        (YOUNGER, YOUNG, "19550101"),
        # a profile that removes or keeps the age leaves no year of birth of somebody over 89 either
        (NO_AGE, ELDER, ""),
        (NO_AGE, YOUNG, "19550101"),
        (KEPT_AGE, {**ELDER, "PatientAge": "092Y"}, ""),
        # a rule for one place
        (AT_TOP, ELDER, ""),
        (AT_TOP, YOUNG, "19550101"),
        # a rule with a condition
        (CONDITION, {**ELDER, "Modality": "CT"}, ""),
        (CONDITION, {**YOUNG, "Modality": "CT"}, "19550101"),
        # the year of another calendar tells no age
        (TOPPED, {**YOUNG, "PatientBirthDateInAlternativeCalendar": "13741021"}, "19550101"),
        # an age of many digits
        (TOPPED, {**YOUNG, "PatientAge": "9" * 5000 + "Y"}, ""),
        # nothing to take away
        (TOPPED, {"PatientAge": "093Y", "PatientBirthDate": ""}, ""),
    ],
)
def test_no_year_of_birth_of_elders(tmp_path: Path, rules: str, given: dict[str, Any], expected: str) -> None:
    using = program(tmp_path, rules)
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        assert treat(tmp_path, using, dataset(**given), syntax=syntax).dataset.PatientBirthDate == expected


def test_shifted_dates_of_birth_of_elders_go(tmp_path: Path) -> None:
    using = program(tmp_path, SHIFTED, use="basic, retain-longitudinal-modified-dates")
    assert treat(tmp_path, using, dataset(**ELDER)).dataset.PatientBirthDate == ""
    assert treat(tmp_path, using, dataset(**YOUNG)).dataset.PatientBirthDate != ""


def test_dates_of_birth_inside_sequences_go_too(tmp_path: Path) -> None:
    using = program(tmp_path, f"{TOPPED}\n  - keep: [AnatomicRegionSequence]")
    inside = item(PatientBirthDate="19310427")
    found = treat(tmp_path, using, dataset(StudyDate="20240315", AnatomicRegionSequence=[inside])).dataset
    assert not found.AnatomicRegionSequence[0].get("PatientBirthDate")


def test_instances_of_elders_and_others_do_not_mix(tmp_path: Path) -> None:
    using = program(tmp_path, TOPPED)
    for given, expected in ((YOUNG, "19550101"), (ELDER, ""), (YOUNG, "19550101"), (ELDER, "")):
        assert treat(tmp_path, using, dataset(**given)).dataset.PatientBirthDate == expected


@pytest.mark.parametrize(
    ("given", "suspected"),
    [
        (ELDER, True),
        ({**YOUNG, "PatientAge": "093Y"}, True),
        ({"PatientBirthDate": "19340315", "StudyDate": "20240315"}, True),
        ({"PatientBirthDate": "19340316", "StudyDate": "20240315"}, False),
        (YOUNG, False),
    ],
)
def test_the_verifier_sees_a_date_of_birth_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], *, suspected: bool
) -> None:
    monkeypatch.setattr("gateway.deid.plan.is_elder", lambda *_: False)
    using = program(tmp_path, TOPPED)
    if suspected:
        with pytest.raises(LeakSuspected, match="date of birth"):
            treat(tmp_path, using, dataset(**given))
    else:
        assert treat(tmp_path, using, dataset(**given)).dataset.PatientBirthDate


def test_an_identified_profile_keeps_what_it_says(tmp_path: Path) -> None:
    using = program(tmp_path, "identified: true\nattributes:\n  - {keep: [PatientBirthDate], because: clinical use}")
    assert treat(tmp_path, using, dataset(**ELDER)).dataset.PatientBirthDate == "19310427"


def test_the_shipped_cohort(tmp_path: Path) -> None:
    using = load_profile("full-dates-cohort", search=[shipped_profiles()])
    given = dataset(PatientAge="092Y", **ELDER)
    found = treat(tmp_path, using, given, numbers=Counting()).dataset
    assert (found.PatientAge, found.PatientBirthDate, found.StudyDate) == ("090Y", "", "20240315")


@pytest.mark.parametrize(
    ("rules", "said"),
    [(TOPPED, "90 years and more"), (YOUNGER, "80 years and more"), ("version: '1'", None)],
)
def test_the_report_says_so(tmp_path: Path, rules: str, said: str | None) -> None:
    words = dates_in_words(program(tmp_path, rules))
    assert said in words if said else "birth" not in words
