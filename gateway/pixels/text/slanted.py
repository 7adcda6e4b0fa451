"""Rectangles of text at an angle: their geometry, the upright rectangles that cover them, and the level view of them.

Angles are in degrees from the rows of the image, downwards positive. Points are x and y of pixels' centres.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import ceil, cos, hypot, radians, sin
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gateway.pixels.text.box import TextBox, same_line

__all__ = ["SlantedBox", "covers", "level_view", "narrowest", "placed", "slanted_lines"]

#: Angles at which a narrowest rectangle is looked for; the rest are these and a quarter turn.
_ANGLES: Final = np.arange(90)
_COSINES: Final = np.cos(np.radians(_ANGLES))
_SINES: Final = np.sin(np.radians(_ANGLES))
#: Boxes whose angles differ by so many degrees may be of one line.
_ALIKE: Final = 10
#: What an upright rectangle of a cover may have beside the slanted one, in heights of it.
_BESIDE: Final = 0.3
#: Sine of the angle below which a box is an upright one.
_LEVEL: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class SlantedBox:
    """A rectangle at an angle that holds a line of text.

    Attributes
    ----------
    x, y
        its centre
    width, height
        along the line and across it, in pixels
    angle
        of the line, -180 to 180; which of both directions it is read in is known only once it was read
    confidence, identifying, faint
        as of ``TextBox``
    """

    x: float
    y: float
    width: float
    height: float
    angle: float
    confidence: float
    identifying: bool = False
    faint: bool = False

    @classmethod
    def of(cls, box: TextBox) -> SlantedBox:
        """An upright rectangle as one of this kind, read along its rows."""
        return cls(
            x=box.x + (box.width - 1) / 2, y=box.y + (box.height - 1) / 2, width=box.width, height=box.height, angle=0,
            confidence=box.confidence, identifying=box.identifying, faint=box.faint,
        )  # fmt: skip

    @property
    def axis(self) -> tuple[float, float]:
        """The direction of the line, of length 1."""
        return cos(radians(self.angle)), sin(radians(self.angle))

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Its four corners, round about."""
        along, down = self.axis
        half, high = self.width / 2, self.height / 2
        return tuple(
            (self.x + a * along - b * down, self.y + a * down + b * along)
            for a, b in ((-half, -high), (half, -high), (half, high), (-half, high))
        )

    def grown(self, by: float) -> SlantedBox:
        """With a margin: ``by`` pixels, and half a character at both ends."""
        ends = max(by, self.height / 2)
        return replace(self, width=self.width + 2 * ends, height=self.height + 2 * by)

    def scaled(self, by: float) -> SlantedBox:
        """In an image that is ``by`` times as large."""
        return replace(self, x=self.x * by, y=self.y * by, width=self.width * by, height=self.height * by)

    def turned(self) -> SlantedBox:
        """The same rectangle, read from the other end."""
        return replace(self, angle=self.angle - 180 if self.angle > 0 else self.angle + 180)

    def cover(self, *, rows: int, columns: int) -> tuple[TextBox, ...]:
        """Few upright rectangles inside an image of ``rows`` and ``columns`` that cover it and little beside it."""
        along, down = (abs(part) for part in self.axis)
        steep = down > along
        step = self.width
        if min(along, down) > _LEVEL:
            step = _BESIDE * self.height * max(along, down) / min(along, down)
        # Strips run across the axis that the line is nearer to.
        points = [(y, x) if steep else (x, y) for x, y in self.corners]
        first, last = min(point[0] for point in points), max(point[0] for point in points)
        number = max(1, ceil((last - first) / step))
        strips = []
        for index in range(number):
            start, end = (first + (last - first) * part / number for part in (index, index + 1))
            low, high = _span(points, start, end)
            x, y, right, bottom = (low, start, high, end) if steep else (start, low, end, high)
            left, top = max(0, int(x)), max(0, int(y))
            width, height = min(columns, ceil(right) + 1) - left, min(rows, ceil(bottom) + 1) - top
            if width > 0 and height > 0:
                strips.append(
                    TextBox(
                        x=left, y=top, width=width, height=height,
                        confidence=self.confidence, identifying=self.identifying, faint=self.faint,
                    )
                )  # fmt: skip
        return tuple(strips)


def _span(points: list[tuple[float, float]], start: float, end: float) -> tuple[float, float]:
    """The least and largest second coordinate of a polygon where the first one is in a range."""
    inside = [second for first, second in points if start <= first <= end]
    for (one, here), (two, there) in zip(points, [*points[1:], points[0]], strict=True):
        inside.extend(
            here + (there - here) * (edge - one) / (two - one)
            for edge in (start, end)
            if min(one, two) < edge < max(one, two)
        )
    return min(inside), max(inside)


def narrowest(inside: NDArray[np.bool_]) -> tuple[float, float, float, float, float]:
    """The smallest rectangle at any angle around the pixels of ``inside`` that are true, of shape (rows, columns).

    Returns
    -------
    x and y of its centre, its longer and its shorter side, and the angle of the longer one, above -90 up to 90.
    """
    rows = np.flatnonzero(inside.any(axis=1))
    first = inside[rows].argmax(axis=1)
    last = inside.shape[1] - 1 - inside[rows, ::-1].argmax(axis=1)
    x = np.concatenate((first, last)).astype(np.float64)
    y = np.concatenate((rows, rows)).astype(np.float64)
    along = np.outer(_COSINES, x) + np.outer(_SINES, y)
    across = np.outer(_COSINES, y) - np.outer(_SINES, x)
    # Pixels are squares, not points.
    extent = _COSINES + _SINES
    width = along.max(axis=1) - along.min(axis=1) + extent
    height = across.max(axis=1) - across.min(axis=1) + extent
    best = int(np.argmin(width * height))
    middle = (along[best].max() + along[best].min()) / 2, (across[best].max() + across[best].min()) / 2
    cosine, sine = _COSINES[best], _SINES[best]
    centre = float(cosine * middle[0] - sine * middle[1]), float(sine * middle[0] + cosine * middle[1])
    angle = float(_ANGLES[best])
    if width[best] >= height[best]:
        return *centre, float(width[best]), float(height[best]), angle
    return *centre, float(height[best]), float(width[best]), angle - 90


