"""What the components of a JPEG are is what decoders take them for; where they would differ, the instance is held."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

from gateway.errors import PixelsUnreadable
from gateway.pixels.description import describe
from gateway.pixels.frames import open_frames
from gateway.pixels.sandbox import Sandbox
from tests.fixtures.tools import tool
from tests.fixtures.treating import CR, US, image, opened, program, treat

ROWS, COLUMNS = 48, 64
COLOUR = np.zeros((ROWS, COLUMNS, 3), "uint8")
COLOUR[..., 0] = np.linspace(30, 220, COLUMNS)
COLOUR[..., 1] = np.linspace(200, 40, ROWS)[:, None]
COLOUR[8:24, 8:40] = (250, 10, 10)
JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"


def adobe(transform: int) -> bytes:
    return b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes((transform,))


def stream(*markers: bytes, names: bytes = b"\1\2\3", rgb: bool = False) -> bytes:
    """A baseline JPEG of COLOUR with these markers and names of components; ``rgb`` leaves the colours as they are."""
    file = io.BytesIO()
    Image.fromarray(COLOUR).save(file, "JPEG", quality=95, keep_rgb=rgb)
    plain = file.getvalue()
    plain = plain[:2] + plain[plain.index(b"\xff\xdb") :]
    frame, scan = plain.index(b"\xff\xc0") + 10, plain.index(b"\xff\xda") + 5
    changed = bytearray(plain)
    for number in range(3):
        changed[frame + 3 * number] = changed[scan + 2 * number] = names[number]
    return bytes(changed[:2]) + b"".join(markers) + bytes(changed[2:])


def dataset(frame: bytes, photometric: str, sop_class: str = CR, **values: Any) -> Dataset:
    found = image(COLOUR, sop_class, PhotometricInterpretation=photometric, **values)
    found.PixelData = encapsulate([frame + bytes(len(frame) % 2)])
    found["PixelData"].VR = "OB"
    found.LossyImageCompression = "01"
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return found


def written(folder: Path, found: Dataset) -> Path:
    path = folder / "in.dcm"
    found.save_as(path, enforce_file_format=True, overwrite=True)
    return path


#: What the header says; the stream; what its components are, None if that is a contradiction.
TABLE = [
    # markers that say luminance and chroma
    ("RGB", stream(JFIF), "YBR_FULL"),
    ("YBR_FULL_422", stream(JFIF), "YBR_FULL"),
    ("YBR_FULL", stream(JFIF), "YBR_FULL"),
    ("RGB", stream(adobe(1)), "YBR_FULL"),
    ("RGB", stream(JFIF, adobe(1)), "YBR_FULL"),
    # markers that say red, green and blue
    ("RGB", stream(adobe(0), rgb=True), "RGB"),
    ("YBR_FULL_422", stream(adobe(0), rgb=True), "RGB"),
    # names of components
    ("RGB", stream(names=b"RGB", rgb=True), "RGB"),
    ("YBR_FULL", stream(names=b"RGB", rgb=True), "RGB"),
    ("RGB", stream(adobe(0), names=b"RGB", rgb=True), "RGB"),
    # nothing: the header is believed
    ("RGB", stream(names=b"\0\1\2", rgb=True), "RGB"),
    ("YBR_FULL_422", stream(), "YBR_FULL"),
    ("YBR_FULL", stream(names=b"\0\1\2"), "YBR_FULL"),
    # contradictions
    ("RGB", stream(), None),
    ("RGB", stream(JFIF, adobe(0)), None),
    ("YBR_FULL_422", stream(adobe(0), JFIF), None),
    ("RGB", stream(JFIF, names=b"RGB"), None),
    ("RGB", stream(adobe(1), names=b"RGB"), None),
]


@pytest.mark.parametrize(("said", "frame", "are"), TABLE)
def test_colours_of_a_jpeg(tmp_path: Path, sandbox: Sandbox, said: str, frame: bytes, are: str | None) -> None:
    path = written(tmp_path, dataset(frame, said))
    masked = program(tmp_path, "pixels:\n  - mask: [[0, 0, 4, 4]]\n  - encode: explicit\n")
    if are is None:
        with pytest.raises(PixelsUnreadable, match="colours"):
            treat(path, masked, sandbox=sandbox)
        return
    output = treat(path, masked, sandbox=sandbox).dataset
    assert output.PhotometricInterpretation == are
    shown = output.pixel_array  # pydicom makes RGB of YBR_FULL
    assert np.abs(shown[4:].astype(int) - COLOUR[4:]).mean() < 12
    assert np.abs(shown[12:20, 16:32].astype(int) - COLOUR[12:20, 16:32]).mean() < 8


def test_what_is_not_decoded_keeps_its_frames(tmp_path: Path, sandbox: Sandbox) -> None:
    frame = stream(JFIF)
    output = treat(written(tmp_path, dataset(frame, "RGB")), program(tmp_path, ""), sandbox=sandbox).dataset
    assert frame in output.PixelData


@pytest.mark.parametrize("syntax", ["explicit", "jpeg-ls", "jpeg-2000", "rle"])
def test_ultrasound_becomes_rgb(tmp_path: Path, sandbox: Sandbox, syntax: str) -> None:
    """Its IOD knows no YBR_FULL by pixel (PS3.3 C.8.5.6.1.16)."""
    path = written(tmp_path, dataset(stream(JFIF), "YBR_FULL_422", US, Modality="US"))
    rules = program(tmp_path, f"pixels:\n  - mask: [[0, 0, -, 4]]\n  - encode: {syntax}\n")
    output = treat(path, rules, sandbox=sandbox).dataset
    assert output.PhotometricInterpretation == ("YBR_RCT" if syntax == "jpeg-2000" else "RGB")
    assert output.PlanarConfiguration == 0
    with opened(path) as instance:
        description = describe(instance)
        assert description is not None
        with open_frames(instance, description, sandbox=sandbox) as frames:
            assert frames.photometric_interpretation == "RGB"
            expected = frames.frame(0)
    assert (output.pixel_array[:4] == 0).all()
    assert np.array_equal(output.pixel_array[4:], expected[4:])
    assert np.abs(expected.astype(int) - np.asarray(Image.open(io.BytesIO(stream(JFIF))))).max() <= 3


def test_native_ultrasound_becomes_rgb(tmp_path: Path, sandbox: Sandbox) -> None:
    quads = np.array([[[200, 100, 128, 128], [50, 60, 90, 240]]] * 4, "uint8")
    found = image(np.zeros((4, 4, 3), "uint8"), US, Modality="US", PhotometricInterpretation="YBR_FULL_422")
    found.PixelData = quads.tobytes()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    output = treat(written(tmp_path, found), program(tmp_path, "pixels:\n  - mask: [[0, 0, -, 1]]\n"), sandbox=sandbox)
    assert output.dataset.PhotometricInterpretation == "RGB"
    grey, coloured = output.dataset.pixel_array[2, :2], output.dataset.pixel_array[2, 2:]
    assert grey.tolist() == [[200, 200, 200], [100, 100, 100]]
    # PS3.3 C.7.6.3.1.2 backwards, by hand: Y 50 and 60, CB 90, CR 240.
    assert coloured.tolist() == [[207, 0, 0], [217, 0, 0]]


def test_dciodvfy_finds_no_more_than_before(tmp_path: Path, sandbox: Sandbox) -> None:
    path = written(tmp_path, dataset(stream(JFIF), "YBR_FULL_422", US, Modality="US"))
    output = treat(path, program(tmp_path, "pixels:\n  - mask: [[0, 0, -, 4]]\n"), sandbox=sandbox).dataset
    out = tmp_path / "out.dcm"
    output.save_as(out)
    before, after = (
        {
            line
            for line in subprocess.run(
                [tool("dciodvfy"), one], capture_output=True, text=True, check=False
            ).stderr.splitlines()
            if line.startswith("Error") and ("Photometric" in line or "Planar" in line)
        }
        for one in (path, out)
    )
    assert after <= before
