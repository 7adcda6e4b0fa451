"""Every codec against another implementation of its format, on every compressed file of pydicom and pydicom-data."""

from __future__ import annotations

import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.pixels.processing import convert_color_space
from pydicom.pixels.utils import get_expected_length, pixel_array

from gateway.errors import GatewayError, PixelsUnreadable
from gateway.pixels.description import describe
from gateway.pixels.frames import open_frames
from gateway.pixels.sandbox import Sandbox
from gateway.pixels.syntaxes import CODINGS
from tests.fixtures.corpus import corpus_files, corpus_name
from tests.fixtures.tools import tool
from tests.unit.pixels.stored import HTJ2K, Array, encapsulated, header, native, noise, opened, save

#: Files that the gateway refuses, and why.
REFUSED = {
    # Its JPEG 2000 header names another part of the standard and a width of 3,722,445,056.
    "JPEG2000-embedded-sequence-delimiter.dcm": "another part",
}
#: What pydicom has no decoder for without libjpeg; dcmtk has.
DCMTK = frozenset({"1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"})
#: pydicom's decoders refuse what the standard allows; checked by another of the format's implementations.
OPENJPEG = frozenset({"GDCMJ2K_TextGBR.dcm"})


def compressed() -> list[Path]:
    found = []
    for path in corpus_files():
        try:
            with opened(path) as instance:
                if instance.transfer_syntax in CODINGS and describe(instance) is not None:
                    found.append(path)
        except GatewayError:
            continue
    return found


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as one:
        yield one


def read(path: Path, sandbox: Sandbox) -> tuple[list[Array], str]:
    with opened(path) as instance:
        description = describe(instance)
        assert description is not None
        with open_frames(instance, description, sandbox=sandbox) as frames:
            return list(frames), frames.photometric_interpretation


def test_the_corpus_has_every_family() -> None:
    families = set()
    for path in compressed():
        with opened(path) as instance:
            families.add(CODINGS[instance.transfer_syntax].family)
    assert families == {"jpeg", "jpeg-ls", "jpeg-2000", "rle"}


@pytest.mark.filterwarnings("ignore:Expected explicit VR")
@pytest.mark.parametrize("path", compressed(), ids=corpus_name)
def test_frames_are_what_others_decode(path: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    if path.name in REFUSED:
        with pytest.raises(PixelsUnreadable, match=REFUSED[path.name]):
            read(path, sandbox)
        return
    frames, photometric = read(path, sandbox)
    dataset = pydicom.dcmread(path)
    expected: list[Array]
    if dataset.file_meta.TransferSyntaxUID in DCMTK:
        expected = dcmdjpeg(path, tmp_path)
    elif path.name in OPENJPEG:
        (frame,) = pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1)
        expected = [np.asarray(imagecodecs.jpeg2k_decode(frame))]
    else:
        expected = reference(dataset)
    assert len(frames) == len(expected)
    header = dataset.PhotometricInterpretation
    if dataset.get("Modality") == "US" and header == "YBR_FULL_422":
        # The IOD of ultrasound knows no other name for what up-sampling makes of it.
        for found, other in zip(frames, expected, strict=True):
            np.testing.assert_allclose(found.astype(int), convert_color_space(other, "YBR_FULL", "RGB"), atol=1)
        assert photometric == "RGB"
        return
    for found, other in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(found, other)
    assert photometric == {"YBR_RCT": "RGB", "YBR_ICT": "RGB", "YBR_FULL_422": "YBR_FULL"}.get(header, header)


def dcmdjpeg(path: Path, folder: Path) -> list[Array]:
    """The frames of a JPEG file as dcmtk decodes them, colours as they are coded."""
    plain = folder / "plain.dcm"
    subprocess.run([tool("dcmdjpeg"), "+cn", str(path), str(plain)], check=True, timeout=60)
    dataset = pydicom.dcmread(plain)
    dataset.PlanarConfiguration = dataset.get("PlanarConfiguration") or 0
    # dcmtk leaves what lies behind the last pixel.
    dataset.PixelData = dataset.PixelData[: get_expected_length(dataset) + get_expected_length(dataset) % 2]
    return reference(dataset)


def reference(dataset: pydicom.Dataset) -> list[Array]:
    """The frames as pydicom decodes them, colours as they are coded."""
    values = pixel_array(dataset, raw=True)
    return list(values) if int(dataset.get("NumberOfFrames") or 1) > 1 else [values]


