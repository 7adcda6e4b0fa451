"""A crop that changes the geometry moves the positions of frames in their functional groups, and nothing else there."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.deid import Deidentifier
from gateway.errors import LeakSuspected, RuleFailed
from gateway.pixels.pixel_treatment import PixelTreatment
from gateway.pixels.sandbox import Sandbox
from gateway.verify import Verifier
from tests.fixtures.corpus import corpus_files
from tests.fixtures.treating import KEY, image, item_of, noise, opened, program, specialised, stored, treat

CROP = "pixels:\n  - crop: {top: 5, bottom: 3, left: 10, right: 2, geometry: change}\n"
ENHANCED_MR: Final = "1.2.840.10008.5.1.4.1.1.4.1"
ENHANCED_US: Final = "1.2.840.10008.5.1.4.1.1.6.2"
AXIAL = [1, 0, 0, 0, 1, 0]
Edit = Callable[[Dataset], None]


def received_file(name: str) -> bytes:
    return next(path for path in corpus_files() if path.name == name).read_bytes()


def position(*numbers: float) -> list[Dataset]:
    return [item_of(ImagePositionPatient=list(numbers))]


def orientation(*numbers: float) -> list[Dataset]:
    return [item_of(ImageOrientationPatient=list(numbers))]


def measures(*spacing: float) -> list[Dataset]:
    return [item_of(PixelSpacing=list(spacing))]


def enhanced(edit: Edit | None = None) -> Dataset:
    """Three frames 40 by 60: position per frame, orientation and spacing shared."""
    shared = item_of(PlaneOrientationSequence=orientation(*AXIAL), PixelMeasuresSequence=measures(0.25, 0.5))
    frames = [
        item_of(FrameContentSequence=[item_of(StackID="1")], PlanePositionSequence=position(-100, -80, height))
        for height in (0, 2.5, 5)
    ]
    found = image(
        noise(3, 40, 60),
        ENHANCED_MR,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=frames,
    )
    if edit is not None:
        edit(found)
    return found


def shared_of(found: Dataset) -> Dataset:
    item: Dataset = found.SharedFunctionalGroupsSequence[0]
    return item


def frames_of(found: Dataset) -> list[Dataset]:
    return list(found.PerFrameFunctionalGroupsSequence)


def cropped(folder: Path, sandbox: Sandbox, source: Dataset, rules: str = "", syntax: str = "") -> Dataset:
    path = stored(folder, source, syntax or ExplicitVRLittleEndian)
    return treat(path, program(folder, CROP + rules), sandbox=sandbox).dataset


def places(dataset: Dataset, row: int, column: int) -> list[Any]:
    """Where a pixel of every frame lies in the patient, by the matrix of PS3.3 Equation C.7.6.2.1-1."""
    shared = shared_of(dataset)
    found = []
    for frame in frames_of(dataset):
        groups = {
            name: (frame.get(f"{name}Sequence") or shared[f"{name}Sequence"].value)[0]
            for name in ("PlanePosition", "PlaneOrientation", "PixelMeasures")
        }
        along, down = np.reshape(np.array(groups["PlaneOrientation"].ImageOrientationPatient, float), (2, 3))
        between_rows, between_columns = (float(one) for one in groups["PixelMeasures"].PixelSpacing)
        matrix = np.eye(4)
        matrix[:3, 0], matrix[:3, 1] = along * between_columns, down * between_rows
        matrix[:3, 3] = np.array(groups["PlanePosition"].ImagePositionPatient, float)
        found.append((matrix @ [column, row, 0, 1])[:3])
    return found


@pytest.mark.parametrize(
    "name",
    [
        "eCT_Supplemental.dcm",  # Enhanced CT
        "liver.dcm",  # a segmentation, single bits
        "liver_expb_1frame.dcm",  # the same in big endian, one frame
    ],
)
def test_pixels_keep_their_places_in_the_patient(tmp_path: Path, sandbox: Sandbox, name: str) -> None:
    rules = "pixels:\n  - crop: {top: 100, bottom: 28, left: 77, right: 51, geometry: change}\n"
    path = tmp_path / name
    path.write_bytes(received_file(name))
    received = pydicom.dcmread(path)
    output = treat(path, program(tmp_path, rules), sandbox=sandbox).dataset
    assert (output.Rows, output.Columns) == (384, 384)
    for row, column in ((0, 0), (383, 0), (211, 383)):
        moved, expected = places(output, row, column), places(received, row + 100, column + 77)
        assert len(moved) == len(expected) > 0
        assert np.allclose(moved, expected, rtol=0, atol=1e-6)
    before = received.pixel_array.reshape(-1, 512, 512)[:, 100:484, 77:461]
    assert np.array_equal(output.pixel_array.reshape(-1, 384, 384), before)


def test_pixels_of_oblique_frames_keep_their_places(tmp_path: Path, sandbox: Sandbox) -> None:
    """Every frame has a plane and a spacing of its own."""

    def oblique(found: Dataset) -> None:
        del shared_of(found).PlaneOrientationSequence, shared_of(found).PixelMeasuresSequence
        for number, frame in enumerate(frames_of(found)):
            angle, tilt = 0.3 + number, 0.7 * number
            along = np.array([np.cos(angle), np.sin(angle), 0])
            down = np.array([-np.sin(angle) * np.cos(tilt), np.cos(angle) * np.cos(tilt), np.sin(tilt)])
            frame.PlaneOrientationSequence = orientation(*(round(float(one), 8) for one in (*along, *down)))
            frame.PixelMeasuresSequence = measures(0.731 + number, 0.412)
            frame.PlanePositionSequence = position(-113.27, 88.125 * number, 1e-3)

    received = enhanced(oblique)
    output = cropped(tmp_path, sandbox, received)
    assert np.array_equal(output.pixel_array, received.pixel_array[:, 5:37, 10:58])
    for row, column in ((0, 0), (31, 47)):
        moved, expected = places(output, row, column), places(received, row + 5, column + 10)
        assert np.allclose(moved, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["eCT_Supplemental.dcm", "liver.dcm"])
def test_nothing_else_changes(tmp_path: Path, sandbox: Sandbox, name: str) -> None:
    """The functional groups are those of an image with black edges but for the positions."""
    path = tmp_path / name
    path.write_bytes(received_file(name))
    black, smaller = (
        treat(
            path, program(tmp_path, f"pixels:\n  - crop: {{top: 9, left: 4, geometry: {geometry}}}\n"), sandbox=sandbox
        ).dataset
        for geometry in ("keep", "change")
    )
    for one, other in zip(frames_of(black), frames_of(smaller), strict=True):
        assert one.PlanePositionSequence[0] != other.PlanePositionSequence[0]
        del one.PlanePositionSequence, other.PlanePositionSequence
        assert one == other
    assert shared_of(black) == shared_of(smaller)
    for keyword in ("PerFrameFunctionalGroupsSequence", "Rows", "Columns", "PixelData"):
        del black[keyword], smaller[keyword]
    assert {one.tag for one in black} == {one.tag for one in smaller}


def undefined(found: Dataset) -> None:
    """Sequences and items of undefined length."""
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        found[keyword].is_undefined_length = True
        for item in found[keyword].value:
            item.is_undefined_length_sequence_item = True
            for inner in item:
                inner.is_undefined_length = True


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("edit", [None, undefined])
def test_the_encoding_stays(tmp_path: Path, sandbox: Sandbox, syntax: str, edit: Edit | None) -> None:
    """Byte for byte what pydicom writes with the moved positions."""

    def moved(found: Dataset) -> None:
        if edit is not None:
            edit(found)
        for frame, height in zip(frames_of(found), ("0", "2.5", "5"), strict=True):
            frame.PlanePositionSequence[0].ImagePositionPatient = ["-95", "-78.75", height]

    (tmp_path / "expected").mkdir()
    expected = stored(tmp_path / "expected", enhanced(moved), syntax).read_bytes()
    path = stored(tmp_path, enhanced(edit), syntax)
    keeping = program(tmp_path, CROP)
    with opened(path) as instance, PixelTreatment(sandbox=sandbox, finder=None).treat(
        specialised(keeping, instance), instance, work=tmp_path, words=frozenset
    ) as outcome:  # fmt: skip
        output = Deidentifier(keeping, KEY).apply(instance, pixels=outcome.change)
    header = b"".join(segment for segment in output.segments if isinstance(segment, bytes))
    first, last = bytes.fromhex("00522992"), bytes.fromhex("e07f1000")
    assert header[header.index(first) : header.index(last)] == expected[expected.index(first) : expected.index(last)]


def test_groups_of_unknown_vr(tmp_path: Path, sandbox: Sandbox) -> None:
    """Items inside VR UN are implicit VR and stay it (PS3.5 6.2.2)."""
    group, pixels = bytes.fromhex("00523092"), bytes.fromhex("e07f1000")
    implicit = stored(tmp_path, enhanced(), ImplicitVRLittleEndian).read_bytes()
    start = implicit.index(group)
    items = implicit[start + 4 : implicit.index(pixels)]
    path = stored(tmp_path, enhanced())
    content = path.read_bytes()
    path.write_bytes(
        content[: content.index(group)] + group + b"UN\0\0" + items + content[content.index(pixels) :]
    )  # fmt: skip
    output = treat(path, program(tmp_path, CROP), sandbox=sandbox).dataset
    assert [list(frame.PlanePositionSequence[0].ImagePositionPatient) for frame in frames_of(output)] == [
        [-95, -78.75, height] for height in (0, 2.5, 5)
    ]


def own_orientations(found: Dataset) -> None:
    del shared_of(found).PlaneOrientationSequence
    for frame, cosines in zip(frames_of(found), (AXIAL, [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]), strict=True):
        frame.PlaneOrientationSequence = orientation(*cosines)


def own_spacing(found: Dataset) -> None:
    del shared_of(found).PixelMeasuresSequence
    for frame, spacing in zip(frames_of(found), (1, 2, 4), strict=True):
        frame.PixelMeasuresSequence = measures(spacing, spacing / 8)


def one_plane(found: Dataset) -> None:
    """A position that all frames share, as in a series over time; only the spacing stands with each of them."""
    shared_of(found).PlanePositionSequence = position(-100, -80, 0)
    shared = shared_of(found)
    for frame in frames_of(found):
        del frame.PlanePositionSequence
        frame.PixelMeasuresSequence = copy.deepcopy(shared.PixelMeasuresSequence)
    del shared.PixelMeasuresSequence


def shared_only(found: Dataset) -> None:
    del found.PerFrameFunctionalGroupsSequence
    shared_of(found).PlanePositionSequence = position(-100, -80, 0)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        # the first pixel that stays is in column 10 and row 5; 0.25 mm between rows, 0.5 between columns
        (None, [[-95, -78.75, 0], [-95, -78.75, 2.5], [-95, -78.75, 5]]),
        (own_orientations, [[-95, -78.75, 0], [-95, -80, 1.25], [-100, -75, 3.75]]),
        (own_spacing, [[-98.75, -75, 0], [-97.5, -70, 2.5], [-95, -60, 5]]),
    ],
)
def test_positions_of_frames(tmp_path: Path, sandbox: Sandbox, edit: Edit | None, expected: list[list[float]]) -> None:
    output = cropped(tmp_path, sandbox, enhanced(edit))
    assert [list(frame.PlanePositionSequence[0].ImagePositionPatient) for frame in frames_of(output)] == expected


@pytest.mark.parametrize("edit", [one_plane, shared_only])
def test_shared_position(tmp_path: Path, sandbox: Sandbox, edit: Edit) -> None:
    output = cropped(tmp_path, sandbox, enhanced(edit))
    assert list(shared_of(output).PlanePositionSequence[0].ImagePositionPatient) == [-95, -78.75, 0]


def test_position_in_a_volume(tmp_path: Path, sandbox: Sandbox) -> None:
    def volume(found: Dataset) -> None:
        found.SOPClassUID = ENHANCED_US
        shared_of(found).PlaneOrientationVolumeSequence = [item_of(ImageOrientationVolume=[0, 0, 1, 1, 0, 0])]
        for frame, depth in zip(frames_of(found), (0, 1 / 3, 0.1), strict=True):
            del frame.PlanePositionSequence
            frame.PlanePositionVolumeSequence = [item_of(ImagePositionVolume=[0.5, depth, -1])]

    output = cropped(tmp_path, sandbox, enhanced(volume))
    assert [list(frame.PlanePositionVolumeSequence[0].ImagePositionVolume) for frame in frames_of(output)] == [
        [1.75, depth, 4] for depth in (0, 1 / 3, 0.1)
    ]


def test_shutters_of_frames(tmp_path: Path, sandbox: Sandbox) -> None:
    def shutters(found: Dataset) -> None:
        shared_of(found).FrameDisplayShutterSequence = [
            item_of(ShutterShape="CIRCULAR", CenterOfCircularShutter=[20, 30], RadiusOfCircularShutter=9)
        ]
        frames_of(found)[1].CollimatorShapeSequence = [
            item_of(CollimatorShape="RECTANGULAR", CollimatorLeftVerticalEdge=12, CollimatorUpperHorizontalEdge=7)
        ]

    output = cropped(tmp_path, sandbox, enhanced(shutters))
    (shutter,) = shared_of(output).FrameDisplayShutterSequence
    assert (list(shutter.CenterOfCircularShutter), shutter.RadiusOfCircularShutter) == ([15, 20], 9)
    (collimator,) = frames_of(output)[1].CollimatorShapeSequence
    assert (collimator.CollimatorLeftVerticalEdge, collimator.CollimatorUpperHorizontalEdge) == (2, 2)


def test_rules_apply_beside_what_moves(tmp_path: Path, sandbox: Sandbox) -> None:
    def dated(found: Dataset) -> None:
        (item,) = frames_of(found)[1].PlanePositionSequence
        item.PatientComments, item.StudyInstanceUID = "MOCKBURY", "1.2.276.0.7230010.3"
        item.add_new(0x00290010, "LO", "SOMEBODY")
        item.add_new(0x00291001, "LO", "MOCKBURY")

    output = cropped(tmp_path, sandbox, enhanced(dated))
    (item,) = frames_of(output)[1].PlanePositionSequence
    assert [element.keyword for element in item] == ["StudyInstanceUID", "ImagePositionPatient"]
    assert item.StudyInstanceUID == output.StudyInstanceUID
    assert list(item.ImagePositionPatient) == [-95, -78.75, 2.5]


@pytest.mark.parametrize(
    ("rules", "edit"),
    [
        # nothing of it stays: nothing has to be known
        ("attributes:\n  - {remove: [PlanePositionSequence], because: none}\n", None),
        ("attributes:\n  - {empty: ['**/PlanePositionSequence/ImagePositionPatient'], because: none}\n", None),
        ("attributes:\n  - {remove: [PerFrameFunctionalGroupsSequence], because: none}\n", None),
        # no position yet
        ("", lambda found: setattr(frames_of(found)[0].PlanePositionSequence[0], "ImagePositionPatient", None)),
    ],
)
def test_positions_that_go(tmp_path: Path, sandbox: Sandbox, rules: str, edit: Edit | None) -> None:
    source = enhanced(edit)
    if not edit:
        del shared_of(source).PlaneOrientationSequence
    output = cropped(tmp_path, sandbox, source, rules)
    assert output.Columns == 48
    frames = output.get("PerFrameFunctionalGroupsSequence") or [Dataset()]
    assert not [one for one in frames[0].get("PlanePositionSequence", []) if one.get("ImagePositionPatient")]


def test_edges_on_the_right_and_below_move_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    def incomplete(found: Dataset) -> None:
        del shared_of(found).PlaneOrientationSequence
        shared_of(found).FrameDisplayShutterSequence = [item_of(ShutterLeftVerticalEdge=4)]

    rules = "pixels:\n  - crop: {bottom: 7, right: 3, geometry: change}\n"
    source = enhanced(incomplete)
    output = treat(stored(tmp_path, source), program(tmp_path, rules), sandbox=sandbox).dataset
    assert (output.Rows, output.Columns) == (33, 57)
    assert frames_of(output) == frames_of(source)
    assert shared_of(output) == shared_of(source)


def different_orientations(found: Dataset) -> None:
    one_plane(found)
    frames_of(found)[2].PixelMeasuresSequence = measures(1, 1)


def spacing_of_the_image(found: Dataset) -> None:
    del shared_of(found).PixelMeasuresSequence
    found.PixelSpacing = [1, 1]


def unassigned(found: Dataset) -> None:
    frames_of(found)[0].UnassignedPerFrameConvertedAttributesSequence = position(1, 2, 3)


def set_in(group: str, keyword: str, value: object) -> Edit:
    """A value of the first item of a shared group."""
    return lambda found: setattr(shared_of(found)[group].value[0], keyword, value)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda found: delattr(shared_of(found), "PlaneOrientationSequence"), r"\(0020,0037\) is missing"),
        (lambda found: delattr(shared_of(found), "PixelMeasuresSequence"), r"\(0028,0030\) is missing"),
        (lambda found: delattr(found, "SharedFunctionalGroupsSequence"), r"\(0020,0037\) is missing"),
        # the spacing of the whole image is not that of its frames
        (spacing_of_the_image, r"\(0028,0030\) is missing"),
        # told twice
        (
            lambda found: setattr(frames_of(found)[1], "PixelMeasuresSequence", measures(0.25, 0.5)),
            r"frame 2 has \(0028,9110\) more than once",
        ),
        (
            lambda found: setattr(shared_of(found), "PlanePositionSequence", position(1, 2, 3)),
            r"frame 1 has \(0020,9113\) more than once",
        ),
        (
            lambda found: frames_of(found)[2].PlanePositionSequence.append(position(1, 2, 3)[0]),
            r"frame 3 has \(0020,9113\) more than once",
        ),
        (
            lambda found: found.SharedFunctionalGroupsSequence.append(Dataset()),
            r"\(5200,9229\) has more than one item",
        ),
        (different_orientations, r"frames share \(0020,0032\) and differ"),
        # impossible
        (set_in("PixelMeasuresSequence", "PixelSpacing", [0.5, 0]), "is not above 0"),
        (set_in("PixelMeasuresSequence", "PixelSpacing", [-0.5, 0.5]), "is not above 0"),
        (set_in("PixelMeasuresSequence", "PixelSpacing", [0.5]), "does not have the 2 numbers"),
        (set_in("PlaneOrientationSequence", "ImageOrientationPatient", [1, 0, 0, 0, 2, 0]), "no pair of unit vectors"),
        (set_in("PlaneOrientationSequence", "ImageOrientationPatient", [0, 0, 0, 0, 0, 0]), "no pair of unit vectors"),
        (set_in("PlaneOrientationSequence", "ImageOrientationPatient", [1, 0, 0, 0.6, 0.8, 0]), "at a right angle"),
        # positions that are no frame's, and ones in other coordinates
        (unassigned, r"\(5200,9230\)/\(0020,9171\)/\(0020,0032\) depends"),
        (
            lambda found: setattr(
                frames_of(found)[0],
                "PlanePositionSlideSequence",
                [item_of(ColumnPositionInTotalImagePixelMatrix=1, RowPositionInTotalImagePixelMatrix=1)],
            ),
            r"\(0048,021A\)/\(0048,021E\) depends",
        ),
        (
            lambda found: setattr(
                frames_of(found)[0], "OphthalmicFrameLocationSequence", [item_of(ReferenceCoordinates=[1, 2, 3, 4])]
            ),
            r"\(0022,0031\)/\(0022,0032\) depends",
        ),
    ],
)
def test_what_cannot_move_is_held(tmp_path: Path, sandbox: Sandbox, edit: Edit, reason: str) -> None:
    with pytest.raises(RuleFailed, match=reason):
        cropped(tmp_path, sandbox, enhanced(edit))


@pytest.mark.parametrize("number", ["nan", "inf", "1e999", "1_0", "0x1", "1 2", "1,5", "--1"])
def test_no_decimal_string(tmp_path: Path, sandbox: Sandbox, number: str) -> None:
    """What Python, but not PS3.5 6.2, takes for a number is none."""
    source = enhanced()
    frames_of(source)[1].PlanePositionSequence[0].ImagePositionPatient = ["1", "2", "-5813"]
    path = stored(tmp_path, source)
    path.write_bytes(path.read_bytes().replace(b"1\\2\\-5813", b"1\\2\\" + number.encode().ljust(5)))
    with pytest.raises(RuleFailed, match=r"\(0020,0032\) does not have the 3 numbers"):
        treat(path, program(tmp_path, CROP), sandbox=sandbox)


def test_a_rule_for_what_moves_holds(tmp_path: Path, sandbox: Sandbox) -> None:
    rule = '{replace: {"**/PlanePositionSequence/ImagePositionPatient": "1"}, because: none}'
    with pytest.raises(RuleFailed, match=r"a rule changes \(5200,9230\)/\(0020,9113\)/\(0020,0032\)"):
        cropped(tmp_path, sandbox, enhanced(), f"attributes:\n  - {rule}\n")


def test_the_verifier_asks_for_every_position(tmp_path: Path, sandbox: Sandbox) -> None:
    """An output that lacks one moved position is suspected, whichever it is."""
    path, keeping = stored(tmp_path, enhanced()), program(tmp_path, CROP)
    with opened(path) as instance, PixelTreatment(sandbox=sandbox, finder=None).treat(
        specialised(keeping, instance), instance, work=tmp_path, words=frozenset
    ) as outcome:  # fmt: skip
        change = outcome.change
        assert change is not None
        assert [one.path for one in change.items] == [
            ((0x52009230, number), (0x00209113, 0)) for number in range(3)
        ]  # fmt: skip
        for missing in range(3):
            fewer = replace(change, items=tuple(one for at, one in enumerate(change.items) if at != missing))
            output = Deidentifier(keeping, KEY).apply(instance, pixels=fewer)
            Verifier(keeping).check(instance, output.segments, pixels=fewer)
            where = rf"\(5200,9230\)\[{missing}\]/\(0020,9113\)\[0\]/\(0020,0032\)"
            with pytest.raises(LeakSuspected, match=where):
                Verifier(keeping).check(instance, output.segments, pixels=change)
        elsewhere = replace(change.items[0], path=((0x52009230, 3), (0x00209113, 0)))
        output = Deidentifier(keeping, KEY).apply(instance, pixels=change)
        with pytest.raises(LeakSuspected, match=r"\(5200,9230\)\[3\].*it is missing"):
            Verifier(keeping).check(instance, output.segments, pixels=replace(change, items=(elsewhere,)))
