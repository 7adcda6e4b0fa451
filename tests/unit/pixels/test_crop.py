"""A crop that changes the geometry adapts what counts pixels, and holds what it cannot adapt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.errors import RuleFailed
from gateway.pixels.sandbox import Sandbox
from tests.fixtures.treating import CR, CT, Treated, image, item_of, noise, program, stored, treat
from tests.unit.pixels.test_regions import region

CROP = "pixels:\n  - crop: {top: 5, bottom: 3, left: 10, right: 2, geometry: change}\n"
KEPT = (slice(5, 37), slice(10, 58))


def cropped(
    folder: Path, sandbox: Sandbox, sop_class: str = CR, /, syntax: str = ExplicitVRLittleEndian, **values: Any
) -> tuple[np.ndarray[Any, Any], Treated]:
    pixels = noise(40, 60)
    path = stored(folder, image(pixels, sop_class, **values), syntax)
    return pixels, treat(path, program(folder, CROP), sandbox=sandbox)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_rows_and_columns(tmp_path: Path, sandbox: Sandbox, syntax: str) -> None:
    pixels, found = cropped(tmp_path, sandbox, syntax=syntax)
    output = found.dataset
    assert (output.Rows, output.Columns) == (32, 48)
    assert np.array_equal(output.pixel_array, pixels[KEPT])
    assert output.file_meta.TransferSyntaxUID == syntax
    assert output.ImageType[0] == "DERIVED"
    assert output.DerivationDescription == "De-identification: edges cropped"
    assert "DerivationCodeSequence" not in output


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        # axial: columns along x, rows along y; spacing is row first
        ([1, 0, 0, 0, 1, 0], [-100 + 10 * 0.5, -80 + 5 * 0.25, 12.5]),
        # coronal: columns along x, rows along -z
        ([1, 0, 0, 0, 0, -1], [-100 + 10 * 0.5, -80, 12.5 - 5 * 0.25]),
        # oblique
        ([0.6, 0.8, 0, -0.8, 0.6, 0], [-100 + 3 - 1, -80 + 4 + 0.75, 12.5]),
    ],
)
def test_image_position(tmp_path: Path, sandbox: Sandbox, orientation: list[float], expected: list[float]) -> None:
    _, found = cropped(
        tmp_path,
        sandbox,
        CT,
        ImagePositionPatient=[-100, -80, 12.5],
        ImageOrientationPatient=orientation,
        PixelSpacing=[0.25, 0.5],
    )
    assert [float(number) for number in found.dataset.ImagePositionPatient] == pytest.approx(expected)


def test_every_pixel_keeps_its_place_in_the_patient(tmp_path: Path, sandbox: Sandbox) -> None:
    values: dict[str, Any] = {
        "ImagePositionPatient": [-3.2, 4.7, 9.1],
        "ImageOrientationPatient": [0.36, 0.48, -0.8, -0.8, 0.6, 0.0],
        "PixelSpacing": [0.731, 0.412],
    }
    pixels, found = cropped(tmp_path, sandbox, CT, **values)

    def place(dataset: Any, row: int, column: int) -> np.ndarray[Any, Any]:
        position, orientation = np.array(dataset["ImagePositionPatient"], float), dataset["ImageOrientationPatient"]
        spacing = [float(one) for one in dataset["PixelSpacing"]]
        across, down = np.array(orientation[:3], float), np.array(orientation[3:], float)
        return np.asarray(position + across * spacing[1] * column + down * spacing[0] * row)

    output = {key: getattr(found.dataset, key) for key in values}
    assert found.dataset.pixel_array[7, 9] == pixels[12, 19]
    assert place(output, 7, 9) == pytest.approx(place(values, 12, 19), abs=1e-9)


def test_shutters_and_collimators(tmp_path: Path, sandbox: Sandbox) -> None:
    _, found = cropped(
        tmp_path,
        sandbox,
        ShutterShape=["RECTANGULAR", "CIRCULAR"],
        ShutterLeftVerticalEdge=12,
        ShutterRightVerticalEdge=50,
        ShutterUpperHorizontalEdge=7,
        ShutterLowerHorizontalEdge=30,
        CenterOfCircularShutter=[20, 30],
        RadiusOfCircularShutter=9,
        CollimatorUpperHorizontalEdge=2,
        VerticesOfThePolygonalCollimator=[6, 11, 8, 40, 30, 20],
    )
    output = found.dataset
    assert [output.ShutterLeftVerticalEdge, output.ShutterRightVerticalEdge] == [2, 40]
    assert [output.ShutterUpperHorizontalEdge, output.ShutterLowerHorizontalEdge] == [2, 25]
    # row before column
    assert list(output.CenterOfCircularShutter) == [15, 20]
    assert output.RadiusOfCircularShutter == 9
    # an edge may lie outside
    assert output.CollimatorUpperHorizontalEdge == -3
    assert list(output.VerticesOfThePolygonalCollimator) == [1, 1, 3, 30, 25, 10]


def test_ultrasound_regions(tmp_path: Path, sandbox: Sandbox) -> None:
    inside, outside = region(12, 8, 40, 30), region(0, 0, 9, 4)
    inside.ReferencePixelX0 = 3
    _, found = cropped(tmp_path, sandbox, SequenceOfUltrasoundRegions=[inside, outside])
    (moved,) = found.dataset.SequenceOfUltrasoundRegions
    assert [moved.RegionLocationMinX0, moved.RegionLocationMinY0] == [2, 3]
    assert [moved.RegionLocationMaxX1, moved.RegionLocationMaxY1] == [30, 25]
    # relative to the region
    assert moved.ReferencePixelX0 == 3


def test_regions_that_are_cut_off_go(tmp_path: Path, sandbox: Sandbox) -> None:
    _, found = cropped(tmp_path, sandbox, SequenceOfUltrasoundRegions=[region(0, 0, 9, 4)])
    assert "SequenceOfUltrasoundRegions" not in found.dataset


def planes() -> Dataset:
    position = item_of(ImagePositionPatient=[1, 2, 3])
    return item_of(PlanePositionSequence=[position])


def shutter() -> Dataset:
    return item_of(FrameDisplayShutterSequence=[item_of(ShutterLeftVerticalEdge=4)])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        # through the middle of a region
        ({"SequenceOfUltrasoundRegions": [region(0, 0, 30, 30)]}, "cuts through a region"),
        # positions of frames, in either functional groups
        ({"PerFrameFunctionalGroupsSequence": [planes()]}, r"\(0020,0032\) depends on the positions"),
        ({"SharedFunctionalGroupsSequence": [planes()]}, r"\(0020,0032\) depends on the positions"),
        # shutters of frames
        ({"SharedFunctionalGroupsSequence": [shutter()]}, r"\(0018,1602\) depends"),
        # a position without what it is computed by
        ({"ImagePositionPatient": [1, 2, 3]}, "does not have the 6 numbers"),
        (
            {"ImagePositionPatient": [1, 2, 3], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
            "does not have the 2 numbers",
        ),
        # other places that are not adapted
        ({"FieldOfViewOrigin": [1, 2]}, r"\(0018,7030\) depends"),
        ({"RTImagePosition": [1, 2]}, r"\(3002,0012\) depends"),
        ({"TotalPixelMatrixColumns": 60}, r"\(0048,0006\) depends"),
    ],
)  # fmt: skip
def test_what_is_not_adapted_is_held(tmp_path: Path, sandbox: Sandbox, values: dict[str, Any], reason: str) -> None:
    with pytest.raises(RuleFailed, match=reason):
        cropped(tmp_path, sandbox, **values)


def test_an_overlay_that_stays_holds(tmp_path: Path, sandbox: Sandbox) -> None:
    source = image(noise(40, 60))
    source.add_new(0x60000010, "US", 40)
    source.add_new(0x60000011, "US", 60)
    source.add_new(0x60000040, "CS", "G")
    source.add_new(0x60000050, "SS", [1, 1])
    source.add_new(0x60000100, "US", 1)
    source.add_new(0x60000102, "US", 0)
    source.add_new(0x60003000, "OW", bytes(300))
    path = stored(tmp_path, source)
    # the basic profile removes it
    assert treat(path, program(tmp_path, CROP), sandbox=sandbox).dataset.Rows == 32
    keeping = program(tmp_path, CROP + 'attributes:\n  - keep: ["(60xx,3000)"]\n    because: none\n')
    with pytest.raises(RuleFailed, match=r"\(6000,3000\) depends on the positions"):
        treat(path, keeping, sandbox=sandbox)


def test_crops_and_masks_together(tmp_path: Path, sandbox: Sandbox) -> None:
    """Rectangles count in the received image; what is cut off of them is gone."""
    pixels = noise(3, 40, 60)
    rules = CROP + "  - mask: [[0, 0, 20, 10], [0, 0, 5, 5]]\n"
    found = treat(stored(tmp_path, image(pixels)), program(tmp_path, rules), sandbox=sandbox).dataset
    expected = pixels.copy()
    expected[:, :10, :20] = 0
    assert np.array_equal(found.pixel_array, expected[(slice(None), *KEPT)])


def test_the_crop_leaves_something(tmp_path: Path, sandbox: Sandbox) -> None:
    for geometry in ("keep", "change"):
        rules = f"pixels:\n  - crop: {{top: 30, bottom: 10, geometry: {geometry}}}\n"
        with pytest.raises(RuleFailed, match="leaves nothing of an image of 60 columns and 40 rows"):
            treat(stored(tmp_path, image(noise(40, 60))), program(tmp_path, rules), sandbox=sandbox)


def test_blackout_keeps_the_geometry(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise(40, 60)
    rules = "pixels:\n  - crop: {top: 5, bottom: 3, left: 10, right: 2}\n"
    values = {
        "ImagePositionPatient": [1, 2, 3], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1],
    }  # fmt: skip
    output = treat(stored(tmp_path, image(pixels, CT, **values)), program(tmp_path, rules), sandbox=sandbox).dataset
    expected = np.zeros_like(pixels)
    expected[KEPT] = pixels[KEPT]
    assert np.array_equal(output.pixel_array, expected)
    assert [float(number) for number in output.ImagePositionPatient] == [1, 2, 3]
