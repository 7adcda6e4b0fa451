"""Where an instance's face is, and what stands there instead."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from gateway.dicom.instance import Instance
from gateway.errors import PixelsUnreadable, SeriesUnfit
from gateway.pixels.description import PixelDescription
from gateway.pixels.faces.places import rescaling_of
from gateway.pixels.fill import Frame

__all__ = ["Blank", "Face", "blank_of", "packed"]

_MODALITY: Final = 0x00080060
#: Air, in Hounsfield units.
_AIR: Final = -1000.0

FaceKind = Literal["blank", "none", "unsure", "doubt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """What was found of a face in the series of an instance.

    Attributes
    ----------
    kind
        ``blank``: there is one, and ``mask`` takes it away; ``none``: the series shows no head; ``unsure``: that
        could not be told; ``doubt``: there is a head, and it is not certain that ``mask`` takes the face away
    reason
        in words for a person
    mask
        as ``packed`` made it; None if nothing of this instance is blanked
    """

    kind: FaceKind
    reason: str = ""
    mask: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Blank:
    """What is blanked of the frames of an instance.

    Attributes
    ----------
    bits
        of each frame, eight pixels a byte, of shape (frames, bytes)
    shape
        of a frame: rows and columns
    values
        the stored value that stands there in each frame; None for what is black
    """

    bits: NDArray[np.uint8]
    shape: tuple[int, int]
    values: tuple[int | None, ...]

    def mask(self, number: int) -> NDArray[np.bool_]:
        """What is blanked of frame ``number``, from 0: of shape (rows, columns)."""
        count = self.shape[0] * self.shape[1]
        return np.unpackbits(self.bits[number], count=count).view(np.bool_).reshape(self.shape)

    def apply(self, frame: Frame, number: int, black: int) -> Frame:
        """Frame ``number`` without the face."""
        blanked = frame if frame.flags.writeable else frame.copy()
        value = self.values[number]
        blanked[self.mask(number)] = black if value is None else value
        return blanked


def packed(masks: Iterable[NDArray[np.bool_]]) -> bytes | None:
    """The masks of an instance's frames as few bytes; None if nothing is in any."""
    compressor = zlib.compressobj(6)
    parts, something = [], False
    for mask in masks:
        something = something or bool(mask.any())
        parts.append(compressor.compress(np.packbits(mask).tobytes()))
    return b"".join((*parts, compressor.flush())) if something else None


def blank_of(face: Face, instance: Instance, description: PixelDescription) -> Blank | None:
    """What is blanked of an instance; None if nothing is.

    In CT it becomes air, in the stored values that a frame's Rescale Slope and Intercept give it (PS3.3 C.11.1.1.2).

    Parameters
    ----------
    face
        of its series
    instance
        as received
    description
        of its pixels

    Raises
    ------
    PixelsUnreadable
        the mask is of another image
    """
    if face.mask is None:
        return None
    frames, count = description.frames, description.rows * description.columns
    length = frames * -(-count // 8)
    try:
        bits = np.frombuffer(zlib.decompressobj().decompress(face.mask, length + 1), np.uint8)
        rescaling = rescaling_of(instance, frames)
    except (zlib.error, SeriesUnfit):
        bits, rescaling = np.zeros(0, np.uint8), []
    if len(bits) != length:
        raise PixelsUnreadable(reason="what was found of the face belongs to another image")
    is_ct = instance.text(_MODALITY) == "CT"
    values = tuple(_air(*one, description) if is_ct else None for one in rescaling)
    return Blank(bits.reshape(frames, -1), (description.rows, description.columns), values)


def _air(slope: float | None, intercept: float | None, description: PixelDescription) -> int | None:
    """Air as a stored value; None if the units are not known."""
    if slope is None or intercept is None:
        return None
    try:
        value = round((_AIR - intercept) / slope)
    except OverflowError:
        return None
    stored = description.bits_stored
    low, high = (-(1 << (stored - 1)), (1 << (stored - 1)) - 1) if description.signed else (0, (1 << stored) - 1)
    return min(max(value, low), high) << (description.high_bit - (stored - 1))
