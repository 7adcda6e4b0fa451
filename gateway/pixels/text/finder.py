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
from gateway.pixels.text.box import Findings, Remains, TextBox, covered_share, grown, lines, windows
from gateway.pixels.text.identifying import IdentifyingWords
from gateway.profile.pixels import FindText

if TYPE_CHECKING:
    # They need the extra.
    from gateway.pixels.text.detector import Detector
    from gateway.pixels.text.reader import Reader, Reading
    from gateway.pixels.text.spotting import WordSpotter
    from gateway.pixels.text.views import Frames, Views

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
#: Where nothing reads, words are looked for around what is at least so high, in pixels: above and below by this part of
#: its height, beside it by this many heights.
_LOWEST: Final = 8
_AROUND: Final = 4
_BESIDE: Final = 5
#: A place is known text if a box of text covers this part of it, and the text grows at most so much by it.
_KNOWN: Final = 0.7
_GROWTH: Final = 1.3
#: Grey levels of 255 between text and its background below which it is faint; rounds in which they are told apart.
_FAINT: Final = 100
_ROUNDS: Final = 8
#: Part of the frame beyond which this is no longer text in an image.
_MOST: Final = 0.20
#: Lines this many times their height above or below a line that identifies are its neighbours.
_NEIGHBOUR: Final = 1.5
#: Why a second look holds an image.
_LEFT: Final = "a second look sees text that the first one did not"
_SPOTTED: Final = "what may be a word of the header stands in the image, too faint to read"


@dataclass(frozen=True, slots=True)
class _Search:
    """A search for the text of one instance."""

    detector: Detector
    reader: Reader
    words: IdentifyingWords
    strict: bool = False

    def look(self, view: Views, certain: list[TextBox], doubtful: list[TextBox]) -> None:
        """Add the text of one projection."""
        from gateway.pixels.text.detector import scales
        from gateway.pixels.text.ends import to_its_ends

        known = len(certain), len(doubtful)
        for picture in (view.shown, view.contrast):
            if picture is not None:
                places = (box for scale in scales(*picture.shape[:2]) for box in self.detector.detect(picture, scale))
                self._sort(view, picture, places, certain, doubtful)
        for line in lines((*certain[known[0] :], *doubtful[known[1] :])):
            whole = to_its_ends(line, view.contrast, self.reader)
            if whole != line:
                certain.append(whole)

    def _sort(
        self,
        view: Views,
        picture: NDArray[np.uint8],
        places: Iterable[TextBox],
        certain: list[TextBox],
        doubtful: list[TextBox],
    ) -> None:
        """Add those of ``places`` that are text."""
        for place in sorted(places, key=lambda box: box.width * box.height, reverse=True):
            if _absorbed(place, certain):
                continue
            reading = self.reader.read(picture, place)
            sure = self.judge(place, reading)
            if sure is None:
                continue
            identifying = reading.text in self.words
            faint = view.shown is None or _separation(view.shown, place) < _FAINT
            box = replace(place, confidence=reading.confidence, identifying=identifying, faint=faint)
            (certain if sure else doubtful).append(box)

    def judge(self, place: TextBox, reading: Reading) -> bool | None:
        """Whether a place is text: True, False if that is doubtful, None if it is none."""
        if self.strict:
            return True
        if reading.characters < _SHORTEST or _is_scale(place, reading):
            return None
        if min(place.width, place.height) < _TINY and reading.confidence < _CLEAR:
            return None
        if place.height > place.width and reading.confidence < _UPRIGHT:
            return None
        if reading.confidence >= _TEXT:
            return True
        if min(place.width, place.height) > _LARGE or place.confidence < _SEEN:
            return None
        return False if reading.confidence >= _DOUBTFUL else None


