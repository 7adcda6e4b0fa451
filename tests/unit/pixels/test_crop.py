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

DX = "1.2.840.10008.5.1.4.1.1.1.1"
CONFOCAL = "1.2.840.10008.5.1.4.1.1.77.1.8"
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


def overlay(source: Dataset, **values: Any) -> Dataset:
    """The image with an overlay plane of its size."""
    for element, vr, value in (
        (0x0010, "US", 40), (0x0011, "US", 60), (0x0040, "CS", "G"), (0x0050, "SS", values.get("origin", [1, 1])),
        (0x0100, "US", 1), (0x0102, "US", values.get("bit", 0)), (0x3000, "OW", bytes(300)),
    ):  # fmt: skip
        source.add_new(0x60020000 | element, vr, value)
    return source


KEEP_OVERLAYS = """\
attributes:
  - {keep: ["(60xx,xxxx)"], because: none}
"""


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_an_overlay_moves(tmp_path: Path, sandbox: Sandbox, syntax: str) -> None:
    """It stays whole, its origin outside the image if need be (PS3.3 C.9.2)."""
    path = stored(tmp_path, overlay(image(noise(40, 60)), origin=[3, 30]), syntax)
    output = treat(path, program(tmp_path, CROP + KEEP_OVERLAYS), sandbox=sandbox).dataset
    assert list(output[0x60020050].value) == [-2, 20]
    assert (output[0x60020010].value, output[0x60020011].value, len(output[0x60023000].value)) == (40, 60, 300)
    # the basic profile removes it
    assert not treat(path, program(tmp_path, CROP), sandbox=sandbox).dataset.group_dataset(0x6002)


@pytest.mark.parametrize(
    ("values", "rules", "reason"),
    [
        # in the bits of the pixels
        ({"bit": 12}, KEEP_OVERLAYS, r"\(6002,0102\) depends"),
        # without an origin that could move
        ({"origin": [1]}, KEEP_OVERLAYS, r"\(6002,0050\) is no list of numbers"),
        ({}, KEEP_OVERLAYS + "  - {remove: ['(60xx,0050)'], because: none}\n", r"\(6002,3000\) depends"),
        ({}, KEEP_OVERLAYS + "  - {remove: [OverlayOrigin], because: none}\n", r"\(6002,3000\) depends"),
        ({"origin": [-32765, 1]}, KEEP_OVERLAYS, r"\(6002,0050\) would lie too far outside"),
    ],
)  # fmt: skip
def test_an_overlay_that_cannot_move_holds(
    tmp_path: Path, sandbox: Sandbox, values: dict[str, Any], rules: str, reason: str
) -> None:
    path = stored(tmp_path, overlay(image(noise(40, 60)), **values))
    with pytest.raises(RuleFailed, match=reason):
        treat(path, program(tmp_path, CROP + rules), sandbox=sandbox)


def test_the_field_of_view_of_a_digital_radiograph_goes_as_a_whole(tmp_path: Path, sandbox: Sandbox) -> None:
    """Its origin is of Type 1C beside rotation and flip, which go with it (PS3.3 C.8.11.4)."""
    values: dict[str, Any] = {
        "FieldOfViewShape": "RECTANGLE",
        "FieldOfViewDimensions": [40, 60],
        "FieldOfViewOrigin": [12.5, 3],
        "FieldOfViewRotation": 90,
        "FieldOfViewHorizontalFlip": "NO",
    }
    _, found = cropped(tmp_path, sandbox, DX, **values, Modality="DX")
    assert not set(values) & set(found.dataset.dir())


def test_the_field_of_view_of_the_image_goes(tmp_path: Path, sandbox: Sandbox) -> None:
    values: dict[str, Any] = {"FieldOfViewShape": "RECTANGLE", "FieldOfViewDimensions": [40, 60]}
    _, found = cropped(tmp_path, sandbox, **values)
    assert not {"FieldOfViewShape", "FieldOfViewDimensions"} & set(found.dataset.dir())
    # where the IOD does not ask for it
    with pytest.raises(RuleFailed, match=r"\(0018,1147\) depends"):
        cropped(tmp_path, sandbox, CONFOCAL, **values)


def test_source_images_have_other_places(tmp_path: Path, sandbox: Sandbox) -> None:
    source = item_of(
        ReferencedSOPClassUID=CR, ReferencedSOPInstanceUID="1.2.276.0.7230010.3.9", SpatialLocationsPreserved="YES"
    )
    rules = CROP + "attributes:\n  - {keep: [SourceImageSequence], because: needed}\n"
    path = stored(tmp_path, image(noise(40, 60), SourceImageSequence=[source, Dataset()]))
    output = treat(path, program(tmp_path, rules), sandbox=sandbox).dataset
    first, second = output.SourceImageSequence
    assert (first.SpatialLocationsPreserved, first.ReferencedSOPClassUID, len(second)) == ("NO", CR, 0)
    assert first.ReferencedSOPInstanceUID.startswith("2.25.")


def test_private_sequences_that_may_stay(tmp_path: Path, sandbox: Sandbox) -> None:
    source = image(noise(40, 60))
    source.add_new(0x00290010, "LO", "SOMEBODY")
    source.add_new(0x00291001, "SQ", [item_of(ShutterLeftVerticalEdge=4)])
    path = stored(tmp_path, source)
    assert treat(path, program(tmp_path, CROP), sandbox=sandbox).dataset.Rows == 32
    keeping = program(tmp_path, CROP + 'attributes:\n  - {keep: ["(0029,xx01) SOMEBODY"], because: none}\n')
    with pytest.raises(RuleFailed, match=r"\(0029,1001\)/\(0018,1602\) depends"):
        treat(path, keeping, sandbox=sandbox)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        # through the middle of a region
        ({"SequenceOfUltrasoundRegions": [region(0, 0, 30, 30)]}, "cuts through a region"),
        # a position without what it is computed by
        ({"ImagePositionPatient": [1, 2, 3]}, r"\(0020,0037\) is missing"),
        (
            {"ImagePositionPatient": [1, 2, 3], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
            r"\(0028,0030\) is missing",
        ),
        # numbers that are none
        ({"CenterOfCircularShutter": [20, 30, 40]}, r"\(0018,1610\) is no list of numbers"),
        # other places that are not adapted
        (
            {"DetectorInformationSequence": [item_of(FieldOfViewOrigin=[1, 2])]},
            r"\(0054,0022\)/\(0018,7030\) depends",
        ),
        ({"RTImagePosition": [1, 2]}, r"\(3002,0012\) depends"),
        ({"TotalPixelMatrixColumns": 60}, r"\(0048,0006\) depends"),
        (
            {"DetectorInformationSequence": [item_of(ImagePositionPatient=[1, 2, 3])]},
            r"\(0054,0022\)/\(0020,0032\) depends",
        ),
        ({"BiopsyTargetSequence": [item_of(LocalizingCursorPosition=[1, 2])]}, r"\(0018,2041\)/\(0018,2043\) dep"),
    ],
)  # fmt: skip
def test_what_is_not_adapted_is_held(tmp_path: Path, sandbox: Sandbox, values: dict[str, Any], reason: str) -> None:
    with pytest.raises(RuleFailed, match=reason):
        cropped(tmp_path, sandbox, **values)


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
