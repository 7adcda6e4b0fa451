"""Runs of elements that were walked before.

The instances of a series repeat most of their elements byte for byte. A *run* is a stretch of neighbouring elements of
the top level. Which elements it holds follows from its bytes alone, so the walk looks stretches up by their bytes and
steps over those that it knows. What differs from instance to instance, such as SOP Instance UID and Image Position, is
learned by its tag and left between the runs.

A run begins and ends inside one group, because private blocks come and go as a whole. It is found in two steps: its
first bytes give the lengths to try, and the bytes of one such length the run.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import count, pairwise
from typing import Final

from gateway.dicom.outlines import Outlines, Part
from gateway.dicom.tree import Buffer, Element, Item, Limits
from gateway.remembering import BoundedMapping

__all__ = ["HEAD", "Familiar", "Head", "Run", "Runs"]

#: Bytes by which a run is first looked for; a shorter one is walked as fast.
HEAD: Final = 32
#: Longer values are hardly met twice, and longer runs seldom equal as a whole.
_LONGEST_ELEMENT: Final = 1024
_LONGEST_RUN: Final = 4096
#: Lengths that are tried for one head, and how often in succession in vain before what differs is learned.
_MOST_SIZES: Final = 6
_MOST_MISSES: Final = 4
#: Places at which a run is kept ready.
_MOST_PLACES: Final = 12
#: Bytes that the runs of one encoding may take, and what an element of a tree takes; on a 64-bit machine.
_MOST_BYTES: Final = 2 << 20
_ELEMENT_BYTES: Final = 200
_MOST_VOLATILE: Final = 4096
_MOST_SHAPES: Final = 4096
#: Encodings and limits of depth in use at a time.
_MOST_ENCODINGS: Final = 4
#: Shapes of runs: no tag is as great.
_SHAPES: Final = count(1 << 33)


class Head:
    """How a run begins.

    Attributes
    ----------
    sizes
        lengths of the runs that begin so, in bytes, the latest first
    latest
        the run that was found or added last
    misses
        how often in succession none of them was found
    """

    __slots__ = ("latest", "misses", "sizes")

    def __init__(self, run: Run) -> None:
        self.sizes = [len(run.raw)]
        self.latest = run
        self.misses = 0


class Run:
    """Neighbouring elements in ascending order.

    Parameters
    ----------
    raw
        their bytes
    elements
        the elements, at the place where they were walked
    shape
        a number that runs with the same tags and the same sequences share, greater than any tag

    Attributes
    ----------
    first, last
        the tags at the ends
    nested
        items and elements at lower levels
    placed
        where runs of these bytes began -> their elements there
    """

    __slots__ = ("elements", "first", "last", "nested", "placed", "raw", "shape")

    def __init__(self, raw: bytes, elements: list[Element], shape: int) -> None:
        self.raw = raw
        self.elements = elements
        self.shape = shape
        self.first, self.last = elements[0][0], elements[-1][0]
        self.nested = sum(_nested(element[5]) for element in elements if element[5] is not None)
        self.placed = {elements[0][2]: elements}

    def at(self, pos: int) -> list[Element]:
        """The elements, as they are if the run begins at ``pos``."""
        return _moved(self.elements, pos - self.elements[0][2])

    @property
    def held_bytes(self) -> int:
        """About how much memory the run takes."""
        return len(self.raw) + self.tree_bytes * len(self.placed)

    @property
    def tree_bytes(self) -> int:
        """About how much memory the elements take."""
        return _ELEMENT_BYTES * (len(self.elements) + self.nested)


class Runs:
    """The runs of one encoding: bounded, and the oldest forgotten when they are too many.

    Attributes
    ----------
    heads
        first bytes of a run -> how to go on
    volatile
        tags of elements that are left between the runs
    outlines
        what whole data sets have in common
    """

    def __init__(self) -> None:
        self.heads: dict[bytes, Head] = {}
        self._known: dict[bytes, Run] = {}
        self._shapes: BoundedMapping[tuple[int, ...], int] = BoundedMapping(_MOST_SHAPES)
        self.volatile: set[int] = set()
        self.outlines = Outlines()
        #: Tags of neighbouring elements of which no two in succession are steady: there is no run in them.
        self.settled: set[tuple[int, ...]] = set()
        self._bytes = 0

    def find(self, head: Head, buffer: Buffer, pos: int, stop: int) -> Run | None:
        """The run that stands at ``pos`` and ends at ``stop`` or before, if it is known.

        Parameters
        ----------
        head
            what ``heads`` has for the bytes at ``pos``
        buffer
            the bytes
        pos, stop
            where to look, and the end of the data set
        """
        latest = head.latest
        if buffer[pos : pos + len(latest.raw)] == latest.raw:
            run: Run | None = latest
        else:
            candidates = (self._known.get(bytes(buffer[pos : pos + size])) for size in head.sizes)
            run = next((one for one in candidates if one is not None), None)
        if run is None or pos + len(run.raw) > stop:
            return None
        head.latest = run
        head.misses = 0
        return run

    def place(self, run: Run, pos: int) -> list[Element]:
        """The elements of a run that begins at ``pos``; not to be changed."""
        placed = run.placed.get(pos)
        if placed is None:
            placed = run.at(pos)
            if len(run.placed) < _MOST_PLACES:
                # One that has been forgotten meanwhile does not count any more.
                if self._known.get(run.raw) is run:
                    self._bytes += run.tree_bytes
                run.placed[pos] = placed
        return placed

    def learn(self, buffer: Buffer, elements: list[Element], tags: list[int]) -> tuple[list[int], list[Part]]:
        """Make runs of neighbouring elements that were walked one by one.

        Parameters
        ----------
        buffer, elements
            the elements, as they lie one behind the other
        tags
            of the elements, those of sequences negative

        Returns
        -------
        Their make and parts (``outlines.Survey``), as if the runs had been known.
        """
        if len(tags) < 2 or self._is_settled(tuple(tags)):
            return tags, [(b"", elements)]
        make: list[int] = []
        parts: list[Part] = []
        begun = first = group = last = 0
        for number, (tag, vr, start, _value, end, items) in enumerate(elements):
            # Where VR UN hides a sequence, the walk may look at what follows to tell how it is encoded.
            alone = tag in self.volatile or end - start > _LONGEST_ELEMENT or (items is not None and vr == b"UN")
            if alone or tag >> 16 != group or end - begun > _LONGEST_RUN or tag <= last:
                make += self._add(buffer, elements[first:number], tags[first:number], parts)
                first, group, begun = number, tag >> 16, start
                if alone:
                    make.append(tags[number])
                    _put(parts, [elements[number]])
                    first, group = number + 1, -1
            last = tag
        return make + self._add(buffer, elements[first:], tags[first:], parts), parts

    def _is_settled(self, tags: tuple[int, ...]) -> bool:
        """Whether there can be no run in elements with these tags; so it stays, for volatile tags only get more."""
        if tags in self.settled:
            return True
        steady = [tag not in self.volatile for tag in tags]
        if any(one and other for one, other in pairwise(steady)):
            return False
        if len(self.settled) < _MOST_VOLATILE:
            self.settled.add(tags)
        return True

    def _add(self, buffer: Buffer, elements: list[Element], tags: list[int], parts: list[Part]) -> list[int]:
        """The make of a run, which is known from then on if it is long enough and steady; ``parts`` get it."""
        if len(elements) < 2 or elements[-1][4] - elements[0][2] < HEAD:
            _put(parts, elements)
            return tags
        raw = bytes(buffer[elements[0][2] : elements[-1][4]])
        head = self.heads.get(raw[:HEAD])
        if head is not None and self._is_unsteady(head, raw, elements):
            _put(parts, elements)
            return tags
        parts.append((raw, elements))
        made = tuple(tags)
        shape = self._shapes.get(made)
        if shape is None:
            shape = self._shapes.keep(made, next(_SHAPES))
        run = Run(raw, elements, shape)
        if len(self.volatile) > _MOST_VOLATILE:
            self._forget()
            return [shape]
        self._drop(raw)
        while self._known and self._bytes + run.held_bytes > _MOST_BYTES:
            # Another thread may take the same away, or put something in.
            with suppress(RuntimeError, StopIteration):
                self._drop(next(iter(self._known)))
        self._known[raw] = run
        self._bytes += run.held_bytes
        # It may have gone with its latest run.
        head = self.heads.get(raw[:HEAD])
        if head is None:
            self.heads[raw[:HEAD]] = Head(run)
        else:
            head.latest = run
            head.sizes = [len(raw), *(size for size in head.sizes if size != len(raw))][:_MOST_SIZES]
        return [shape]

    def _drop(self, raw: bytes) -> None:
        """Forget one run."""
        run = self._known.pop(raw, None)
        if run is None:
            return
        self._bytes -= run.held_bytes
        head = self.heads.get(raw[:HEAD])
        if head is not None and head.latest is run:
            self.heads.pop(raw[:HEAD], None)
        if not self._known:
            self._bytes = 0

    def _forget(self) -> None:
        for known in (self.heads, self._known, self._shapes, self.volatile, self.settled):
            known.clear()
        self._bytes = 0

    def _is_unsteady(self, head: Head, raw: bytes, elements: list[Element]) -> bool:
        """Whether what begins with ``head`` changes too often; what has changed is walked by itself from then on."""
        head.misses += 1
        if head.misses < _MOST_MISSES:
            return False
        latest, start = head.latest, elements[0][2]
        before = {
            tag: latest.raw[begin - latest.elements[0][2] : end - latest.elements[0][2]]
            for tag, _vr, begin, _value, end, _items in latest.elements
        }
        changed = [
            tag
            for tag, _vr, begin, _value, end, _items in elements
            if before.get(tag, b"") != raw[begin - start : end - start]
        ]
        if not changed:
            return False
        self.volatile.update(changed)
        del self.heads[raw[:HEAD]]
        return True


class Familiar:
    """The runs of all that one reader has read, told apart by what a walk depends on besides the bytes."""

    def __init__(self) -> None:
        self._runs: BoundedMapping[tuple[bool, int], Runs] = BoundedMapping(_MOST_ENCODINGS)

    def runs(self, limits: Limits, *, implicit: bool) -> Runs:
        """The runs of one encoding; a sequence that is too deep under other limits is not among them."""
        key = implicit, limits.depth
        runs = self._runs.get(key)
        if runs is None:
            runs = self._runs[key] = Runs()
        return runs

    def forget(self) -> None:
        """Know nothing any more."""
        self._runs.clear()


def _put(parts: list[Part], elements: list[Element]) -> None:
    """Put neighbours that are no run behind ``parts``, together with those before them that are none either."""
    if parts and not parts[-1][0]:
        parts[-1] = b"", parts[-1][1] + elements
    elif elements:
        parts.append((b"", elements))


def _nested(items: list[Item]) -> int:
    return sum(
        1 + len(item[4]) + sum(_nested(element[5]) for element in item[4] if element[5] is not None) for item in items
    )


def _moved(elements: list[Element], by: int) -> list[Element]:
    return [
        (tag, vr, start + by, value + by, end + by, None if items is None else _moved_items(items, by))
        for tag, vr, start, value, end, items in elements
    ]


def _moved_items(items: list[Item], by: int) -> list[Item]:
    return [
        (start + by, value + by, end + by, implicit, _moved(elements, by))
        for start, value, end, implicit, elements in items
    ]
