"""The header's names and numbers are found in the bytes of compressed frames (promise P11)."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from gateway.deid import Deidentifier, ProjectKey
from gateway.errors import LeakSuspected
from gateway.profile import Program
from gateway.verify import Verifier
from tests.fixtures.treating import CT, image, noise, opened

KEY = ProjectKey(b"k" * 32)
#: Coded data as it looks: no markers, no text of six letters.
CODED = bytes(one for one in random.Random(7).randbytes(1 << 16) if one != 0xFF)
#: The symbols of the AC coefficients of luminance that most JPEG images have (ISO/IEC 10918-1 Table K.5).
SYMBOLS = bytes.fromhex(
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a"
    "434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9"
    "aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg(*, tables: bytes = b"", density: bytes = b"\1\2\0\0\1\0\1", coded: bytes = CODED, end: bytes = b"") -> bytes:
    """A JPEG frame in form, with bytes in every place that stays."""
    frame = segment(0xC0, b"\x08\0\x10\0\x10\1\1\x11\0")
    huffman = segment(0xC4, b"\x10\0\2\1\3\3\2\4\3\5\5\4\4\0\0\1\x7d" + SYMBOLS)
    scan = segment(0xDA, b"\1\1\0\0\x3f\0")
    return (
        b"\xff\xd8" + segment(0xE0, b"JFIF\0" + density + b"\0\0") + tables + frame + huffman + scan + coded + end
        + b"\xff\xd9"
    )  # fmt: skip


def jpeg_2000(*, steps: bytes = b"\x20\x48", coded: bytes = CODED, end: bytes = b"", told: bool = True) -> bytes:
    """A JPEG 2000 frame in form, of one tile part whose length is told or not."""
    size = segment(0x51, struct.pack(">H8IHBBB", 0, 16, 16, 0, 0, 16, 16, 0, 0, 1, 15, 1, 1))
    style = segment(0x52, b"\0\0\0\1\0\0\4\4\0\1")
    packets = b"\xff\x93" + coded + end
    part = segment(0x90, struct.pack(">HIBB", 0, (12 + len(packets)) * told, 0, 1))
    return b"\xff\x4f" + size + style + segment(0x5C, steps) + part + packets + b"\xff\xd9"


def middle(text: bytes) -> bytes:
    return CODED[:30_000] + text + CODED[30_000:]


def quantization(text: bytes) -> bytes:
    return segment(0xDB, b"\3" + b"\x01\x02" + text + b"\x01" * (62 - len(text)))


def wide(text: str) -> bytes:
    return text.encode("utf-16-be")


RUIZ, GARCIA, CHINESE = "RUIZ^ANA", "GARCIA LOPEZ^MARIA", "Wang^XiaoDong=王^小东"
JPEG, J2K, LS, RLE = JPEGBaseline8Bit, JPEG2000Lossless, JPEGLSLossless, RLELossless
#: What it is, transfer syntax, the patient's name, the frame, whether the scan finds something.
ROWS: list[tuple[str, str, str, bytes, bool]] = [
    ("nothing", JPEG, RUIZ, jpeg(), False),
    # what stands in segments: four letters are enough
    ("four letters in a table", JPEG, RUIZ, jpeg(tables=quantization(b"Ruiz")), True),
    ("UTF-16 in a table", JPEG, RUIZ, jpeg(tables=quantization(wide("Ruiz"))), True),
    ("another name in a table", JPEG, RUIZ, jpeg(tables=quantization(b"Diaz")), False),
    ("in the density", JPEG, RUIZ, jpeg(density=b"RUIZ\0\0\0"), True),
    ("an ideograph's bytes in a table", JPEG, CHINESE, jpeg(tables=quantization("王小东".encode("gbk"))), True),
    ("four digits in a table", JPEG, GARCIA, jpeg(tables=quantization(b"MRN 4711")), True),
    ("steps of quantization", J2K, RUIZ, jpeg_2000(steps=b"\x22RUIZ\0\0"), True),
    # at the end of coded data, with padding behind
    ("four letters at the end", JPEG, RUIZ, jpeg(end=b"RUIZ"), True),
    ("four letters behind a letter", JPEG, RUIZ, jpeg(end=b"xruiz"), True),
    ("before padding", JPEG, RUIZ, jpeg(end=b"Ruiz\0\0"), True),
    ("UTF-16 at the end", JPEG, RUIZ, jpeg(end=b"\x80" + wide("Ruiz")), True),
    ("a number at the end", JPEG, RUIZ, jpeg(end=b"\x80MRN-4711"), True),
    ("ideographs at the end", JPEG, CHINESE, jpeg(end="王小东".encode("gbk")), True),
    ("another name at the end", JPEG, RUIZ, jpeg(end=b"DIAZ"), False),
    ("at the end of a tile part", J2K, RUIZ, jpeg_2000(end=b"RUIZ"), True),
    ("at the end of a tile part whose length is not told", J2K, RUIZ, jpeg_2000(end=b"RUIZ", told=False), True),
    ("behind a scan of JPEG-LS", LS, RUIZ, jpeg(end=b"RUIZ"), True),
    # amid coded data: from six letters on, whatever stands beside them
    ("six letters", JPEG, GARCIA, jpeg(coded=middle(b"xGarciay")), True),
    ("six letters in UTF-16", JPEG, GARCIA, jpeg(coded=middle(wide("Garcia"))), True),
    ("two short names", JPEG, RUIZ, jpeg(coded=middle(b"\x80Ruiz, Ana\x80")), True),
    ("two short names apart", JPEG, RUIZ, jpeg(coded=middle(b"\x80RUIZ^ANA\x80")), True),
    ("ideographs amid coded data", JPEG, CHINESE, jpeg(coded=middle("王^小东".encode("gb18030"))), True),
    ("six letters in a tile part", J2K, GARCIA, jpeg_2000(coded=middle(b"GARCIA")), True),
    ("six letters in runs", RLE, GARCIA, struct.pack("<16I", 1, 64, *[0] * 14) + middle(b"GARCIA"), True),
    # four letters there are chance
    ("four letters amid coded data", JPEG, RUIZ, jpeg(coded=middle(b"RUIZ")), False),
    # letters and digits in a row are tables
    ("a row of digits", JPEG, "DEFGHI^456789", jpeg(), False),
]  # fmt: skip


def dataset(syntax: str, name: str, value: bytes) -> Dataset:
    found = image(noise(16, 16), CT, PatientName=name)
    found.SpecificCharacterSet = "GB18030"
    found.PixelData = value
    found["PixelData"].VR = "OB"
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = UID(syntax)
    return found


def holds(folder: Path, using: Program, found: Dataset) -> str:
    """Why the verifier holds what the engine made; empty if it does not."""
    path = folder / "in.dcm"
    found.save_as(path, enforce_file_format=True)
    with opened(path) as instance:
        output = Deidentifier(using, KEY).apply(instance)
        try:
            Verifier(using).check(instance, output.segments)
        except LeakSuspected as suspected:
            return suspected.message
    return ""


@pytest.mark.parametrize(("syntax", "name", "frame", "found"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_needles_in_frames(tmp_path: Path, basic: Program, syntax: str, name: str, frame: bytes, found: bool) -> None:
    message = holds(tmp_path, basic, dataset(syntax, name, encapsulate([frame, frame])))
    assert ("(7FE0,0010): kind" in message) is found, message
    assert bool(message) is found


@pytest.mark.parametrize("cut", [40_000, 150])
def test_a_frame_in_several_fragments(tmp_path: Path, basic: Program, cut: int) -> None:
    frame = jpeg(coded=middle(b"GARCIA"), end=b"GARC")
    found = dataset(JPEG, "GARCIA^X", encapsulate([frame], fragments_per_frame=2))
    assert "kind name" in holds(tmp_path, basic, found)
    parts = [frame[:cut] + b"\0" * (cut % 2), frame[cut:] + b"\0" * ((len(frame) - cut) % 2)]
    value = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part for part in [b"", *parts])
    assert "kind name" in holds(tmp_path, basic, dataset(JPEG, "GARCIA^X", value))


@pytest.mark.parametrize("length", [0, 1, 3, 5, 20, 200])
def test_what_breaks_off(tmp_path: Path, basic: Program, length: int) -> None:
    """Reading of a frame that ends anywhere ends there."""
    for frame in (jpeg(), jpeg_2000()):
        holds(tmp_path, basic, dataset(JPEG, RUIZ, encapsulate([frame[: length + 2]])))