@dataclass(frozen=True, slots=True)
class _SecondLook:
    """A search for what is left of the text: lower limits, and a word of the header counts however badly it reads."""

    search: _Search
    spotter: WordSpotter

    def finds(self, view: Views, *, identifying: bool) -> Remains | None:
        """The text that is left in a projection; with ``identifying`` only such as identifies counts."""
        from gateway.pixels.text.detector import scales, second_scales

        picture = view.contrast
        left: list[TextBox] = []
        unread: list[TextBox] = []
        for scale in (second_scales if view.steady else scales)(*picture.shape[:2]):
            for place in self.search.detector.detect(picture, scale, sensitive=True):
                reading = self.search.reader.read(picture, place)
                (left if self._is_left(place, reading, identifying=identifying) else unread).append(place)
        if left:
            return Remains(boxes=tuple(lines(left)), reason=_LEFT)
        spotted = [line for line in lines(unread) if self._spots(picture, line)] if self.spotter else []
        return Remains(boxes=tuple(spotted), reason=_SPOTTED) if spotted else None

    def names(self, view: Views) -> Remains | None:
        """Where a word of the header is anywhere in a projection."""
        picture = view.contrast
        if not self.spotter:
            return None
        spotted = [
            box
            for box in windows(*picture.shape)
            if (steps := self.search.reader.steps(picture, box)) is not None and self.spotter.spots(steps)
        ]
        return Remains(boxes=tuple(lines(spotted)), reason=_SPOTTED) if spotted else None

    def _is_left(self, place: TextBox, reading: Reading, *, identifying: bool) -> bool:
        if reading.characters >= _SHORTEST and self.search.words.named_in(reading.text):
            return True
        text = self.search.judge(place, reading) is not None
        return text and (not identifying or reading.text in self.search.words)

    def _spots(self, picture: NDArray[np.uint8], line: TextBox) -> bool:
        rows, columns = picture.shape[:2]
        if not _LOWEST <= line.height <= _LARGE:
            return False
        around = grown(line, line.height // _AROUND, rows=rows, columns=columns)
        x, right = max(0, line.x - _BESIDE * line.height), min(columns, line.right + _BESIDE * line.height)
        steps = self.search.reader.steps(picture, replace(around, x=x, width=right - x))
        return steps is not None and self.spotter.spots(steps)


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
        search = _Search(*self.networks(), IdentifyingWords(words), strict=options.strict)
        boxes, unsure = _found(search, frames, description)
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
        return Findings(boxes=shown, unsure=unsure, hold=hold, faint=any(box.faint for box in boxes))

    def check(
        self,
        frames: Frames,
        description: PixelDescription,
        options: FindText,
        words: frozenset[str],
        *,
        thorough: bool = False,
    ) -> Remains | None:
        """Why an output must be held, and where: text remains in its frames. None if there is none that matters.

        Parameters and errors are those of ``find``. The image is looked at with lower limits, because it had text, and
        a word of the header counts however badly it reads. What does not read as text is passed over even where the
        rule is strict: the edges of what was blanked do not read. ``thorough`` looks for the words of the header in
        every place, whether it looks like text or not, which takes several times as long: for images with faint text.
        """
        from gateway.pixels.text.spotting import WordSpotter
        from gateway.pixels.text.views import views

        detector, reader = self.networks()
        identity = IdentifyingWords(words)
        spotter = WordSpotter(reader.signs, identity.spellings)
        look = _SecondLook(_Search(detector, reader, identity), spotter)
        for view in views(frames, description):
            identifying = options.blank == "identifying"
            remains = look.finds(view, identifying=identifying)
            if remains is None and thorough and view.steady:
                remains = look.names(view)
            if remains is not None:
                return remains
        return None

    def networks(self) -> tuple[Detector, Reader]:
        """The networks, loaded if they are not."""
        if self._detector is None or self._reader is None:
            problem = ocr.missing()
            if problem is not None:
                raise ConfigurationError(place="find-text", problem=problem)
            from gateway.pixels.text.detector import Detector
            from gateway.pixels.text.reader import Reader

            self._detector, self._reader = Detector(), Reader()
        return self._detector, self._reader


def _found(search: _Search, frames: Frames, description: PixelDescription) -> tuple[tuple[TextBox, ...], str | None]:
    """The lines of text, with a margin, and why they may not be all or not be text."""
    from gateway.pixels.text.views import views

    certain: list[TextBox] = []
    doubtful: list[TextBox] = []
    for view in views(frames, description):
        search.look(view, certain, doubtful)
    doubtful = [box for box in doubtful if not _is_known(box, certain)]
    rows, columns = description.rows, description.columns
    found = [grown(box, _MARGIN, rows=rows, columns=columns) for box in lines((*certain, *doubtful))]
    unsure = None
    if doubtful:
        unsure = "what looks like text cannot be read for certain"
    elif frames.photometric_interpretation == "PALETTE COLOR" and description.palette is None:
        unsure = "the colours of the image are not known"
    return tuple(_with_neighbours(lines(found))), unsure


def _separation(picture: NDArray[np.uint8], box: TextBox) -> float:
    """The grey levels between the means of the bright and of the dark pixels of ``box`` (iterative threshold)."""
    pixels = picture[box.y : box.bottom, box.x : box.right].reshape(-1, *picture.shape[2:])
    grey = (pixels.max(axis=-1) if pixels.ndim == 2 else pixels).astype(np.float32)
    bright = dark = threshold = float(grey.mean())
    for _ in range(_ROUNDS):
        above = grey > threshold
        if not above.any():
            break
        bright, dark = float(grey[above].mean()), float(grey[~above].mean())
        threshold = (bright + dark) / 2
    return bright - dark


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
                certain[number] = replace(both, confidence=other.confidence, faint=other.faint)
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