@pytest.mark.parametrize(("bits", "dtype"), [(8, "u1"), (12, "<u2"), (16, "<u2"), (12, "<i2"), (16, "<i2")], ids=str)
def test_htj2k_is_what_another_decoder_makes_of_it(tmp_path: Path, sandbox: Sandbox, bits: int, dtype: str) -> None:
    """No public file has it: encoded by OpenJPH, decoded by the gateway with OpenJPH and here with OpenJPEG."""
    pixels = noise((33, 47), dtype, bits=bits)
    stream = bytes(imagecodecs.htj2k_encode(pixels, reversible=True))
    dataset = encapsulated(header(pixels, BitsStored=bits, HighBit=bits - 1), [stream])
    (frame,), _ = read(save(tmp_path / "one.dcm", dataset, HTJ2K), sandbox)
    np.testing.assert_array_equal(frame, imagecodecs.jpeg2k_decode(stream))
    np.testing.assert_array_equal(frame, pixels)


def test_frames_in_fragments_without_compression(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise((2, 5, 7), "<u2")
    dataset = encapsulated(header(pixels), [frame.tobytes() for frame in pixels])
    frames, _ = read(save(tmp_path / "one.dcm", dataset, "1.2.840.10008.1.2.1.98"), sandbox)
    np.testing.assert_array_equal(frames, pixels)


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_deflated_frames(tmp_path: Path, sandbox: Sandbox, bits: int) -> None:
    pixels = noise((2, 5, 7), "<u2" if bits == 16 else "u1", bits=bits)
    plain = [np.packbits(frame, bitorder="little") if bits == 1 else frame for frame in pixels]
    streams = []
    for frame in plain:
        engine = zlib.compressobj(wbits=-15)
        streams.append(engine.compress(frame.tobytes()) + engine.flush())
    values: dict[str, Any] = {"BitsAllocated": bits, "BitsStored": bits, "HighBit": bits - 1}
    dataset = encapsulated(header(pixels, **values), streams)
    path = save(tmp_path / "one.dcm", dataset, "1.2.840.10008.1.2.1.98")
    # pydicom does not know this transfer syntax.
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1.98", b"1.2.840.10008.1.2.8.1\0"))
    frames, _ = read(path, sandbox)
    np.testing.assert_array_equal(frames, pixels)


@pytest.mark.parametrize(
    ("transform", "photometric"),
    [
        # Decoders follow the marker in the stream, whatever the header says.
        (0, "RGB"),
        (1, "YBR_FULL"),
    ],
)
def test_colours_of_a_jpeg_are_what_its_marker_says(
    tmp_path: Path, sandbox: Sandbox, transform: int, photometric: str
) -> None:
    pixels = noise((16, 16, 3), "u1")
    stream = bytes(
        imagecodecs.jpeg8_encode(pixels, level=90, colorspace="YCBCR", outcolorspace="YCBCR", subsampling="444")
    )
    marker = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])
    # Without APP0: libjpeg writes JFIF, which says nothing that DICOM knows.
    length = int.from_bytes(stream[4:6], "big")
    stream = stream[:2] + marker + stream[4 + length :]
    path = save(tmp_path / "one.dcm", encapsulated(header(pixels), [stream]), "1.2.840.10008.1.2.4.50")
    (frame,), found = read(path, sandbox)
    assert found == photometric
    plain = imagecodecs.jpeg8_decode(stream, colorspace="YCBCR", outcolorspace="YCBCR")
    np.testing.assert_array_equal(frame, plain)


def planar(pixels: Array) -> pydicom.Dataset:
    dataset = native(pixels, PlanarConfiguration=1)
    dataset.PixelData = np.moveaxis(pixels, -1, 1).tobytes()
    return dataset


@pytest.mark.parametrize(
    ("make", "photometric"),
    [
        (native, "RGB"),
        (planar, "RGB"),
    ],
    ids=["by-pixel", "by-plane"],
)
def test_native_colour(tmp_path: Path, sandbox: Sandbox, make: Any, photometric: str) -> None:
    pixels = noise((2, 5, 6, 3), "u1")
    frames, found = read(save(tmp_path / "one.dcm", make(pixels)), sandbox)
    assert found == photometric
    np.testing.assert_array_equal(frames, pixels)


def test_native_ybr_full_422_is_up_sampled(tmp_path: Path, sandbox: Sandbox) -> None:
    (path,) = (path for path in corpus_files() if path.name == "SC_ybr_full_422_uncompressed.dcm")
    (frame,), photometric = read(path, sandbox)
    dataset = pydicom.dcmread(path)
    (expected,) = reference(dataset)
    assert photometric == "YBR_FULL"
    np.testing.assert_array_equal(frame, expected)


def test_single_bits_run_over_the_frames(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise((3, 5, 7), "u1", bits=1)
    dataset = header(pixels, BitsAllocated=1, BitsStored=1, HighBit=0)
    packed = np.packbits(pixels.reshape(-1), bitorder="little").tobytes()
    dataset.PixelData = packed + bytes(len(packed) % 2)
    frames, _ = read(save(tmp_path / "one.dcm", dataset), sandbox)
    np.testing.assert_array_equal(frames, pixels)
