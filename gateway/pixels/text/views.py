"""Stored values of frames as grey or colour images of 8 bits that the networks can look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gateway.pixels.description import PixelDescription
from gateway.pixels.palette import Palette
from gateway.pixels.text.box import TextBox
from gateway.pixels.text.sharpest import Sharpest, sharpest

__all__ = ["Frames", "Views", "pictures", "views"]

#: Frames of which one projection is made.
_BLOCK: Final = 15
#: Which of the projections is the mean.
_MEAN: Final = 2
#: Frames from which there is a deviation from a median, and pixels of all frames that are kept for it.
_FEWEST: Final = 3
_KEPT: Final = 48 * 1024**2
#: Of a place with text that single frames have, and of a projection, so many frames are looked at as a whole.
_OF_A_PLACE: Final = 2
_MOST_ALONE: Final = 4
#: Percentiles of the stored values that a window spans.
_LOW: Final = 0.5
_HIGH: Final = 99.5
#: Percentiles that bound most of the anatomy.
_INNER_LOW: Final = 2
_INNER_HIGH: Final = 98
#: Edge of the neighbourhood against which local contrast is taken, in pixels; part of the range that is noise.
_NEIGHBOURHOOD: Final = 33
_FLAT: Final = 0.02
#: Grey levels of one deviation.
_CONTRAST: Final = 50
#: Rows that are worked on at a time: intermediate numbers are four times as large as the image.
_STRIP: Final = 256
#: Percentiles are of at most about this many pixels.
_SAMPLED: Final = 1_000_000


class Frames(Protocol):
    """Frames that are decoded one at a time."""

    @property
    def photometric_interpretation(self) -> str:
        """Of what ``frame`` gives (PS3.3 C.7.6.3.1.2)."""

    def frame(self, number: int, /) -> NDArray[Any]:
        """Stored values of frame ``number``, from 0, of shape (rows, columns) or (rows, columns, samples)."""


@dataclass(frozen=True, slots=True)
class Views:
    """One projection of frames as images of 8 bits.

    Attributes
    ----------
    shown
        as it is usually displayed, of shape (rows, columns) or, in colour, (rows, columns, 3); None of a mean, or if
        all but a few pixels are the same
    contrast
        each pixel against its neighbourhood, of shape (rows, columns)
    closely
        whether a second look takes it in one scale more, and a thorough one goes over all of it: what stays over
        the frames, and what is in one of them alone
    alone
        of the projection of what single frames have, these
    """

    shown: NDArray[np.uint8] | None
    contrast: NDArray[np.uint8]
    closely: bool
    alone: Alone | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Alone:
    """The frames of a projection that in each place has what one frame has beside the others.

    Where one of them has text, more may stand in it that another frame's strokes hide.
    """

    frames: Sequence[NDArray[Any]]
    sharpest: Sharpest

    def views_of(self, places: Iterable[TextBox]) -> Iterator[Views]:
        """The frames that text in ``places`` of the projection is in, each as it is."""
        taken: list[int] = []
        for box in places:
            numbers = self.sharpest.frames_at(box.y, box.x, box.bottom, box.right)
            taken += [int(number) for number in numbers[:_OF_A_PLACE]]
        for number in list(dict.fromkeys(taken))[:_MOST_ALONE]:
            frame = self.frames[number]
            if frame.min() < frame.max():
                yield _windows(frame, closely=True)


def pictures(frames: Frames, description: PixelDescription) -> Iterator[NDArray[np.uint8]]:
    """The images of ``views``, one after the other."""
    for view in views(frames, description):
        if view.shown is not None:
            yield view.shown
        yield view.contrast


def views(frames: Frames, description: PixelDescription) -> Iterator[Views]:
    """What is looked at: of a block of frames the maximum, the minimum, the mean and the sharpest deviation.

    Text that is there in a few frames only is in the maximum or the minimum, fainter text among speckle in the mean,
    text of one frame in its deviation from the others. At any time two blocks' projections are in memory and a block of
    frames, fewer where they are large.

    Parameters
    ----------
    frames
        the decoded frames
    description
        their number, bits and palette

    Returns
    -------
    Nothing of what is of one value.
    """
    shown = _Shown(frames, description)
    seen: list[NDArray[Any]] = []
    length = min(_BLOCK, max(_FEWEST, _KEPT // (description.rows * description.columns)))
    for start in range(0, description.frames, length):
        end = min(start + length, description.frames)
        highest = lowest = shown.frame(start)
        # A single frame has no mean: four bytes for each pixel of a large radiograph.
        total = _grey(highest).astype(np.float32) if end - start > 1 else None
        kept = [_grey(highest)] if end - start >= _FEWEST else []
        for number in range(start + 1, end):
            values = shown.frame(number)
            if kept:
                kept.append(_grey(values))
            highest = np.maximum(highest, values)
            lowest = np.minimum(lowest, values)
            if total is not None:
                total += _grey(values)
        projections: list[NDArray[Any]] = [highest]
        alone: Sharpest | None = None
        if total is not None and not np.array_equal(highest, lowest):
            projections += [lowest, total / (end - start)]
            alone = sharpest(kept) if kept else None
            projections += [] if alone is None else [alone.picture]
        still = len(projections) == 1
        del total
        for number, projection in enumerate(projections):
            # A still picture is the same in every block.
            if projection.min() < projection.max() and not any(np.array_equal(projection, other) for other in seen):
                view = _windows(projection, closely=still or number >= _MEAN)
                yield replace(view, alone=Alone(kept, alone)) if number > _MEAN and alone is not None else view
        del kept
        seen = projections


class _Shown:
    """Frames whose large values are bright, or that are red, green and blue."""

    def __init__(self, frames: Frames, description: PixelDescription) -> None:
        self._frames = frames
        self._kind = frames.photometric_interpretation
        self._signed = description.signed
        self._bits = description.bits_stored
        self._below = description.high_bit + 1 - description.bits_stored
        self._whole = description.bits_stored >= description.bits_allocated
        colours = description.palette if self._kind == "PALETTE COLOR" else None
        self._colours = None if colours is None else _colours(colours)
        self._first = 0 if colours is None else colours.first

    def frame(self, number: int) -> NDArray[Any]:
        """The frame ``number``."""
        values = self._stored(self._frames.frame(number))
        if self._kind == "MONOCHROME1":
            inverted: NDArray[Any] = np.invert(values)
            return inverted
        if self._colours is not None:
            colours: NDArray[np.uint8] = self._colours[
                np.clip(values.astype(np.int64) - self._first, 0, len(self._colours) - 1)
            ]
            return colours
        if self._kind in ("YBR_FULL", "YBR_FULL_422") and values.dtype == np.uint8:
            return _rgb(values)
        return values

    def _stored(self, cells: NDArray[Any]) -> NDArray[Any]:
        """The Bits Stored of each cell: what lies above or below them is no part of the picture (PS3.5 8.1.1)."""
        if self._whole:
            return cells
        values = (cells >> self._below) & ((1 << self._bits) - 1)
        if self._signed:
            sign = 1 << (self._bits - 1)
            values = (values ^ sign) - sign
        return values


def _colours(palette: Palette) -> NDArray[np.uint8]:
    """Red, green and blue of each entry, of shape (entries, 3)."""
    entries = np.array((palette.red, palette.green, palette.blue), dtype=np.uint16).T
    return (entries >> (palette.bits - 8)).astype(np.uint8)


def _rgb(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Red, green and blue of 8-bit luminance and colour differences (PS3.3 C.7.6.3.1.2)."""
    luminance, blue, red = (values[..., sample].astype(np.float32) for sample in range(3))
    blue -= 128
    red -= 128
    colour = (luminance + 1.402 * red, luminance - 0.344136 * blue - 0.714136 * red, luminance + 1.772 * blue)
    converted: NDArray[np.uint8] = np.clip(np.rint(np.stack(colour, axis=-1)), 0, 255).astype(np.uint8)
    return converted


