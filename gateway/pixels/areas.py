"""Areas of an image: the rectangles of rules brought to pixels, and what lies outside of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from gateway.errors import RuleFailed
from gateway.profile.pixel_program import Rectangle

__all__ = ["Area", "area_of", "covered", "outside", "united"]


class Area(NamedTuple):
    """A rectangle of an image whose corners are known.

    Attributes
    ----------
    left, top
        its first column and row, from 0
    right, bottom
        the column and the row behind its last ones
    """

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> int:
        """Number of its pixels."""
        return (self.right - self.left) * (self.bottom - self.top)

    def within(self, other: Area) -> Area | None:
        """What both have in common, None if that is nothing."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Area(left, top, right, bottom) if left < right and top < bottom else None


def area_of(rectangle: Rectangle, *, rows: int, columns: int, where: str, whole: bool = False) -> Area:
    """Bring a rectangle to an image.

    Parameters
    ----------
    rectangle
        as the rule says it, perhaps counted from the right or bottom edge
    rows, columns
        the size of the image
    where
        the rule, for errors
    whole
        whether all of it has to lie in the image; otherwise it may end outside and is cut off at the edge

    Raises
    ------
    RuleFailed
        it begins outside the image, or ends outside where it must not: the rule was made for other images
    """
    left = rectangle.x + (columns if rectangle.x < 0 else 0)
    top = rectangle.y + (rows if rectangle.y < 0 else 0)
    right = left + rectangle.width if rectangle.width else columns
    bottom = top + rectangle.height if rectangle.height else rows
    if not (0 <= left < columns and 0 <= top < rows):
        raise RuleFailed(
            where=where, reason=f"{rectangle} begins outside the image of {columns} columns and {rows} rows"
        )
    if whole and (right > columns or bottom > rows):
        raise RuleFailed(where=where, reason=f"{rectangle} ends outside the image of {columns} columns and {rows} rows")
    return Area(left, top, min(right, columns), min(bottom, rows))


def united(areas: Iterable[Area]) -> tuple[Area, ...]:
    """The same pixels as rectangles that do not overlap, from top to bottom and left to right."""
    return _strips(tuple(areas), None)


def outside(areas: Iterable[Area], *, rows: int, columns: int) -> tuple[Area, ...]:
    """The pixels of an image that are in none of ``areas``, as rectangles that do not overlap."""
    return _strips(tuple(areas), Area(0, 0, columns, rows))


def covered(areas: Iterable[Area], *, rows: int, columns: int) -> float:
    """The part of an image that ``areas`` take together, 0 to 1."""
    return sum(area.size for area in united(areas)) / (rows * columns)


def _strips(areas: Sequence[Area], image: Area | None) -> tuple[Area, ...]:
    """The union of ``areas``, or what it leaves of ``image``, in strips between their upper and lower edges."""
    edges = {edge for area in areas for edge in (area.top, area.bottom)}
    if image is not None:
        edges = {edge for edge in edges if image.top < edge < image.bottom} | {image.top, image.bottom}
    rectangles: list[Area] = []
    open_: dict[tuple[int, int], int] = {}
    for top, bottom in pairwise(sorted(edges)):
        spans = _spans([area for area in areas if area.top <= top and area.bottom >= bottom])
        if image is not None:
            spans = _gaps(spans, image.left, image.right)
        continued: dict[tuple[int, int], int] = {}
        for span in spans:
            # A strip like the one above it belongs to the same rectangle.
            number = open_.get(span)
            if number is not None and rectangles[number].bottom == top:
                rectangles[number] = rectangles[number]._replace(bottom=bottom)
                continued[span] = number
            else:
                continued[span] = len(rectangles)
                rectangles.append(Area(span[0], top, span[1], bottom))
        open_ = continued
    return tuple(rectangles)


def _spans(areas: Iterable[Area]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for left, right in sorted((area.left, area.right) for area in areas):
        if merged and left <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(right, merged[-1][1]))
        else:
            merged.append((left, right))
    return merged


def _gaps(spans: Iterable[tuple[int, int]], left: int, right: int) -> list[tuple[int, int]]:
    gaps: list[tuple[int, int]] = []
    for start, stop in spans:
        if start > left:
            gaps.append((left, min(start, right)))
        left = max(left, stop)
        if left >= right:
            break
    if left < right:
        gaps.append((left, right))
    return gaps
