"""Modified dates over public files: for one patient every interval stays, and no date does."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Final

import pytest
from pydicom import Dataset, dcmread

from gateway.deid import ProjectKey
from gateway.dicom.encoded import Limits
from gateway.dicom.segments import copy_to
from gateway.errors import InstanceError
from gateway.profile import load_profile, shipped_profiles
from gateway.samples.sample_study import generate
from gateway.treatment.treatment import OpeningRules, Treatment, holding
from tests.fixtures.corpus import corpus_files
from tests.scorer.dates import day, is_date
from tests.scorer.reading import Place, leaves, read
from tests.scorer.scorer import NEUTRAL

PROFILE: Final = """\
profile: dates
version: "1"
describes: Dates shifted by up to two years
use: [basic, retain-longitudinal-modified-dates, clean-structured-content]
pixels:
  - pass: true
    because: public test images show nobody
dates: {shift: per-patient, days: -730..-1}
"""
KEY: Final = b"the key of a project with dates."
PATIENTS: Final = 12


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance of a patient, and where its output is."""

    patient: str
    original: Path
    output: Path


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profile") / "dates.yaml"
    path.write_text(PROFILE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Path]]:
    """Public files given to a few patients, several studies each, and the sample studies: patient and file."""
    folder = tmp_path_factory.mktemp("originals")
    found: list[tuple[str, Path]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom on the values of broken files
        for number, path in enumerate(corpus_files()):
            patient, copy = f"DATES-{number % PATIENTS}", folder / f"{number}.dcm"
            try:
                dataset = dcmread(path, force=True)
                dataset.PatientID, dataset.IssuerOfPatientID = patient, ""
                dataset.save_as(copy)
            except Exception:  # noqa: BLE001 - what pydicom cannot write is not needed here
                continue
            found.append((patient, copy))
    return found + [(f"study {sample.study}", sample.write(folder)) for sample in generate(3, "DATES")]


def deidentified(profile: Path, originals: Iterable[tuple[str, Path]], folder: Path) -> list[Instance]:
    """The outputs of a node of its own."""
    program = load_profile(str(profile), search=[shipped_profiles()])
    treatment = Treatment(program, ProjectKey(KEY))
    rules = OpeningRules(work=folder, limits=Limits(), max_reencode_bytes=1 << 28)
    found = []
    for patient, path in originals:
        output = folder / path.name
        try:
            with holding("opening"):
                opened = rules.open(path)
            with (
                opened as instance,
                treatment.treat(treatment.admit(instance), opening=rules) as treated,
                output.open("wb") as file,
            ):
                copy_to(treated.output.segments, file)
        except InstanceError:
            output.unlink(missing_ok=True)
        else:
            found.append(Instance(patient, path, output))
    return found


@pytest.fixture(scope="module")
def instances(
    profile: Path, originals: list[tuple[str, Path]], tmp_path_factory: pytest.TempPathFactory
) -> list[Instance]:
    return deidentified(profile, originals, tmp_path_factory.mktemp("outputs"))


def days(dataset: Dataset, like: Dataset | None = None) -> Iterator[tuple[Place, int, int, date]]:
    """Every day that an element of VR DA or DT names at any depth: path, tag, number of the value, day."""
    for leaf in leaves(dataset, like=like):
        if leaf.vr in ("DA", "DT") and leaf.items is None and not leaf.tag >> 16 & 1:
            for number, text in enumerate(leaf.text.split("\\")):
                if is_date(text.strip()) and text.strip() not in NEUTRAL:
                    yield leaf.path, leaf.tag, number, day(text.strip())[0]


@pytest.fixture(scope="module")
def shifted(instances: list[Instance]) -> dict[str, set[tuple[date, date]]]:
    """Patient -> every day of an original that is still there, with the day that it became."""
    found: dict[str, set[tuple[date, date]]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for instance in instances:
            before, after = read(instance.original), read(instance.output)
            became = {(path, tag, number): value for path, tag, number, value in days(after, like=before)}
            for path, tag, number, was in days(before):
                if (path, tag, number) in became:
                    found.setdefault(instance.patient, set()).add((was, became[path, tag, number]))
    return found


def test_there_is_enough_to_judge(shifted: dict[str, set[tuple[date, date]]], instances: list[Instance]) -> None:
    assert len(instances) > 200
    assert len(shifted) > PATIENTS
    assert all(len(pairs) > 5 for pairs in shifted.values())


def test_every_interval_of_a_patient_is_preserved(shifted: dict[str, set[tuple[date, date]]]) -> None:
    """Across elements, items, series and studies."""
    for pairs in shifted.values():
        for (one, new_one), (two, new_two) in combinations(pairs, 2):
            assert new_two - new_one == two - one


def test_no_date_is_an_original(shifted: dict[str, set[tuple[date, date]]]) -> None:
    assert all(was != became for pairs in shifted.values() for was, became in pairs)


def test_shifts_are_within_the_range_and_differ(shifted: dict[str, set[tuple[date, date]]]) -> None:
    shifts = {patient: {(became - was).days for was, became in pairs} for patient, pairs in shifted.items()}
    assert all(-730 <= shift <= -1 for found in shifts.values() for shift in found)
    # Of a dozen patients hardly two have the same of 730 shifts.
    assert len(set.union(*shifts.values())) >= len(shifts) - 2


def test_another_node_gives_the_same_in_another_order(
    profile: Path, originals: list[tuple[str, Path]], instances: list[Instance], tmp_path: Path
) -> None:
    again = deidentified(profile, reversed(originals), tmp_path)
    assert {one.output.name for one in again} == {one.output.name for one in instances}
    for instance in instances:
        assert (tmp_path / instance.output.name).read_bytes() == instance.output.read_bytes()
