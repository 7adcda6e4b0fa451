"""What a profile does with pixel data: rectangles, regions, crops, text to find, and what a person decides.

Every rule that applies to an instance counts, and the areas of several rules add up. Of several rules for finding
text or declaring that there is none, and of several for the encoding, the last one counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeAlias

from gateway.profile.condition import Condition
from gateway.profile.origin import Origin

__all__ = [
    "Crop",
    "Encode",
    "Encoding",
    "FindText",
    "HoldPixels",
    "KeepRegion",
    "Mask",
    "Pass",
    "PixelProgram",
    "PixelRule",
    "Rectangle",
    "UltrasoundRegions",
]

#: How frames are encoded that are written again.
Encoding: TypeAlias = Literal["same", "explicit", "jpeg-ls", "jpeg-2000", "htj2k", "rle"]


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle of an image, in pixels.

    Attributes
    ----------
    x, y
        its first column and row, from 0; a negative number counts from the right or bottom edge, -1 being the last
    width, height
        its size; 0 means up to the right or bottom edge
    """

    x: int
    y: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"[{self.x}, {self.y}, {self.width or '-'}, {self.height or '-'}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """What every pixel rule has.

    Attributes
    ----------
    condition
        the rule applies to instances for which this holds; None for all
    because
        the rule's reason in the words of its author
    origin
        where the rule stands
    """

    condition: Condition | None = None
    because: str = ""
    origin: Origin

    @property
    def says(self) -> tuple[Any, ...]:
        """What the rule says: its kind and everything but its condition, its reason and its place."""
        own = [getattr(self, field.name) for field in fields(self) if field.name not in _COMMON]
        return (type(self).__name__, *own)


_COMMON = frozenset(("condition", "because", "origin"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask(_Rule):
    """Rectangles are blackened in all frames."""

    rectangles: tuple[Rectangle, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRegion(_Rule):
    """Everything outside the union of the rectangles is blackened in all frames."""

    rectangles: tuple[Rectangle, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UltrasoundRegions(_Rule):
    """Everything outside the regions of Sequence of Ultrasound Regions (0018,6011) is blackened (PS3.3 C.8.5.5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop(_Rule):
    """Edges of the image go: they are blackened, or Rows, Columns and what depends on them change.

    Attributes
    ----------
    top, bottom, left, right
        the edges, in pixels
    geometry
        ``keep`` blackens, ``change`` makes the image smaller
    """

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0
    geometry: Literal["keep", "change"] = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class FindText(_Rule):
    """Text is looked for by optical character recognition.

    Attributes
    ----------
    blank
        which text is blackened: all, what identifies, or nothing, which holds instances with text
    when_unsure
        what happens where the finder is not sure: the instance is held, or the place blackened
    strict
        whether signs that do not read as text, such as a side marker, are blackened too
    scan
        ``every`` instance; all but original series of slices, which are ``sampled``; or only a ``risky`` one, of a
        kind that often has text burned in
    thorough
        words of the header are searched for in every place ``where-faint`` text was found, or ``always``
    """

    blank: Literal["all", "identifying", "nothing"] = "all"
    when_unsure: Literal["hold", "blank"] = "hold"
    strict: bool = False
    scan: Literal["every", "sampled", "risky"] = "every"
    thorough: Literal["where-faint", "always"] = "where-faint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass(_Rule):
    """The author vouches that no text is burned into the image: its kind is no reason to hold it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPixels(_Rule):
    """A person looks at the image before it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deface(_Rule):
    """Faces are taken out of whole series of CT and MR slices; where that is not sure, a person decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encode(_Rule):
    """How frames are encoded that are written again."""

    encoding: Encoding


PixelRule: TypeAlias = Mask | KeepRegion | UltrasoundRegions | Crop | FindText | Pass | HoldPixels | Deface | Encode


@dataclass(frozen=True, slots=True)
class PixelProgram:
    """The pixel rules of a profile, those of earlier layers first.

    In a specialised program no rule has a condition that fails.
    """

    rules: tuple[PixelRule, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rules)

    def __iter__(self) -> Iterator[PixelRule]:
        return iter(self.rules)

    @property
    def needs_text_finder(self) -> bool:
        """Whether a rule looks for text, which the extra ``ocr`` does."""
        return any(isinstance(rule, FindText) for rule in self.rules)

    @property
    def defaces(self) -> bool:
        """Whether a rule takes faces out of series, which the extra ``deface`` or a command of the site's own does."""
        return any(isinstance(rule, Deface) for rule in self.rules)

    @property
    def find_text(self) -> FindText | None:
        """The rule by which text is looked for: the last one, unless a later rule declares that there is none."""
        last = next((rule for rule in reversed(self.rules) if isinstance(rule, FindText | Pass)), None)
        return last if isinstance(last, FindText) else None

    @property
    def encoding(self) -> Encoding | None:
        """How written frames are encoded, None if no rule says so."""
        return next((rule.encoding for rule in reversed(self.rules) if isinstance(rule, Encode)), None)

    def sharing(self, conditions: Mapping[str, Condition]) -> PixelProgram:
        """The program with the conditions of ``conditions`` (text -> condition), which holds all of its texts."""
        return PixelProgram(
            tuple(
                rule if rule.condition is None else replace(rule, condition=conditions[rule.condition.text])
                for rule in self.rules
            )
        )

    def specialised(self, true: Collection[Condition]) -> PixelProgram:
        """The program with the rules whose conditions are among ``true``, and those without a condition."""
        return PixelProgram(
            tuple(rule for rule in self.rules if rule.condition is None or rule.condition in true)
        )  # fmt: skip
