"""What pixel rules make of an instance, for those who write and check its output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.dicom.segments import Segment

__all__ = ["ItemChange", "PixelChange"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemChange:
    """Elements that take the place of received ones inside an item of a sequence, as far as the item stays.

    Attributes
    ----------
    start
        where the item begins in the received bytes
    path
        the sequences around the elements from the top level down, each with the number of the item from 0
    elements
        tag -> the whole encoded element in the item's encoding; the item has each of them, and rules keep it
    """

    start: int
    path: tuple[tuple[int, int], ...]
    elements: Mapping[int, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelChange:
    """Elements that take the place of received ones, and what may be said of the pixels.

    Attributes
    ----------
    transfer_syntax
        of the output; explicit if the instance is, implicit if it is
    elements
        tag at the top level -> the whole encoded element in the output's encoding (header, value, and for
        encapsulated Pixel Data the items with their delimiter); None for an element that goes
    items
        what changes inside sequences that stay; rules apply to everything else in them
    cleaned
        the pixels have no burned-in identity left: 113101 Clean Pixel Data Option (PS3.15 E.3.1)
    features_cleaned
        no face can be recognised: 113102 Clean Recognizable Visual Features Option (PS3.15 E.3.2)
    graphics_unlooked
        a drawing over the image stays that nobody looked at, so that 113103 Clean Graphics Option must
        not be claimed (PS3.15 E.3.3)
    """

    transfer_syntax: str
    elements: Mapping[int, tuple[Segment, ...] | None]
    items: tuple[ItemChange, ...] = ()
    cleaned: bool = False
    features_cleaned: bool = False
    graphics_unlooked: bool = False
