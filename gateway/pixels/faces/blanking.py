"""Where an instance's face is, and what stands there instead."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from gateway.dicom.instance import Instance
from gateway.errors import PixelsUnreadable
from gateway.pixels.description import PixelDescription
from gateway.pixels.fill import Frame

__all__ = ["Blank", "Face", "blank_of", "packed"]

_MODALITY: Final = 0x00080060
_INTERCEPT: Final = 0x00281052
_SLOPE: Final = 0x00281053
#: Air, in Hounsfield units.
_AIR: Final = -1000.0

FaceKind = Literal["blank", "none", "unsure", "doubt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """What was found of a face in the series of an instance.

    Attributes
    ----------
    kind: ``blank``: there is one, and ``mask`` takes it away; ``none``: the series shows no head; ``unsure``: that
        could not be told; ``doubt``: there is a head, and it is not certain that ``mask`` takes the face away
    reason: in words for a person
    mask: as ``packed`` made it; None if nothing of this instance is blanked
    """

    kind: FaceKind
    reason: str = ""
    mask: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Blank:
    """What is blanked of the only frame of an instance.

    Attributes
    ----------
    mask: of shape (rows, columns)
    value: the stored value that stands there; None for what is black
    """

    mask: NDArray[np.bool_]
    value: int | None

    def apply(self, frame: Frame, black: int) -> Frame:
        """The frame without the face."""
        found = frame if frame.flags.writeable else frame.copy()
        found[self.mask] = black if self.value is None else self.value
        return found


def packed(mask: NDArray[np.bool_]) -> bytes | None:
    """A mask as few bytes; None if nothing is in it."""
    return zlib.compress(np.packbits(mask).tobytes(), 6) if mask.any() else None


def blank_of(face: Face, instance: Instance, description: PixelDescription) -> Blank | None:
    """What is blanked of an instance; None if nothing is.

    In CT it becomes air, in the stored values that the slice's Rescale Slope and Intercept give it (PS3.3 C.11.1.1.2).

    Parameters
    ----------
    face: of its series
    instance: as received
    description: of its pixels

    Raises
    ------
    PixelsUnreadable: the mask is of another image
    """
    if face.mask is None:
        return None
    count = description.rows * description.columns
    try:
        bits = np.frombuffer(zlib.decompressobj().decompress(face.mask, count), np.uint8)
    except zlib.error:
        bits = np.zeros(0, np.uint8)
    if len(bits) != -(-count // 8) or description.frames != 1:
        raise PixelsUnreadable(reason="what was found of the face belongs to another image")
    mask = np.unpackbits(bits, count=count).astype(bool).reshape(description.rows, description.columns)
    return Blank(mask, _air(instance, description))


def _air(instance: Instance, description: PixelDescription) -> int | None:
    """Air as a stored value of CT; None for others."""
    if instance.text(_MODALITY) != "CT":
        return None
    try:
        slope, intercept = float(instance.text(_SLOPE)), float(instance.text(_INTERCEPT))
        value = round((_AIR - intercept) / slope)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    stored = description.bits_stored
    low, high = (-(1 << (stored - 1)), (1 << (stored - 1)) - 1) if description.signed else (0, (1 << stored) - 1)
    return min(max(value, low), high) << (description.high_bit - (stored - 1))