def _grey(values: NDArray[Any]) -> NDArray[Any]:
    """The brightest of the colours of each pixel, of shape (rows, columns)."""
    brightest: NDArray[Any] = values.max(axis=-1) if values.ndim == 3 else values
    return brightest


def _windows(values: NDArray[Any], *, closely: bool) -> Views:
    """An image as it is usually displayed, and by its local contrast; of a mean only the second.

    Faint text shows only in the second, as does text that the first makes as black or white as what it lies on.
    """
    grey = _grey(values)
    step = max(1, int((grey.size / _SAMPLED) ** 0.5))
    low, inner_low, inner_high, high = (
        float(bound) for bound in np.percentile(grey[::step, ::step], (_LOW, _INNER_LOW, _INNER_HIGH, _HIGH))
    )
    shown = None
    if values.dtype == np.uint8 and values.ndim == 3:
        shown = values
    elif high > low and values.dtype.kind != "f":
        shown = _window(values, low, high)
    return Views(shown, _local_contrast(grey, inner_low, inner_high), closely)


def _window(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    shown = np.empty(values.shape, dtype=np.uint8)
    for start in range(0, len(values), _STRIP):
        strip = values[start : start + _STRIP].astype(np.float32)
        shown[start : start + _STRIP] = np.clip((strip - low) * (255 / (high - low)), 0, 255)
    return shown


def _local_contrast(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """How far each pixel is from the mean of its neighbourhood, in units of the neighbourhood's deviation."""
    span = max(high - low, 1.0)
    shown = np.empty(values.shape, dtype=np.uint8)
    for start in range(0, len(values), _STRIP):
        # What is around the strip counts in both filters.
        first = max(0, start - _NEIGHBOURHOOD)
        end = min(start + _STRIP, len(values))
        strip = values[first : end + _NEIGHBOURHOOD].astype(np.float32)
        # Text at the largest value must not hide, by its deviation, fainter text beside it.
        strip = np.clip(strip, low - span / 2, high + span / 2)
        strip -= ndimage.uniform_filter(strip, _NEIGHBOURHOOD)
        # The filter keeps a running sum, which rounding may leave a little below nothing.
        deviation = np.sqrt(np.maximum(ndimage.uniform_filter(strip * strip, _NEIGHBOURHOOD), 0))
        contrast = 128 + strip * (_CONTRAST / (deviation + _FLAT * span))
        shown[start:end] = np.clip(contrast, 0, 255)[start - first : end - first]
    return shown
