"""The output as the verifier reads it: everything but pixel data, indexed again from its bytes.

Pixel data, and other long values that are copied from the received file, are not loaded: they are holes in the bytes,
whose element headers are compared with the received ones (promise P8).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from gateway.dicom.encoded import Element, Familiar, Part, index, survey
from gateway.dicom.file_meta import FileMeta, read_file_meta
from gateway.dicom.instance import Instance
from gateway.dicom.pixel_change import PixelChange
from gateway.dicom.segments import FileRange, Segment, too_short
from gateway.dicom.tag import PIXEL_DATA, show
from gateway.dicom.transfer_syntax import transfer_syntax
from gateway.errors import LeakSuspected, MalformedDataSet

__all__ = ["PIXELS", "Output", "read_output"]

#: Pixel Data, Float Pixel Data and Double Float Pixel Data at the top level: what the pixels room is responsible for.
PIXELS: Final = frozenset((PIXEL_DATA, 0x7FE00008, 0x7FE00009))
#: Preamble and prefix (PS3.10 7.1).
_META_START: Final = 132
#: Longer values outside sequences are read in chunks where they are.
_LONG_VALUE: Final = 1 << 20
#: What was read back before in this process.
_FAMILIAR: Final = Familiar()


@dataclass(frozen=True, slots=True)
class Output:
    """An output, without what is in its holes.

    Attributes
    ----------
    buffer
        preamble, file meta information and data set, without the holes
    meta
        the file meta information as read back
    meta_elements
        its elements
    elements
        the elements of the data set, positions in ``buffer``; a value in a hole is empty here
    parts
        the same, divided by what is familiar: ``encoded.Survey``
    implicit
        whether the data set is implicit VR
    holes
        long values of the received file: tag, VR and the byte range of the value there
    replaced
        elements of a change of pixels whose values lie in files of their own, found as they were written
    """

    buffer: bytes
    meta: FileMeta
    meta_elements: list[Element]
    elements: list[Element]
    parts: list[Part]
    implicit: bool
    holes: tuple[tuple[int, bytes, int, int], ...]
    replaced: frozenset[int] = frozenset()


def read_output(instance: Instance, segments: Sequence[Segment], pixels: PixelChange | None = None) -> Output:
    """Read back the output that ``segments`` make of ``instance``.

    Parameters
    ----------
    instance
        the original
    segments
        the whole output
    pixels
        what was done to the pixels; values of it that lie in files are not loaded

    Raises
    ------
    InstanceError
        the output is not a readable Part 10 file: it must not leave
    SpoolCorrupt
        a segment's file is shorter than the segment
    """
    reader = _Reader(instance, pixels)
    for segment in segments:
        if isinstance(segment, FileRange):
            reader.range(segment)
        else:
            reader.bytes(segment)
    reader.end()
    buffer = bytes(reader.data)
    meta, first = read_file_meta(buffer)
    start = first
    syntax = transfer_syntax(meta.transfer_syntax)
    if syntax is None or syntax.big_endian or syntax.deflated:
        raise LeakSuspected(where="(0002,0010)", reason="the output's transfer syntax cannot be searched")
    parts: list[Part] = []
    for position, element in reader.holes:
        header = element[3] - element[2]
        parts += survey(buffer, start, position - header, implicit=syntax.implicit, familiar=_FAMILIAR).parts
        parts.append((b"", [(element[0], element[1], position - header, position, position, None)]))
        start = position
    if start < len(buffer) or not parts:
        parts += survey(buffer, start, len(buffer), implicit=syntax.implicit, familiar=_FAMILIAR).parts
    elements: list[Element] = []
    for _, part in parts:
        if part and elements and elements[-1][0] >= part[0][0]:
            raise MalformedDataSet(
                where=show(part[0][0]), offset=part[0][2], reason="the output's elements are out of order"
            )
        elements += part
    return Output(
        buffer=buffer,
        meta=meta,
        meta_elements=index(buffer, _META_START, first),
        elements=elements,
        parts=parts,
        implicit=syntax.implicit,
        holes=tuple((element[0], element[1], element[3], element[4]) for _, element in reader.holes),
        replaced=frozenset(reader.replaced),
    )


class _Reader:
    """Joins segments, leaving out the values that become holes."""

    def __init__(self, instance: Instance, pixels: PixelChange | None) -> None:
        self._instance = instance
        self._written = {
            tag: list(parts)
            for tag, parts in (pixels.elements if pixels is not None else {}).items()
            if parts is not None and any(isinstance(part, FileRange) for part in parts)
        }
        #: What has to come next of an element that is being skipped.
        self._awaited: list[Segment] = []
        self.data = bytearray()
        self.holes: list[tuple[int, Element]] = []
        self.replaced: list[int] = []

    def bytes(self, segment: bytes) -> None:
        while self._awaited and segment:
            awaited = self._awaited.pop(0)
            if not isinstance(awaited, bytes) or not segment.startswith(awaited):
                raise LeakSuspected(where=show(PIXEL_DATA), reason="it is not what the change of pixels wrote")
            segment = segment[len(awaited) :]
        self.data += segment

    def end(self) -> None:
        if self._awaited:
            raise LeakSuspected(where=show(PIXEL_DATA), reason="a part of what the change of pixels wrote is missing")

    def _is_written(self, segment: FileRange) -> bool:
        """Whether the range is a part of an element of the change, which becomes a hole."""
        if self._awaited:
            if self._awaited.pop(0) != segment:
                raise LeakSuspected(where=show(PIXEL_DATA), reason="it is not what the change of pixels wrote")
            return True
        for tag, parts in self._written.items():
            first = next(place for place, part in enumerate(parts) if isinstance(part, FileRange))
            before = b"".join(part for part in parts[:first] if isinstance(part, bytes))
            if parts[first] == segment and self.data.endswith(before):
                header = 8 if self._instance.implicit else 12
                vr = b"OW" if self._instance.implicit else before[4:6]
                del self.data[len(self.data) - len(before) + header :]
                end = len(self.data)
                # The value lies in no file that the scan reads, so that its range is empty.
                self.holes.append((end, (tag, vr, -header, 0, 0, None)))
                self._awaited = parts[first + 1 :]
                self.replaced.append(tag)
                del self._written[tag]
                return True
        return False

    def range(self, segment: FileRange) -> None:
        if self._is_written(segment):
            return
        if segment.path != self._instance.path:
            with segment.path.open("rb") as file:
                file.seek(segment.offset)
                content = file.read(segment.length)
            if len(content) != segment.length:
                raise too_short(segment.path, segment.length - len(content))
            self.data += content
            return
        buffer, start = self._instance.buffer, segment.offset
        stop = start + segment.length
        if stop > len(buffer):
            raise too_short(segment.path, stop - len(buffer))
        for element in self._long(start, stop):
            self.data += buffer[start : element[3]]
            header = bytes(buffer[element[2] : element[3]])
            if self.data[-len(header) :] != header:
                raise LeakSuspected(where=show(element[0]), reason="its value stands behind the header of another one")
            self.holes.append((len(self.data), element))
            start = element[4]
        self.data += buffer[start:stop]

    def _long(self, start: int, stop: int) -> list[Element]:
        """The elements whose values lie whole in this range of the received file and are not to be loaded."""
        elements = self._instance.elements
        if self._instance.make is not None:
            # They lie in the order of their tags.
            elements = elements[max(0, bisect_left(elements, start, key=itemgetter(2)) - 1) :]
        large = [
            element
            for element in elements
            if element[5] is None
            and start <= element[3]
            and element[4] <= stop
            and (element[0] in PIXELS or element[4] - element[3] > _LONG_VALUE)
        ]
        return sorted(large, key=itemgetter(3))
