"""An output has of a change of pixels exactly what was to change, and claims no more than was done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from gateway.deid import Deidentifier, ProjectKey
from gateway.dicom import encode
from gateway.dicom.instance import Instance
from gateway.dicom.pixel_change import PixelChange
from gateway.dicom.segments import FileRange, Segment
from gateway.errors import LeakSuspected
from gateway.profile import Program, load_profile
from gateway.verify import Verifier
from tests.unit.verify.support import opened, original, write

PIXEL_DATA = 0x7FE00010
BURNED_IN_ANNOTATION = 0x00280301
LARGEST = 0x00280107
EXPLICIT = "1.2.840.10008.1.2.1"
RLE = "1.2.840.10008.1.2.5"


@pytest.fixture(scope="module")
def program() -> Program:
    return load_profile("basic")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    source = original(PatientID="MRN-4711", BitsAllocated=8, PixelData=b"\1\2\3\4")
    source["PixelData"].VR = "OB"
    source.LargestImagePixelValue = 9
    source["LargestImagePixelValue"].VR = "US"
    with opened(write(tmp_path / "original.dcm", source)) as found:
        yield found


def frames(folder: Path, content: bytes = b"\0\0\0\0") -> Path:
    path = folder / "frames"
    path.write_bytes(content)
    return path


def native(folder: Path) -> tuple[Segment, ...]:
    header = encode.header(PIXEL_DATA, b"OB", 4, implicit=False)
    return header, FileRange(frames(folder), 0, 4)


def encapsulated(folder: Path) -> tuple[Segment, ...]:
    header = encode.header(PIXEL_DATA, b"OB", encode.UNDEFINED_LENGTH, implicit=False) + encode.item_header(0)
    return header, FileRange(frames(folder, encode.item_header(4) + b"\0\0\0\0"), 0, 12), encode.SEQUENCE_END


def change(folder: Path, pixels: tuple[Segment, ...] | None = None, syntax: str = EXPLICIT) -> PixelChange:
    return PixelChange(
        transfer_syntax=syntax,
        elements={
            PIXEL_DATA: pixels or native(folder),
            BURNED_IN_ANNOTATION: (encode.element(BURNED_IN_ANNOTATION, b"CS", b"NO", implicit=False),),
            LARGEST: None,
        },
        cleaned=True,
    )


def output(program: Program, instance: Instance, pixels: PixelChange | None) -> tuple[Segment, ...]:
    return Deidentifier(program, ProjectKey(b"k" * 32)).apply(instance, pixels=pixels).segments


def test_what_was_to_change_has_changed(program: Program, instance: Instance, tmp_path: Path) -> None:
    for pixels in (
        change(tmp_path),
        change(tmp_path, encapsulated(tmp_path), RLE),
        # in memory, without a file
        change(tmp_path, (encode.element(PIXEL_DATA, b"OB", b"\0\0\0\0", implicit=False),)),
        PixelChange(transfer_syntax=EXPLICIT, elements={}, cleaned=True),
    ):
        Verifier(program).check(instance, output(program, instance, pixels), pixels=pixels)


def test_without_a_change_nothing_is_claimed(program: Program, instance: Instance) -> None:
    Verifier(program).check(instance, output(program, instance, None))


def test_an_output_of_another_change_is_refused(program: Program, instance: Instance, tmp_path: Path) -> None:
    done = change(tmp_path)
    wrong = tmp_path / "other"
    wrong.write_bytes(b"\0\0\0\0")
    header = native(tmp_path)[0]
    for expected, place in (
        # without the change: the stamp claims what was not done
        (None, r"\(0012,0064\)"),
        # claims that are missing or too many
        (replace(done, cleaned=False), r"\(0012,0064\)"),
        (replace(done, features_cleaned=True), r"\(0012,0064\)"),
        # other frames, of another file or another place
        (change(tmp_path, (header, FileRange(wrong, 0, 4))), r"\(7FE0,0010\)"),
        (change(tmp_path, (header, FileRange(tmp_path / "frames", 0, 2))), r"\(7FE0,0010\)"),
        (replace(done, elements={**done.elements, PIXEL_DATA: (header, b"\0\0\0\1")}), r"\(7FE0,0010\)"),
        (replace(done, elements={**done.elements, PIXEL_DATA: None}), r"\(7FE0,0010\)"),
        # more of the element than was written
        (change(tmp_path, (*native(tmp_path), b"\0\0")), r"\(7FE0,0010\)"),
        # another encoding
        (replace(done, transfer_syntax=RLE), r"\(0002,0010\)"),
        # other values
        (
            replace(
                done,
                elements={
                    **done.elements,
                    BURNED_IN_ANNOTATION: (encode.element(BURNED_IN_ANNOTATION, b"CS", b"YES", implicit=False),),
                },
            ),
            r"\(0028,0301\)",
        ),
        (replace(done, elements={**done.elements, BURNED_IN_ANNOTATION: None}), r"\(0028,0301\)"),
        (replace(done, elements={**done.elements, LARGEST: (b"\0",)}), r"\(0028,0107\)"),
    ):
        with pytest.raises(LeakSuspected, match=place):
            Verifier(program).check(instance, output(program, instance, done), pixels=expected)


def test_an_earlier_claim_stays(program: Program, tmp_path: Path) -> None:
    """What somebody cleaned before us is clean, though we did nothing."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "113101", "DCM", "Clean Pixel Data Option"
    source = original(DeidentificationMethodCodeSequence=[item])
    with opened(write(tmp_path / "earlier.dcm", source)) as instance:
        Verifier(program).check(instance, output(program, instance, None))


def test_a_leak_beside_the_pixels_is_still_found(program: Program, instance: Instance, tmp_path: Path) -> None:
    pixels = change(tmp_path)
    content = output(program, instance, pixels)
    leaking = (*content, encode.element(0xFFFCFFFC, b"OB", b"MRN-4711", implicit=False))
    with pytest.raises(LeakSuspected, match=r"\(FFFC,FFFC\)"):
        Verifier(program).check(instance, leaking, pixels=pixels)
