"""Which instances are one patient's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from gateway.deid import Deidentified
from gateway.deid.patient import PATIENT_ID
from tests.unit.deid.profiles import dataset, program, treat

SHIFTED = "dates: {shift: per-patient, days: -730..-1}\nattributes:\n  - shift-date: [StudyDate]\n"


def made(folder: Path, rules: str, **values: Any) -> Dataset:
    source = dataset(StudyDate="20240315", **values)
    for keyword, value in values.items():
        if value is None:
            delattr(source, keyword)
    return treat(folder, program(folder, rules), source).dataset


def identities(folder: Path, rules: str, **values: Any) -> tuple[tuple[str, str, str], ...]:
    output: Deidentified = treat(folder, program(folder, rules), dataset(**values)).output
    return output.identities


def test_an_issuer_in_some_instances_makes_no_second_patient(tmp_path: Path) -> None:
    without = made(tmp_path, SHIFTED)
    for issuer in ("Hospital de la Ribera", "RIBERA"):
        named = made(tmp_path, SHIFTED, IssuerOfPatientID=issuer)
        assert (named.PatientID, named.StudyDate) == (without.PatientID, without.StudyDate)


def test_issuers_that_number_for_themselves(tmp_path: Path) -> None:
    rules = f"identity: {{patient: {{issuers: distinct}}}}\n{SHIFTED}"
    found = {made(tmp_path, rules, IssuerOfPatientID=issuer).PatientID for issuer in ("A", "B", "")}
    assert len(found) == 3


@pytest.mark.parametrize("nobody", ["UNKNOWN", "unknown", " Unknown ", "0"])
def test_an_identifier_of_nobody(nobody: str, tmp_path: Path) -> None:
    """Those who share it are different people, told apart as patients without an ID are."""
    rules = 'identity: {patient: {not-ids: [UNKNOWN, "0"]}}'
    ann, bea = (made(tmp_path, rules, PatientID=nobody, PatientName=name) for name in ("ROCA^ANN", "VIDAL^BEA"))
    assert ann.PatientID != bea.PatientID
    assert ann.PatientID == made(tmp_path, rules, PatientID="", PatientName="ROCA^ANN").PatientID
    assert made(tmp_path, "", PatientID=nobody, PatientName="ROCA^ANN").PatientID == (
        made(tmp_path, "", PatientID=nobody, PatientName="VIDAL^BEA").PatientID
    )


@pytest.mark.parametrize("lacking", [("PatientID",), ("PatientName",), ("PatientID", "PatientName")])
def test_what_every_instance_has_is_written(lacking: tuple[str, ...], tmp_path: Path) -> None:
    """Patient's Name and Patient ID are of Type 2."""
    found = made(tmp_path, "", **dict.fromkeys(lacking))
    assert found.PatientID == found.PatientName != ""


def test_what_an_object_without_a_patient_lacks_stays_away(tmp_path: Path) -> None:
    """A color palette belongs to nobody."""
    source = dataset("1.2.840.10008.5.1.4.39.1")
    del source.PatientID
    del source.PatientName
    found = treat(tmp_path, program(tmp_path, ""), source).dataset
    assert PATIENT_ID not in found


def test_what_is_said_of_a_study(tmp_path: Path) -> None:
    """The same of all instances of a patient, and nothing of it is the original's."""
    said = identities(tmp_path, "", IssuerOfPatientID="RIBERA")
    assert [kind for kind, _, _ in said] == ["study", "patient-id"]
    assert identities(tmp_path, "", PatientName="ANOTHER^NAME") == said[:1]
    (other,) = identities(tmp_path, "", PatientID="MRN-4712")
    assert (other[1] == said[0][1], other[2] == said[0][2]) == (True, False)
    assert not [word for word in ("1.2.276", "4711", "RIBERA") if word in str(said)]
