"""The ends of a line of text, which fade before its middle does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.text.box import TextBox
from gateway.pixels.text.reader import Reader

__all__ = ["to_its_ends"]

#: Times its height that are read of a line before its end, so that the reader knows its size, and beyond it.
_BEFORE: Final = 3
_BEYOND: Final = 6
#: Widest gap between two characters of a line, and half the width of a character, in heights.
_GAP: Final = 2
_HALF: Final = 0.4
#: Probability from which a character is one.
_SURE: Final = 0.5
#: Times that a line is followed to one side: more is a page.
_STRETCHES: Final = 8


def to_its_ends(line: TextBox, view: NDArray[np.uint8], reader: Reader) -> TextBox:
    """``line`` of ``view``, with the characters that stand beyond it at its level.

    Parameters
    ----------
    line: what a detector drew; one that stands upright stays as it is
    view: 8 bits, of shape (rows, columns) or (rows, columns, 3)
    reader: finds the characters
    """
    if line.height > line.width:
        return line
    left, right = _start(line, view, reader), _end(line, view, reader)
    return replace(line, x=left, width=right - left)


def _end(line: TextBox, view: NDArray[np.uint8], reader: Reader) -> int:
    columns = view.shape[1]
    end = line.right
    for _ in range(_STRETCHES):
        first = max(line.x, end - _BEFORE * line.height)
        last = min(columns, end + _BEYOND * line.height)
        if last <= end:
            break
        beyond = (column - end for column in _read(line, first, last, view, reader) if column > end)
        found = _reach(beyond, _GAP * line.height)
        if not found:
            break
        end = min(columns, end + round(found + _HALF * line.height))
        if end < last - 2 * line.height:
            break
    return end


def _start(line: TextBox, view: NDArray[np.uint8], reader: Reader) -> int:
    start = line.x
    for _ in range(_STRETCHES):
        first = max(0, start - _BEYOND * line.height)
        last = min(line.right, start + _BEFORE * line.height)
        if first >= start:
            break
        beyond = (start - column for column in reversed(_read(line, first, last, view, reader)) if column < start)
        found = _reach(beyond, _GAP * line.height)
        if not found:
            break
        start = max(0, start - round(found + _HALF * line.height))
        if start > first + 2 * line.height:
            break
    return start


def _read(line: TextBox, first: int, last: int, view: NDArray[np.uint8], reader: Reader) -> list[float]:
    """The columns of the letters and digits at the level of ``line``."""
    part = replace(line, x=first, width=last - first)
    return [one.column for one in reader.characters(view, part) if one.sign.isalnum() and one.confidence >= _SURE]


def _reach(distances: Iterable[float], gap: float) -> float:
    """The farthest of growing distances that follow each other without a gap; 0 if there is none."""
    reached = 0.0
    for distance in distances:
        if distance - reached > gap:
            break
        reached = distance
    return reached
