"""Where the planes of an image lie, and how they move with its first pixel.

An image has one position (PS3.3 C.7.6.2.1.1), or each of its frames has one in its functional groups, relative to the
patient (PS3.3 C.7.6.16.2.3) or to an ultrasound volume (PS3.3 C.7.6.21).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import hypot, isfinite
from typing import Final, NamedTuple, TypeAlias

from gateway.dicom.charset import DEFAULT_REPERTOIRE
from gateway.dicom.encoded import Buffer, Element, Item, find
from gateway.dicom.instance import decode_element
from gateway.dicom.tag import show
from gateway.errors import RuleFailed
from gateway.pixels.areas import Area
from gateway.pixels.geometry import PER_FRAME, SHARED

__all__ = ["Planes", "Position"]

#: A point in mm: x, y, z.
Position: TypeAlias = tuple[float, float, float]

_PIXEL_MEASURES_SEQUENCE: Final = 0x00289110
_PIXEL_SPACING: Final = 0x00280030
#: VR DS (PS3.5 6.2); Python alone would take more for a number.
_DECIMAL: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
#: How far direction cosines, written with few digits, may be from unit vectors at a right angle.
_TOLERANCE: Final = 0.01


class _Frame(NamedTuple):
    """A coordinate system in which planes have positions: the tags of the groups and of what is in them."""

    position_group: int
    position: int
    orientation_group: int
    orientation: int


_PATIENT: Final = _Frame(0x00209113, 0x00200032, 0x00209116, 0x00200037)
_VOLUME: Final = _Frame(0x0020930E, 0x00209301, 0x0020930F, 0x00209302)


class Planes:
    """The planes of one instance.

    Parameters
    ----------
    buffer, elements
        the instance as received
    area
        what stays of every frame, in pixels of the received image
    where
        the rule, for errors
    """

    def __init__(self, buffer: Buffer, elements: list[Element], area: Area, *, where: str) -> None:
        self._buffer = buffer
        self._elements = elements
        self._area = area
        self._where = where
        self._moved: dict[int, Position] | None = None
        self._read: dict[int, list[float]] = {}

    def of_image(self) -> Position:
        """The new Image Position (Patient) at the top level.

        Raises
        ------
        RuleFailed
            the orientation or the spacing of pixels is missing or impossible
        """
        return self._place(_PATIENT, (self._elements,) * 3)

    def of_item(self, start: int) -> Position:
        """The new position in an item of Plane Position or Plane Position (Volume) Sequence of a functional group.

        Parameters
        ----------
        start
            where the item begins in the received bytes

        Raises
        ------
        RuleFailed
            the orientation or the spacing of the frame is missing, impossible, or told twice; or frames that
            share a position would need different ones
        """
        if self._moved is None:
            self._moved = self._frames()
        if start not in self._moved:
            raise self._failed("a position belongs to no frame: the geometry cannot change")
        return self._moved[start]

    def _frames(self) -> dict[int, Position]:
        """Where every position in functional groups moves, by the start of its item."""
        shared = self._items(self._elements, SHARED)
        if len(shared) > 1:
            raise self._failed(f"{show(SHARED)} has more than one item: the geometry cannot change")
        common = shared[0][4] if shared else []
        positions: dict[int, Position] = {}
        per_frame = [item[4] for item in self._items(self._elements, PER_FRAME)]
        for number, own in enumerate(per_frame or [[]]):
            for frame in (_PATIENT, _VOLUME):
                holder = self._group(frame.position_group, own, common, number)
                if holder is None or not _has_value(holder[4], frame.position):
                    continue
                orientation = self._group(frame.orientation_group, own, common, number)
                measures = self._group(_PIXEL_MEASURES_SEQUENCE, own, common, number)
                groups = [one[4] if one is not None else [] for one in (holder, orientation, measures)]
                moved = self._place(frame, groups)
                if positions.setdefault(holder[0], moved) != moved:
                    raise self._failed(
                        f"frames share {show(frame.position)} and differ in what it depends on:"
                        " the geometry cannot change"
                    )
        return positions

    def _group(self, tag: int, own: list[Element], common: list[Element], number: int) -> Item | None:
        """The item of a functional group that holds for a frame."""
        items = [*self._items(own, tag), *self._items(common, tag)]
        if len(items) > 1:
            raise self._failed(f"frame {number + 1} has {show(tag)} more than once: the geometry cannot change")
        return items[0] if items else None

    def _items(self, elements: list[Element], tag: int) -> list[Item]:
        sequence = find(elements, tag)
        if sequence is None:
            return []
        if sequence[5] is None:
            raise self._failed(f"{show(tag)} is no sequence: the geometry cannot change")
        return sequence[5]

    def _place(self, frame: _Frame, groups: Sequence[list[Element]]) -> Position:
        """The position of the first pixel that stays."""
        position = self._numbers(groups[0], frame.position, 3)
        orientation = self._numbers(groups[1], frame.orientation, 6)
        row_spacing, column_spacing = self._numbers(groups[2], _PIXEL_SPACING, 2)
        along, down = orientation[:3], orientation[3:]
        lean = sum(one * other for one, other in zip(along, down, strict=True))
        if max(abs(hypot(*along) - 1), abs(hypot(*down) - 1), abs(lean)) > _TOLERANCE:
            raise self._failed(f"{show(frame.orientation)} is no pair of unit vectors at a right angle")
        if row_spacing <= 0 or column_spacing <= 0:
            raise self._failed(f"{show(_PIXEL_SPACING)} is not above 0")
        x, y, z = (
            start + across * column_spacing * self._area.left + downwards * row_spacing * self._area.top
            for start, across, downwards in zip(position, along, down, strict=True)
        )
        return x, y, z

    def _numbers(self, elements: list[Element], tag: int, count: int) -> list[float]:
        element = find(elements, tag)
        if element is None:
            raise self._failed(f"{show(tag)} is missing: the geometry cannot change")
        numbers = self._read.get(element[2])
        if numbers is None:
            words = decode_element(self._buffer, element, DEFAULT_REPERTOIRE).text.strip("\0 ").split("\\")
            numbers = [float(word) for word in words if _DECIMAL.fullmatch(word.strip())]
            if len(numbers) != count or len(words) != count or not all(map(isfinite, numbers)):
                raise self._failed(f"{show(tag)} does not have the {count} numbers that are needed")
            self._read[element[2]] = numbers
        return numbers

    def _failed(self, reason: str) -> RuleFailed:
        return RuleFailed(where=self._where, reason=reason)


def _has_value(elements: list[Element], tag: int) -> bool:
    element = find(elements, tag)
    return element is not None and element[3] != element[4]
