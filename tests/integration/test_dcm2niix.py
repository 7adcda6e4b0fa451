"""What researchers make of images is the same before and after: dcm2niix on series of every maker.

``docs/how-to/keep-acquisition-numbers.md`` shows the table.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from struct import unpack_from
from typing import Any, Final, NamedTuple

import dcm2niix
import pydicom
import pytest
from pydicom.dataset import Dataset

from gateway.deid import Deidentifier
from gateway.dicom.segments import copy_to
from gateway.profile import Program, load_profile
from gateway.profile.situation import decided
from gateway.verify import Verifier
from tests.fixtures.acquisitions import SERIES, VOLUMES, write_series
from tests.unit.deid.profiles import KEY, opened

PAGE: Final = Path(__file__).parents[2] / "docs" / "how-to" / "keep-acquisition-numbers.md"
#: What of dcm2niix's description names or dates somebody, or says what was done.
IDENTITY: Final = frozenset(
    ("InstitutionName", "SeriesInstanceUID", "StudyInstanceUID", "StudyID", "PatientName", "PatientID",
     "AccessionNumber", "PatientBirthDate", "AcquisitionDateTime", "DeidentificationMethod",
     "DeidentificationMethodCodeSequence")
)  # fmt: skip
#: Texts of makers, which no layer keeps.
TEXTS: Final = frozenset(("CoilString", "MatrixCoilMode", "PulseSequenceName"))
#: The research profile as it would be without the layer.
WITHOUT: Final = """\
profile: without
use: [basic, retain-patient-characteristics, retain-longitudinal-modified-dates, retain-safe-private,
      clean-descriptors, clean-structured-content, clean-graphics]
attributes:
  - keep: [Manufacturer, ManufacturerModelName]
    because: kinds of machines name nobody
