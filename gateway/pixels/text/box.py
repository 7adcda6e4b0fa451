"""Rectangles of text in an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

__all__ = ["Findings", "Remains", "TextBox", "covered_share", "grown", "lines", "same_line", "windows"]

#: Boxes are of one line if they share this part of the lower one's height...
_SHARED_HEIGHT: Final = 0.5
#: ...and their gap is at most this many times that height.
_GAP: Final = 1.2
#: Boxes of the same height at the same level are one line that is unreadable in between, up to a gap of this many times
#: their height: each height differs from the other by at most this part.
_FADED: Final = 8
_SAME: Final = 0.4
#: Heights of the windows in which every place of an image is looked at, and the same of images whose shorter edge is
#: longer than the third; width and overlap of windows, in heights.
_HEIGHTS: Final = (24, 48)
_LARGE_HEIGHTS: Final = (48, 96)
_LARGE: Final = 1200
_WIDE: Final = 8
_OVERLAP: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TextBox:
    """A rectangle that holds text. What the text says is never kept.

    Attributes
    ----------
    x, y
        column and row of its upper left pixel, from 0
    width, height
        in pixels
    confidence
        how sure the reader is that this is text, 0 to 1
    identifying
        whether what was read matches the instance's identity, or looks like a date, a name or a number
    faint
        whether all of it differs so little from what is under it that other text like it is easily overlooked
    """

    x: int
    y: int
    width: int
    height: int
    confidence: float
    identifying: bool = False
    faint: bool = False

    @property
    def right(self) -> int:
        """The column after its last one."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The row after its last one."""
        return self.y + self.height

    def joined(self, other: TextBox) -> TextBox:
        """The smallest box that holds both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        return TextBox(
            x=x,
            y=y,
            width=max(self.right, other.right) - x,
            height=max(self.bottom, other.bottom) - y,
            confidence=max(self.confidence, other.confidence),
            identifying=self.identifying or other.identifying,
            faint=self.faint and other.faint,
        )

    def overlap(self, other: TextBox) -> int:
        """The pixels that both cover."""
        across = min(self.right, other.right) - max(self.x, other.x)
        down = min(self.bottom, other.bottom) - max(self.y, other.y)
        return across * down if across > 0 and down > 0 else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a search for text found.

    Attributes
    ----------
    boxes
        the rectangles that the rule blanks on all frames, doubtful ones among them; under ``blank: nothing`` what
        was found, to be shown
    unsure
        why the search cannot be relied on; the rule's ``when-unsure`` settles it. None if it can
    hold
        why only a person can decide, whatever the rule says; None if there is no such reason
    faint
        whether some of the text is so faint that other text may have been overlooked
    """

    boxes: tuple[TextBox, ...] = ()
    unsure: str | None = None
    hold: str | None = None
    faint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """What a second look at a blackened image says: why it must be held.

    Attributes
    ----------
    boxes
        where something is left; at least one
    reason
        what it is, for a person
    """

    boxes: tuple[TextBox, ...]
    reason: str


def grown(box: TextBox, by: int, *, rows: int, columns: int) -> TextBox:
    """``box`` with a margin, inside an image of ``rows`` and ``columns``.

    The margin is ``by`` pixels, and half a character at both ends of the line, where a faint one is easily overlooked.
    """
    ends = max(by, min(box.width, box.height) // 2)
    across, down = (by, ends) if box.height > box.width else (ends, by)
    x, y = max(0, box.x - across), max(0, box.y - down)
    right, bottom = min(columns, box.right + across), min(rows, box.bottom + down)
    return replace(box, x=x, y=y, width=right - x, height=bottom - y)


def lines(boxes: Iterable[TextBox]) -> list[TextBox]:
    """Boxes joined to lines: those that overlap, those beside each other, and the ends of one that fades."""
    waiting = sorted(boxes, key=lambda box: (box.y, box.x))
    finished: list[TextBox] = []
    while waiting:
        line = waiting.pop(0)
        grew = True
        while grew:
            grew = False
            for other in waiting:
                if same_line(line, other):
                    line = line.joined(other)
                    waiting.remove(other)
                    grew = True
                    break
        finished.append(line)
    return finished


def same_line(one: TextBox, other: TextBox) -> bool:
    """Whether two boxes are parts of one line."""
    shared = min(one.bottom, other.bottom) - max(one.y, other.y)
    low = min(one.height, other.height)
    # A vertical line next to a horizontal one is no part of it.
    if shared < _SHARED_HEIGHT * low or max(one.height, other.height) > 3 * low:
        return one.overlap(other) > _SHARED_HEIGHT * min(one.width * one.height, other.width * other.height)
    gap = max(one.x, other.x) - min(one.right, other.right)
    if max(one.height, other.height) <= (1 + _SAME) * low and shared >= (1 - _SAME) * low:
        return gap <= _FADED * low
    return gap <= _GAP * low


def windows(rows: int, columns: int) -> Iterator[TextBox]:
    """Windows over all of an image of ``rows`` and ``columns`` in which a line of any usual height is wholly in one.

    They overlap by half their height, and by a short word.
    """
    for height in _HEIGHTS if min(rows, columns) <= _LARGE else _LARGE_HEIGHTS:
        for y in _starts(rows, height, height // 2):
            for x in _starts(columns, _WIDE * height, _OVERLAP * height):
                yield TextBox(x=x, y=y, width=min(_WIDE * height, columns), height=min(height, rows), confidence=0)


def _starts(length: int, window: int, overlap: int) -> list[int]:
    """Where windows begin that cover ``length`` evenly and share at least ``overlap``."""
    if length <= window:
        return [0]
    number = -(-(length - overlap) // (window - overlap))
    return [index * (length - window) // (number - 1) for index in range(number)]


def covered_share(boxes: Sequence[TextBox], *, rows: int, columns: int) -> float:
    """The part of an image of ``rows`` and ``columns`` that ``boxes`` cover together, 0 to 1."""
    covered = 0
    edges = sorted({edge for box in boxes for edge in (box.y, box.bottom)})
    for top, bottom in pairwise(edges):
        spans = sorted((box.x, box.right) for box in boxes if box.y <= top and box.bottom >= bottom)
        reached = 0
        for start, end in spans:
            if end > reached:
                covered += (end - max(start, reached)) * (bottom - top)
                reached = end
    return covered / (rows * columns)
