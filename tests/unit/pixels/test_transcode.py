"""Stored outputs in the transfer syntax that a destination wants: same pixels, same UIDs, nothing else changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from gateway.dicom.encoded import Limits
from gateway.dicom.segments import FileRange
from gateway.errors import PixelsUnreadable, PixelsUnwritable
from gateway.pixels.description import describe
from gateway.pixels.frames import open_frames
from gateway.pixels.sandbox import Sandbox
from gateway.pixels.transcode import TranscodingWord, transcode
from tests.unit.pixels.stored import (
    EXPLICIT,
    HTJ2K,
    IMPLICIT,
    JPEG,
    JPEG_2000,
    JPEG_LS,
    RLE,
    Array,
    encapsulated,
    header,
    native,
    noise,
    opened,
    save,
)

SYNTAX: dict[TranscodingWord, str] = {
    "explicit": EXPLICIT,
    "jpeg-ls": JPEG_LS,
    "jpeg-2000": JPEG_2000,
    "htj2k": HTJ2K,
    "rle": RLE,
}
GREY = noise((2, 16, 24), "<i2", bits=12)
COLOUR = noise((16, 24, 3), "u1")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as one:
        yield one


def transcoded(path: Path, word: TranscodingWord, sandbox: Sandbox) -> tuple[Path, str | None]:
    """The file in two pieces, as the spool has it, and in a directory of its own afterwards."""
    folder = path.parent / f"{path.stem}-{word}"
    folder.mkdir()
    size = path.stat().st_size
    parts = (FileRange(path, 0, 100), FileRange(path, 100, size - 100))
    syntax = transcode(parts, folder / "out.dcm", word=word, limits=Limits(), sandbox=sandbox)
    # What was needed on the way is gone.
    assert [entry.name for entry in folder.iterdir()] == ([] if syntax is None else ["out.dcm"])
    return folder / "out.dcm", syntax


def frames_of(path: Path, sandbox: Sandbox) -> list[Array]:
    with opened(path) as instance:
        found = describe(instance)
        assert found is not None
        with open_frames(instance, found, sandbox=sandbox) as frames:
            return list(frames)


def sources() -> list[tuple[str, Dataset, str]]:
    values = {"BitsStored": 12, "HighBit": 11, "PixelPaddingValue": -2000, "ImageComments": "kept"}
    rle = encapsulated(header(COLOUR), [])
    rle.PixelData = pydicom.encaps.encapsulate([rle_of(COLOUR)])
    return [
        ("explicit", native(GREY, **values), EXPLICIT),
        ("implicit", native(GREY, **values), IMPLICIT),
        ("colour", native(COLOUR), EXPLICIT),
        ("rle", rle, RLE),
    ]


def rle_of(pixels: Array) -> bytes:
    dataset = native(pixels)
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(EXPLICIT)
    dataset.compress(RLE, encoding_plugin="pydicom", generate_instance_uid=False)
    return next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))


@pytest.mark.parametrize("word", list(SYNTAX))
@pytest.mark.parametrize(("name", "dataset", "syntax"), sources(), ids=[name for name, *_ in sources()])
def test_only_the_encoding_changes(
    tmp_path: Path, sandbox: Sandbox, word: TranscodingWord, name: str, dataset: Dataset, syntax: str
) -> None:
    path = save(tmp_path / f"{name}.dcm", dataset, syntax)
    file, new = transcoded(path, word, sandbox)
    if syntax == SYNTAX[word]:
        assert new is None
        return
    assert new == SYNTAX[word]
    before, after = pydicom.dcmread(path), pydicom.dcmread(file)
    assert after.file_meta.TransferSyntaxUID == SYNTAX[word]
    assert after.file_meta.MediaStorageSOPInstanceUID == before.SOPInstanceUID
    for one in (before, after):
        del one.PixelData
    if word in ("jpeg-2000", "htj2k") and after.SamplesPerPixel == 3:
        assert after.PhotometricInterpretation == "YBR_RCT"
        after.PhotometricInterpretation = before.PhotometricInterpretation
    # Pixel Padding Value is signed here, which implicit VR leaves open.
    assert after == before
    np.testing.assert_array_equal(frames_of(file, sandbox), frames_of(path, sandbox))
    if word != "htj2k":
        np.testing.assert_array_equal(pixel_array(file, raw=True), pixel_array(path, raw=True))


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, sandbox: Sandbox) -> None:
    """What is sent a second time, or asked for, is what was sent the first time."""
    path = save(tmp_path / "one.dcm", native(GREY))
    other = save(tmp_path / "two.dcm", native(GREY))
    for word in SYNTAX:
        if word != "explicit":
            first, _ = transcoded(path, word, sandbox)
            second, _ = transcoded(other, word, sandbox)
            assert first.read_bytes() == second.read_bytes()


def test_lossy_frames_keep_their_history(tmp_path: Path, sandbox: Sandbox) -> None:
    stream = bytes(imagecodecs.jpeg8_encode(COLOUR, level=80, outcolorspace="YCBCR"))
    dataset = encapsulated(header(COLOUR, PhotometricInterpretation="YBR_FULL_422"), [stream])
    path = save(tmp_path / "one.dcm", dataset, JPEG)
    file, new = transcoded(path, "jpeg-ls", sandbox)
    after = pydicom.dcmread(file)
    assert new == JPEG_LS
    assert (after.LossyImageCompression, after.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    assert after.LossyImageCompressionRatio >= 1
    assert after.PhotometricInterpretation == "YBR_FULL"
    assert after.SOPInstanceUID == dataset.SOPInstanceUID
    np.testing.assert_array_equal(frames_of(file, sandbox), frames_of(path, sandbox))


def document() -> Dataset:
    found = header(GREY)
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "NumberOfFrames"):
        del found[keyword]
    return found


def floating() -> Dataset:
    found = header(np.zeros((2, 2), "<f4"), PixelRepresentation=0)
    found.FloatPixelData = np.ones((2, 2), "<f4").tobytes()
    return found


def segmentation() -> Dataset:
    found = header(noise((3, 5, 7), "u1", bits=1), BitsAllocated=1, BitsStored=1, HighBit=0)
    found.PixelData = bytes(14)
    return found


@pytest.mark.parametrize("make", [document, floating, segmentation, lambda: native(noise((4, 4), "<u4"))])
@pytest.mark.parametrize("source", [EXPLICIT, IMPLICIT])
def test_what_a_syntax_cannot_hold_goes_in_explicit_vr(
    tmp_path: Path, sandbox: Sandbox, make: Any, source: str
) -> None:
    path = save(tmp_path / "one.dcm", make(), source)
    file, new = transcoded(path, "jpeg-ls", sandbox)
    if source == EXPLICIT:
        assert new is None
        return
    assert new == EXPLICIT
    assert pydicom.dcmread(file) == pydicom.dcmread(path)


def test_video_is_refused(tmp_path: Path, sandbox: Sandbox) -> None:
    path = save(tmp_path / "one.dcm", encapsulated(header(COLOUR), [b"\0\0\0\1"]), "1.2.840.10008.1.2.4.102")
    with pytest.raises(PixelsUnreadable, match="is not decoded"):
        transcoded(path, "explicit", sandbox)


def test_a_truncated_frame_is_refused(tmp_path: Path, sandbox: Sandbox) -> None:
    stream = bytes(imagecodecs.jpeg8_encode(COLOUR, level=80))
    path = save(tmp_path / "one.dcm", encapsulated(header(COLOUR), [stream[:-40]]), JPEG)
    with pytest.raises(PixelsUnreadable, match="truncated"):
        transcoded(path, "explicit", sandbox)


def test_a_compressed_icon_is_refused(tmp_path: Path, sandbox: Sandbox) -> None:
    stream = bytes(imagecodecs.jpeg8_encode(COLOUR, level=80))
    dataset = encapsulated(header(COLOUR), [stream])
    dataset.IconImageSequence = [encapsulated(header(COLOUR), [stream])]
    path = save(tmp_path / "one.dcm", dataset, JPEG)
    with pytest.raises(PixelsUnwritable, match="a sequence holds a compressed image"):
        transcoded(path, "jpeg-ls", sandbox)
