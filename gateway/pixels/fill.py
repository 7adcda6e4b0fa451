"""Blackening: the value that stands for black in an image, written into areas of its frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gateway.errors import PixelsUnreadable
from gateway.pixels.areas import Area
from gateway.pixels.description import PixelDescription

__all__ = ["Frame", "blacken", "fill_of", "needs_extremes", "without_unused_bits"]

#: Stored values of a frame: rows, columns and, for colour, samples.
Frame = NDArray[Any]

_LUMINANCE: Final = frozenset(("YBR_FULL", "YBR_FULL_422"))


def fill_of(
    description: PixelDescription, photometric_interpretation: str, extremes: tuple[int, int] | None = None
) -> tuple[int, ...]:
    """The stored value that a viewer shows as black, or as it shows what is no image.

    Pixel Padding Value, which viewers take for background, if there is one that can be stored; otherwise the darkest
    value: the lowest of MONOCHROME2, the highest of MONOCHROME1, the darkest entry of a palette, luminance 0 without
    colour for YBR (where 0, 0, 0 is green). It is the darkest that can be stored, but of signed values the darkest that
    the image has: a window is set by the range of values, and -32768 would spoil it.

    Parameters
    ----------
    description
        the image
    photometric_interpretation
        of the frames as they are handed out, which may be ``RGB`` where the header says
        ``YBR_RCT``
    extremes
        the lowest and the highest stored value of the image, where they are known: ``needs_extremes``

    Returns
    -------
    One value, or one per sample.

    Raises
    ------
    PixelsUnreadable
        the palette that tells which entry is dark cannot be read, or the interpretation is none
    """
    stored = description.bits_stored
    # A cell may hold its value in higher bits than the lowest ones.
    shift = description.high_bit - (stored - 1)
    low, high = (-(1 << (stored - 1)), (1 << (stored - 1)) - 1) if description.signed else (0, (1 << stored) - 1)
    match photometric_interpretation:
        case "MONOCHROME1" | "MONOCHROME2":
            padding = description.padding_value
            if padding is not None and low <= padding <= high and not shift:
                return (padding,)
            inverted = photometric_interpretation == "MONOCHROME1"
            if extremes is not None:
                return (extremes[inverted],)
            return ((high if inverted else low) << shift,)
        case "PALETTE COLOR":
            if description.palette is None:
                raise PixelsUnreadable(reason="the palette is missing or segmented: no entry is known to be dark")
            darkest = description.palette.darkest()
            if not low <= darkest <= high:
                raise PixelsUnreadable(reason="the darkest entry of the palette cannot be stored")
            return (darkest << shift,)
        case "RGB":
            return (0, 0, 0)
        case name if name in _LUMINANCE:
            middle = 1 << (stored - 1)
            return (0, middle << shift, middle << shift)
        case _:
            raise PixelsUnreadable(reason="nothing says which value is black")


def needs_extremes(description: PixelDescription) -> bool:
    """Whether black is the darkest value that the image has: signed, and without a padding value that can be stored."""
    if not description.signed or description.samples_per_pixel > 1 or description.palette is not None:
        return False
    low, high = -(1 << (description.bits_stored - 1)), (1 << (description.bits_stored - 1)) - 1
    padding = description.padding_value
    aligned = description.high_bit == description.bits_stored - 1
    return padding is None or not (low <= padding <= high and aligned)


def blacken(frame: Frame, areas: Sequence[Area], fill: Sequence[int]) -> Frame:
    """The frame with ``fill`` in all of ``areas``.

    Parameters
    ----------
    frame
        rows, columns and, for colour, samples; written to if it allows that
    areas
        inside the frame
    fill
        one value per sample
    """
    if areas and not frame.flags.writeable:
        frame = frame.copy()
    value = np.asarray(fill, dtype=frame.dtype)
    for area in areas:
        frame[area.top : area.bottom, area.left : area.right] = value if frame.ndim == 3 else value[0]
    return frame


def without_unused_bits(frame: Frame, description: PixelDescription) -> Frame:
    """The frame without the bits that are no part of a sample, which may hold an overlay (PS3.5 8.1.1, retired).

    Above a signed sample its sign is repeated, as most writers leave it.
    """
    allocated, stored, high = description.bits_allocated, description.bits_stored, description.high_bit
    if allocated in (stored, 1):
        return frame
    above, below = allocated - 1 - high, high - (stored - 1)
    bits = frame << above if above else frame
    bits = bits >> (above + below)
    return bits << below if below else bits
