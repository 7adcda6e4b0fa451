"""Encodings made by hand: blackened inside a box, and outside it what was made, as others read it than write it.

What was made is known sample by sample, so nothing has to be decoded to know what is right. Outputs are read by pydicom
and dcmtk, which the gateway writes nothing with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from gateway.pixels.sandbox import Sandbox
from gateway.profile import Program
from tests.fixtures.treating import US, image, noise, program, stored, treat
from tests.integration.test_pixels_corpus import plain

Pixels = np.ndarray[Any, Any]
Encoder = Callable[..., Any]
#: Columns, rows of the box.
WIDE, HIGH = 4, 2
MASK: Final = f"pixels:\n  - mask: [[0, 0, {WIDE}, {HIGH}]]\n"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as found:
        yield found


@pytest.fixture(scope="module")
def masking(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program(tmp_path_factory.mktemp("profiles"), MASK)


def _grey(*shape: int, bits: int = 12, dtype: str = "uint16") -> Pixels:
    return noise(*shape, dtype=dtype, below=1 << bits)


def _signed(*shape: int, bits: int = 12) -> Pixels:
    return (noise(*shape, below=1 << bits).astype("int32") - (1 << bits - 1)).astype("int16")


def _colour(*shape: int) -> Pixels:
    return noise(*shape, 3, dtype="uint8", below=256)


def _planar(pixels: Pixels) -> bytes:
    return np.ascontiguousarray(np.moveaxis(pixels, -1, -3)).tobytes()


def _halved(pixels: Pixels) -> Pixels:
    """Colour that each two neighbours in a row share."""
    pixels = pixels.copy()
    pixels[..., 1::2, 1:] = pixels[..., 0::2, 1:]
    return pixels


def _sub_sampled(pixels: Pixels) -> bytes:
    """YBR_FULL_422 (PS3.3 C.7.6.3.1.2): two luminances, then the colour of both."""
    pairs = np.stack((pixels[..., 0::2, 0], pixels[..., 1::2, 0], pixels[..., 0::2, 1], pixels[..., 0::2, 2]), -1)
    return np.ascontiguousarray(pairs).tobytes()


def _native(pixels: Pixels, data: bytes | None = None, **values: Any) -> tuple[Dataset, Pixels]:
    source = image(pixels, **values)
    if data is not None:
        source.PixelData = data + bytes(len(data) % 2)
    return source, pixels


def _palette(bits: int) -> tuple[Dataset, Pixels]:
    pixels = noise(9, 10, dtype="uint8", below=200)
    source = image(pixels, US, PhotometricInterpretation="PALETTE COLOR")
    table = np.arange(256, dtype="uint8" if bits == 8 else "uint16")
    for name in ("Red", "Green", "Blue"):
        setattr(source, f"{name}PaletteColorLookupTableDescriptor", [256, 0, bits])
        setattr(source, f"{name}PaletteColorLookupTableData", table.tobytes())
    return source, pixels


def _in(syntax: str, made: tuple[Dataset, Pixels]) -> Callable[[Path], tuple[Path, Pixels]]:
    """Stored by pydicom, native or through a codec."""

    def store(folder: Path) -> tuple[Path, Pixels]:
        return stored(folder, made[0], syntax), made[1]

    return store


def _coded(
    syntax: str,
    pixels: Pixels,
    code: Encoder,
    *,
    pieces: int = 1,
    offsets: str = "none",
    **values: Any,
) -> Callable[[Path], tuple[Path, Pixels]]:
    """Stored as fragments made here: in how many pieces a frame comes, and which table tells where it begins."""

    def store(folder: Path) -> tuple[Path, Pixels]:
        source = image(pixels, **values)
        frames = [bytes(code(frame)) for frame in (pixels if "NumberOfFrames" in source else pixels[np.newaxis])]
        if offsets == "extended":
            source.PixelData, starts, lengths = encapsulate_extended(frames)
            source.ExtendedOffsetTable, source.ExtendedOffsetTableLengths = starts, lengths
        else:
            source.PixelData = encapsulate(frames, fragments_per_frame=pieces, has_bot=offsets == "basic")
        source["PixelData"].VR = "OB"
        source.file_meta = FileMetaDataset()
        source.file_meta.TransferSyntaxUID = UID(syntax)
        path = folder / "in.dcm"
        source.save_as(path, enforce_file_format=True)
        return path, pixels

    return store


def _j2k(*, reversible_colour: bool = False, resolutions: int = 0, codec: str = "j2k") -> Encoder:
    return lambda frame: bytes(
        imagecodecs.jpeg2k_encode(
            frame, level=0, reversible=True, codecformat=codec, mct=reversible_colour, resolutions=resolutions or None
        )
    )


def _htj2k(frame: Pixels) -> bytes:
    return bytes(imagecodecs.htj2k_encode(frame, reversible=True))


LS, RLE, LJPEG = imagecodecs.jpegls_encode, RLELossless, imagecodecs.ljpeg_encode
#: Name -> how it is stored, with what was made.
ENCODINGS: Final[dict[str, Callable[[Path], tuple[Path, Pixels]]]] = {
    # Native, by bits and sign.
    "8 bits": _in(ExplicitVRLittleEndian, _native(_grey(9, 10, bits=8, dtype="uint8"))),
    "8 bits, an odd number": _in(ExplicitVRLittleEndian, _native(_grey(9, 11, bits=8, dtype="uint8"))),
    "7 of 8 bits": _in(ExplicitVRLittleEndian, _native(_grey(9, 10, bits=7, dtype="uint8"), BitsStored=7)),
    "10 of 16 bits": _in(ExplicitVRLittleEndian, _native(_grey(9, 10, bits=10), BitsStored=10)),
    "12 of 16 bits": _in(ExplicitVRLittleEndian, _native(_grey(9, 10), BitsStored=12)),
    "16 bits": _in(ExplicitVRLittleEndian, _native(_grey(9, 10, bits=16))),
    "16 bits signed": _in(ExplicitVRLittleEndian, _native(_signed(9, 10, bits=16))),
    "12 bits signed": _in(ExplicitVRLittleEndian, _native(_signed(9, 10))),
    "32 bits": _in(ExplicitVRLittleEndian, _native(_grey(9, 10, bits=31, dtype="uint32"))),
    "frames of an odd number of bytes": _in(
        ExplicitVRLittleEndian, _native(_grey(3, 9, 11, bits=8, dtype="uint8"))
    ),
    "black is white": _in(
        ExplicitVRLittleEndian, _native(_grey(9, 10), BitsStored=12, PhotometricInterpretation="MONOCHROME1")
    ),
    # Native, by the transfer syntax.
    "implicit VR": _in(ImplicitVRLittleEndian, _native(_grey(2, 9, 10), BitsStored=12)),
    "deflated": _in(DeflatedExplicitVRLittleEndian, _native(_grey(2, 9, 10), BitsStored=12)),
    # Native colour, by its order.
    "RGB by pixel": _in(ExplicitVRLittleEndian, _native(_colour(9, 10))),
    "RGB by pixel, frames of an odd number of bytes": _in(ExplicitVRLittleEndian, _native(_colour(3, 9, 11))),
    "RGB by plane": _in(
        ExplicitVRLittleEndian, _native(_colour(9, 10), _planar(_colour(9, 10)), PlanarConfiguration=1)
    ),
    "RGB by plane, frames": _in(
        ExplicitVRLittleEndian, _native(_colour(2, 9, 10), _planar(_colour(2, 9, 10)), PlanarConfiguration=1)
    ),
    "YBR by pixel": _in(ExplicitVRLittleEndian, _native(_colour(9, 10), PhotometricInterpretation="YBR_FULL")),
    "YBR by plane": _in(
        ExplicitVRLittleEndian,
        _native(
            _colour(9, 10), _planar(_colour(9, 10)), PlanarConfiguration=1, PhotometricInterpretation="YBR_FULL"
        ),
    ),
    "YBR of which two share the colour": _in(
        ExplicitVRLittleEndian,
        _native(
            _halved(_colour(9, 10)),
            _sub_sampled(_halved(_colour(9, 10))),
            PhotometricInterpretation="YBR_FULL_422",
        ),
    ),
    "palette of 8 bits": _in(ExplicitVRLittleEndian, _palette(8)),
    "palette of 16 bits": _in(ExplicitVRLittleEndian, _palette(16)),
    # Run lengths.
    "RLE 8 bits": _in(RLE, _native(_grey(9, 10, bits=8, dtype="uint8"))),
    "RLE 16 bits": _in(RLE, _native(_grey(9, 10, bits=16))),
    "RLE signed frames": _in(RLE, _native(_signed(3, 9, 10, bits=16))),
    "RLE colour": _in(RLE, _native(_colour(2, 9, 10))),
    "RLE long runs": _in(RLE, _native(np.repeat(_grey(9, 1), 300, axis=1), BitsStored=12)),
    # JPEG-LS, by what a frame is made of and how it is found.
    "JPEG-LS 8 bits": _coded(JPEGLSLossless, _grey(9, 10, bits=8, dtype="uint8"), LS),
    "JPEG-LS 16 bits": _coded(JPEGLSLossless, _grey(9, 10, bits=16), LS),
    "JPEG-LS colour": _coded(JPEGLSLossless, _colour(9, 10), LS),
    "JPEG-LS frames without a table": _coded(JPEGLSLossless, _grey(3, 9, 10, bits=16), LS),
    "JPEG-LS frames with a basic table": _coded(JPEGLSLossless, _grey(3, 9, 10, bits=16), LS, offsets="basic"),
    "JPEG-LS frames with an extended table": _coded(
        JPEGLSLossless, _grey(3, 9, 10, bits=16), LS, offsets="extended"
    ),
    "JPEG-LS frames in pieces": _coded(JPEGLSLossless, _grey(3, 9, 10, bits=16), LS, pieces=3, offsets="basic"),
    "JPEG-LS one frame in pieces, no table": _coded(JPEGLSLossless, _grey(9, 10, bits=16), LS, pieces=4),
    # JPEG 2000.
    "JPEG 2000 8 bits": _coded(JPEG2000Lossless, _grey(9, 10, bits=8, dtype="uint8"), _j2k()),
    "JPEG 2000 16 bits": _coded(JPEG2000Lossless, _grey(9, 10, bits=16), _j2k()),
    "JPEG 2000 signed": _coded(JPEG2000Lossless, _signed(9, 10, bits=16), _j2k()),
    "JPEG 2000 colour": _coded(JPEG2000Lossless, _colour(9, 10), _j2k()),
    "JPEG 2000 few resolutions": _coded(JPEG2000Lossless, _grey(40, 50, bits=16), _j2k(resolutions=2)),
    "JPEG 2000 frames in pieces": _coded(
        JPEG2000Lossless, _grey(3, 9, 10, bits=16), _j2k(), pieces=2, offsets="basic"
    ),
    "HTJ2K": _coded(HTJ2KLossless, _grey(40, 50, bits=16), _htj2k),
    "HTJ2K signed": _coded(HTJ2KLossless, _signed(40, 50, bits=16), _htj2k),
    "HTJ2K frames": _coded(HTJ2KLossless, _grey(2, 40, 50, bits=16), _htj2k, offsets="basic"),
    # JPEG.
    "JPEG lossless 8 bits": _coded(JPEGLosslessSV1, _grey(9, 10, bits=8, dtype="uint8"), LJPEG),
    "JPEG lossless 16 bits": _coded(JPEGLosslessSV1, _grey(9, 10, bits=16), LJPEG),
    "JPEG lossless frames in pieces": _coded(
        JPEGLosslessSV1, _grey(2, 9, 10, bits=16), LJPEG, pieces=2, offsets="basic"
    ),
}  # fmt: skip


def test_there_are_forty() -> None:
    assert len(ENCODINGS) >= 40


@pytest.mark.parametrize("name", ENCODINGS)
def test_inside_and_outside(tmp_path: Path, sandbox: Sandbox, masking: Program, name: str) -> None:
    source, made = ENCODINGS[name](tmp_path)
    found = treat(source, masking, sandbox=sandbox)
    output = tmp_path / "out.dcm"
    found.dataset.save_as(output, enforce_file_format=True)
    compressed = UID(found.dataset.file_meta.TransferSyntaxUID).is_encapsulated
    written = _read(plain(output, tmp_path) if compressed else dcmread(output)).reshape(made.shape)
    inside = np.zeros(written.shape, bool)
    rows, columns = written.ndim - 2 - _is_colour(made), written.ndim - 1 - _is_colour(made)
    box: list[slice] = [slice(None)] * written.ndim
    box[rows], box[columns] = slice(HIGH), slice(WIDE)
    inside[tuple(box)] = True
    fills = written[tuple(box)].reshape(-1, 3 if _is_colour(made) else 1)
    assert len(np.unique(fills, axis=0)) == 1
    assert np.array_equal(written[~inside], made[~inside])


def _is_colour(made: Pixels) -> bool:
    return bool(made.shape[-1] == 3)


def _read(output: Dataset) -> Pixels:
    """Samples of native pixel data, colour by pixel (PS3.5 8.1)."""
    dtype = np.dtype(f"{'i' if output.PixelRepresentation else 'u'}{output.BitsAllocated // 8}")
    frames, samples = int(output.get("NumberOfFrames", 1)), output.SamplesPerPixel
    count = frames * output.Rows * output.Columns * samples
    values = np.frombuffer(output.PixelData, dtype)[:count]
    if samples > 1 and output.PlanarConfiguration:
        return np.moveaxis(values.reshape(frames, samples, output.Rows, output.Columns), 1, -1)
    return values.reshape(frames, output.Rows, output.Columns, samples)
