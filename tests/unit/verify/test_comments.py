"""What a compressed frame says besides its pixels is searched: copying the frames keeps it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit

from gateway.deid import Deidentifier, ProjectKey
from gateway.dicom.comments import comments
from gateway.dicom.encoded import Limits
from gateway.dicom.instance import open_instance
from gateway.errors import LeakSuspected
from gateway.profile import load_profile, shipped_profiles
from gateway.verify import Verifier

SMALL, LARGE = 16, 512  # the encoded frame is copied into the output's own bytes, or stays in the received file


def frame(size: int, kind: str, said: bytes) -> bytes:
    pixels = np.random.default_rng(4711).integers(0, 255, (size, size), dtype=np.uint8)
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    if kind == "jpeg-comment":
        image.save(file, "JPEG", quality=95, comment=said)
    elif kind == "jpeg-exif":
        exif = Image.Exif()
        exif[0x010E] = said.decode()
        image.save(file, "JPEG", quality=95, exif=exif)
    else:
        image.save(file, "JPEG2000", no_jp2=kind == "j2k-comment", comment=said)
    return file.getvalue()


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("kind", ["jpeg-comment", "jpeg-exif", "j2k-comment", "jp2-comment"])
def test_leak_beside_the_pixels(tmp_path: Path, kind: str, size: int) -> None:
    program = load_profile("basic", search=[shipped_profiles()])
    deidentifier, verifier = Deidentifier(program, ProjectKey(b"k" * 32)), Verifier(program)
    for said, leaks in ((b"scanned for Musterfrau, E.", True), (b"scanned with a scanner", False)):
        path = tmp_path / f"{leaks}.dcm"
        write(path, [frame(size, kind, b"nothing"), frame(size, kind, said)], kind)
        with open_instance(path, work=tmp_path, limits=Limits(), max_reencode_bytes=1 << 20) as instance:
            output = deidentifier.apply(instance)
            if leaks:
                with pytest.raises(LeakSuspected, match="7FE0,0010"):
                    verifier.check(instance, output.segments)
            else:
                verifier.check(instance, output.segments)


def write(path: Path, frames: list[bytes], kind: str) -> None:
    made = Dataset()
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    made.SOPInstanceUID, made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3.4", "1.2.3", "1.2.3.1"
    made.PatientName, made.PatientID = "MUSTERFRAU^ERIKA", "4711-0815"
    made.NumberOfFrames = len(frames)
    made.PixelData = encapsulate(frames)
    made["PixelData"].VR = "OB"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if kind.startswith("jpeg") else JPEG2000Lossless
    made.save_as(path, enforce_file_format=True)


# Broken streams end where they break: what can be read of them is searched.
@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"", []),
        (b"\xfe\xff\x00\xe0\x00\x00\x00\x00", []),  # an empty offset table alone
        (b"\xfe\xff\x00\xe0\x06\x00\x00\x00\xff\xd8\xff\xfe\x00\x10", []),  # a comment without content
        (b"\xfe\xff\x00\xe0\x08\x00\x00\x00\xff\xd8\xff\xfe\x00\x10ab", [b"ab"]),  # and one that is cut
        (b"\xfe\xff\x00\xe0\x0a\x00\x00\x00\xff\xd8\xff\xff\xff\xfe\x00\x04ab", [b"ab"]),  # a fill byte
        (b"\xfe\xff\x00\xe0\x08\x00\x00\x00\xff\xd8\xff\xfe\x00\x00ab", []),  # a length of nothing
        (b"\xfe\xff\x00\xe0\xff\xff\x00\x00\xff\xd8\xff\xfe\x00\x04ab", []),  # a fragment beyond the value
        (b"\xfe\xff\x00\xe0\x0a\x00\x00\x00\xff\xd8\xff\xda\xff\xfe\x00\x04ab", []),  # behind the headers
    ],
)
def test_ranges(value: bytes, found: list[bytes]) -> None:
    assert [value[start:stop] for start, stop in comments(value, 0, len(value))] == found
