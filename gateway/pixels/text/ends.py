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
#: Parts of a letter of a stack by which the next one is looked for, probability from which it is one, and the most.
_STEPS: Final = 4
_CLEAR: Final = 0.8
_MOST_LETTERS: Final = 60
#: Times that a line is followed to one side: more is a page.
_STRETCHES: Final = 8


def to_its_ends(line: TextBox, view: NDArray[np.uint8], reader: Reader) -> TextBox:
    """``line`` of ``view``, with the characters that stand beyond it at its level, or above and below an upright one.

    Parameters
    ----------
    line
        what a detector drew
    view
        8 bits, of shape (rows, columns) or (rows, columns, 3)
    reader
        finds the characters
    """
    if line.height > line.width:
        for turns in (1, 3):
            line = _turned_back(to_its_ends(_turned(line, view, turns), np.rot90(view, turns), reader), view, turns)
        return _to_the_ends_of_the_stack(line, view, reader)
    left, right = _start(line, view, reader), _end(line, view, reader)
    return replace(line, x=left, width=right - left)


def _turned(line: TextBox, view: NDArray[np.uint8], turns: int) -> TextBox:
    """``line`` in the view that is turned to the left, so many times a quarter: 1 or 3."""
    rows, columns = view.shape[:2]
    x, y = (line.y, columns - line.right) if turns == 1 else (rows - line.bottom, line.x)
    return replace(line, x=x, y=y, width=line.height, height=line.width)


def _turned_back(line: TextBox, view: NDArray[np.uint8], turns: int) -> TextBox:
    """A line of the turned view in ``view`` itself."""
    rows, columns = view.shape[:2]
    x, y = (columns - line.bottom, line.x) if turns == 1 else (line.y, rows - line.right)
    return replace(line, x=x, y=y, width=line.height, height=line.width)


def _to_the_ends_of_the_stack(line: TextBox, view: NDArray[np.uint8], reader: Reader) -> TextBox:
    """An upright line with the letters that stand above and below it, each of them level: a stack."""
    rows = view.shape[0]
    top, bottom, step = line.y, line.bottom, max(1, line.width // _STEPS)
    for _ in range(_MOST_LETTERS):
        places = range(bottom, min(bottom + 2 * line.width, rows - step), step)
        below = next((y for y in places if _is_letter(line, y, view, reader)), None)
        if below is None:
            break
        bottom = min(rows, below + line.width)
    for _ in range(_MOST_LETTERS):
        ends = range(top, max(top - 2 * line.width, step), -step)
        above = next((y for y in ends if _is_letter(line, y - line.width, view, reader)), None)
        if above is None:
            break
        top = max(0, above - line.width)
    return replace(line, y=top, height=bottom - top)


def _is_letter(line: TextBox, y: int, view: NDArray[np.uint8], reader: Reader) -> bool:
    """Whether one clear letter or digit stands in the square of the line's width from row ``y`` on."""
    top, bottom = max(0, y), min(view.shape[0], y + line.width)
    if bottom - top < line.width // 2:
        return False
    characters = reader.characters(view, replace(line, y=top, height=bottom - top))
    return len(characters) == 1 and characters[0].sign.isalnum() and characters[0].confidence >= _CLEAR


def _end(line: TextBox, view: NDArray[np.uint8], reader: Reader) -> int:
    columns = view.shape[1]
    end = line.right
    for _ in range(_STRETCHES):
        first = max(line.x, end - _BEFORE * line.height)
        last = min(columns, end + _BEYOND * line.height)
        if last <= end:
            break
        beyond = (column - end for column in _read(line, first, last, view, reader) if column > end)
        reach = _reach(beyond, _GAP * line.height)
        if not reach:
            break
        end = min(columns, end + round(reach + _HALF * line.height))
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
        reach = _reach(beyond, _GAP * line.height)
        if not reach:
            break
        start = max(0, start - round(reach + _HALF * line.height))
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
