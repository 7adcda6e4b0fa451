"""Finding text that is burned into images: detector, reader, and what they mean together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gateway import ocr
from gateway.errors import ConfigurationError
from gateway.pixels.description import PixelDescription
from gateway.pixels.text.box import Findings, TextBox, covered_share, grown, lines
from gateway.pixels.text.identifying import IdentifyingWords
from gateway.profile.pixels import FindText

if TYPE_CHECKING:
    # They need the extra.
    from gateway.pixels.text.detector import Detector
    from gateway.pixels.text.reader import Reader, Reading
    from gateway.pixels.text.views import Frames

__all__ = ["TextFinder"]

#: Mean probability of the characters from which they are text, and from which they may be.
_TEXT: Final = 0.5
_DOUBTFUL: Final = 0.3
#: Probability of the detector from which unreadable signs may be text.
_SEEN: Final = 0.8
#: Mean probability of characters that are clear.
_CLEAR: Final = 0.8
#: Pixels of the shorter edge of a box below which grain looks like a character.
_TINY: Final = 10
#: Pixels of the shorter edge of a box above which only what reads well is text.
_LARGE: Final = 60
#: What ticks read as, and how many times as long as wide a row of them is.
_STROKES: Final = frozenset("1IiLlTtUuMmNnHhEF!|.,:;-_+='\"()[]/\\") | frozenset("一二三工")
_ROW: Final = 4
#: What stands upright is mostly anatomy: its characters must read better.
_UPRIGHT: Final = 0.7
#: Letters and digits of the shortest text: one letter alone marks a side.
_SHORTEST: Final = 2
#: Pixels by which boxes are grown at last.
_MARGIN: Final = 3
#: A place is known text if a box of text covers this part of it, and the text grows at most so much by it.
_KNOWN: Final = 0.7
_GROWTH: Final = 1.3
#: Part of the frame beyond which this is no longer text in an image.
_MOST: Final = 0.20
#: Lines this many times their height above or below a line that identifies are its neighbours.
_NEIGHBOUR: Final = 1.5


@dataclass(frozen=True, slots=True)
class _Search:
    """A search for the text of one instance."""

    detector: Detector
    reader: Reader
    words: IdentifyingWords
    strict: bool = False
    sensitive: bool = False

    def look(self, picture: NDArray[np.uint8], certain: list[TextBox], doubtful: list[TextBox]) -> None:
        """Add the text of one picture."""
        from gateway.pixels.text.detector import scales

        places = (
            box
            for scale in scales(*picture.shape[:2])
            for box in self.detector.detect(picture, scale, sensitive=self.sensitive)
        )
        for place in sorted(places, key=lambda box: box.width * box.height, reverse=True):
            if _absorbed(place, certain):
                continue
            reading = self.reader.read(picture, place)
            sure = self._judge(place, reading)
            if sure is None:
                continue
            box = replace(place, confidence=reading.confidence, identifying=reading.text in self.words)
            (certain if sure else doubtful).append(box)

    def _judge(self, place: TextBox, reading: Reading) -> bool | None:
        """Whether a place is text: True, False if that is doubtful, None if it is none."""
        if self.strict:
            return True
        if reading.characters < _SHORTEST or _is_scale(place, reading):
            return None
        if self.sensitive and self.words.named_in(reading.text):
            return True
        if min(place.width, place.height) < _TINY and reading.confidence < _CLEAR:
            return None
        if place.height > place.width and reading.confidence < _UPRIGHT:
            return None
        if reading.confidence >= _TEXT:
            return True
        if min(place.width, place.height) > _LARGE or place.confidence < _SEEN:
            return None
        return False if reading.confidence >= _DOUBTFUL else None


class TextFinder:
    """Finds burned-in text. One per process: the networks are loaded when the first image comes."""

    def __init__(self) -> None:
        self._detector: Detector | None = None
        self._reader: Reader | None = None

    @staticmethod
    def available() -> bool:
        """Whether everything that finding text needs is installed."""
        return ocr.missing() is None

    def find(
        self,
        frames: Frames,
        description: PixelDescription,
        options: FindText,
        words: frozenset[str],
        *,
        claimed: bool = False,
    ) -> Findings:
        """Where text is in any frame.

        Parameters
        ----------
        frames: the decoded frames; one block of them is projected at a time
        description: of the image
        options: which text is blanked, whether signs that do not read as text are
        words: what identifies in the instance's header
        claimed: whether the instance says that text is burned in (BurnedInAnnotation is YES)

        Raises
        ------
        ConfigurationError: a part is not installed, or a model is not the known one
        PixelsUnreadable: a frame cannot be decoded
        """
        boxes, unsure = _found(self._search(words, strict=options.strict), frames, description)
        shown = boxes
        if options.blank == "identifying":
            shown = tuple(box for box in boxes if box.identifying)
        hold = None
        if covered_share(shown, rows=description.rows, columns=description.columns) > _MOST:
            hold = f"text seems to cover more than {_MOST:.0%} of the image"
        elif claimed and not boxes:
            hold = "the instance says that text is burned in, and none was found"
        elif boxes and options.blank == "nothing":
            hold = "text is burned in, and the profile blanks none"
        return Findings(boxes=shown, unsure=unsure, hold=hold)

    def check(
        self, frames: Frames, description: PixelDescription, options: FindText, words: frozenset[str]
    ) -> str | None:
        """Why an output must be held: text remains in its frames. None if there is none that matters.

        Parameters and errors are those of ``find``. The image is looked at with lower limits, because it had text, and
        a word of the header counts however badly it reads. What does not read as text is passed over even where the
        rule is strict: the edges of what was blanked do not read.
        """
        boxes, _ = _found(self._search(words, sensitive=True), frames, description)
        if options.blank == "identifying":
            boxes = tuple(box for box in boxes if box.identifying)
        return "text remains in the image after it was blanked" if boxes else None

    def _search(self, words: frozenset[str], *, strict: bool = False, sensitive: bool = False) -> _Search:
        """A search, for which the networks are loaded if they are not."""
        if self._detector is None or self._reader is None:
            problem = ocr.missing()
            if problem is not None:
                raise ConfigurationError(place="find-text", problem=problem)
            from gateway.pixels.text.detector import Detector
            from gateway.pixels.text.reader import Reader

            self._detector, self._reader = Detector(), Reader()
        identifying = IdentifyingWords(words)
        return _Search(self._detector, self._reader, identifying, strict=strict, sensitive=sensitive)


def _found(search: _Search, frames: Frames, description: PixelDescription) -> tuple[tuple[TextBox, ...], str | None]:
    """The lines of text, with a margin, and why they may not be all or not be text."""
    from gateway.pixels.text.views import pictures

    certain: list[TextBox] = []
    doubtful: list[TextBox] = []
    for picture in pictures(frames, description):
        search.look(picture, certain, doubtful)
    doubtful = [box for box in doubtful if not _is_known(box, certain)]
    rows, columns = description.rows, description.columns
    found = [grown(box, _MARGIN, rows=rows, columns=columns) for box in lines((*certain, *doubtful))]
    unsure = None
    if doubtful:
        unsure = "what looks like text cannot be read for certain"
    elif frames.photometric_interpretation == "PALETTE COLOR" and description.palette is None:
        unsure = "the colours of the image are not known"
    return tuple(_with_neighbours(lines(found))), unsure


def _is_scale(place: TextBox, reading: Reading) -> bool:
    """Whether a place is the ticks of a ruler, which read as a row of strokes."""
    strokes = {character for character in reading.text if not character.isspace()} <= _STROKES
    if not strokes:
        return False
    longest, shortest = max(place.width, place.height), min(place.width, place.height)
    return reading.confidence < _CLEAR and (place.height > place.width or longest > _ROW * shortest)


def _is_known(box: TextBox, certain: Iterable[TextBox]) -> bool:
    return any(box.overlap(other) >= _KNOWN * box.width * box.height for other in certain)


def _absorbed(place: TextBox, certain: list[TextBox]) -> bool:
    """Whether ``place`` is part of known text, which it may enlarge a little."""
    for number, other in enumerate(certain):
        if place.overlap(other) >= _KNOWN * place.width * place.height:
            both = other.joined(place)
            if both.height <= _GROWTH * other.height:
                certain[number] = replace(both, confidence=other.confidence)
                return True
    return False


def _with_neighbours(boxes: list[TextBox]) -> list[TextBox]:
    """The boxes, those next to an identifying one identifying too: what was misread there may be the rest of it."""
    marked = [box for box in boxes if box.identifying]
    return [
        replace(box, identifying=True) if any(_are_neighbours(box, other) for other in marked) else box for box in boxes
    ]


def _are_neighbours(one: TextBox, other: TextBox) -> bool:
    apart = max(one.y, other.y) - min(one.bottom, other.bottom)
    beside = max(one.x, other.x) - min(one.right, other.right)
    near = _NEIGHBOUR * max(one.height, other.height)
    return (apart <= near and beside <= 0) or (apart <= 0 and beside <= 2 * near)
