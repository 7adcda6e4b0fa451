"""What the header says of pixel data, and what is refused because it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from gateway.errors import PixelsUnreadable
from gateway.pixels.description import describe, has_pixels
from tests.fixtures.corpus import corpus_files
from tests.unit.pixels.stored import IMPLICIT, JPEG, SECONDARY_CAPTURE, encapsulated, header, native, opened, save

GREY = np.arange(12, dtype="<u2").reshape(3, 4)
COLOUR = np.zeros((3, 4, 3), "u1")


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", IMPLICIT], ids=["explicit", "implicit"])
def test_describes(tmp_path: Path, syntax: str) -> None:
    dataset = native(GREY.view("<i2"), BitsStored=12, HighBit=11, PixelPaddingValue=-2000)
    with opened(save(tmp_path / "one.dcm", dataset, syntax)) as instance:
        found = describe(instance)
    assert found is not None
    assert (found.rows, found.columns, found.samples_per_pixel, found.frames) == (3, 4, 1, 1)
    assert (found.bits_allocated, found.bits_stored, found.high_bit, found.signed) == (16, 12, 11, True)
    assert (found.shape, found.dtype, found.frame_bytes, found.padding_value) == ((3, 4), "<i2", 24, -2000)
    assert not found.encapsulated


def test_same_header_has_the_same_description(tmp_path: Path) -> None:
    """What was described before is not read again, and tells nothing of what is written in another way."""
    changes: tuple[dict[str, Any], ...] = ({}, {}, {"PatientName": "B"}, {"BitsStored": 12, "HighBit": 11}, {})
    found = []
    for number, change in enumerate(changes):
        with opened(save(tmp_path / f"{number}.dcm", native(GREY, **change))) as instance:
            found.append(describe(instance))
    first, same, other_patient, other_bits, again = found
    assert first is not None
    assert first is same is other_patient is again
    assert other_bits is not None
    assert (first.bits_stored, other_bits.bits_stored) == (16, 12)


def test_same_header_with_other_pixel_data_is_refused(tmp_path: Path) -> None:
    dataset = native(GREY)
    with opened(save(tmp_path / "one.dcm", dataset)) as instance:
        assert describe(instance) is not None
    dataset.PixelData = dataset.PixelData[:-2]
    with opened(save(tmp_path / "two.dcm", dataset)) as instance, pytest.raises(PixelsUnreadable, match="22 bytes"):
        describe(instance)


def test_nothing_to_describe(tmp_path: Path) -> None:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SECONDARY_CAPTURE, "1.2.3"
    with opened(save(tmp_path / "one.dcm", dataset)) as instance:
        assert not has_pixels(instance)
        assert describe(instance) is None


@pytest.mark.parametrize(
    ("pixels", "change", "reason"),
    [
        # An element is missing.
        (GREY, {"Rows": None}, "(0028,0010) is missing"),
        (GREY, {"BitsAllocated": None}, "(0028,0100) is missing"),
        (GREY, {"PhotometricInterpretation": None}, "Photometric Interpretation is missing"),
        # Sizes that cannot be.
        (GREY, {"Rows": 0}, "a frame of 0 rows and 4 columns"),
        (GREY, {"NumberOfFrames": 0}, "Number of Frames is 0"),
        # The length of Pixel Data contradicts the header.
        (GREY, {"Rows": 4}, "Pixel Data has 24 bytes, its description needs 32"),
        (GREY, {"NumberOfFrames": 2}, "Pixel Data has 24 bytes, its description needs 48"),
        (GREY, {"Rows": 1}, "Pixel Data has 24 bytes, its description needs 8"),
        (GREY, {"Rows": 65535, "Columns": 65535, "NumberOfFrames": 999999}, "its description needs 8589663860327550"),
        # Bits that cannot be.
        (GREY, {"BitsAllocated": 12}, "Bits Allocated is 12"),
        (GREY, {"BitsStored": 17}, "17 bits stored up to bit 15 of 16 bits allocated"),
        (GREY, {"HighBit": 16}, "16 bits stored up to bit 16 of 16 bits allocated"),
        (GREY, {"BitsStored": 12, "HighBit": 10}, "12 bits stored up to bit 10 of 16 bits allocated"),
        (GREY, {"PixelRepresentation": 2}, "neither 0 nor 1"),
        # Colours that cannot be.
        (GREY, {"PhotometricInterpretation": "RGB"}, "RGB with 1 samples per pixel"),
        (COLOUR, {"SamplesPerPixel": 4}, "RGB with 4 samples per pixel"),
        (COLOUR, {"PixelRepresentation": 1}, "RGB of 8 bits with signed values"),
        (COLOUR, {"PhotometricInterpretation": "CMYK", "SamplesPerPixel": 4}, "missing, retired or unknown"),
        # Forms that only compressed pixel data has, and one that is retired.
        (COLOUR, {"PhotometricInterpretation": "YBR_RCT"}, "YBR_RCT in native form"),
        (COLOUR, {"PhotometricInterpretation": "YBR_PARTIAL_420"}, "a retired form"),
        (COLOUR[:, :3], {"PhotometricInterpretation": "YBR_FULL_422"}, "odd number of columns"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, pixels: Any, change: dict[str, Any], reason: str) -> None:
    dataset = native(pixels)
    for keyword, value in change.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    with (
        opened(save(tmp_path / "one.dcm", dataset)) as instance,
        pytest.raises(PixelsUnreadable) as caught,
    ):
        describe(instance)
    assert reason in caught.value.message


def test_floating_point_pixels_are_refused_by_name(tmp_path: Path) -> None:
    dataset = header(np.zeros((2, 2), "<f4"), PixelRepresentation=0)
    dataset.FloatPixelData = np.zeros((2, 2), "<f4").tobytes()
    with opened(save(tmp_path / "one.dcm", dataset)) as instance, pytest.raises(PixelsUnreadable, match="floating"):
        describe(instance)


def test_pixels_elsewhere_are_refused_by_name(tmp_path: Path) -> None:
    dataset = header(GREY)
    dataset.PixelDataProviderURL = "http://example.org/pixels"
    path = save(tmp_path / "one.dcm", dataset, "1.2.840.10008.1.2.4.94")
    with opened(path) as instance, pytest.raises(PixelsUnreadable, match="JPIP"):
        describe(instance)


def test_native_pixels_under_a_compressed_syntax_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "one.dcm", encapsulated(header(COLOUR), [b"\xff\xd8"]), JPEG)
    data = path.read_bytes()
    # Pixel Data with a length of its own instead of fragments.
    head = data.index(b"\xe0\x7f\x10\x00OB")
    path.write_bytes(data[: head + 8] + (36).to_bytes(4, "little") + bytes(36))
    with opened(path) as instance, pytest.raises(PixelsUnreadable, match="Pixel Data is native"):
        describe(instance)


def test_a_segmented_palette_is_expanded() -> None:
    (path,) = (path for path in corpus_files() if path.name == "gdcm-US-ALOKA-16.dcm")
    with opened(path) as instance:
        found = describe(instance)
    assert found is not None
    assert found.palette is not None
    assert (found.palette.first, found.palette.bits, len(found.palette.red)) == (0, 16, 65536)
    assert found.palette.darkest() == 0


def test_the_darkest_colour_of_a_palette(tmp_path: Path) -> None:
    dataset = native(np.zeros((2, 2), "u1"), PhotometricInterpretation="PALETTE COLOR")
    for name, entries in (("Red", (90, 0, 10, 0)), ("Green", (0, 90, 10, 0)), ("Blue", (9, 9, 10, 255))):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [4, 5, 8])
        setattr(dataset, f"{name}PaletteColorLookupTableData", bytes(entries))
    with opened(save(tmp_path / "one.dcm", dataset)) as instance:
        found = describe(instance)
    assert found is not None
    assert found.palette is not None
    assert found.palette.darkest() == 5 + 2


@pytest.mark.parametrize(
    ("segments", "entries"),
    [
        # Values one by one.
        ((0, 3, 7, 8, 9), (7, 8, 9)),
        # One value, then a straight line from it.
        ((0, 1, 10, 1, 4, 18), (10, 12, 14, 16, 18)),
        # The line again, from where it ended: the second segment lies 3 words from the beginning.
        ((0, 1, 10, 1, 2, 20, 2, 1, 6, 0), (10, 15, 20, 20, 20)),
        # A line without a beginning, a segment without values, an unknown kind, too many entries, too few.
        ((1, 2, 20), None),
        ((0, 0, 0, 1, 5), None),
        ((3, 1, 7), None),
        ((0, 9, 7), None),
    ],
)
def test_segments_of_a_palette(tmp_path: Path, segments: tuple[int, ...], entries: tuple[int, ...] | None) -> None:
    dataset = native(np.zeros((2, 2), "u1"), PhotometricInterpretation="PALETTE COLOR")
    for name in ("Red", "Green", "Blue"):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [len(entries or "12"), 0, 16])
        setattr(dataset, f"Segmented{name}PaletteColorLookupTableData", np.array(segments, "<u2").tobytes())
    with opened(save(tmp_path / "one.dcm", dataset)) as instance:
        found = describe(instance)
    assert found is not None
    assert (found.palette.red if found.palette else None) == entries
