"""The engine against a plain pydicom implementation of the Basic Profile, element by element over all public files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from gateway.deid import Deidentifier, ProjectKey
from gateway.dicom.encoded import Limits
from gateway.dicom.instance import open_instance
from gateway.dicom.segments import copy_to
from gateway.errors import InstanceError
from gateway.profile import Program, load_profile, shipped_profiles, unlisted
from gateway.samples.sample_study import generate
from tests.fixtures.corpus import corpus_files, corpus_name
from tests.fixtures.torture import torture
from tests.reference_engine import deidentify

#: Coded entries, whose values have rules and tests of their own: test_coded.py.
CODED = frozenset((0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x00080119, 0x00080120))
KEY = ProjectKey(b"differential test, 32 bytes long")
#: Bytes that swap together where a file is big endian and pydicom leaves the value as it is (PS3.5 7.3).
UNITS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


#: What stays as far as it is technical, or is cleaned: tests/unit/deid/test_unlisted.py.
VOUCHED = frozenset(
    tag for tag, group in unlisted.rows().items() if unlisted.groups()[group].kind in ("technical", "text")
)


@pytest.fixture(scope="module")
def program() -> Program:
    return load_profile("basic", search=[shipped_profiles()])


def elements(dataset: Dataset, where: str = "") -> Iterator[tuple[str, str, str]]:
    """Every element as its place, its VR and its value."""
    for tag in sorted(dataset.keys()):
        if tag in VOUCHED:
            continue
        element = dataset[tag]
        place = f"{where}{tag}"
        if element.VR == "SQ":
            yield place, "SQ", f"{len(element.value)} items"
            for number, item in enumerate(element.value):
                yield from elements(item, f"{place}[{number}]/")
        else:
            # Implicit VR does not tell which of the two it is (PS3.5 A.1).
            vr = "OB or OW" if element.VR in ("OB", "OW") else str(element.VR)
            yield place, vr, "" if tag in CODED else repr(element.value or "")


def swapped(dataset: Dataset) -> None:
    """The values that pydicom leaves in big endian, in little endian."""
    for element in dataset.iterall():
        width = UNITS.get(element.VR)
        if width and isinstance(element.value, bytes):
            element.value = b"".join(
                element.value[start : start + width][::-1] for start in range(0, len(element.value), width)
            )


def produced(path: Path, program: Program, work: Path) -> Dataset | None:
    """What the engine makes of a file; None if it is held."""
    file = io.BytesIO()
    try:
        with open_instance(path, work=work, limits=Limits(), max_reencode_bytes=1 << 28) as instance:
            copy_to(Deidentifier(program, KEY).apply(instance).segments, file)
    except InstanceError:
        return None
    file.seek(0)
    return pydicom.dcmread(file)


def differences(path: Path, program: Program, work: Path) -> list[str] | None:
    """The places where engine and reference differ; None if the engine holds the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom on the values of broken files
        found = produced(path, program, work)
        if found is None:
            return None
        source = pydicom.dcmread(path, force=True)
        expected = deidentify(source, KEY, program)
        if not source.original_encoding[1]:
            swapped(expected)
        return sorted(place for place, _, _ in set(elements(found)) ^ set(elements(expected)))


def test_public_files(program: Program, tmp_path: Path) -> None:
    found = {corpus_name(path): differences(path, program, tmp_path) for path in corpus_files()}
    compared = {name: places for name, places in found.items() if places is not None}
    assert {name: places for name, places in compared.items() if places} == {}
    assert len(compared) > 230


@pytest.mark.parametrize("times", ["keep", "hour", "remove"])
@pytest.mark.parametrize("dates", ["full", "modified"])
def test_dates_and_times(tmp_path: Path, dates: str, times: str) -> None:
    """Every date and time of the dictionary, and of public files, for each of which one of the programs is asked."""
    profile = tmp_path / "dated.yaml"
    profile.write_text(f"profile: dated\nuse: [basic, retain-longitudinal-{dates}-dates]\ntimes: {times}\n")
    using = load_profile(profile, search=[shipped_profiles()])
    share = [("full", "keep"), ("full", "hour"), ("full", "remove"), ("modified", "keep"), ("modified", "hour")]
    number = ([*share, ("modified", "remove")]).index((dates, times))
    files = [*corpus_files()[number::9], planted(tmp_path, *DATED), planted(tmp_path, *DATED, depth=1)]
    assert {path.name: found for path in files if (found := moments(path, using, tmp_path))} == {}


def moments(path: Path, program: Program, work: Path) -> list[str]:
    """The places where engine and reference differ in a date or a time; empty if the engine holds the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = produced(path, program, work)
        if found is None:
            return []
        expected = deidentify(pydicom.dcmread(path, force=True), KEY, program)
        one, other = (
            {(place, text) for place, vr, text in elements(dataset) if vr in ("DA", "DT", "TM")}
            for dataset in (found, expected)
        )
        return sorted(place for place, _ in one ^ other)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_every_listed_attribute(program: Program, tmp_path: Path, depth: int) -> None:
    path = tmp_path / "torture.dcm"
    path.write_bytes(torture(depth).content)
    assert differences(path, program, tmp_path) == []


#: VR -> a value; every element of the dictionary with this VR gets it.
PLANTED = {
    "UI": "1.2.276.0.7230010.3.7",
    "PN": "Mockbury^Testario",
    "DA": "20240229",
    "DT": "20240229101112",
    "TM": "1011",
}


DATED = ("DA", "DT", "TM")


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("vr", PLANTED)
def test_every_element_of_a_kind(program: Program, tmp_path: Path, vr: str, depth: int) -> None:
    assert differences(planted(tmp_path, vr, depth=depth), program, tmp_path) == []


def planted(folder: Path, *vrs: str, depth: int = 0) -> Path:
    """A file with every element of the dictionary with one of these VRs, in an item of a sequence or without."""
    source = Dataset()
    for tag, (known, _, _, _, _) in DicomDictionary.items():
        if known in vrs and tag >> 16 > 0x0004:
            source.add_new(tag, known, PLANTED[known])
    if depth:
        source = item_of(source)
    source.SOPClassUID, source.SOPInstanceUID = CTImageStorage, "1.2.276.0.7230010.3.8"
    source.file_meta = FileMetaDataset()
    source.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / f"kind{depth}.dcm"
    source.save_as(path, enforce_file_format=True)
    return path


def item_of(nested: Dataset) -> Dataset:
    found = Dataset()
    found.ViewCodeSequence = [nested]
    return found


def test_samples(program: Program, tmp_path: Path) -> None:
    found = {sample.number: differences(sample.write(tmp_path), program, tmp_path) for sample in generate(7, "DIFF")}
    assert {number: places for number, places in found.items() if places != []} == {}
    assert len(found) > 5
