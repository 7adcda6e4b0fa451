"""``gateway deid`` on a folder: what files say of each other, and what is no instance."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from gateway.service.offline import OfflineTask, deidentify_files, input_files
from gateway.settings.configuration import Settings
from gateway.settings.pixel_settings import FaceSettings
from tests.fixtures.head import enhanced, head_slices
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
    results, work = {}, []
    for one in deidentify_files(task, input_files(source), jobs=1):
        results[one.path.name] = one
        work.append(len(list(out.glob(".work-*"))))
    # Files of the moment are in the run's own folder, which goes even if the process that wrote them dies.
    assert set(work) == {1}
    assert {name: results[f"{name}.dcm"].code for name in FILES} == {name: row[-1] for name, row in FILES.items()}
    assert results["notes.txt"].code == "not-dicom"
    directory = results["DICOMDIR"]
    assert (directory.state, directory.code) == ("rejected", "media-directory")
    assert Counter(one.state for one in results.values()) == {"held": 6, "deidentified": 4, "rejected": 2}
    assert {path.name for path in out.iterdir()} == {"b1.dcm", "b2.dcm", "d1.dcm", "d2.dcm"}
    assert dcmread(out / "b1.dcm").PatientID == dcmread(out / "b2.dcm").PatientID
    assert not any("MRN" in one.detail for one in results.values())


HEADS = "profile: heads\nversion: '1'\nuse: [basic, clean-recognizable-visual-features]\n"
#: A command that finds the front of the lower part of the head.
FINDS = """\
import pathlib, struct, sys
source, target = map(pathlib.Path, sys.argv[1:])
data = (source / "volume.nii").read_bytes()
columns, rows, planes = struct.unpack_from("<3h", data, 42)
front = round(0.36 * rows) * columns
plane = b"\\0\\0\\x80\\x3f" * front + bytes(4 * (rows * columns - front))
low = 13 * planes // 20
(target / "mask.nii").write_bytes(data[:352] + plane * low + bytes(len(plane) * (planes - low)))
"""


def test_faces_of_series(tmp_path: Path) -> None:
    """A series is all of its files in the run, and an Enhanced image is one of its own."""
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (tmp_path / "heads.yaml").write_text(HEADS, encoding="utf-8")
    (tmp_path / "finds.py").write_text(FINDS, encoding="utf-8")
    # A few slices are no volume: who it is may be seen; of a knee it is not.
    whole = head_slices(pixels=6, gap=6, BodyPartExamined="HEAD")
    kinds = {
        "whole": whole,
        "frames": [enhanced(whole, BodyPartExamined="HEAD")],
        "localizer": head_slices(pixels=6, gap=6, BodyPartExamined="HEAD")[:2],
        "knee": head_slices(pixels=6, gap=6, BodyPartExamined="KNEE")[:2],
        "no-series": head_slices(pixels=6, gap=6, BodyPartExamined="KNEE")[:1],
    }
    for number, (name, slices) in enumerate(kinds.items(), 1):
        for place, one in enumerate(slices, 1):
            one.SeriesInstanceUID = f"1.2.276.3.{number}"
            one.SOPInstanceUID = f"1.2.276.3.{number}.{place}"
            if name == "no-series":
                del one.SeriesInstanceUID
            stored(source, one).rename(source / f"{name}-{place}.dcm")
    settings = Settings(deface=FaceSettings(command=(sys.executable, str(tmp_path / "finds.py"))))
    task = OfflineTask(
        profile=str(tmp_path / "heads.yaml"), secret=b"k" * 32, output=out, keep_names=True, settings=settings
    )
    results = list(deidentify_files(task, input_files(source), jobs=1))
    became = {(one.path.name.rpartition("-")[0], one.state, one.code) for one in results}
    assert not [one.detail for one in results if one.path.name.startswith(("whole", "frames")) and one.detail]
    assert became == {
        ("whole", "deidentified", ""),
        ("frames", "deidentified", ""),
        ("localizer", "held", "features-suspected"),
        ("knee", "deidentified", ""),
        ("no-series", "held", "features-suspected"),
    }
    single = np.stack([dcmread(out / f"whole-{place}.dcm").pixel_array for place in range(1, len(whole) + 1)])
    frames = dcmread(out / "frames-1.dcm")
    received = np.stack([np.frombuffer(one.PixelData, "<u2").reshape(one.Rows, one.Columns) for one in whole])
    assert np.array_equal(single, frames.pixel_array)
    changed = single != received
    assert (single[changed] == 24).all()
    assert changed[: len(whole) // 2, : single.shape[1] // 4].mean() > 0.9
    assert not changed[:, single.shape[1] // 2 :].any()
    for name, said in (("whole-1", True), ("frames-1", True), ("knee-1", False)):
        methods = {item.CodeValue for item in dcmread(out / f"{name}.dcm").DeidentificationMethodCodeSequence}
        assert ("113102" in methods) == said
    assert not list(out.glob(".work-*"))
