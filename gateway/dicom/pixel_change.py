"""What pixel rules make of an instance, for those who write and check its output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.dicom.segments import Segment

__all__ = ["PixelChange"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelChange:
    """Elements that take the place of received ones, and what may be said of the pixels.

    Attributes
    ----------
    transfer_syntax: of the output; explicit if the instance is, implicit if it is
    elements: tag at the top level -> the whole encoded element in the output's encoding (header, value, and for
        encapsulated Pixel Data the items with their delimiter); None for an element that goes
    cleaned: the pixels have no burned-in identity left: 113101 Clean Pixel Data Option (PS3.15 E.3.1)
    features_cleaned: no face can be recognised: 113102 Clean Recognizable Visual Features Option (PS3.15 E.3.2)
    """

    transfer_syntax: str
    elements: Mapping[int, tuple[Segment, ...] | None]
    cleaned: bool = False
    features_cleaned: bool = False