def slanted_lines(boxes: Iterable[SlantedBox]) -> list[SlantedBox]:
    """Boxes joined to lines, as ``lines`` joins upright ones; the longest one of a line tells its angle."""
    waiting = sorted(boxes, key=lambda box: box.width, reverse=True)
    finished: list[SlantedBox] = []
    while waiting:
        line = waiting.pop(0)
        grew = True
        while grew:
            grew = False
            for other in waiting:
                joined = _joined(line, other)
                if joined is not None:
                    line = joined
                    waiting.remove(other)
                    grew = True
                    break
        finished.append(line)
    return finished


def _joined(line: SlantedBox, other: SlantedBox) -> SlantedBox | None:
    apart = abs(line.angle - other.angle) % 180
    short = other.width < 2 * other.height
    if min(apart, 180 - apart) > _ALIKE and not short:
        return None
    one, two = (_beside(line, box) for box in (line, other))
    if not same_line(one, two):
        return None
    both = one.joined(two)
    return replace(
        placed(line, one, both),
        confidence=both.confidence, identifying=both.identifying, faint=both.faint,
    )  # fmt: skip


def covers(line: SlantedBox, other: SlantedBox) -> float:
    """The part of ``other`` that ``line`` covers, roughly: 0 to 1."""
    one, two = (_beside(line, box) for box in (line, other))
    return one.overlap(two) / (two.width * two.height)


def _beside(line: SlantedBox, box: SlantedBox) -> TextBox:
    """``box`` in the coordinates of ``line``: along it and across it, as an upright rectangle."""
    along, down = line.axis
    x, y = box.x - line.x, box.y - line.y
    middle, height = x * along + y * down, y * along - x * down
    turn = radians(box.angle - line.angle)
    wide = abs(box.width * cos(turn)) + abs(box.height * sin(turn))
    high = abs(box.width * sin(turn)) + abs(box.height * cos(turn))
    return TextBox(
        x=round(middle - wide / 2), y=round(height - high / 2), width=max(1, round(wide)), height=max(1, round(high)),
        confidence=box.confidence, identifying=box.identifying, faint=box.faint,
    )  # fmt: skip


def placed(line: SlantedBox, before: TextBox, after: TextBox) -> SlantedBox:
    """``line`` as ``after`` where it was ``before``, both in coordinates along it and across it."""
    along, down = line.axis
    by = (after.x + after.right - before.x - before.right) / 2
    across = (after.y + after.bottom - before.y - before.bottom) / 2
    return replace(
        line,
        x=line.x + by * along - across * down,
        y=line.y + by * down + across * along,
        width=line.width + after.width - before.width,
        height=line.height + after.height - before.height,
    )


def level_view(
    view: NDArray[np.uint8], line: SlantedBox, *, beside: float = 0, above: float = 0
) -> tuple[NDArray[np.uint8], TextBox]:
    """The image around ``line``, turned so that it is level, and where it lies in that.

    Parameters
    ----------
    view
        of shape (rows, columns) or (rows, columns, 3)
    beside, above
        how much of the image is shown before and after it, above and below it, in pixels; not what would
        lie outside of the image
    """
    rows, columns = view.shape[:2]
    reach = hypot(rows, columns)
    along, down = line.axis
    first = max(-line.width / 2 - beside, -reach)
    last = min(line.width / 2 + beside, reach)
    high = line.height / 2 + above
    wide, tall = max(1, round(last - first)), max(1, round(2 * high))
    a = first + 0.5 + np.arange(wide)[None, :]
    b = -high + 0.5 + np.arange(tall)[:, None]
    places = np.stack(np.broadcast_arrays(line.y + a * down + b * along, line.x + a * along - b * down))
    inside = (places[1] >= -0.5) & (places[1] < columns - 0.5) & (places[0] >= -0.5) & (places[0] < rows - 0.5)
    seen = np.flatnonzero(inside.any(axis=0))
    if len(seen):
        # What is outside of the image from end to end is no part of the view.
        places = places[:, :, seen[0] : seen[-1] + 1]
        first += int(seen[0])
    shown = np.stack([_sampled(channel, places) for channel in _channels(view)], axis=-1)
    box = TextBox(
        x=max(0, round(-line.width / 2 - first)), y=round(above), width=max(1, round(line.width)),
        height=max(1, round(line.height)), confidence=line.confidence,
    )  # fmt: skip
    level = shown[..., 0] if view.ndim == 2 else shown
    right, bottom = min(box.right, level.shape[1]), min(box.bottom, level.shape[0])
    x, y = min(box.x, level.shape[1] - 1), min(box.y, level.shape[0] - 1)
    return level, replace(box, x=x, y=y, width=max(1, right - x), height=max(1, bottom - y))


def _channels(view: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    if view.ndim == 2:
        yield view
    else:
        yield from np.moveaxis(view, -1, 0)


def _sampled(channel: NDArray[np.uint8], places: NDArray[np.float64]) -> NDArray[np.uint8]:
    sampled: NDArray[np.uint8] = ndimage.map_coordinates(channel, places, order=1, mode="nearest", output=np.uint8)
    return sampled
