"""What stands beside the pixels goes without a frame being decoded, and the pixels stay what they are (promise P13)."""

from __future__ import annotations

import io
import struct
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import imagecodecs
import jpeg_ls
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import (
    HTJ2K,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from gateway.dicom.instance import Instance
from gateway.errors import PixelsUnreadable
from gateway.pixels.description import PixelDescription, describe
from gateway.pixels.sandbox import Sandbox
from gateway.pixels.surplus import surplus_of
from tests.fixtures.treating import CT, Treated, image, noise, opened, program, treat

DeflatedImageFrameCompression = UID("1.2.840.10008.1.2.8.1")
EncapsulatedUncompressed = UID("1.2.840.10008.1.2.1.98")
TEXT = b"Etxeberria Marisol 5529104"
SOFT = np.add.outer(np.arange(48), np.arange(64)).astype("uint8")
WIDE = (np.add.outer(np.arange(48), np.arange(64)) * 30).astype("uint16")
UNKNOWN_TO_PYDICOM = (DeflatedImageFrameCompression,)


def even(frame: bytes) -> bytes:
    return frame + bytes(len(frame) % 2)


def jpeg(**options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(SOFT).save(file, "JPEG", quality=92, **options)
    return file.getvalue()


def jpeg_2000(**options: Any) -> bytes:
    stream = bytes(imagecodecs.jpeg2k_encode(WIDE, level=0, reversible=True, codecformat="j2k", **options))
    return without(stream, 0x64)


def without(stream: bytes, marker: int) -> bytes:
    """A codestream without the segments of the main header that have ``marker``: the coder's own comment."""
    pos, found = 2, stream[:2]
    while stream[pos + 1] != 0x90:
        length = 2 + int.from_bytes(stream[pos + 2 : pos + 4])
        found += b"" if stream[pos + 1] == marker else stream[pos : pos + length]
        pos += length
    return found + stream[pos:]


def htj2k() -> bytes:
    return without(bytes(imagecodecs.htj2k_encode(WIDE, reversible=True)), 0x64)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def behind_start(stream: bytes, *more: bytes) -> bytes:
    return stream[:2] + b"".join(more) + stream[2:]


def before_end(stream: bytes, *more: bytes) -> bytes:
    return stream[:-2] + b"".join(more) + stream[-2:]


def in_main_header(stream: bytes, *more: bytes) -> bytes:
    at = stream.index(b"\xff\x52")
    return stream[:at] + b"".join(more) + stream[at:]


def in_tile_part(stream: bytes, more: bytes) -> bytes:
    at = stream.index(b"\xff\x90")
    length = int.from_bytes(stream[at + 6 : at + 10]) + len(more)
    data = stream.index(b"\xff\x93", at)
    return stream[: at + 6] + length.to_bytes(4) + stream[at + 10 : data] + more + stream[data:]


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def jp2(stream: bytes, *more: bytes) -> bytes:
    rows, columns = WIDE.shape
    header = box(b"ihdr", struct.pack(">IIHBBBB", rows, columns, 1, 15, 7, 0, 0)) + box(
        b"colr", b"\1\0\0" + (17).to_bytes(4)
    )
    start = b"\0\0\0\x0cjP  \r\n\x87\n" + box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + box(b"jp2h", header)
    return start + box(b"jp2c", stream) + b"".join(more)


def rle(*, slack: bytes = b"", gap: bytes = b"", tail: bytes = b"", between: bytes = b"") -> bytes:
    """WIDE as PS3.5 Annex G has it, with bytes in every place that no plane uses."""
    planes = [WIDE >> 8, WIDE & 0xFF]
    segments = [imagecodecs.packbits_encode(np.ascontiguousarray(plane, "uint8")) for plane in planes]
    segments = [one + bytes(len(one) % 2) for one in segments]
    first = 64 + len(gap)
    header = struct.pack("<3I", 2, first, first + len(segments[0]) + len(between))
    return header + slack.ljust(52, b"\0") + gap + segments[0] + between + segments[1] + tail


def deflated(tail: bytes = b"") -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(WIDE.tobytes()) + engine.flush() + tail


JPEG = jpeg()
J2K = jpeg_2000()
HT = htj2k()
SPIFF = bytes(imagecodecs.jpegls_encode(WIDE))  # CharLS puts its header in front, and leaves room behind
LS = SPIFF[:2] + SPIFF[SPIFF.index(b"\xff\xf7") : SPIFF.index(b"\xff\xd9") + 2]
SV1 = bytes(imagecodecs.ljpeg_encode(SOFT))
RESTARTS = jpeg(restart_marker_blocks=2)
PROGRESSIVE = jpeg(progressive=True)
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x0e\0\2\0\0\0\x1a\0\0\0\x1a\0\0\0\0" + TEXT
THUMBNAIL = b"JFIF\0\1\2\0\0\1\0\1\3\3" + TEXT + b" "

#: What it is, transfer syntax, the frame with surplus, the frame without it.
ROWS = [
    ("a comment", JPEGBaseline8Bit, behind_start(JPEG, segment(0xFE, TEXT)), JPEG),
    ("a compressed comment", JPEGBaseline8Bit, behind_start(JPEG, segment(0xFE, zlib.compress(TEXT * 9))), JPEG),
    ("many comments", JPEGBaseline8Bit, behind_start(JPEG, *[segment(0xFE, b"%c" % one) for one in TEXT]), JPEG),
    ("a comment of nothing", JPEGBaseline8Bit, behind_start(JPEG, segment(0xFE, b"")), JPEG),
    ("EXIF", JPEGBaseline8Bit, behind_start(JPEG, segment(0xE1, EXIF)), JPEG),
    ("XMP", JPEGBaseline8Bit, behind_start(JPEG, segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + TEXT)), JPEG),
    ("an ICC profile", JPEGBaseline8Bit, behind_start(JPEG, segment(0xE2, b"ICC_PROFILE\0\1\1" + TEXT)), JPEG),
    ("Photoshop", JPEGBaseline8Bit, behind_start(JPEG, segment(0xED, b"Photoshop 3.0\0" + TEXT)), JPEG),
    ("a thumbnail of its own", JPEGBaseline8Bit, behind_start(JPEG, segment(0xE0, b"JFXX\0\x10" + JPEG)), JPEG),
    ("JFIF with a thumbnail", JPEGBaseline8Bit, JPEG[:2] + segment(0xE0, THUMBNAIL) + JPEG[20:],
     JPEG[:2] + segment(0xE0, THUMBNAIL[:12] + b"\0\0") + JPEG[20:]),
    ("a long JFIF", JPEGBaseline8Bit, JPEG[:2] + segment(0xE0, JPEG[6:20] + TEXT) + JPEG[20:], JPEG),
    ("a long Adobe marker", JPEGBaseline8Bit, behind_start(JPEG, segment(0xEE, b"Adobe\0\x64\0\0\0\0\0" + TEXT)),
     behind_start(JPEG, segment(0xEE, b"Adobe\0\x64\0\0\0\0\0"))),
    ("a comment behind the scan", JPEGBaseline8Bit, before_end(JPEG, segment(0xFE, TEXT)), JPEG),
    ("EXIF behind the scan", JPEGBaseline8Bit, before_end(JPEG, segment(0xE1, EXIF)), JPEG),
    ("text behind the end", JPEGBaseline8Bit, JPEG + TEXT, JPEG),
    ("an image behind the end", JPEGBaseline8Bit, JPEG + bytes(2) + JPEG, JPEG),
    ("zeros and text behind the end", JPEGBaseline8Bit, JPEG + bytes(5000) + TEXT, JPEG),
    ("more padding than one byte", JPEGBaseline8Bit, JPEG + bytes(7), JPEG),
    ("padding that is a letter", JPEGBaseline8Bit, JPEG + b"E" * (1 + len(JPEG) % 2), JPEG),
    ("with restarts", JPEGBaseline8Bit, behind_start(RESTARTS, segment(0xFE, TEXT)) + TEXT, RESTARTS),
    ("between progressive scans", "1.2.840.10008.1.2.4.55",
     PROGRESSIVE[: PROGRESSIVE.rindex(b"\xff\xda")] + segment(0xFE, TEXT)
     + PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda"):], PROGRESSIVE),
    ("lossless JPEG", JPEGLosslessSV1, behind_start(SV1, segment(0xFE, TEXT)) + TEXT, SV1),
    ("JPEG-LS: a comment", JPEGLSLossless, behind_start(LS, segment(0xFE, TEXT)), LS),
    ("JPEG-LS: SPIFF", JPEGLSLossless, SPIFF[: SPIFF.index(b"\xff\xd9") + 2], LS),
    ("JPEG-LS: behind the end", JPEGLSLossless, LS + TEXT, LS),
    ("JPEG-LS: before the end", JPEGLSLossless, before_end(LS, segment(0xFE, TEXT)), LS),
    ("JPEG 2000: a comment", JPEG2000Lossless, in_main_header(J2K, segment(0x64, b"\0\1" + TEXT)), J2K),
    ("JPEG 2000: binary comments", JPEG2000Lossless, in_main_header(J2K, *[segment(0x64, b"\0\0" + TEXT)] * 3), J2K),
    ("JPEG 2000: in a tile part", JPEG2000Lossless, in_tile_part(J2K, segment(0x64, b"\0\1" + TEXT)), J2K),
    ("JPEG 2000: lengths of packets", JPEG2000Lossless, in_main_header(J2K, segment(0x57, b"\0" + TEXT)), J2K),
    ("JPEG 2000: behind the tiles", JPEG2000Lossless, before_end(J2K, segment(0x64, b"\0\1" + TEXT)), J2K),
    ("JPEG 2000: behind the end", JPEG2000Lossless, J2K + TEXT, J2K),
    ("JP2", JPEG2000Lossless, jp2(J2K), J2K),
    ("JP2: XML", JPEG2000Lossless, jp2(J2K, box(b"xml ", TEXT)), J2K),
    ("JP2: UUID in front", JPEG2000Lossless, jp2(J2K)[:12] + box(b"uuid", bytes(16) + TEXT) + jp2(J2K)[12:], J2K),
    ("JP2: to the end of the file", JPEG2000Lossless, jp2(J2K)[: -len(J2K) - 8] + b"\0\0\0\0jp2c" + J2K + TEXT, J2K),
    ("HTJ2K: a comment", HTJ2KLossless, in_main_header(HT, segment(0x64, b"\0\1" + TEXT)), HT),
    ("HTJ2K: behind the end", HTJ2K, HT + TEXT, HT),
    ("RLE: unused offsets", RLELossless, rle(slack=TEXT), rle()),
    ("RLE: before the planes", RLELossless, rle(gap=TEXT), rle()),
    ("RLE: between planes", RLELossless, rle(between=TEXT), rle()),
    ("RLE: behind the planes", RLELossless, rle(tail=TEXT), rle()),
    ("RLE: everywhere", RLELossless, rle(slack=TEXT, gap=TEXT, between=TEXT, tail=TEXT), rle()),
    ("behind what was deflated", DeflatedImageFrameCompression, deflated(TEXT), deflated()),
    ("behind uncompressed pixels", EncapsulatedUncompressed, WIDE.tobytes() + TEXT,
     WIDE.tobytes()),
]  # fmt: skip


def dataset(syntax: str, frames: list[bytes], value: bytes | None = None) -> Dataset:
    """A CT image with these frames; ``value`` in place of their encapsulation."""
    grey = SOFT if UID(syntax) in (JPEGBaseline8Bit, JPEGLosslessSV1, "1.2.840.10008.1.2.4.55") else WIDE
    found = image(grey, CT, Modality="CT")
    if len(frames) > 1:
        found.NumberOfFrames = len(frames)
    found.PixelData = encapsulate(frames) if value is None else value
    found["PixelData"].VR = "OB"
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = UID(syntax)
    return found


def written(folder: Path, found: Dataset) -> Path:
    path = folder / "in.dcm"
    syntax = found.file_meta.TransferSyntaxUID
    if syntax in UNKNOWN_TO_PYDICOM:
        found.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    found.save_as(path, enforce_file_format=True, overwrite=True)
    if syntax in UNKNOWN_TO_PYDICOM:
        name = f"{JPEGBaseline8Bit}\0\0"[:22]
        path.write_bytes(path.read_bytes().replace(name.encode(), syntax.ljust(22, "\0").encode(), 1))
    return path


def way(folder: Path, found: Dataset, sandbox: Sandbox, rules: str = "") -> Treated:
    return treat(written(folder, found), program(folder, rules), sandbox=sandbox)


def description_of(instance: Instance) -> PixelDescription:
    found = describe(instance)
    assert found is not None
    return found


def frames_of(found: Dataset) -> list[bytes]:
    return list(generate_frames(found.PixelData, number_of_frames=int(found.get("NumberOfFrames", 1))))


@pytest.mark.parametrize(("syntax", "frame", "clean"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_surplus_goes(tmp_path: Path, sandbox: Sandbox, syntax: str, frame: bytes, clean: bytes) -> None:
    output = way(tmp_path, dataset(syntax, [even(frame)]), sandbox)
    assert frames_of(output.dataset) == [even(clean)]
    assert output.outcome.surplus == len(even(frame)) - len(even(clean))
    assert output.dataset.file_meta.TransferSyntaxUID == syntax


@pytest.mark.parametrize(("syntax", "frame", "clean"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_surplus_of_one_frame_of_three(
    tmp_path: Path, sandbox: Sandbox, syntax: str, frame: bytes, clean: bytes
) -> None:
    output = way(tmp_path, dataset(syntax, [even(clean), even(frame), even(clean)]), sandbox)
    assert frames_of(output.dataset) == [even(clean)] * 3


@pytest.mark.parametrize("pieces", [2, 5])
@pytest.mark.parametrize("table", [True, False])
def test_surplus_of_frames_in_several_fragments(tmp_path: Path, sandbox: Sandbox, pieces: int, table: bool) -> None:
    frames = [even(behind_start(JPEG, segment(0xFE, TEXT)) + TEXT), even(JPEG)]
    value = encapsulate(frames, fragments_per_frame=pieces, has_bot=table)
    output = way(tmp_path, dataset(JPEGBaseline8Bit, frames, value), sandbox)
    assert frames_of(output.dataset) == [even(JPEG)] * 2


@pytest.mark.parametrize(("syntax", "clean"), list({row[1]: row[3] for row in ROWS}.items()))
def test_what_is_clean_stays_the_range_that_it_is(tmp_path: Path, syntax: str, clean: bytes) -> None:
    with opened(written(tmp_path, dataset(syntax, [even(clean)] * 2))) as instance:
        assert surplus_of(instance, description_of(instance), longest=1 << 20) is None


def item(content: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def items(*contents: bytes) -> bytes:
    return b"".join(map(item, contents))


TABLE = struct.pack("<2I", 0, len(even(JPEG)) + 8)
#: What it is, the value of Pixel Data of two frames, the offset table of the output.
TABLES = [
    ("text as a table", items(even(TEXT) * 2, even(JPEG), even(JPEG)), TABLE),
    ("a table that points elsewhere", items(struct.pack("<2I", 0, 7), even(JPEG), even(JPEG)), TABLE),
    ("more entries than frames", items(TABLE + even(TEXT) + b"12", even(JPEG), even(JPEG)), TABLE),
    ("no list of offsets", items(TABLE + b"12", even(JPEG), even(JPEG)), TABLE),
    ("a fragment that is no frame", items(b"", even(JPEG), even(JPEG), even(TEXT)), b""),
    ("a fragment of padding", items(TABLE, even(JPEG), even(JPEG), bytes(64)), TABLE),
    ("fragments between frames", items(b"", even(JPEG), even(TEXT), even(JPEG), even(TEXT)), b""),
]


@pytest.mark.parametrize(("value", "table"), [row[1:] for row in TABLES], ids=[row[0] for row in TABLES])
def test_tables_and_fragments(tmp_path: Path, sandbox: Sandbox, value: bytes, table: bytes) -> None:
    output = way(tmp_path, dataset(JPEGBaseline8Bit, [JPEG] * 2, value), sandbox)
    assert frames_of(output.dataset) == [even(JPEG)] * 2
    assert output.dataset.PixelData.startswith(item(table))


def test_an_extended_table_that_holds_text(tmp_path: Path, sandbox: Sandbox) -> None:
    found = dataset(JPEGBaseline8Bit, [JPEG])
    value, _, lengths = encapsulate_extended([even(JPEG)])
    found.PixelData, found.ExtendedOffsetTable, found.ExtendedOffsetTableLengths = value, TEXT[:8], lengths
    output = way(tmp_path, found, sandbox)
    assert "ExtendedOffsetTable" not in output.dataset
    assert frames_of(output.dataset) == [even(JPEG)]


#: What it is, bytes behind the pixels, how many of them go.
EXCESS = [
    ("what makes the length even is missing", b"", 0),
    ("two zeros", bytes(2), 2),
    ("text", even(TEXT), 26),
    ("zeros of two frames", bytes(2 * WIDE.nbytes), 2 * WIDE.nbytes),
    ("text of nearly a frame", b"x" * (WIDE.nbytes - 2), WIDE.nbytes - 2),
]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize(("excess", "gone"), [row[1:] for row in EXCESS], ids=[row[0] for row in EXCESS])
def test_native_excess_is_cut(tmp_path: Path, sandbox: Sandbox, syntax: str, excess: bytes, gone: int) -> None:
    found = image(WIDE, CT, Modality="CT")
    found.PixelData += excess
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = UID(syntax)
    output = way(tmp_path, found, sandbox)
    assert output.dataset.PixelData == WIDE.tobytes()
    assert output.outcome.surplus == (gone or None)


def test_native_excess_of_an_odd_frame(tmp_path: Path, sandbox: Sandbox) -> None:
    odd = noise(5, 7, dtype="uint8", below=200)
    found = image(odd, CT, Modality="CT")
    found.PixelData = odd.tobytes() + b"X" * 9
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    assert way(tmp_path, found, sandbox).dataset.PixelData == odd.tobytes() + b"\0"


#: What cannot be told from the pixels, and so is held: what it is, transfer syntax, frames, a part of the reason.
DQT = JPEG[JPEG.index(b"\xff\xdb") :]
LONG_TABLE = JPEG.replace(DQT[:4], DQT[:2] + struct.pack(">H", int.from_bytes(DQT[2:4]) + len(TEXT)))
AT = LONG_TABLE.index(b"\xff\xdb") + 2 + int.from_bytes(DQT[2:4])
SIZ = J2K.index(b"\xff\x51")
HELD = [
    ("a table that is longer than its numbers", JPEGBaseline8Bit, [LONG_TABLE[:AT] + TEXT + LONG_TABLE[AT:]],
     "holds more"),
    ("a table that is there twice", JPEGBaseline8Bit, [behind_start(JPEG, DQT[: 2 + int.from_bytes(DQT[2:4])])],
     "holds more"),
    ("text between segments", JPEGBaseline8Bit, [behind_start(JPEG, TEXT)], "between the segments"),
    ("text at the end of the scan", JPEGBaseline8Bit, [before_end(JPEG, TEXT)], "text stands at the end"),
    ("wide text at the end of the scan", JPEGBaseline8Bit, [before_end(JPEG, TEXT.decode().encode("utf-16-le"))],
     "text stands at the end"),
    ("a segment that nobody knows", JPEGBaseline8Bit, [behind_start(JPEG, segment(0xF5, TEXT))], "not known"),
    ("a second image inside", JPEGBaseline8Bit, [behind_start(JPEG, b"\xff\xd8")], "not known|truncated"),
    ("no end", JPEGBaseline8Bit, [JPEG[:-2]], "truncated"),
    ("no scan", JPEGBaseline8Bit, [JPEG[: JPEG.index(b"\xff\xda")] + b"\xff\xd9"], "no scan"),
    ("something else", JPEGBaseline8Bit, [TEXT], "does not begin"),
    ("nothing but a beginning", JPEGBaseline8Bit, [JPEG[:30]], "truncated"),
    ("JPEG-LS: a mapping table", JPEGLSLossless, [behind_start(LS, segment(0xF8, b"\2\1\1" + TEXT))], "holds more"),
    ("JPEG 2000: a long size", JPEG2000Lossless,
     [J2K[: SIZ + 2] + struct.pack(">H", 41 + len(TEXT)) + J2K[SIZ + 4 : SIZ + 43] + TEXT + J2K[SIZ + 43 :]],
     "holds more"),
    ("JPEG 2000: a segment that nobody knows", JPEG2000Lossless, [in_main_header(J2K, segment(0x77, TEXT))],
     "not known"),
    ("JPEG 2000: lengths that are not theirs", JPEG2000Lossless, [in_main_header(J2K, segment(0x55, b"\0\x40Mari"))],
     "lengths of tile parts"),
    ("JPEG 2000: text between tile parts", JPEG2000Lossless, [before_end(J2K, TEXT)], "between the"),
    ("JPEG 2000: text at the end of the packets", JPEG2000Lossless, [in_tile_part(J2K, b"").replace(
        J2K[-2:], TEXT + J2K[-2:])[:0] + J2K[: J2K.index(b"\xff\x90") + 6]
        + (int.from_bytes(J2K[J2K.index(b"\xff\x90") + 6 : J2K.index(b"\xff\x90") + 10]) + len(TEXT)).to_bytes(4)
        + J2K[J2K.index(b"\xff\x90") + 10 : -2] + TEXT + J2K[-2:]], "text stands at the end"),
    ("JPEG 2000: no end", JPEG2000Lossless, [J2K[:-2]], "truncated"),
    ("JP2: a palette", JPEG2000Lossless,
     [jp2(J2K).replace(b"colr", b"pclr")], "palette"),
    ("JP2 without a codestream", JPEG2000Lossless, [even(jp2(J2K).replace(b"jp2c", b"jp2x"))], "JP2"),
    ("RLE: a plane too few", RLELossless, [b"\1" + rle()[1:]], "without 2 segments"),
    ("RLE: a plane that is not full", RLELossless, [rle()[:-4]], "truncated"),
    ("deflated: broken", DeflatedImageFrameCompression, [deflated()[:-9]], "truncated"),
    ("deflated: more than the frame", DeflatedImageFrameCompression,
     [zlib.compress(WIDE.tobytes() + TEXT, wbits=-15)], "longer or shorter"),
    ("two frames where one is counted", JPEGBaseline8Bit, None, "hides another"),
]  # fmt: skip


@pytest.mark.parametrize(("syntax", "frames", "reason"), [row[1:] for row in HELD], ids=[row[0] for row in HELD])
def test_what_cannot_be_told_is_held(
    tmp_path: Path, sandbox: Sandbox, syntax: str, frames: list[bytes] | None, reason: str
) -> None:
    found = dataset(syntax, [even(one) for one in frames or [JPEG]])
    if frames is None:
        found.PixelData = encapsulate([even(JPEG)] * 2)
    with pytest.raises(PixelsUnreadable, match=reason):
        way(tmp_path, found, sandbox)


def test_frames_that_the_header_does_not_count_are_not_cut(tmp_path: Path, sandbox: Sandbox) -> None:
    found = image(WIDE, CT, Modality="CT")
    found.PixelData *= 2
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with pytest.raises(PixelsUnreadable, match="its description needs"):
        way(tmp_path, found, sandbox)


@pytest.mark.parametrize("rules", ["", "pixels:\n  - pass: true\n    because: seen\n"], ids=["no rule", "pass"])
def test_whoever_vouches_for_pixels_vouches_for_nothing_beside_them(
    tmp_path: Path, sandbox: Sandbox, rules: str
) -> None:
    output = way(tmp_path, dataset(JPEGBaseline8Bit, [even(JPEG + TEXT)]), sandbox, rules)
    assert frames_of(output.dataset) == [even(JPEG)]


def test_planes_that_overflow_are_cut_where_they_are_full(tmp_path: Path, sandbox: Sandbox) -> None:
    rows, columns = WIDE.shape
    size = rows * columns
    literal = b"".join(b"\x7f" + bytes(WIDE.reshape(-1)[at : at + 128] >> 8 & 0xFF) for at in range(0, size, 128))
    first = literal[:-129] + b"\x7f" + literal[-128:-1] + b"\0"  # ends exactly
    runs = b"\x81\1" * (size // 128 - 1) + b"\x82\1" + b"\x09" + b"\1ETXEBERRI"  # nine bytes beyond the plane
    frame = struct.pack("<3I", 2, 64, 64 + len(first)) + bytes(52) + first + even(runs)
    output = way(tmp_path, dataset(RLELossless, [frame]), sandbox)
    assert b"ETXE" not in output.dataset.PixelData
    pixels = output.dataset.pixel_array
    assert (pixels & 0xFF == 1).all()


def test_offsets_that_a_table_cannot_hold_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pixels.surplus._LONGEST_TABLE", 100)
    frames = [even(JPEG + TEXT)] * 2
    with opened(written(tmp_path, dataset(JPEGBaseline8Bit, frames))) as instance:
        found = surplus_of(instance, description_of(instance), longest=1 << 20)
    assert found is not None
    value = found.elements[0x7FE00010]
    assert value is not None
    assert isinstance(value[0], bytes)
    assert value[0][12:20] == item(b"")


def test_positions(tmp_path: Path, sandbox: Sandbox) -> None:
    """The table of the output points at its frames."""
    frames = [even(JPEG), even(JPEG + TEXT), even(behind_start(JPEG, segment(0xFE, TEXT))), even(JPEG)]
    value = way(tmp_path, dataset(JPEGBaseline8Bit, frames), sandbox).dataset.PixelData
    offsets = struct.unpack_from("<4I", value, 8)
    assert all(value[24 + at :].startswith(item(even(JPEG))) for at in offsets)
    assert {after - before for before, after in pairwise(offsets)} == {len(item(even(JPEG)))}


#: What OpenJPEG refuses with its surplus.
NOT_DECODED_BEFORE = ("JPEG 2000: behind the tiles", "JP2: UUID in front")
DECODED = (JPEGBaseline8Bit, JPEG2000Lossless, RLELossless)


@pytest.mark.filterwarnings("ignore:The decoded RLE segment")
def test_pixels_by_another_decoder(tmp_path: Path, sandbox: Sandbox) -> None:
    """Pillow and pydicom itself see the same image before and behind, of every coding that they have."""
    seen = set()
    for name, syntax, frame, _clean in ROWS:
        found = dataset(syntax, [even(frame)])
        if UID(syntax) not in DECODED or name in NOT_DECODED_BEFORE:
            continue
        before = pydicom.dcmread(written(tmp_path, found)).pixel_array
        after = way(tmp_path, found, sandbox).dataset.pixel_array
        assert np.array_equal(before, after)
        seen.add(syntax)
    assert seen == set(DECODED)
    # pyjpegls takes no byte behind the end, not even the one that makes a length even.
    assert bytes(jpeg_ls.decode_buffer(LS)[0]) == WIDE.tobytes()
