"""Frames written and read again: every encoder, offset tables, padding, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from struct import unpack
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate_extended, generate_frames, parse_basic_offsets
from pydicom.pixels.utils import pixel_array

from gateway.dicom.segments import copy_to
from gateway.errors import PixelsUnwritable, SpoolUnavailable
from gateway.pixels.codestream import read_codestream
from gateway.pixels.description import PixelDescription, describe
from gateway.pixels.frames import open_frames
from gateway.pixels.sandbox import Sandbox
from gateway.pixels.syntaxes import CODINGS, EncodingWord, output_syntax
from gateway.pixels.writing import FrameWriter
from tests.unit.pixels.stored import (
    EXPLICIT,
    HTJ2K,
    IMPLICIT,
    JPEG,
    JPEG_2000,
    JPEG_LS,
    RLE,
    Array,
    description,
    encapsulated,
    header,
    native,
    noise,
    opened,
    save,
)

WRITTEN = [EXPLICIT, JPEG_LS, JPEG_2000, HTJ2K, RLE]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as one:
        yield one


def written(folder: Path, writer: FrameWriter, frames: Any) -> bytes:
    """The element that a writer makes of frames."""
    for frame in frames:
        writer.add(frame)
    path = folder / "element"
    with path.open("wb") as file:
        copy_to(writer.finish(), file)
    return path.read_bytes()


def as_file(folder: Path, element: bytes, found: PixelDescription, syntax: str) -> Path:
    """A file around a Pixel Data element, to be read by pydicom."""
    dataset = header(np.zeros(found.shape, found.dtype))
    dataset.NumberOfFrames = found.frames
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = found.bits_allocated, found.bits_stored, found.high_bit
    dataset.PhotometricInterpretation = found.photometric_interpretation
    path = save(folder / "file.dcm", dataset, syntax)
    path.write_bytes(path.read_bytes() + element)
    return path


@pytest.mark.parametrize("syntax", WRITTEN)
@pytest.mark.parametrize(
    ("shape", "dtype", "bits"),
    [
        # Grey of every depth and sign, whole cells and parts of them.
        ((33, 47), "u1", 8),
        ((33, 47), "u1", 6),
        ((33, 47), "<u2", 16),
        ((33, 47), "<i2", 16),
        ((33, 47), "<u2", 12),
        ((33, 47), "<i2", 12),
        ((33, 47), "<u2", 7),
        # Colour.
        ((32, 30, 3), "u1", 8),
        ((33, 47, 3), "<u2", 16),
        # Frames that are hardly there, and one as wide as it is deep.
        ((1, 1), "<u2", 12),
        ((1, 9), "u1", 8),
        ((3, 3, 3), "u1", 8),
    ],
)
def test_what_is_written_is_read_again(
    tmp_path: Path, sandbox: Sandbox, syntax: str, shape: tuple[int, ...], dtype: str, bits: int
) -> None:
    frames = [noise(shape, dtype, bits=bits, seed=seed) for seed in range(2)]
    found = description(frames[0], bits_stored=bits, frames=2)
    with FrameWriter(tmp_path / "frames", found, transfer_syntax=syntax, sandbox=sandbox) as writer:
        element = written(tmp_path, writer, frames)
        photometric = writer.photometric_interpretation
    assert len(element) % 2 == 0
    assert (tmp_path / "frames").stat().st_mode & 0o777 == 0o600
    path = as_file(tmp_path, element, replace(found, photometric_interpretation=photometric), syntax)
    with opened(path) as instance:
        again = describe(instance)
        assert again is not None
        with open_frames(instance, again, sandbox=sandbox) as reader:
            np.testing.assert_array_equal(list(reader), frames)
        with open_frames(instance, again, sandbox=sandbox, otherwise=again.encapsulated) as reader:
            np.testing.assert_array_equal(list(reader), frames)
    if syntax != EXPLICIT:
        dataset = pydicom.dcmread(path)
        streams = list(generate_frames(dataset.PixelData, number_of_frames=2))
        offsets = parse_basic_offsets(dataset.PixelData)
        assert offsets == [0, len(streams[0]) + 8]
        if syntax != RLE:
            for stream in streams:
                claims = read_codestream(stream, CODINGS[syntax].family)
                tiny = syntax == JPEG_LS and frames[0].size < 64
                assert claims.precision == bits or tiny
                assert claims.lossy is not True


@pytest.mark.parametrize("syntax", [JPEG_LS, JPEG_2000, RLE, EXPLICIT])
@pytest.mark.parametrize(("shape", "dtype"), [((33, 47), "<i2"), ((33, 47), "<u2"), ((32, 30, 3), "u1")])
def test_others_read_what_is_written(
    tmp_path: Path, sandbox: Sandbox, syntax: str, shape: tuple[int, ...], dtype: str
) -> None:
    frames = [noise(shape, dtype, seed=seed) for seed in range(2)]
    found = description(frames[0], frames=2)
    with FrameWriter(tmp_path / "frames", found, transfer_syntax=syntax, sandbox=sandbox) as writer:
        element = written(tmp_path, writer, frames)
        found = replace(found, photometric_interpretation=writer.photometric_interpretation)
    dataset = pydicom.dcmread(as_file(tmp_path, element, found, syntax))
    np.testing.assert_array_equal(pixel_array(dataset, raw=True), frames)


def test_cells_with_bits_above_the_sample_keep_them(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise((20, 30), "<u2")
    for syntax in WRITTEN:
        found = description(pixels, bits_stored=12)
        path = tmp_path / syntax
        with FrameWriter(path, found, transfer_syntax=syntax, sandbox=sandbox) as writer:
            element = written(tmp_path, writer, [pixels])
        with opened(as_file(tmp_path, element, found, syntax)) as instance:
            again = describe(instance)
            assert again is not None
            with open_frames(instance, again, sandbox=sandbox) as reader:
                np.testing.assert_array_equal(reader.frame(0), pixels)
            with open_frames(instance, again, sandbox=sandbox, otherwise=again.encapsulated) as reader:
                np.testing.assert_array_equal(reader.frame(0), pixels)


def test_single_bits_run_over_the_frames(tmp_path: Path, sandbox: Sandbox) -> None:
    frames = noise((3, 5, 7), "u1", bits=1)
    found = description(frames[0], bits_allocated=1, bits_stored=1, frames=3)
    with FrameWriter(tmp_path / "frames", found, transfer_syntax=EXPLICIT, sandbox=sandbox) as writer:
        element = written(tmp_path, writer, frames)
    bits = np.packbits(frames.reshape(-1), bitorder="little").tobytes()
    assert element[12:] == bits + bytes(len(bits) % 2)
    assert element[4:6] == b"OB"


def test_implicit_vr_stays_native(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise((3, 3), "u1")
    found = description(pixels, transfer_syntax=IMPLICIT)
    with FrameWriter(tmp_path / "a", found, transfer_syntax=IMPLICIT, sandbox=sandbox, implicit=True) as writer:
        element = written(tmp_path, writer, [pixels])
    assert element == b"\xe0\x7f\x10\x00\x0a\0\0\0" + pixels.tobytes() + b"\0"
    with pytest.raises(PixelsUnwritable, match="implicit VR"):
        FrameWriter(tmp_path / "b", found, transfer_syntax=RLE, sandbox=sandbox, implicit=True)


@pytest.mark.parametrize("syntax", [JPEG_LS, JPEG_2000, HTJ2K, RLE])
def test_an_encoder_that_errs_is_found_out(
    tmp_path: Path, sandbox: Sandbox, syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = noise((16, 24), "u1")
    honest = sandbox.encode

    def erring(codec: Any, frame: Array, claims: Any) -> bytes:
        wrong = frame.copy()
        wrong[5, 7] ^= 1
        return honest(codec, wrong, claims)

    monkeypatch.setattr(sandbox, "encode", erring)
    with (
        FrameWriter(tmp_path / "frames", description(pixels), transfer_syntax=syntax, sandbox=sandbox) as writer,
        pytest.raises(PixelsUnwritable, match="decodes differently"),
    ):
        writer.add(pixels)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        # Too few, too many, of another size, of another type.
        ([noise((4, 4), "u1")], "1 frames of 2"),
        ([noise((4, 4), "u1")] * 3, "more than 2 frames"),
        ([noise((4, 5), "u1")], "not of the shape"),
        ([noise((4, 4), "<u2")], "not of the shape"),
    ],
)
def test_frames_that_were_not_described_are_refused(
    tmp_path: Path, sandbox: Sandbox, frames: list[Array], reason: str
) -> None:
    found = description(noise((4, 4), "u1"), frames=2)
    with (
        FrameWriter(tmp_path / "frames", found, transfer_syntax=EXPLICIT, sandbox=sandbox) as writer,
        pytest.raises(PixelsUnwritable, match=reason),
    ):
        written(tmp_path, writer, frames)


def test_a_file_that_is_there_is_not_touched(tmp_path: Path, sandbox: Sandbox) -> None:
    (tmp_path / "frames").write_bytes(b"mine")
    with pytest.raises(SpoolUnavailable):
        FrameWriter(tmp_path / "frames", description(noise((4, 4), "u1")), transfer_syntax=EXPLICIT, sandbox=sandbox)
    assert (tmp_path / "frames").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("word", "source", "dtype", "expected"),
    [
        # Native stays native, implicit implicit.
        (None, EXPLICIT, "<u2", EXPLICIT),
        ("same", EXPLICIT, "<u2", EXPLICIT),
        (None, IMPLICIT, "<u2", IMPLICIT),
        ("rle", IMPLICIT, "<u2", IMPLICIT),
        # Compressed becomes JPEG-LS, or native where that cannot hold it.
        (None, JPEG, "u1", JPEG_LS),
        (None, JPEG_2000, "<u2", JPEG_LS),
        (None, RLE, "<u4", EXPLICIT),
        # The same family, without loss.
        ("same", JPEG, "u1", JPEG_LS),
        ("same", "1.2.840.10008.1.2.4.91", "<u2", JPEG_2000),
        ("same", "1.2.840.10008.1.2.4.203", "<u2", HTJ2K),
        ("same", RLE, "<u4", RLE),
        # What is asked for.
        ("jpeg-ls", EXPLICIT, "<u2", JPEG_LS),
        ("jpeg-2000", JPEG, "u1", JPEG_2000),
        ("htj2k", JPEG, "u1", HTJ2K),
        ("rle", EXPLICIT, "<u4", RLE),
        ("explicit", JPEG, "u1", EXPLICIT),
    ],
)
def test_the_syntax_of_the_output(word: EncodingWord | None, source: str, dtype: str, expected: str) -> None:
    found = description(noise((4, 4), dtype), transfer_syntax=source, encapsulated=source in CODINGS)
    assert output_syntax(word, found) == expected


def test_a_syntax_that_cannot_hold_the_frames_is_refused(tmp_path: Path, sandbox: Sandbox) -> None:
    found = description(noise((4, 4), "<u4"))
    with pytest.raises(PixelsUnwritable, match="samples have 32 bits"):
        output_syntax("jpeg-ls", found)
    with pytest.raises(PixelsUnwritable, match="samples have 32 bits"):
        FrameWriter(tmp_path / "a", found, transfer_syntax=JPEG_LS, sandbox=sandbox)
    with pytest.raises(PixelsUnwritable, match="nothing is written in it"):
        FrameWriter(tmp_path / "b", found, transfer_syntax=JPEG, sandbox=sandbox)


def changes(path: Path, syntax: str, sandbox: Sandbox) -> dict[int, bytes | None]:
    """Tag -> encoded element, or None, as a writer changes them; Pixel Data left out."""
    with opened(path) as instance:
        found = describe(instance)
        assert found is not None
        with (
            open_frames(instance, found, sandbox=sandbox) as frames,
            FrameWriter(
                path.with_suffix(".frames"),
                found,
                transfer_syntax=syntax,
                sandbox=sandbox,
                photometric_interpretation=frames.photometric_interpretation,
            ) as writer,
        ):
            for frame in frames:
                writer.add(frame)
            elements = writer.elements(instance, frames)
    assert elements.pop(0x7FE00010) is not None
    return {tag: None if one is None else b"".join(map(bytes, one)) for tag, one in elements.items()}  # type: ignore[arg-type]


def test_what_else_changes_with_the_pixels(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise((2, 16, 16, 3), "u1")
    streams = [bytes(imagecodecs.jpeg8_encode(one, level=90, outcolorspace="YCBCR")) for one in pixels]
    value, offsets, lengths = encapsulate_extended([one + bytes(len(one) % 2) for one in streams])
    dataset = encapsulated(header(pixels, PhotometricInterpretation="YBR_FULL_422", PlanarConfiguration=1), value)
    dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = offsets, lengths
    found = changes(save(tmp_path / "one.dcm", dataset, JPEG), JPEG_LS, sandbox)
    assert found[0x7FE00001] is None
    assert found[0x7FE00002] is None
    assert found[0x00280004] == b"\x28\0\x04\0CS\x08\0YBR_FULL"
    assert found[0x00280006] == b"\x28\0\x06\0US\x02\0\0\0"
    assert found[0x00282110] == b"\x28\0\x10\x21CS\x02\x0001"
    assert found[0x00282114] == b"\x28\0\x14\x21CS\x0c\0ISO_10918_1 "
    ratio = found[0x00282112]
    assert ratio is not None
    size = 2 * 16 * 16 * 2 / sum(len(one) + len(one) % 2 for one in streams)
    assert float(ratio[8:]) == pytest.approx(max(1.0, size), rel=1e-4)
    assert unpack("<H", ratio[6:8])[0] == len(ratio) - 8


def test_a_history_that_is_told_stays(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise((16, 16), "u1")
    values = {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": "7",
        "LossyImageCompressionMethod": "ISO_15444_1",
    }
    dataset = encapsulated(header(pixels, **values), [bytes(imagecodecs.jpeg8_encode(pixels, level=90))])
    assert changes(save(tmp_path / "one.dcm", dataset, JPEG), EXPLICIT, sandbox) == {}


def test_what_loses_nothing_has_no_history(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise((16, 16, 3), "u1")
    assert changes(save(tmp_path / "one.dcm", native(pixels)), JPEG_LS, sandbox) == {}
    # RGB is coded as YBR_RCT in JPEG 2000 (PS3.5 8.2.4).
    found = changes(save(tmp_path / "two.dcm", native(pixels)), JPEG_2000, sandbox)
    assert found == {0x00280004: b"\x28\0\x04\0CS\x08\0YBR_RCT "}
