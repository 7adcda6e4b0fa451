"""Overlay planes (PS3.3 C.9.2): pictures of one bit that lie over an image, and may say who the patient is."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gateway.dicom import encode
from gateway.dicom.encoded import Element
from gateway.dicom.instance import Instance, decode_element
from gateway.dicom.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from gateway.pixels.areas import Area
from gateway.pixels.description import PixelDescription

__all__ = ["OVERLAY_DATA", "OverlayGroup", "OverlayPlane", "overlay_groups"]

#: The repeating groups 60xx.
_FIRST: Final = 0x60000000
_BEHIND: Final = 0x60200000
_ROWS: Final = 0x0010
_COLUMNS: Final = 0x0011
_NUMBER_OF_FRAMES: Final = 0x0015
_BITS_ALLOCATED: Final = 0x0100
_BIT_POSITION: Final = 0x0102
#: Overlay Data in a group.
OVERLAY_DATA: Final = 0x3000
_WHITE: Final = 255
#: Pixels around what is drawn that are looked at with it.
_AROUND: Final = 48


@dataclass(frozen=True, slots=True)
class OverlayGroup:
    """The elements of one group 60xx at the top level.

    Attributes
    ----------
    group
        its number
    tags
        of all its elements
    data
        Overlay Data; None if the plane lies in the bits of Pixel Data, or is missing
    plane
        the picture; None if there is no data, or it cannot be read
    """

    group: int
    tags: tuple[int, ...]
    data: Element | None
    plane: OverlayPlane | None


@dataclass(frozen=True, slots=True)
class OverlayPlane:
    """The bits of an overlay plane, which can be looked at like the frames of an image.

    Attributes
    ----------
    bits
        of shape (frames, rows, columns)
    """

    bits: NDArray[np.bool_]

    @property
    def photometric_interpretation(self) -> str:
        """What is drawn is bright."""
        return "MONOCHROME2"

    def __len__(self) -> int:
        return len(self.bits)

    def frame(self, number: int, /) -> NDArray[Any]:
        """Frame ``number``, from 0, of shape (rows, columns): 255 where something is drawn."""
        return np.where(self.bits[number], _WHITE, 0).astype(np.uint8)

    @property
    def description(self) -> PixelDescription:
        """What a header would say of these frames."""
        frames, rows, columns = self.bits.shape
        return PixelDescription(
            rows=rows, columns=columns, samples_per_pixel=1, photometric_interpretation="MONOCHROME2", bits_allocated=8,
            bits_stored=8, high_bit=7, pixel_representation=0, planar_configuration=0, frames=frames,
            transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN, encapsulated=False,
        )  # fmt: skip

    @property
    def drawn(self) -> Area | None:
        """The part in which something is drawn, with a margin; None if nothing is."""
        anywhere: NDArray[np.bool_] = np.logical_or.reduce(self.bits, axis=0)
        rows, columns = (np.flatnonzero(np.logical_or.reduce(anywhere, axis=axis)) for axis in (1, 0))
        if not len(rows):
            return None
        return Area(
            max(0, int(columns[0]) - _AROUND), max(0, int(rows[0]) - _AROUND),
            min(anywhere.shape[1], int(columns[-1]) + _AROUND + 1),
            min(anywhere.shape[0], int(rows[-1]) + _AROUND + 1),
        )  # fmt: skip

    def within(self, area: Area) -> OverlayPlane:
        """A part of the plane."""
        return OverlayPlane(self.bits[:, area.top : area.bottom, area.left : area.right])

    def without(self, areas: Iterable[Area]) -> OverlayPlane:
        """The plane with nothing drawn in ``areas``."""
        bits = self.bits.copy()
        for area in areas:
            bits[:, area.top : area.bottom, area.left : area.right] = False
        return OverlayPlane(bits)

    def encoded(self, tag: int, *, implicit: bool) -> bytes:
        """Overlay Data as an element (PS3.5 8.1.2)."""
        value = np.packbits(self.bits.reshape(-1), bitorder="little").tobytes()
        return encode.element(tag, b"OW", value + bytes(len(value) % 2), implicit=implicit)


def overlay_groups(instance: Instance) -> Iterator[OverlayGroup]:
    """The overlays of an instance, by group."""
    elements = instance.elements
    first, behind = (bisect_left(elements, (tag,)) for tag in (_FIRST, _BEHIND))
    groups: dict[int, dict[int, Element]] = {}
    for element in elements[first:behind]:
        groups.setdefault(element[0] >> 16, {})[element[0] & 0xFFFF] = element
    for group, members in groups.items():
        data = members.get(OVERLAY_DATA)
        plane = None if data is None else _plane(instance, members, data)
        yield OverlayGroup(group, tuple(element[0] for element in members.values()), data, plane)


def _plane(instance: Instance, elements: dict[int, Element], data: Element) -> OverlayPlane | None:
    """The picture; None if its description is missing or contradicts its length."""
    rows, columns = (_number(instance, elements.get(number)) for number in (_ROWS, _COLUMNS))
    frames = 1 if _NUMBER_OF_FRAMES not in elements else _number(instance, elements[_NUMBER_OF_FRAMES])
    position = 0 if _BIT_POSITION not in elements else _number(instance, elements[_BIT_POSITION])
    allocated = 1 if _BITS_ALLOCATED not in elements else _number(instance, elements[_BITS_ALLOCATED])
    if not rows or not columns or not frames or position != 0 or allocated != 1 or data[5] is not None:
        return None
    pixels = rows * columns * frames
    length = data[4] - data[3]
    # What lies behind the last pixel would be seen by nobody.
    if length - (pixels + 7) // 8 not in (0, 1):
        return None
    bits = np.unpackbits(np.frombuffer(bytes(instance.buffer[data[3] : data[4]]), np.uint8), bitorder="little")
    if bits[pixels:].any():
        return None
    return OverlayPlane(bits[:pixels].astype(bool).reshape(frames, rows, columns))


def _number(instance: Instance, element: Element | None) -> int | None:
    """The value of an element that has one number."""
    if element is None:
        return None
    text = decode_element(instance.buffer, element, instance.character_sets).text.strip(" \0")
    return int(text) if text.isascii() and text.isdigit() else None
