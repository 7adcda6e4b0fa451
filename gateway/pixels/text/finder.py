"""Finding text that is burned into images: detector, reader, and what they mean together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.errors import ConfigurationError
from gateway.extras import ocr
from gateway.pixels.description import PixelDescription
from gateway.pixels.text.box import Findings, Remains, TextBox, covered_share
from gateway.pixels.text.identifying_text import HeaderWords, IdentifyingWords
from gateway.profile.pixel_program import FindText
from gateway.settings.pixel_settings import PixelSettings

if TYPE_CHECKING:
    # They need the extra.
    from gateway.pixels.text.detector import Detector
    from gateway.pixels.text.reader import Reader
    from gateway.pixels.text.views import Frames

__all__ = ["TextFinder"]

#: Part of the frame beyond which this is no longer text in an image.
_MOST: Final = 0.20
#: Scales of a thorough first look in which all of the image is looked at.
_ALL: Final = 2


class TextFinder:
    """Finds burned-in text. One per process: the networks are loaded when the first image comes.

    Parameters
    ----------
    settings
        what runs the networks; None for one thread of the processor

    Raises
    ------
    ConfigurationError
        what shall run the networks is not installed
    """

    def __init__(self, settings: PixelSettings | None = None) -> None:
        self._settings = settings or PixelSettings()
        if self._settings.text_provider != "cpu":
            from gateway.pixels.text.models import provider_name

            provider_name(self._settings.text_provider)
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
        frames
            the decoded frames; one block of them is projected at a time
        description
            of the image
        options
            which text is blanked, whether signs that do not read as text are
        words
            what identifies in the instance's header
        claimed
            whether the instance says that text is burned in (BurnedInAnnotation is YES)

        Raises
        ------
        ConfigurationError
            a part is not installed, or a model is not the known one
        PixelsUnreadable
            a frame cannot be decoded
        """
        detector, reader = self.networks()
        from gateway.pixels.text.search import Search
        from gateway.pixels.text.views import views

        wholly = _ALL if options.thorough == "always" else 1
        search = Search(detector, reader, IdentifyingWords(words), strict=options.strict, wholly=wholly)
        for view in views(frames, description):
            search.look(view)
        boxes, unsure = search.boxes(rows=description.rows, columns=description.columns), search.unsure()
        if unsure is None and frames.photometric_interpretation == "PALETTE COLOR" and description.palette is None:
            unsure = "the colours of the image are not known"
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
        detector, reader = self.networks()
        from gateway.pixels.text.second_look import SecondLook
        from gateway.pixels.text.spotting import WordSpotter
        from gateway.pixels.text.views import views

        identity = IdentifyingWords(words)
        spotter = WordSpotter(reader.signs, identity.spellings)
        look = SecondLook(detector, reader, identity, spotter, identifying=options.blank == "identifying")
        for view in views(frames, description):
            remains = look.finds(view)
            if remains is None and thorough and view.closely:
                remains = look.names(view)
            if remains is not None:
                return remains
        return None

    def named(self, frames: Frames, description: PixelDescription, words: frozenset[str]) -> tuple[TextBox, ...]:
        """Where words of the header are read in any frame, with the lines beside them: what no person can vouch for.

        Parameters and errors are those of ``find``.
        """
        detector, reader = self.networks()
        from gateway.pixels.text.search import Search
        from gateway.pixels.text.views import views

        search = Search(detector, reader, HeaderWords(words))
        for view in views(frames, description):
            search.look(view)
        boxes = search.boxes(rows=description.rows, columns=description.columns)
        return tuple(box for box in boxes if box.identifying)

    def networks(self) -> tuple[Detector, Reader]:
        """The networks, loaded if they are not."""
        if self._detector is None or self._reader is None:
            problem = ocr.missing()
            if problem is not None:
                raise ConfigurationError(place="find-text", problem=problem)
            from gateway.pixels.text.detector import Detector
            from gateway.pixels.text.reader import Reader

            self._detector, self._reader = Detector(self._settings), Reader(self._settings)
        return self._detector, self._reader