"""
#: What is another one without the layer, in the order of the series; empty where nothing is.
LOST: Final = (
    ("description",), ("dimensions", "description"), ("b-values", "directions", "description"),
    ("directions",), ("b-values", "directions"),
    ("dimensions", "b-values", "directions", "description"), ("directions",), (), (), (), (),
)  # fmt: skip


class Converted(NamedTuple):
    """A volume as dcm2niix made it."""

    dimensions: tuple[int, ...]
    voxels: bytes
    b_values: str
    directions: str
    description: dict[str, Any]


def _converted(folder: Path, target: Path) -> list[Converted]:
    target.mkdir()
    ran = subprocess.run(
        [dcm2niix.bin, "-b", "y", "-ba", "n", "-z", "n", "-f", "%s", "-o", str(target), str(folder)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    # One volume a series: nothing was split, merged or left out.
    assert sorted(int(one.stem) for one in target.glob("*.nii")) == list(range(1, len(SERIES) + 1)), ran.stdout
    return [_read(target, series) for series in range(1, len(SERIES) + 1)]


def _read(folder: Path, series: int) -> Converted:
    raw = (folder / f"{series}.nii").read_bytes()
    number, *sizes = unpack_from("<8h", raw, 40)
    scaling = raw[112:120]
    texts = [(folder / f"{series}.{kind}") for kind in ("bval", "bvec")]
    b_values, directions = [one.read_text() if one.exists() else "" for one in texts]
    told = json.loads((folder / f"{series}.json").read_text())
    # Names of the version and of the file's pieces are the same everywhere; identity is not meant to be.
    description = {key: value for key, value in told.items() if key not in IDENTITY | TEXTS}
    start = int(unpack_from("<f", raw, 108)[0])
    return Converted(tuple(sizes[:number]), scaling + raw[start:], b_values, directions, description)


def _treated(program: Program, source: Path, target: Path) -> Path:
    target.mkdir()
    deidentifier, verifier = Deidentifier(program, KEY), Verifier(program)
    for path in sorted(source.iterdir()):
        with opened(path) as instance:
            truths = decided(program, instance)
            output = deidentifier.apply(instance, truths)
            verifier.check(instance, output.segments, truths)
            with (target / path.name).open("wb") as file:
                copy_to(output.segments, file)
    return target


class Conversions(NamedTuple):
    """The series before, after, and after without the layer; the folders of the first two."""

    before: list[Converted]
    after: list[Converted]
    without: list[Converted]
    sources: Path
    outputs: Path


@pytest.fixture(scope="module")
def conversions(tmp_path_factory: pytest.TempPathFactory) -> Conversions:
    folder = tmp_path_factory.mktemp("acquisitions")
    sources = folder / "sources"
    sources.mkdir()
    for series in range(1, len(SERIES) + 1):
        # Half of them as implicit VR, in which private elements have none.
        write_series(sources, series, implicit=series % 2 == 0)
    (folder / "without.yaml").write_text(WITHOUT)
    outputs = _treated(load_profile("research-default"), sources, folder / "outputs")
    poorer = _treated(load_profile(folder / "without.yaml"), sources, folder / "poorer")
    before = _converted(sources, folder / "before")
    return Conversions(
        before, _converted(outputs, folder / "after"), _converted(poorer, folder / "without"), sources, outputs
    )


@pytest.mark.parametrize("series", range(len(SERIES)), ids=[one.name for one in SERIES])
def test_a_series_is_the_same_afterwards(conversions: Conversions, series: int) -> None:
    before, after, without = (one[series] for one in conversions[:3])
    assert after == before
    # The series shows something: diffusion has its volumes, and each its value.
    if "PET" not in SERIES[series].name:
        assert before.dimensions == (8, 8, 3, len(VOLUMES))
        assert before.b_values.split() == [str(value) for value, _ in VOLUMES]
        assert {len(line.split()) for line in before.directions.splitlines()} == {len(VOLUMES)}
    # What the layer is for.
    names = Converted._fields
    lost = {name for name in names if getattr(before, name) != getattr(without, name)}
    told = {name.replace("_", "-") for name in lost}
    # Where dimensions are others, so are the voxels.
    assert told - ({"voxels"} if "dimensions" in told else set()) == set(LOST[series])


@pytest.mark.parametrize("series", [number for number, one in enumerate(SERIES, start=1) if "PET" in one.name])
def test_the_factor_to_suv_is_the_same_afterwards(conversions: Conversions, series: int) -> None:
    factors = [
        [_suv_factor(pydicom.dcmread(path)) for path in sorted(folder.glob(f"{series:02d}-*.dcm"))]
        for folder in (conversions.sources, conversions.outputs)
    ]
    assert factors[0] == factors[1]
    assert all(0 < factor < 1 for factor in factors[0])


def _suv_factor(found: Dataset) -> float:
    """From stored values to SUV by body weight: from Philips' own element, or from dose, decay and weight."""
    own = found.get_private_item(0x7053, 0x00, "Philips PET Private Group") if (0x7053, 0x0010) in found else None
    if own is not None:
        return float(own.value) * float(found.RescaleSlope)
    dose = found.RadiopharmaceuticalInformationSequence[0]
    begun, measured = (
        int(time[:2]) * 3600 + int(time[2:4]) * 60 + float(time[4:])
        for time in (dose.RadiopharmaceuticalStartTime, found.SeriesTime)
    )
    left = float(dose.RadionuclideTotalDose) * 2 ** -((measured - begun) / float(dose.RadionuclideHalfLife))
    return float(found.RescaleSlope) * float(found.PatientWeight) * 1000 / left


def test_nothing_of_the_patient_is_left(conversions: Conversions) -> None:
    for path in sorted(conversions.outputs.iterdir()):
        content = path.read_bytes()
        for name in (b"GARCIA", b"4471823", b"Ribera", b"20240315", b"RX2024001882"):
            assert name not in content, path.name


def test_the_page_has_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for one, lost in zip(SERIES, LOST, strict=True):
        assert f"| {one.name} | the same | {', '.join(lost) or 'the same'} |" in page
