"""Whether a place that a detector drew is text, by what was read there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.pixels.text.box import TextBox

if TYPE_CHECKING:
    # They need the extra.
    from gateway.pixels.text.reader import Reading
    from gateway.pixels.text.slanted import SlantedBox

__all__ = ["CLEAR", "LARGE", "is_left", "is_slanted_text", "is_text"]

#: Mean probability of the characters from which they are text, and from which they may be.
_TEXT: Final = 0.5
_DOUBTFUL: Final = 0.3
#: Probability of the detector from which unreadable signs may be text.
_SEEN: Final = 0.8
#: Mean probability of characters that are clear.
CLEAR: Final = 0.8
#: Pixels of the shorter edge of a box below which grain looks like a character.
_TINY: Final = 10
#: Pixels of the shorter edge of a box above which only what reads well is text, and letters and digits that it needs.
LARGE: Final = 60
_LARGE_SHORTEST: Final = 3
#: What ticks read as, and how many times as long as wide a row of them is.
_STROKES: Final = frozenset("1IiLlTtUuMmNnHhEF!|.,:;-_+='\"()[]/\\") | frozenset("一二三工")
_ROW: Final = 4
#: What stands upright, or aslant, is mostly anatomy: its characters must read better.
_UPRIGHT: Final = 0.7
#: Letters and digits of the shortest text: one letter alone marks a side; and of the shortest that stands aslant.
_SHORTEST: Final = 2
_SLANTED_SHORTEST: Final = 3


def is_text(place: TextBox, reading: Reading, *, strict: bool = False) -> bool | None:
    """Whether a place is text: True, False if that is doubtful, None if it is none.

    Parameters
    ----------
    place
        with the confidence of the detector
    reading
        what was read there
    strict
        whether signs that do not read as text count
    """
    if strict:
        return True
    if reading.characters < _SHORTEST or _is_scale(place.width, place.height, reading):
        return None
    shorter = min(place.width, place.height)
    if shorter < _TINY and reading.confidence < CLEAR:
        return None
    if shorter > LARGE and reading.characters < _LARGE_SHORTEST:
        return None
    if place.height > place.width and reading.confidence < _UPRIGHT:
        return None
    if reading.confidence >= _TEXT:
        return True
    if shorter > LARGE or place.confidence < _SEEN:
        return None
    return False if reading.confidence >= _DOUBTFUL else None


def is_slanted_text(place: SlantedBox, reading: Reading, *, strict: bool = False) -> bool | None:
    """Whether a place at an angle is text, as ``is_text``."""
    if strict:
        return True
    if reading.characters < _SLANTED_SHORTEST or _is_scale(place.width, place.height, reading):
        return None
    if place.height < _TINY and reading.confidence < CLEAR:
        return None
    if reading.confidence >= _UPRIGHT:
        return True
    return False if reading.confidence >= _TEXT and place.confidence >= _SEEN and place.height <= LARGE else None


def is_left(reading: Reading, *, text: bool | None) -> bool:
    """Whether what a second look judges as ``text`` counts: two letters must be clear, which grain seldom is."""
    return text is not None and (reading.characters > _SHORTEST or reading.confidence >= CLEAR)


def _is_scale(width: float, height: float, reading: Reading) -> bool:
    """Whether a place is the ticks of a ruler, which read as a row of strokes."""
    strokes = {character for character in reading.text if not character.isspace()} <= _STROKES
    if not strokes:
        return False
    longest, shortest = max(width, height), min(width, height)
    return reading.confidence < CLEAR and (height > width or longest > _ROW * shortest)
