"""What Pixel Data holds besides the pixels, and Pixel Data without it (promise P13).

Comments and thumbnails in codestreams, boxes around them, bytes behind their end, fragments that are no frame, offset
tables that point nowhere, excess padding of native pixels: nobody needs them to see the image, and nobody looked at
them. Frames are followed from marker to marker and none is decoded. What is right stays the range of the received file
that it is, so that nothing is copied.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

import numpy as np

from gateway.dicom.encode import SEQUENCE_END, header, item_header
from gateway.dicom.encoded import Buffer, find
from gateway.dicom.instance import Instance
from gateway.dicom.pixel_change import PixelChange
from gateway.dicom.segments import FileRange, Segment, total_length
from gateway.dicom.tag import PIXEL_DATA, UNDEFINED_LENGTH
from gateway.errors import LimitExceeded, PixelsUnreadable
from gateway.pixels import jpeg, jpeg_2000, rle
from gateway.pixels.description import PixelDescription, describe
from gateway.pixels.fragments import EXTENDED_LENGTHS, EXTENDED_OFFSETS, Fragments
from gateway.pixels.pieces import Piece, is_padded
from gateway.pixels.pixel_treatment import PixelOutcome
from gateway.pixels.review import Review
from gateway.pixels.syntaxes import is_followed, is_video, structure_of
from gateway.profile import Program
from gateway.profile.pixel_program import Pass

__all__ = ["Surplus", "drop_surplus", "surplus_of"]

#: Most pieces of an output's Pixel Data that are not one range: 40 MB of positions.
_MOST_PIECES: Final = 1 << 18
_LONGEST_TABLE: Final = 0xFFFFFFFF
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Surplus:
    """What has to go, and Pixel Data without it.

    Attributes
    ----------
    elements
        the elements that change, as ``PixelChange`` takes them
    length
        how many bytes go, those of offset tables not counted
    """

    elements: dict[int, tuple[Segment, ...] | None]
    length: int


def drop_surplus(
    program: Program, instance: Instance, outcome: PixelOutcome, review: Review | None, *, longest: int
) -> None:
    """Have Pixel Data that stays go without what is no pixels in it; frames that were written have nothing.

    Video passes as it is, and so does what nothing here follows, if a rule or a person vouches for it.

    Parameters
    ----------
    program
        specialised
    instance
        as received
    outcome
        what became of the pixels, which is changed
    review
        what a person decided
    longest
        as for ``surplus_of``

    Raises
    ------
    PixelsUnreadable, LimitExceeded
        as ``surplus_of``
    """
    if outcome.edit or is_video(instance.transfer_syntax):
        return
    vouched = review is not None or any(isinstance(rule, Pass) for rule in program.pixels)
    try:
        description = describe(instance)
    except PixelsUnreadable:
        return  # pixels that nobody vouches for do not come so far
    if description is None or (vouched and not is_followed(instance.transfer_syntax)):
        return
    surplus = surplus_of(instance, description, longest=longest)
    if surplus is None:
        return
    change = outcome.change or PixelChange(transfer_syntax=instance.transfer_syntax, elements={})
    outcome.change = replace(change, elements={**change.elements, **surplus.elements})
    outcome.surplus = surplus.length


def surplus_of(instance: Instance, description: PixelDescription, *, longest: int) -> Surplus | None:
    """What Pixel Data holds besides the pixels; None if there is nothing.

    Parameters
    ----------
    instance
        as received; the elements returned refer to its file
    description
        of its pixels
    longest
        bytes of a frame in several fragments, which is joined in memory

    Raises
    ------
    PixelsUnreadable
        what belongs to the pixels cannot be told from what does not
    LimitExceeded
        a frame is too long, or there are too many fragments or pieces
    """
    if not description.encapsulated:
        return _native(instance, description)
    return _Encapsulated(instance, description, longest).surplus()


def _native(instance: Instance, description: PixelDescription) -> Surplus | None:
    """Native pixels without what exceeds their description (PS3.5 8.1.1)."""
    element = find(instance.elements, PIXEL_DATA)
    if element is None:
        return None
    _, vr, _, start, end, _ = element
    length = (description.native_bits * description.frames + 7) // 8
    if is_padded(instance.buffer, start + length, end):
        return None
    head = header(PIXEL_DATA, vr, length + length % 2, implicit=instance.implicit)
    parts = (head, FileRange(instance.path, start, length), *((b"\0",) if length % 2 else ()))
    return Surplus({PIXEL_DATA: parts}, end - start - length - length % 2)


class _Encapsulated:
    def __init__(self, instance: Instance, description: PixelDescription, longest: int) -> None:
        self._instance = instance
        self._description = description
        self._longest = longest
        self._structure = structure_of(description.transfer_syntax)
        self._fragments = Fragments(instance, description.frames, begins=self._structure.begins, lenient=True)

    def surplus(self) -> Surplus | None:
        fragments = self._fragments
        dirty = not fragments.tables_agree
        #: The frames that do not stay as they are.
        changed: dict[int, tuple[Segment, ...]] = {}
        count = length = 0
        for number in range(len(fragments)):
            ranges = fragments.ranges(number)
            parts = self._frame(ranges)
            if parts is not None:
                changed[number] = parts
                length += sum(size for _, size in ranges) - total_length(parts)
                count += len(parts)
                if count > _MOST_PIECES:
                    raise LimitExceeded(limit=_MOST_PIECES, unit="pieces", where="Pixel Data")
        if not changed and not dirty:
            return None
        return Surplus(self._elements(changed), length)

    def _frame(self, ranges: list[tuple[int, int]]) -> tuple[Segment, ...] | None:
        """A frame without its surplus; None if it has none."""
        first, size = ranges[0]
        if len(ranges) == 1:
            buffer: Buffer = self._instance.buffer
            base, stop = first, first + size
        else:
            length = sum(size for _, size in ranges)
            if length > self._longest:
                raise LimitExceeded(limit=self._longest, unit="bytes per frame", where="Pixel Data")
            buffer = b"".join(bytes(self._instance.buffer[start : start + size]) for start, size in ranges)
            base, stop = 0, length
        pieces = self._pieces(buffer, base, stop)
        if pieces == [(base, stop)]:
            return None
        return tuple(self._segments(pieces, ranges if len(ranges) > 1 else [(0, stop)]))

    def _pieces(self, buffer: Buffer, start: int, stop: int) -> list[Piece]:
        description = self._description
        match self._structure.family:
            case "jpeg" | "jpeg-ls":
                return jpeg.image_of(buffer, start, stop)
            case "jpeg-2000" | "htj2k":
                return jpeg_2000.image_of(buffer, start, stop)
            case "rle":
                planes = description.samples_per_pixel * max(1, description.bits_allocated // 8)
                length = (description.frame_pixels * min(8, description.bits_allocated) + 7) // 8
                return rle.image_of(buffer, start, stop, segments=planes, length=length)
            case "deflate":
                return _padded(buffer, start, stop, _inflated_end(buffer, start, stop, description))
            case _:
                return _padded(buffer, start, stop, start + (description.native_bits + 7) // 8)

    def _segments(self, pieces: list[Piece], ranges: list[tuple[int, int]]) -> Iterator[Segment]:
        """The pieces of a frame as ranges of the file, of an even length; its fragments lie at ``ranges``."""
        begins = [0, *accumulate(size for _, size in ranges)]
        length = 0
        for piece in pieces:
            if isinstance(piece, bytes):
                length += len(piece)
                yield piece
                continue
            start, stop = piece
            length += stop - start
            while start < stop:
                number = bisect_right(begins, start) - 1
                until = min(stop, begins[number + 1])
                yield FileRange(self._instance.path, ranges[number][0] + start - begins[number], until - start)
                start = until
        if length % 2:
            yield b"\0"

    def _elements(self, changed: dict[int, tuple[Segment, ...]]) -> dict[int, tuple[Segment, ...] | None]:
        """Pixel Data with each changed frame as one fragment and a table that is right, where there was one."""
        fragments, path = self._fragments, self._instance.path
        parts: list[Segment] = []
        offsets: list[int] = []
        at = 0
        for number in range(len(fragments)):
            offsets.append(at)
            frame = changed.get(number)
            if frame is not None:
                size = total_length(frame)
                parts += (item_header(size), *frame)
                at += 8 + size
                continue
            ranges = fragments.ranges(number)
            first, last = ranges[0], ranges[-1]
            # The items of a frame lie one behind the other, with their headers.
            size = last[0] + last[1] - first[0] + 8
            before = parts[-1] if parts else None
            if isinstance(before, FileRange) and before.offset + before.length == first[0] - 8:
                parts[-1] = FileRange(path, before.offset, before.length + size)
            else:
                parts.append(FileRange(path, first[0] - 8, size))
            at += size
        table = b""
        if fragments.has_table and offsets[-1] <= _LONGEST_TABLE:
            table = np.asarray(offsets, "<u4").tobytes()
        head = header(PIXEL_DATA, b"OB", UNDEFINED_LENGTH, implicit=False) + item_header(len(table)) + table
        elements: dict[int, tuple[Segment, ...] | None] = {PIXEL_DATA: (head, *_joined(parts), SEQUENCE_END)}
        elements |= {
            tag: None for tag in (EXTENDED_OFFSETS, EXTENDED_LENGTHS) if find(self._instance.elements, tag) is not None
        }
        return elements


def _joined(parts: list[Segment]) -> Iterator[Segment]:
    """The parts with neighbours of bytes as one."""
    waiting = b""
    for part in parts:
        if isinstance(part, bytes):
            waiting += part
            continue
        if waiting:
            yield waiting
        waiting = b""
        yield part
    if waiting:
        yield waiting


def _padded(buffer: Buffer, start: int, stop: int, end: int) -> list[Piece]:
    """A frame up to ``end``, with one byte of padding."""
    if end > stop:
        raise PixelsUnreadable(reason="a frame is shorter than its description")
    return [(start, stop if is_padded(buffer, end, stop) else end)]


def _inflated_end(buffer: Buffer, start: int, stop: int, description: PixelDescription) -> int:
    """Where a deflated frame ends (RFC 1951), which has to hold the pixels and a byte of padding at most."""
    engine, made, pos = zlib.decompressobj(wbits=-15), 0, start
    data = b""
    expected = (description.native_bits + 7) // 8
    while not engine.eof:
        if not data:
            data = bytes(buffer[pos : min(stop, pos + _CHUNK)])
            pos += len(data)
        try:
            plain = engine.decompress(data, _CHUNK)
        except zlib.error:
            raise PixelsUnreadable(reason="a deflated frame is broken") from None
        if not data and not plain:
            raise PixelsUnreadable(reason="a deflated frame is truncated")
        made += len(plain)
        data = engine.unconsumed_tail
        if made > expected + 1:
            break
    if made not in (expected, expected + 1):
        raise PixelsUnreadable(reason="a deflated frame is longer or shorter than its description")
    return pos - len(engine.unused_data)
