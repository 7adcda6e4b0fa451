"""What a compressed frame says besides its pixels does not leave, whatever it says."""

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
from gateway.pixels import jpeg, jpeg_2000
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
    for said, leaks in ((b"scanned with a scanner", True), (b"", False)):
        path = tmp_path / f"{leaks}.dcm"
        write(
            path, [plain(frame(size, kind, b"")), frame(size, kind, said) if leaks else plain(frame(size, kind, b""))]
        )
        with open_instance(path, work=tmp_path, limits=Limits(), max_reencode_bytes=1 << 20) as instance:
            output = deidentifier.apply(instance)
            if leaks:
                with pytest.raises(LeakSuspected, match=r"7FE0,0010.*beside"):
                    verifier.check(instance, output.segments)
            else:
                verifier.check(instance, output.segments)


def plain(stream: bytes) -> bytes:
    """The frame without what it says."""
    image_of = jpeg.image_of if stream.startswith(b"\xff\xd8") else jpeg_2000.image_of
    pieces = image_of(stream, 0, len(stream))
    return b"".join(piece if isinstance(piece, bytes) else stream[slice(*piece)] for piece in pieces)


def write(path: Path, frames: list[bytes]) -> None:
    made = Dataset()
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    made.SOPInstanceUID, made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3.4", "1.2.3", "1.2.3.1"
    made.PatientName, made.PatientID = "MUSTERFRAU^ERIKA", "4711-0815"
    made.NumberOfFrames = len(frames)
    made.PixelData = encapsulate(frames)
    made["PixelData"].VR = "OB"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if frames[0].startswith(b"\xff\xd8") else JPEG2000Lossless
    made.save_as(path, enforce_file_format=True)


TABLE = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"  # an empty offset table


def item(content: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + len(content).to_bytes(4, "little") + content


# Broken streams end where they break: what can be read of them is told.
@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"", []),
        (TABLE, []),
        (TABLE + item(b"\xff\xd8\xff\xd9"), []),
        (TABLE + item(b"\xff\xd8\xff\xd9\0"), []),  # a byte of padding
        (TABLE + item(b"\xff\xd8\xff\xd9E"), [b"\xff\xd8\xff\xd9E"]),  # one that is a letter
        (TABLE + item(b"\xff\xd8\xff\xd9\0\0"), [b"\xff\xd8\xff\xd9\0\0"]),  # two bytes
        (TABLE + item(b"\xff\xd8\xff\xfe\x00\x02\xff\xd9"), []),  # a comment without content
        (TABLE + item(b"\xff\xd8\xff\xfe\x00\x04ab\xff\xd9"), [b"ab"]),
        (TABLE + item(b"\xff\xd8\xff\xfe\x00\x10\xff\xd9"), [b"\xff\xd9"]),  # one that is cut
        (TABLE + item(b"\xff\xd8\xff\xff\xff\xfe\x00\x04ab\xff\xd9"), [b"ab"]),  # a fill byte
        (TABLE + item(b"\xff\xd8\xff\xfe\x00\x00ab\xff\xd9"), []),  # a length of nothing
        (TABLE + item(b"\xff\xd8\xff\xda\xff\xfe\x00\x04ab\xff\xd9"), []),  # in coded data it is none
        (TABLE + item(b"\xff\xd8\xff\xe0\x00\x10JFIF\0\1\2\0\0\1\0\1\0\0\xff\xd9"), []),  # colours
        (TABLE + item(b"\xff\xd8\xff\xe0\x00\x10JFIF\0\1\2\0\0\1\0\1ab\xff\xd9"),
         [b"JFIF\0\1\2\0\0\1\0\1ab"]),
        (TABLE + item(b"\xff\xd8\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0\1\xff\xd9"), []),
        (TABLE + item(b"\xff\xd8\xff\xee\x00\x10Adobe\0\x64\0\0\0\0\1ab\xff\xd9"), [b"Adobe\0\x64\0\0\0\0\1ab"]),
        (TABLE + item(b"\0\0\0\x0cjP  \r\n\x87\nab"), [b"\0\0\0\x0cjP  \r\n\x87\nab"]),  # boxes
        (TABLE + item(b"\xff\xd8\xff\xda") + item(b"ab\xff\xd9"), []),  # a frame of two fragments
        (TABLE + item(b"\xff\xd8\xff\xd9") + item(b"ab"), [b"ab"]),  # a fragment that is no frame
        (item(b"\0\0\0\0") + item(b"\xff\xd8\xff\xd9"), []),
        (item(b"abcd") + item(b"\xff\xd8\xff\xd9"), [b"abcd"]),  # a table that points nowhere
        (item(b"\0\0\0\0abcd") + item(b"\xff\xd8\xff\xd9"), [b"\0\0\0\0abcd"]),
        (item(b"\0\0\0\0ab") + item(b"\xff\xd8\xff\xd9"), [b"\0\0\0\0ab"]),
        (TABLE + b"\xfe\xff\x00\xe0\xff\xff\x00\x00\xff\xd8\xff\xfe\x00\x04ab", []),  # beyond the value
    ],
)  # fmt: skip
def test_ranges(value: bytes, found: list[bytes]) -> None:
    assert [value[start:stop] for start, stop in comments(value, 0, len(value))] == found


def test_frames_without_markers_have_a_table_alone() -> None:
    value = TABLE + item(b"\xff\xd8\xff\xfe\x00\x04ab")
    assert list(comments(value, 0, len(value), coded=False)) == []
