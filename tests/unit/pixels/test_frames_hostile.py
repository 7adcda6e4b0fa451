"""Lying, truncated and hostile pixel data: refused with a reason, and before anything is allocated for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from struct import pack
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate, encapsulate_extended

from gateway.errors import InstanceError, LimitExceeded, PixelsUnreadable
from gateway.pixels.description import describe
from gateway.pixels.frames import open_frames
from gateway.pixels.sandbox import Sandbox
from gateway.settings.pixel_settings import PixelSettings
from tests.unit.pixels.stored import (
    HTJ2K,
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

GREY = noise((16, 24), "u1")
WIDE = noise((16, 24), "<u2")
FRAMES = noise((3, 16, 24), "u1")


def jpeg(pixels: Array) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(pixels, level=90))


def jpeg_2000(pixels: Array) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True))


def jpeg_ls(pixels: Array) -> bytes:
    return bytes(imagecodecs.jpegls_encode(pixels))


def htj2k(pixels: Array) -> bytes:
    return bytes(imagecodecs.htj2k_encode(pixels, reversible=True))


def rle(*segments: bytes) -> bytes:
    offsets, at = [], 64
    for segment in segments:
        offsets.append(at)
        at += len(segment)
    return pack("<16I", len(segments), *offsets, *[0] * (15 - len(segments))) + b"".join(segments)


def packed(plane: Array) -> bytes:
    found = bytes(imagecodecs.packbits_encode(np.ascontiguousarray(plane)))
    return found + bytes(len(found) % 2)


def replaced(data: bytes, at: bytes, offset: int, new: bytes) -> bytes:
    where = data.index(at) + offset
    return data[:where] + new + data[where + len(new) :]


def sof(rows: int, columns: int, *, precision: int = 8, components: int = 1) -> bytes:
    """A JPEG of a frame header and a scan header, and hardly a byte more."""
    parts = b"".join(bytes([number + 1, 0x11, 0]) for number in range(components))
    scan = b"\xff\xda" + pack(">HB", 6 + 2 * components, components) + b"\1\0" * components + b"\0\x3f\0"
    return b"\xff\xd8\xff\xc0" + pack(">HBHHB", 8 + 3 * components, precision, rows, columns, components) + parts + scan


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as one:
        yield one


def read(path: Path, sandbox: Sandbox) -> list[Array]:
    with opened(path) as instance:
        description = describe(instance)
        assert description is not None
        with open_frames(instance, description, sandbox=sandbox) as frames:
            return list(frames)


def refused(path: Path, sandbox: Sandbox) -> str:
    with pytest.raises(InstanceError) as caught:
        read(path, sandbox)
    return caught.value.message


@pytest.mark.parametrize(
    ("syntax", "pixels", "frame", "change", "reason"),
    [
        # The header claims another size than the stream.
        (JPEG, GREY, jpeg, {"Rows": 17}, "24 x 16 pixels where the header says 24 x 17"),
        (JPEG_2000, GREY, jpeg_2000, {"Columns": 23}, "24 x 16 pixels where the header says 23 x 16"),
        (JPEG_LS, GREY, jpeg_ls, {"Rows": 15}, "24 x 16 pixels where the header says 24 x 15"),
        (HTJ2K, GREY, htj2k, {"Rows": 15}, "24 x 16 pixels where the header says 24 x 15"),
        # Both claim 65535 x 65535, in 20 bytes.
        (JPEG, GREY, lambda _: sof(65535, 65535), {"Rows": 65535, "Columns": 65535}, "limit of 536870912 bytes per"),
        # More samples than the header says, or fewer.
        (
            JPEG,
            GREY,
            lambda _: sof(16, 24, components=3) + b"\xff\xd9",
            {},
            "3 samples per pixel where",
        ),
        # Deeper than the cells, and deeper than the samples with values that need it.
        (JPEG_LS, GREY, lambda _: jpeg_ls(WIDE), {}, "16 bits where the header allocates 8"),
        (JPEG_2000, WIDE, lambda _: jpeg_2000_of_12(), {"BitsStored": 10, "HighBit": 9}, "values of 12 bits where"),
        # Another coding than the transfer syntax says.
        (JPEG, GREY, jpeg_2000, {}, "does not begin as JPEG does"),
        (JPEG, GREY, jpeg_ls, {}, "another process"),
        ("1.2.840.10008.1.2.4.70", GREY, jpeg, {}, "another process"),
        (JPEG_2000, GREY, jpeg, {}, "does not begin as JPEG 2000 does"),
        (JPEG_2000, GREY, htj2k, {}, "another part"),
        (HTJ2K, GREY, jpeg_2000, {}, "another part"),
        # Truncated: in the headers, behind them without and with an end, and with more than an end.
        (JPEG, GREY, lambda pixels: jpeg(pixels)[:10], {}, "truncated"),
        (JPEG, GREY, lambda pixels: jpeg(pixels)[:-20], {}, "is truncated, or something follows its end"),
        (JPEG, GREY, lambda pixels: jpeg(pixels) + b"MOCKBURY", {}, "is truncated, or something follows its end"),
        (JPEG_LS, GREY, lambda pixels: jpeg_ls(pixels)[:120], {}, "is truncated, or something follows its end"),
        (JPEG_LS, GREY, lambda pixels: jpeg_ls(pixels)[:120] + b"\xff\xd9", {}, "a codec refuses a frame"),
        (JPEG_2000, GREY, lambda pixels: jpeg_2000(pixels)[:20], {}, "truncated"),
        (JPEG_2000, GREY, lambda pixels: jpeg_2000(pixels)[:100] + b"\xff\xd9", {}, "a codec refuses a frame"),
        (HTJ2K, GREY, lambda pixels: htj2k(pixels)[:100] + b"\xff\xd9", {}, "a codec refuses a frame"),
        (RLE, GREY, lambda pixels: rle(packed(pixels))[:40], {}, "truncated"),
        (RLE, GREY, lambda pixels: rle(packed(pixels)[:100]), {}, "a frame has another size"),
        # RLE with another number of segments, with more bytes than the frame, with offsets that lie.
        (RLE, WIDE, lambda pixels: rle(packed(pixels.view("u1"))), {}, "without 2 segments"),
        (RLE, GREY, lambda pixels: rle(packed(pixels) + packed(pixels)), {}, "a "),
        (
            RLE,
            GREY,
            lambda pixels: replaced(rle(packed(pixels)), b"\1\0\0\0\x40", 4, b"\xff" * 4),
            {},
            "broken",
        ),
        # A hierarchical JPEG, two frame headers, and rows that only follow the scan.
        (JPEG, GREY, lambda pixels: jpeg(pixels)[:2] + b"\xff\xde\0\2", {}, "of a kind that is not decoded"),
        (JPEG, GREY, lambda pixels: sof(16, 24)[:15] + sof(16, 24)[2:], {}, "two frame headers"),
        # JPEG 2000 with tiles of nothing, and with an empty image.
        (JPEG_2000, GREY, lambda pixels: replaced(jpeg_2000(pixels), b"\xff\x51", 22, bytes(4)), {}, "broken"),
        (JPEG_2000, GREY, lambda pixels: replaced(jpeg_2000(pixels), b"\xff\x51", 6, bytes(4)), {}, "broken"),
        # No bytes at all.
        (JPEG, GREY, lambda _: b"\0\0", {}, "does not begin"),
        # Video and what else nobody here decodes.
        ("1.2.840.10008.1.2.4.102", GREY, jpeg, {}, "MPEG-4 AVC/H.264 High Profile / Level 4.1 is not decoded"),
        ("1.2.840.10008.1.2.4.107", GREY, jpeg, {}, "HEVC/H.265 Main Profile / Level 5.1 is not decoded"),
        ("1.2.840.10008.1.2.4.92", GREY, jpeg_2000, {}, "is not decoded"),
    ],
)
def test_lying_frames_are_refused(
    tmp_path: Path,
    sandbox: Sandbox,
    syntax: str,
    pixels: Array,
    frame: Callable[[Array], bytes],
    change: dict[str, Any],
    reason: str,
) -> None:
    dataset = encapsulated(header(pixels, **change), [frame(pixels)])
    assert reason in refused(save(tmp_path / "one.dcm", dataset, syntax), sandbox)


def jpeg_2000_of_12() -> bytes:
    pixels = noise(WIDE.shape, "<u2", bits=12)
    return bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True, bitspersample=12))


def test_a_deeper_stream_whose_values_keep_to_the_header_is_read(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise(WIDE.shape, "<u2", bits=10)
    stream = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True, bitspersample=12)
    dataset = encapsulated(header(pixels, BitsStored=10, HighBit=9), [bytes(stream)])
    np.testing.assert_array_equal(read(save(tmp_path / "one.dcm", dataset, JPEG_2000), sandbox)[0], pixels)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_the_header_decides_about_the_sign(tmp_path: Path, sandbox: Sandbox, signed: bool) -> None:
    pixels = noise(WIDE.shape, "<i2" if signed else "<u2", bits=13)
    # The stream says the opposite of the header; the bits are the same.
    coded = (pixels & 0x1FFF).astype("<u2") if signed else ((pixels.astype(int) ^ 0x1000) - 0x1000).astype("<i2")
    stream = imagecodecs.jpeg2k_encode(coded, level=0, codecformat="j2k", reversible=True, bitspersample=13)
    dataset = encapsulated(header(pixels, BitsStored=13, HighBit=12), [bytes(stream)])
    np.testing.assert_array_equal(read(save(tmp_path / "one.dcm", dataset, JPEG_2000), sandbox)[0], pixels)


def items(*contents: bytes, table: bytes = b"") -> bytes:
    """Fragments as they are, behind a Basic Offset Table."""
    return b"".join(b"\xfe\xff\x00\xe0" + pack("<I", len(one)) + one for one in (table, *contents))


def split(frame: bytes, at: int = 40) -> tuple[bytes, bytes]:
    return frame[:at], frame[at:]


def even(frame: bytes) -> bytes:
    return frame + bytes(len(frame) % 2)


ONE, TWO, THREE = (even(jpeg(frame)) for frame in FRAMES)


@pytest.mark.parametrize(
    "pixel_data",
    [
        # A frame to a fragment, without and with a table.
        items(ONE, TWO, THREE),
        encapsulate([ONE, TWO, THREE], has_bot=True),
        # Frames of several fragments: told by the table, or by how a frame begins.
        items(*split(ONE), TWO, *split(THREE), table=pack("<3I", 0, len(ONE) + 16, len(ONE) + len(TWO) + 24)),
        items(*split(ONE), TWO, *split(THREE, 100)),
    ],
    ids=["fragments", "table", "split-table", "split"],
)
def test_frames_are_found(tmp_path: Path, sandbox: Sandbox, pixel_data: bytes) -> None:
    dataset = encapsulated(header(FRAMES), pixel_data)
    frames = read(save(tmp_path / "one.dcm", dataset, JPEG), sandbox)
    for frame, stream in zip(frames, (ONE, TWO, THREE), strict=True):
        np.testing.assert_array_equal(frame, imagecodecs.jpeg8_decode(stream))


def test_one_frame_of_many_fragments(tmp_path: Path, sandbox: Sandbox) -> None:
    stream = even(jpeg(GREY))
    dataset = encapsulated(header(GREY), items(*(stream[at : at + 20] for at in range(0, len(stream), 20)), b""))
    (frame,) = read(save(tmp_path / "one.dcm", dataset, JPEG), sandbox)
    np.testing.assert_array_equal(frame, imagecodecs.jpeg8_decode(stream))


@pytest.mark.parametrize(
    ("frames", "pixel_data", "reason"),
    [
        # Fewer fragments than frames.
        (4, items(ONE, TWO, THREE), "4 frames in 3 fragments"),
        (999_999, items(ONE, TWO, THREE), "999999 frames in 3 fragments"),
        # More frames than the header says: one would escape.
        (2, items(ONE, TWO, THREE), "3 fragments make 3 frames, not 2"),
        # Tables that point beside the fragments, at too few of them, backwards, or are no table.
        (3, items(ONE, TWO, THREE, table=pack("<3I", 0, 2, 4)), "points elsewhere"),
        (3, items(ONE, TWO, THREE, table=pack("<2I", 0, len(ONE) + 8)), "points elsewhere"),
        (2, items(ONE, TWO, THREE, table=pack("<2I", 0, len(ONE) + len(TWO) + 16)), "a frame hides another"),
        (1, items(ONE, TWO), "a frame hides another"),
        (3, items(ONE, TWO, THREE, table=pack("<3I", 0, len(ONE) + len(TWO) + 16, len(ONE) + 8)), "points elsewhere"),
        (3, items(ONE, TWO, THREE, table=b"\0\0"), "no list of offsets"),
        # Nothing but a table.
        (1, items(), "no fragment"),
    ],
)
def test_lying_offset_tables_are_refused(
    tmp_path: Path, sandbox: Sandbox, frames: int, pixel_data: bytes, reason: str
) -> None:
    path = save(tmp_path / "one.dcm", encapsulated(header(FRAMES, NumberOfFrames=frames), pixel_data), JPEG)
    assert reason in refused(path, sandbox)


def test_the_extended_offset_table_is_compared(tmp_path: Path, sandbox: Sandbox) -> None:
    pixel_data, offsets, lengths = encapsulate_extended([ONE, TWO, THREE])
    dataset = encapsulated(header(FRAMES), pixel_data)
    dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = offsets, lengths
    assert len(read(save(tmp_path / "one.dcm", dataset, JPEG), sandbox)) == 3
    dataset.ExtendedOffsetTable = offsets[:8] + pack("<QQ", 4, 8)
    assert "Extended Offset Table points elsewhere" in refused(save(tmp_path / "two.dcm", dataset, JPEG), sandbox)
    dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = offsets, lengths[:16]
    assert "Extended Offset Table points elsewhere" in refused(save(tmp_path / "three.dcm", dataset, JPEG), sandbox)


def test_frames_that_disagree_about_colours_are_refused(tmp_path: Path, sandbox: Sandbox) -> None:
    pixels = noise((2, 16, 16, 3), "u1")
    streams = [
        bytes(imagecodecs.jpeg8_encode(frame, level=90, outcolorspace="YCBCR", subsampling="444")) for frame in pixels
    ]
    streams[1] = streams[1][:2] + streams[1][4 + int.from_bytes(streams[1][4:6]) :]  # without JFIF
    streams[1] = streams[1][:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0" + streams[1][2:]
    dataset = encapsulated(header(pixels, PhotometricInterpretation="YBR_FULL"), streams)
    assert "differently" in refused(save(tmp_path / "one.dcm", dataset, JPEG), sandbox)


def test_a_frame_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    sandbox = Sandbox(PixelSettings.model_validate({"frame_bytes": 1024}))
    path = save(tmp_path / "one.dcm", native(noise((64, 64), "u1")))
    with opened(path) as instance:
        description = describe(instance)
        assert description is not None
        with pytest.raises(LimitExceeded, match="1024 bytes per frame"):
            open_frames(instance, description, sandbox=sandbox)


def test_a_frame_that_is_not_there(tmp_path: Path, sandbox: Sandbox) -> None:
    with opened(save(tmp_path / "one.dcm", native(GREY))) as instance:
        description = describe(instance)
        assert description is not None
        with open_frames(instance, description, sandbox=sandbox) as frames:
            for number in (-1, 1):
                with pytest.raises(PixelsUnreadable):
                    frames.frame(number)
