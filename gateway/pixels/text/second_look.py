"""The second look: what is left of the text after it was blackened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.text.box import Remains, TextBox, grown, lines, windows
from gateway.pixels.text.detector import Detector
from gateway.pixels.text.identifying_text import IdentifyingWords
from gateway.pixels.text.judging import LARGE, is_left, is_slanted_text, is_text
from gateway.pixels.text.pyramid import first_scales, look, second_scales
from gateway.pixels.text.reader import Reader, Reading
from gateway.pixels.text.slanted import SlantedBox, level_view
from gateway.pixels.text.spotting import WordSpotter
from gateway.pixels.text.views import Views

__all__ = ["SecondLook"]

#: Where nothing reads, words are looked for around what is at least so high, in pixels: above and below by this part of
#: its height, beside it by this many heights.
_LOWEST: Final = 8
_AROUND: Final = 4
_BESIDE: Final = 5
#: Letters and digits of a word of the header.
_SHORTEST: Final = 2
#: Scales in which all of the image is looked at: what the first look took no trace of may be what is left.
_WHOLLY: Final = 2
#: Why a second look holds an image.
_LEFT: Final = "a second look sees text that the first one did not"
_SPOTTED: Final = "what may be a word of the header stands in the image, too faint to read"


@dataclass(frozen=True, slots=True)
class SecondLook:
    """A search for what is left of the text: lower limits, and a word of the header counts however badly it reads.

    Attributes
    ----------
    detector, reader
        the networks
    words
        what identifies
    spotter
        knows the words of the header
    identifying
        whether only such text counts as identifies
    """

    detector: Detector
    reader: Reader
    words: IdentifyingWords
    spotter: WordSpotter
    identifying: bool = False

    def finds(self, view: Views) -> Remains | None:
        """The text that is left in a projection."""
        picture = view.contrast
        rows, columns = picture.shape
        left: list[TextBox] = []
        covers: list[TextBox] = []
        unread: list[TextBox] = []
        slanted: list[SlantedBox] = []
        scales = (second_scales if view.closely else first_scales)(rows, columns)
        detected = look(self.detector, view, scales, sensitive=True, wholly=_WHOLLY)
        for place in detected.level:
            reading = self.reader.read(picture, place)
            (left if self._is_left(reading, text=is_text(place, reading)) else unread).append(place)
        for line in detected.slanted:
            way, reading = self.reader.read_slanted(picture, line)
            if self._is_left(reading, text=is_slanted_text(way, reading)):
                covers.extend(way.cover(rows=rows, columns=columns))
            else:
                slanted.append(line)
        if left or covers:
            return Remains(boxes=(*lines(left), *covers), reason=_LEFT)
        if not self.spotter:
            return None
        spotted = [line for line in lines(unread) if self._spots(picture, line)]
        for line in slanted:
            if self._spots_slanted(picture, line):
                spotted.extend(line.cover(rows=rows, columns=columns))
        return Remains(boxes=tuple(spotted), reason=_SPOTTED) if spotted else None

    def names(self, view: Views) -> Remains | None:
        """Where a word of the header is anywhere in a projection."""
        picture = view.contrast
        if not self.spotter:
            return None
        spotted = [
            box
            for box in windows(*picture.shape)
            if (steps := self.reader.steps(picture, box)) is not None and self.spotter.spots(steps)
        ]
        return Remains(boxes=tuple(lines(spotted)), reason=_SPOTTED) if spotted else None

    def _is_left(self, reading: Reading, *, text: bool | None) -> bool:
        if reading.characters >= _SHORTEST and self.words.named_in(reading.text):
            return True
        return is_left(reading, text=text) and (not self.identifying or reading.text in self.words)

    def _spots(self, picture: NDArray[np.uint8], line: TextBox) -> bool:
        rows, columns = picture.shape
        if not _LOWEST <= line.height <= LARGE:
            return False
        around = grown(line, line.height // _AROUND, rows=rows, columns=columns)
        x, right = max(0, line.x - _BESIDE * line.height), min(columns, line.right + _BESIDE * line.height)
        steps = self.reader.steps(picture, replace(around, x=x, width=right - x))
        return steps is not None and self.spotter.spots(steps)

    def _spots_slanted(self, picture: NDArray[np.uint8], line: SlantedBox) -> bool:
        if not _LOWEST <= line.height <= LARGE:
            return False
        for way in (line, line.turned()):
            level, _ = level_view(picture, way, beside=_BESIDE * line.height, above=line.height / _AROUND)
            whole = TextBox(x=0, y=0, width=level.shape[1], height=level.shape[0], confidence=0)
            steps = self.reader.steps(level, whole)
            if steps is not None and self.spotter.spots(steps):
                return True
        return False
