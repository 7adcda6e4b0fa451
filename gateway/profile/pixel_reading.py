"""Pixel rules as a file writes them, read into rules of a program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from gateway.errors import ProfileError
from gateway.profile.condition import Condition
from gateway.profile.language import CropForm, PixelRuleForm, ProfileFile
from gateway.profile.pixel_program import (
    Crop,
    Deface,
    Encode,
    FindText,
    HoldPixels,
    KeepRegion,
    Mask,
    Pass,
    PixelRule,
    Rectangle,
    UltrasoundRegions,
)
from gateway.profile.program import Origin
from gateway.sections.yamlfile import Document, KeyPath, Problems

__all__ = ["read_pixels"]

#: Edges of the largest image that Rows and Columns (US) can describe.
_MOST_PIXELS: Final = 65_535
#: Rules that let an instance pass, or stop it, by the word of the author alone.
_NEED_REASON: Final = frozenset(("pass", "hold"))


def read_pixels(document: Document[ProfileFile], file: Path, problems: Problems) -> tuple[PixelRule, ...]:
    """The rules under ``pixels`` of a profile file, in their order.

    Parameters
    ----------
    document
        the file's content
    file
        where it was found
    problems
        gathers what is wrong; such a rule is left out
    """
    reader, rules = _Reader(document, file), []
    for number, form in enumerate(document.model.pixels):
        with problems.gathered():
            rules.append(reader.rule(number, form))
    return tuple(rules)


class _Wrong(ValueError):
    """What is wrong, and at which place below the rule."""

    def __init__(self, at: KeyPath, problem: str) -> None:
        super().__init__(problem)
        self.at = at


class _Reader:
    def __init__(self, document: Document[ProfileFile], file: Path) -> None:
        self._document = document
        self._file = file

    def rule(self, number: int, form: PixelRuleForm) -> PixelRule:
        at: KeyPath = ("pixels", number)
        said = form.said()
        if len(said) != 1:
            problem = "a pixel rule says one thing, such as mask or find-text"
            raise self._document.error(*at, problem=problem if not said else f"{problem}: not several")
        (key,) = said
        if key in _NEED_REASON and not form.because:
            raise self._document.error(*at, key, problem=f'"{key}" needs because: a person vouches for it')
        condition = None
        if form.when is not None:
            try:
                condition = Condition.compile(form.when, place=str(self._document.place(*at, "when")))
            except ProfileError as failed:
                raise self._document.error(*at, "when", problem=str(failed.facts["problem"])) from None
        model = self._document.model
        clause = model.clause if form.clause is None else form.clause
        common: dict[str, Any] = {
            "condition": condition,
            "because": form.because,
            "origin": Origin(model.profile, clause, str(self._file), self._document.place(*at, key).line),
        }
        try:
            return _rule(key, form, common)
        except _Wrong as failed:
            raise self._document.error(*at, key, *failed.at, problem=str(failed)) from None


def _rule(key: str, form: PixelRuleForm, common: dict[str, Any]) -> PixelRule:
    """The rule that ``key`` of the form says.

    Raises
    ------
    _Wrong
        its numbers make no sense
    """
    match key:
        case "mask":
            return Mask(rectangles=tuple(_rectangles(form.mask or ())), **common)
        case "keep-region":
            return KeepRegion(rectangles=tuple(_rectangles(form.keep_region or ())), **common)
        case "ultrasound-regions":
            return UltrasoundRegions(**common)
        case "crop":
            assert form.crop is not None
            return _crop(form.crop, common)
        case "find-text":
            text = form.find_text
            assert text is not None
            return FindText(
                blank=text.blank, when_unsure=text.when_unsure, strict=text.strict, scan=text.scan,
                thorough=text.thorough, **common,
            )  # fmt: skip
        case "pass":
            return Pass(**common)
        case "hold":
            return HoldPixels(**common)
        case "deface":
            return Deface(**common)
        case _:
            assert form.encode is not None
            return Encode(encoding=form.encode, **common)


def read_rectangles(
    document: Document[ProfileFile], at: KeyPath, written: Sequence[Sequence[int | str]] | None
) -> tuple[Rectangle, ...]:
    """The rectangles that stand at a place of a file.

    Raises
    ------
    ProfileError
        their numbers make no sense
    """
    try:
        return tuple(_rectangles(written or ()))
    except _Wrong as failed:
        raise document.error(*at, *failed.at, problem=str(failed)) from None


def _crop(form: CropForm, common: dict[str, Any]) -> Crop:
    edges = {side: getattr(form, side) for side in ("top", "bottom", "left", "right")}
    if not any(edges.values()):
        raise _Wrong((), "a crop takes something away from an edge: top, bottom, left or right")
    return Crop(geometry=form.geometry, **edges, **common)


def _rectangles(written: Sequence[Sequence[int | str]]) -> Iterator[Rectangle]:
    for number, numbers in enumerate(written):
        if len(numbers) != 4:
            raise _Wrong((number,), f"a rectangle is [x, y, width, height], not {len(numbers)} numbers")
        x, y, width, height = (0 if one == "-" and place > 1 else one for place, one in enumerate(numbers))
        if not (isinstance(x, int) and isinstance(y, int)):
            raise _Wrong((number,), 'x and y are whole numbers; "-" stands for a width or height up to the edge')
        if not (isinstance(width, int) and isinstance(height, int) and width >= 0 and height >= 0):
            raise _Wrong((number,), 'width and height are whole numbers from 1, or "-" for up to the edge')
        if any(abs(one) > _MOST_PIXELS for one in (x, y, width, height)):
            raise _Wrong((number,), f"no image has more than {_MOST_PIXELS} rows or columns")
        for start, size, edge in ((x, width, "right"), (y, height, "bottom")):
            if start < 0 and size > -start:
                problem = f"it begins {-start} pixels before the {edge} edge and is {size} pixels long: it ends outside"
                raise _Wrong((number,), problem)
        yield Rectangle(x, y, width, height)
