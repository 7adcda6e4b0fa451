"""That an output's Pixel Data holds nothing beside its pixels (promise P13)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import accumulate
from mmap import ACCESS_READ, mmap
from typing import Final

from gateway.dicom.comments import Bytes, comments
from gateway.dicom.encoded import Buffer, find
from gateway.dicom.instance import Instance
from gateway.dicom.pixel_change import PixelChange
from gateway.dicom.segments import FileRange, Segment
from gateway.dicom.tag import PIXEL_DATA, show
from gateway.dicom.transfer_syntax import transfer_syntax
from gateway.errors import LeakSuspected
from gateway.verify.output_reader import Output

__all__ = ["UNMARKED", "check_surplus", "pixel_values"]

_SAMPLES_PER_PIXEL: Final = 0x00280002
_PHOTOMETRIC_INTERPRETATION: Final = 0x00280004
_NUMBER_OF_FRAMES: Final = 0x00280008
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_BITS_ALLOCATED: Final = 0x00280100
#: Encapsulated uncompressed, RLE, deflated: what begins as a codestream is chance.
UNMARKED: Final = frozenset(("1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1"))
#: Element header of a value of undefined length in explicit VR.
_HEADER: Final = 12


def check_surplus(instance: Instance, output: Output, pixels: PixelChange | None) -> None:
    """Check that nothing stands in Pixel Data beside the pixels: read again, by other code than took it away.

    Parameters
    ----------
    instance
        the original
    output
        what was made of it
    pixels
        the change of pixels, None if there was none

    Raises
    ------
    LeakSuspected
        something is there, or native Pixel Data is longer than the output says that it is
    """
    element = find(output.elements, PIXEL_DATA)
    syntax = transfer_syntax(output.meta.transfer_syntax)
    if element is None or syntax is None:
        return
    if not syntax.encapsulated:
        _check_length(output, pixels)
        return
    with ExitStack() as stack:
        for buffer, start, stop in pixel_values(instance, output, pixels, stack):
            for _ in comments(buffer, start, stop, coded=output.meta.transfer_syntax not in UNMARKED):
                raise LeakSuspected(where=show(PIXEL_DATA), reason="something stands beside the pixels")


def pixel_values(
    instance: Instance, output: Output, pixels: PixelChange | None, stack: ExitStack
) -> Iterator[tuple[Bytes, int, int]]:
    """The value of Pixel Data, wherever it lies."""
    parts = pixels.elements.get(PIXEL_DATA) if pixels is not None else None
    if parts is not None:
        joined = _Joined(parts, instance, stack)
        yield joined, _HEADER, len(joined)
        return
    holes = [(value, end) for tag, _vr, value, end in output.holes if tag == PIXEL_DATA]
    for value, end in holes:
        yield instance.buffer, value, end
    element = find(output.elements, PIXEL_DATA)
    if element is not None and not holes:
        yield output.buffer, element[3], element[4]


class _Joined:
    """Segments as if they were one piece of memory."""

    def __init__(self, parts: Sequence[Segment], instance: Instance, stack: ExitStack) -> None:
        self._parts: list[tuple[Buffer, int]] = []
        sizes = []
        for part in parts:
            if isinstance(part, bytes):
                self._parts.append((part, 0))
                sizes.append(len(part))
                continue
            buffer: Buffer = instance.buffer if part.path == instance.path else _mapped(part, stack)
            self._parts.append((buffer, part.offset))
            sizes.append(part.length)
        self._ends = list(accumulate(sizes))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, key: slice, /) -> bytes:
        start, stop = key.start, min(key.stop, len(self))
        content = b""
        while start < stop:
            number = bisect_right(self._ends, start)
            begin = self._ends[number - 1] if number else 0
            until = min(stop, self._ends[number])
            buffer, offset = self._parts[number]
            content += bytes(buffer[offset + start - begin : offset + until - begin])
            start = until
        return content


def _mapped(part: FileRange, stack: ExitStack) -> Buffer:
    with part.path.open("rb") as file:
        return stack.enter_context(mmap(file.fileno(), 0, access=ACCESS_READ))


def _check_length(output: Output, pixels: PixelChange | None) -> None:
    """Compare the length of native Pixel Data with what rows, columns, samples, bits and frames make (PS3.5 8.1.1)."""
    numbers = [_number(output, tag) for tag in (_ROWS, _COLUMNS, _SAMPLES_PER_PIXEL, _BITS_ALLOCATED)]
    frames = _text(output, _NUMBER_OF_FRAMES) or "1"
    if None in numbers or not frames.isdecimal():
        return
    rows, columns, samples, bits = (number or 0 for number in numbers)
    if _text(output, _PHOTOMETRIC_INTERPRETATION) == "YBR_FULL_422":
        samples = 2
    expected = (rows * columns * samples * bits * int(frames) + 7) // 8
    if _length(output, pixels) > expected + 1:
        raise LeakSuspected(where=show(PIXEL_DATA), reason="it is longer than its description")


def _length(output: Output, pixels: PixelChange | None) -> int:
    parts = pixels.elements.get(PIXEL_DATA) if pixels is not None else None
    if parts is not None:
        header = 8 if output.implicit else 12
        return sum(part.length if isinstance(part, FileRange) else len(part) for part in parts) - header
    for tag, _vr, value, end in output.holes:
        if tag == PIXEL_DATA:
            return end - value
    element = find(output.elements, PIXEL_DATA)
    return 0 if element is None else element[4] - element[3]


def _number(output: Output, tag: int) -> int | None:
    element = find(output.elements, tag)
    if element is None or element[4] - element[3] != 2:
        return None
    return int.from_bytes(output.buffer[element[3] : element[4]], "little")


def _text(output: Output, tag: int) -> str:
    element = find(output.elements, tag)
    return "" if element is None else output.buffer[element[3] : element[4]].decode("latin-1").strip("\0 ")
