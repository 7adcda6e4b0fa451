"""A frame as a picture for a reviewer, with boxes drawn on it.

What it shows is the received image: it may hold identity, and is for the eyes of the reviewer alone.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.areas import Area
from gateway.pixels.description import PixelDescription
from gateway.pixels.palette import Palette

__all__ = ["DrawnBox", "Picture", "draw", "picture_of", "png", "sheet", "shrunk"]

#: Red, green and blue, 8 bits each, of shape (rows, columns, 3).
Picture: TypeAlias = "NDArray[np.uint8]"

#: Percentiles of the stored values between which grey is spread, as viewers do without a window of their own.
_PERCENTILES: Final = (0.5, 99.5)
#: Digits of 3 x 5 points, each row three bits.
_DIGITS: Final = (
    (7, 5, 5, 5, 7), (2, 6, 2, 2, 7), (7, 1, 7, 4, 7), (7, 1, 7, 1, 7), (5, 5, 7, 1, 1),
    (7, 4, 7, 1, 7), (7, 4, 7, 5, 7), (7, 1, 2, 2, 2), (7, 5, 7, 5, 7), (7, 5, 7, 1, 7),
)  # fmt: skip
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnBox:
    """A rectangle on a picture: where, in which colour, and the number beside it, if it has one."""

    area: Area
    colour: tuple[int, int, int]
    number: int | None = None


def picture_of(frame: NDArray[Any], description: PixelDescription, photometric_interpretation: str) -> Picture:
    """A frame as one sees it, without the window of its header: everything that is there shall be visible.

    Parameters
    ----------
    frame
        stored values of shape (rows, columns) or (rows, columns, 3)
    description
        of the image
    photometric_interpretation
        of ``frame``
    """
    if photometric_interpretation.startswith("MONOCHROME"):
        grey = _grey(frame, description)
        if photometric_interpretation == "MONOCHROME1":
            grey = 255 - grey
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    if photometric_interpretation == "PALETTE COLOR" and description.palette is not None:
        return _coloured(frame, description.palette)
    if frame.ndim == 2:
        return np.repeat(_grey(frame, description)[:, :, np.newaxis], 3, axis=2)
    colour = (frame.astype(np.uint32) >> max(0, description.bits_stored - 8)).clip(0, 255).astype(np.uint8)
    return _rgb(colour) if photometric_interpretation.startswith("YBR") else colour


def draw(picture: Picture, boxes: Sequence[DrawnBox]) -> Picture:
    """A copy of ``picture`` with the edges of the boxes and their numbers."""
    drawn = picture.copy()
    rows, columns, _ = drawn.shape
    line = max(1, min(rows, columns) // 400)
    for box in boxes:
        left, top, right, bottom = box.area
        for outer in range(line):
            up, down = max(0, top - outer - 1), min(rows - 1, bottom + outer)
            first, last = max(0, left - outer - 1), min(columns - 1, right + outer)
            drawn[[up, down], first : last + 1] = box.colour
            drawn[up : down + 1, [first, last]] = box.colour
        if box.number is not None:
            _write(drawn, box, scale=max(2, 2 * line))
    return drawn


def shrunk(picture: Picture, *, longest: int) -> tuple[Picture, int]:
    """A smaller picture whose longer edge is at most ``longest`` pixels, and how many pixels became one of its own."""
    rows, columns, _ = picture.shape
    factor = max(1, -(-max(rows, columns) // longest))
    if factor == 1:
        return picture, 1
    # What is no whole pixel of the smaller one is made one by its neighbours.
    padded = np.pad(picture, ((0, -rows % factor), (0, -columns % factor), (0, 0)), mode="edge")
    high, wide = padded.shape[0] // factor, padded.shape[1] // factor
    means = padded.reshape(high, factor, wide, factor, 3).mean(axis=(1, 3), dtype=np.float32)
    return means.round().astype(np.uint8), factor


def sheet(tiles: Sequence[tuple[int, Picture | None]], *, across: int, edge: int) -> Picture:
    """Small pictures side by side, each with its number above it; where there is none, a grey field.

    Parameters
    ----------
    tiles
        number and picture of each
    across
        how many stand in a row
    edge
        width of the field of each, and its height at most, in pixels
    """
    scale = max(2, edge // 80)
    head = 7 * scale
    down = -(-len(tiles) // across)
    high = max((picture.shape[0] for _, picture in tiles if picture is not None), default=edge) + scale
    whole = np.full((down * (high + head), across * edge, 3), 24, np.uint8)
    for place, (number, picture) in enumerate(tiles):
        top, left = place // across * (high + head), place % across * edge
        _digits(whole, number, top=top + scale, left=left + scale, scale=scale, colour=(255, 255, 255))
        field = whole[top + head : top + head + high, left : left + edge]
        if picture is None:
            field[high // 4 : 3 * high // 4, edge // 4 : 3 * edge // 4] = 96
        else:
            rows, columns = (min(room, size) for room, size in zip((high, edge), picture.shape, strict=False))
            field[:rows, :columns] = picture[:rows, :columns]
    return whole


def png(picture: Picture) -> bytes:
    """The picture as a PNG file (ISO/IEC 15948) without any text in it."""
    rows, columns, _ = picture.shape
    lines = np.zeros((rows, 1 + 3 * columns), np.uint8)
    lines[:, 1:] = picture.reshape(rows, 3 * columns)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b""))
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def _grey(frame: NDArray[Any], description: PixelDescription) -> NDArray[np.uint8]:
    values = _stored(frame, description)
    low, high = (float(one) for one in np.percentile(values, _PERCENTILES))
    if float(values.max()) - float(values.min()) > 1.25 * (high - low):
        # Text is often burned in at the largest value, far outside of what the anatomy has.
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    spread = (values.astype(np.float32) - low) / max(high - low, 1.0)
    return (spread.clip(0.0, 1.0) * 255).astype(np.uint8)


def _stored(frame: NDArray[Any], description: PixelDescription) -> NDArray[np.int64]:
    """The stored values without what other bits of their words hold."""
    shift = description.high_bit + 1 - description.bits_stored
    values = (frame.astype(np.int64) >> max(0, shift)) & ((1 << description.bits_stored) - 1)
    if description.signed:
        sign = 1 << (description.bits_stored - 1)
        values = (values ^ sign) - sign
    return values


def _coloured(frame: NDArray[Any], palette: Palette) -> Picture:
    entries = np.array((palette.red, palette.green, palette.blue), np.int64).T
    if palette.bits > 8:
        entries >>= palette.bits - 8
    places = (frame.astype(np.int64) - palette.first).clip(0, len(palette.red) - 1)
    return np.asarray(entries.clip(0, 255).astype(np.uint8)[places])


def _rgb(colour: Picture) -> Picture:
    """YCbCr of the full range as RGB (PS3.3 C.7.6.3.1.2)."""
    luma = colour[:, :, 0].astype(np.float32)
    blue, red = (colour[:, :, channel].astype(np.float32) - 128.0 for channel in (1, 2))
    channels = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    return np.stack([channel.round().clip(0, 255) for channel in channels], axis=2).astype(np.uint8)


def _write(picture: Picture, box: DrawnBox, *, scale: int) -> None:
    """The number of a box above its upper left corner, or inside where there is no room above."""
    columns = picture.shape[1]
    height, width = 5 * scale, (4 * len(str(box.number)) - 1) * scale
    top = box.area.top - height - 2 * scale
    top = box.area.top + scale if top < 0 else top
    left = max(0, min(box.area.left, columns - width))
    _digits(picture, box.number or 0, top=top, left=left, scale=scale, colour=box.colour)


def _digits(picture: Picture, number: int, *, top: int, left: int, scale: int, colour: tuple[int, int, int]) -> None:
    """A number, its upper left corner at ``top`` and ``left``, as far as it is inside."""
    rows, columns, _ = picture.shape
    for place, digit in enumerate(int(one) for one in str(number)):
        for row, bits in enumerate(_DIGITS[digit]):
            for column in range(3):
                if bits >> (2 - column) & 1:
                    y, x = top + row * scale, left + (4 * place + column) * scale
                    picture[max(0, y) : min(rows, y + scale), x : min(columns, x + scale)] = colour
