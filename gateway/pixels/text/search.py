"""The first look: everything in an image that is text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.text.box import TextBox, grown, lines
from gateway.pixels.text.detector import Detected, Detector
from gateway.pixels.text.ends import to_its_ends
from gateway.pixels.text.identifying_text import IdentifyingWords
from gateway.pixels.text.judging import CLEAR, is_slanted_text, is_text
from gateway.pixels.text.pyramid import first_scales, look
from gateway.pixels.text.reader import Reader, Reading
from gateway.pixels.text.slanted import SlantedBox, covers, level_view, placed, slanted_lines
from gateway.pixels.text.views import Views

__all__ = ["Search"]

#: Pixels by which boxes are grown at last.
_MARGIN: Final = 3
#: A place is known text if a box of text covers this part of it, and the text grows at most so much by it.
_KNOWN: Final = 0.7
_GROWTH: Final = 1.3
#: Grey levels of 255 between text and its background below which it is faint; rounds in which they are told apart.
_FAINT: Final = 100
_ROUNDS: Final = 8
#: The same of text at an angle below which other such text is easily overlooked: a quarter of the displayed range.
_DIM: Final = 65
#: How far beyond a slanted line its ends are looked for, in heights.
_BEYOND: Final = 24
#: How many times as long as high it is from which what is too large for a line of text may be one: anatomy is rounder.
_OUTSIZED: Final = 3
#: Lines this many times their height above or below a line that identifies are its neighbours.
_NEIGHBOUR: Final = 1.5


@dataclass(slots=True)
class Search:
    """A search for the text of one instance, projection by projection.

    Attributes
    ----------
    detector, reader
        the networks
    words
        what identifies
    strict
        whether signs that do not read as text count
    wholly
        in how many scales all of an image is looked at
    """

    detector: Detector
    reader: Reader
    words: IdentifyingWords
    strict: bool = False
    wholly: int = 1
    _certain: list[TextBox] = field(default_factory=list)
    _doubtful: list[TextBox] = field(default_factory=list)
    _slanted: list[SlantedBox] = field(default_factory=list)
    _slanted_doubtful: list[SlantedBox] = field(default_factory=list)
    _outsized: list[TextBox] = field(default_factory=list)
    _dim: bool = False

    def look(self, view: Views) -> None:
        """Add the text of one projection, and of those frames of which it shows text that others have not."""
        slanted = len(self._slanted)
        places = self._look(view)
        if view.alone is not None:
            rows, columns = view.contrast.shape
            for line in self._slanted[slanted:]:
                places.extend(line.cover(rows=rows, columns=columns))
            for frame in view.alone.views_of(places):
                self._look(frame, anew=True)

    def _look(self, view: Views, *, anew: bool = False) -> list[TextBox]:
        """Add the text of one picture; where its level lines are, those that were known among them.

        ``anew`` looks for the ends of these, too: another picture may have hidden them.
        """
        known = len(self._certain), len(self._doubtful), len(self._slanted)
        again = self._sort(view, look(self.detector, view, first_scales(*view.contrast.shape), wholly=self.wholly))
        known_lines = again if anew else []
        for line in lines((*self._certain[known[0] :], *self._doubtful[known[1] :], *known_lines)):
            whole = to_its_ends(line, view.contrast, self.reader)
            if whole != line:
                self._certain.append(whole)
        self._slanted[known[2] :] = [
            self._whole(line, view.contrast) for line in slanted_lines(self._slanted[known[2] :])
        ]
        return [*again, *self._certain[known[0] :]]

    def unsure(self) -> str | None:
        """Why what was found may not be all, or not be text; None if there is no reason."""
        if self._doubts() or self._slanted_doubts():
            return "what looks like text cannot be read for certain"
        if self._dim:
            # The thorough look goes along the rows alone.
            return "text at an angle is so faint that more of it is easily overlooked"
        if any(not _is_known(box, self._certain) for box in self._outsized):
            return "what looks like very large text cannot be read"
        return None

    def boxes(self, *, rows: int, columns: int) -> tuple[TextBox, ...]:
        """The lines of text with a margin, doubtful ones among them; of slanted ones the rectangles that cover them."""
        level = lines((*self._certain, *self._doubts()))
        level = lines(grown(box, _MARGIN, rows=rows, columns=columns) for box in level)
        slanted = slanted_lines((*self._slanted, *self._slanted_doubts()))
        marked = [box for box in level if box.identifying]
        for line in slanted:
            if line.identifying:
                marked.extend(line.cover(rows=rows, columns=columns))
        rectangles = [replace(box, identifying=box.identifying or _beside_any(box, marked)) for box in level]
        for line in slanted:
            cover = line.grown(_MARGIN).cover(rows=rows, columns=columns)
            identifying = line.identifying or any(_beside_any(box, marked) for box in cover)
            rectangles.extend(replace(box, identifying=identifying) for box in cover)
        return tuple(rectangles)

    def _doubts(self) -> list[TextBox]:
        return [box for box in self._doubtful if not _is_known(box, self._certain)]

    def _slanted_doubts(self) -> list[SlantedBox]:
        return [box for box in self._slanted_doubtful if not _is_covered(box, self._slanted)]

    def _sort(self, view: Views, detected: Detected) -> list[TextBox]:
        """Add those of the places in ``detected`` that are text; which were known."""
        known = []
        for place in sorted(detected.level, key=_size, reverse=True):
            if _absorbed(place, self._certain) or _is_covered(SlantedBox.of(place), self._slanted):
                known.append(place)
                continue
            reading = self._read(view, place)
            if reading.confidence < CLEAR and place.width > place.height:
                turned = SlantedBox.of(place).turned()
                upside_down = self.reader.read_level(view.contrast, turned)
                if upside_down.confidence >= CLEAR and self._add_slanted(view, turned, upside_down):
                    continue
            sure = is_text(place, reading, strict=self.strict)
            if sure is None:
                continue
            identifying = reading.text in self.words
            faint = view.shown is None or _separation(_crop(view.shown, place)) < _FAINT
            box = replace(place, confidence=reading.confidence, identifying=identifying, faint=faint)
            (self._certain if sure else self._doubtful).append(box)
        for line in sorted(detected.slanted, key=_size, reverse=True):
            if not _is_covered(line, self._slanted):
                way, reading = self.reader.read_slanted(view.contrast, line)
                if reading.confidence < CLEAR and view.shown is not None:
                    way, reading = max(
                        (way, reading), self.reader.read_slanted(view.shown, line), key=lambda one: one[1].confidence
                    )
                self._add_slanted(view, way, reading)
        for box in detected.outsized:
            longer, shorter = max(box.width, box.height), min(box.width, box.height)
            if longer >= _OUTSIZED * shorter:
                self._outsized.append(box)
        return known

    def _read(self, view: Views, place: TextBox) -> Reading:
        """What a place says: by its local contrast, or as it is displayed where that reads better."""
        reading = self.reader.read(view.contrast, place)
        if reading.confidence >= CLEAR or view.shown is None:
            return reading
        return max(reading, self.reader.read(view.shown, place), key=lambda one: one.confidence)

    def _add_slanted(self, view: Views, line: SlantedBox, reading: Reading) -> bool:
        """Add a line if it is text; whether it is."""
        sure = is_slanted_text(line, reading, strict=self.strict)
        if sure is None:
            return False
        apart = 0.0 if view.shown is None else _separation(level_view(view.shown, line)[0])
        self._dim = self._dim or apart < _DIM
        identifying = reading.text in self.words
        line = replace(line, confidence=reading.confidence, identifying=identifying, faint=apart < _FAINT)
        (self._slanted if sure else self._slanted_doubtful).append(line)
        return True

    def _whole(self, line: SlantedBox, picture: NDArray[np.uint8]) -> SlantedBox:
        """A slanted line with the characters that stand beyond it."""
        level, box = level_view(picture, line, beside=_BEYOND * line.height)
        return placed(line, box, to_its_ends(box, level, self.reader))


def _size(box: TextBox | SlantedBox) -> float:
    return box.width * box.height


def _crop(picture: NDArray[np.uint8], box: TextBox) -> NDArray[np.uint8]:
    return picture[box.y : box.bottom, box.x : box.right]


def _separation(crop: NDArray[np.uint8]) -> float:
    """The grey levels between the means of the bright and of the dark pixels of a crop (iterative threshold)."""
    pixels = crop.reshape(-1, *crop.shape[2:])
    grey = (pixels.max(axis=-1) if pixels.ndim == 2 else pixels).astype(np.float32)
    bright = dark = threshold = float(grey.mean())
    for _ in range(_ROUNDS):
        above = grey > threshold
        if not above.any():
            break
        bright, dark = float(grey[above].mean()), float(grey[~above].mean())
        threshold = (bright + dark) / 2
    return bright - dark


def _is_known(box: TextBox, certain: Iterable[TextBox]) -> bool:
    return any(box.overlap(other) >= _KNOWN * box.width * box.height for other in certain)


def _absorbed(place: TextBox, certain: list[TextBox]) -> bool:
    """Whether ``place`` is part of known text, which it may enlarge a little."""
    for number, other in enumerate(certain):
        if place.overlap(other) >= _KNOWN * place.width * place.height:
            both = other.joined(place)
            if both.height <= _GROWTH * other.height:
                certain[number] = replace(both, confidence=other.confidence, faint=other.faint)
                return True
    return False


def _is_covered(line: SlantedBox, known: Iterable[SlantedBox]) -> bool:
    return any(covers(other, line) >= _KNOWN for other in known)


def _beside_any(box: TextBox, marked: Iterable[TextBox]) -> bool:
    """Whether ``box`` is next to one that identifies: what was misread there may be the rest of it."""
    return any(_are_neighbours(box, other) for other in marked)


def _are_neighbours(one: TextBox, other: TextBox) -> bool:
    apart = max(one.y, other.y) - min(one.bottom, other.bottom)
    beside = max(one.x, other.x) - min(one.right, other.right)
    near = _NEIGHBOUR * max(one.height, other.height)
    return (apart <= near and beside <= 0) or (apart <= 0 and beside <= 2 * near)
