"""What the treatment of pixels wants of a finder of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.pixels.description import PixelDescription
from gateway.pixels.editing import Frames
from gateway.profile.pixels import FindText

__all__ = ["Findings", "Remains", "TextBox", "TextFinder"]


class TextBox(Protocol):
    """A place with text."""

    @property
    def x(self) -> int:
        """First column."""

    @property
    def y(self) -> int:
        """First row."""

    @property
    def width(self) -> int:
        """Number of columns."""

    @property
    def height(self) -> int:
        """Number of rows."""


class Findings(Protocol):
    """What a finder of text says."""

    @property
    def boxes(self) -> tuple[TextBox, ...]:
        """What is to be blackened, doubtful places included."""

    @property
    def unsure(self) -> str | None:
        """Why it is not sure, which the rule settles; None if it is."""

    @property
    def hold(self) -> str | None:
        """Why only a person can tell; None if that is not so."""

    @property
    def faint(self) -> bool:
        """Whether text is so faint that other text may have been overlooked."""


class Remains(Protocol):
    """What a second look says of text that is left."""

    @property
    def boxes(self) -> tuple[TextBox, ...]:
        """Where it is; at least one."""

    @property
    def reason(self) -> str:
        """Why the image has to be held."""


class TextFinder(Protocol):
    """Finds text in frames, and looks at them again."""

    def find(
        self,
        frames: Frames,
        description: PixelDescription,
        options: FindText,
        words: frozenset[str],
        *,
        claimed: bool = False,
    ) -> Findings:
        """Where text is in any frame."""

    def check(
        self,
        frames: Frames,
        description: PixelDescription,
        options: FindText,
        words: frozenset[str],
        *,
        thorough: bool = False,
    ) -> Remains | None:
        """Why edited frames must be held, and where; None if no text is left."""

    def named(self, frames: Frames, description: PixelDescription, words: frozenset[str]) -> Sequence[TextBox]:
        """Where words of the header are read."""
