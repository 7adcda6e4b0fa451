"""What data sets of a series have in common at the same places.

The instances of a series differ in a few values, which often are as long as before. An *outline* is everything but
these values: the bytes of runs (``gateway.dicom.runs``), and the headers of the elements between them. Where all of it
stands at the same places, the data set has the same elements at the same places, and need not be walked again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final, NamedTuple, TypeAlias

from gateway.dicom.tree import Buffer, Element

__all__ = ["Make", "Outlines", "Part", "Survey"]

#: Tags, those of sequences negative, and shapes of runs.
Make: TypeAlias = "tuple[int, ...] | None"
#: Neighbouring elements of the top level and, if they are a run that is familiar, their bytes; empty otherwise.
Part: TypeAlias = "tuple[bytes, list[Element]]"

#: Outlines of data sets that begin and end at the same places.
_MOST_ALIKE: Final = 4
#: Lengths of which one data set was seen.
_MOST_LENGTHS: Final = 256
#: Stretches that are compared; with more of them a walk is as fast.
_MOST_STRETCHES: Final = 128
_LONGEST: Final = 1 << 16
#: Bytes that the outlines of one encoding may take, and what an element and a stretch take; on a 64-bit machine.
_MOST_BYTES: Final = 4 << 20
_ELEMENT_BYTES: Final = 200
_STRETCH_BYTES: Final = 160
_UNDEFINED: Final = b"\xff\xff\xff\xff"


class Survey(NamedTuple):
    """An indexed data set and what is familiar of it.

    Attributes
    ----------
    elements
        as ``encoded.index`` returns them
    parts
        the same elements in the same order, divided where a run begins or ends
    make
        data sets of one make have the same elements, in the order of their tags without a gap, and the same of them
        are sequences; those of two makes may have so as well. None where nothing is familiar or the elements do not
        lie in the order of their tags
    runs
        the bytes of the runs: data sets of one make and with equal runs differ in values between them only
    """

    elements: list[Element]
    parts: list[Part]
    make: Make
    runs: tuple[bytes, ...] = ()


class _Outline(NamedTuple):
    """Where which bytes stand, the data set, elements and items at all depths, and about how much memory it takes."""

    stretches: tuple[tuple[int, int, bytes], ...]
    survey: Survey
    counted: int
    held_bytes: int


class Outlines:
    """The outlines of one encoding: bounded, and the oldest forgotten when they are too many."""

    def __init__(self) -> None:
        #: Where data sets begin and end -> their outlines; none yet where one was seen once.
        self._known: dict[tuple[int, int], tuple[_Outline, ...]] = {}
        self._bytes = 0

    def find(self, buffer: Buffer, start: int, stop: int, *, most: int) -> Survey | None:
        """The data set in ``buffer[start:stop]``, if it has a known outline and at most so many elements and items."""
        for outline in self._known.get((start, stop), ()):
            for begin, end, raw in outline.stretches:
                if buffer[begin:end] != raw:
                    break
            else:
                return outline.survey if outline.counted <= most else None
        return None

    def learn(self, buffer: Buffer, start: int, stop: int, survey: Survey, counted: int) -> None:
        """Remember the outline of a walked data set whose runs are all known, if it is the second of its length."""
        place = start, stop
        known = self._known.get(place)
        if known is None:
            while len(self._known) >= _MOST_LENGTHS:
                self._drop_oldest()
            self._known[place] = ()
            return
        stretches = _stretches(buffer, start, stop, survey)
        if stretches is None:
            return
        held = len(survey.elements) * _ELEMENT_BYTES + sum(_STRETCH_BYTES + len(raw) for _, _, raw in stretches)
        while self._known and self._bytes + held > _MOST_BYTES:
            self._drop_oldest()
        kept = self._known.pop(place, ())
        self._bytes += held - sum(outline.held_bytes for outline in kept[_MOST_ALIKE - 1 :])
        self._known[place] = (_Outline(stretches, survey, counted, held), *kept[: _MOST_ALIKE - 1])

    def _drop_oldest(self) -> None:
        # Another thread may take the same away, or put something in.
        with suppress(RuntimeError, StopIteration):
            dropped = self._known.pop(next(iter(self._known)), ())
            self._bytes -= sum(outline.held_bytes for outline in dropped)


def _stretches(buffer: Buffer, start: int, stop: int, survey: Survey) -> tuple[tuple[int, int, bytes], ...] | None:
    """Where the bytes stand from which the elements follow; None if they follow from others as well."""
    elements = survey.elements
    if not elements or elements[0][2] != start or elements[-1][4] != stop:
        return None
    ends: list[tuple[int, int]] = []
    begun = start
    for raw, part in survey.parts:
        if raw:
            continue
        for _tag, vr, _start, value, end, items in part:
            if items is None:
                if buffer[value - 4 : value] == _UNDEFINED:
                    return None
                ends.append((begun, value))
                begun = end
            elif vr != b"SQ":
                # How items in VR UN are encoded may be told by what follows.
                return None
    ends.append((begun, stop))
    places = [(begin, end) for begin, end in ends if begin < end]
    if len(places) > _MOST_STRETCHES or sum(end - begin for begin, end in places) > _LONGEST:
        return None
    return tuple([(begin, end, bytes(buffer[begin:end])) for begin, end in places])
