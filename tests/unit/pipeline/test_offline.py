"""``gateway deid`` on a folder: what files say of each other, and what is no instance."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from gateway.config import Settings
from gateway.pipeline.offline import OfflineTask, deidentify_files, input_files
from tests.fixtures.treating import CT, image, noise, stored
from tests.unit.dicom.encoding import explicit, part10

#: File -> study, Patient ID, issuer, and what becomes of it.
FILES = {
    "a1": ("1", "MRN-1", None, "two-patients-in-study"),
    "a2": ("1", "MRN-2", None, "two-patients-in-study"),
    "a3": ("1", "MRN-1", None, "two-patients-in-study"),
    "b1": ("2", "MRN-1", None, ""),
    "b2": ("2", "MRN-1", None, ""),
    # rejected by a rule of the profile: it is of another patient, and counts for nothing
    "b3": ("2", "MRN-9", None, "two:5"),
    "c1": ("3", "MRN-3", "HERE", "two-issuers-of-patient-id"),
    "c2": ("4", "MRN-3", "THERE", "two-issuers-of-patient-id"),
    "d1": ("5", "MRN-4", "HERE", ""),
    "d2": ("5", "MRN-4", None, ""),
}
PROFILE = """profile: two
version: "1"
use: [basic]
accept:
  - reject: PatientID == "MRN-9"
    because: it is a test
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in")
    for number, (name, (study, patient, issuer, _)) in enumerate(FILES.items()):
        more = {} if issuer is None else {"IssuerOfPatientID": issuer}
        one = image(
            noise(4, 4), CT, PatientID=patient, StudyInstanceUID=f"1.2.276.1.{study}",
            SOPInstanceUID=f"1.2.276.2.{number + 1}", Modality="CT", **more,
        )  # fmt: skip
        stored(folder, one).rename(folder / f"{name}.dcm")
    disc = part10(explicit(0x00041130, "CS", b"DISC"), ExplicitVRLittleEndian, sop_class="1.2.840.10008.1.3.10")
    (folder / "DICOMDIR").write_bytes(disc)
    (folder / "notes.txt").write_bytes(b"no instance")
    return folder


def test_a_folder(tmp_path: Path, source: Path) -> None:
    profile = tmp_path / "two.yaml"
    profile.write_text(PROFILE, encoding="utf-8")
    out = tmp_path / "out"
    task = OfflineTask(profile=str(profile), secret=b"k" * 32, output=out, keep_names=True, settings=Settings())
    results = {one.path.name: one for one in deidentify_files(task, input_files(source), jobs=1)}
    assert {name: results[f"{name}.dcm"].code for name in FILES} == {name: row[-1] for name, row in FILES.items()}
    assert results["notes.txt"].code == "not-dicom"
    directory = results["DICOMDIR"]
    assert (directory.state, directory.code) == ("rejected", "media-directory")
    assert Counter(one.state for one in results.values()) == {"held": 6, "deidentified": 4, "rejected": 2}
    assert {path.name for path in out.iterdir()} == {"b1.dcm", "b2.dcm", "d1.dcm", "d2.dcm"}
    assert dcmread(out / "b1.dcm").PatientID == dcmread(out / "b2.dcm").PatientID
    assert not any("MRN" in one.detail for one in results.values())
